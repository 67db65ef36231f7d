//! What strangers, broken switches and malicious callers send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::harness::{Answer, COMPANY, Home, Receiver, Reply, lost_call, session_of, token};

const SETTINGS: &str = r#"
[sessions]
settle = "100ms"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
[http]
max_body = "64KiB"
"#;

/// Another company with a switch of its own, and a switch that serves several.
const RIVAL: &str = r#"
[[tenant]]
key = "rival"

[[pbx]]
key = "r1"
tenant = "rival"
tokens = ["token-of-the-tests-for-r1"]

[[pbx]]
key = "shared"
tokens = ["token-of-the-tests-for-shared"]
"#;

fn trigger(tenant: &str, name: &str, url: &str, rest: &str) -> String {
    format!("[[trigger]]\ntenant = \"{tenant}\"\nname = \"{name}\"\nurl = \"{url}\"\n{rest}\n")
}

fn call_of(tenant: &str, pbx: &str, leg: &str) -> Value {
    let mut call = lost_call(leg);
    call["tenant"] = json!(tenant);
    call["pbx"] = json!(pbx);
    call
}

/// Lines of `dead-letters list`.
fn dead_letters(home: &Home) -> Vec<String> {
    let done = home.run(&["dead-letters", "list", "--limit", "1000"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    done.stdout.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_refused_and_counted_and_harm_nobody() {
    let home = Home::new(SETTINGS);
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    home.apply(&format!("{COMPANY}{RIVAL}{}", trigger("acme", "CRM", &receiver.url("/crm"), "")));
    let serve = home.serve().await;

    // Strangers get nowhere near a decoder.
    for (pbx, bearer) in
        [("k1", "guess"), ("k1", &*token("r1")), ("k2", &*token("k1")), ("..", "x"), ("k1", "")]
    {
        let answer = serve.post_with(pbx, bearer, lost_call("stranger").to_string()).await;
        assert!([401, 404].contains(&answer.status.as_u16()), "{pbx} {bearer:?}: {}", answer.status);
    }
    let too_large = serve.post("k1", vec![b' '; 65 * 1024]).await;
    assert_eq!(too_large.status, 413);
    assert_eq!(serve.post("k1", "").await.status, 400);
    not_even_http(serve.intake);

    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep = format!("{{\"v\":1,\"x\":{}}}", nested(5_000));
    let strange: Vec<(u16, Vec<u8>)> = vec![
        (403, call_of("rival", "k1", "theft").to_string().into()),
        (403, call_of("acme", "r1", "other-pbx").to_string().into()),
        (403, call_of("nobody", "k1", "unknown").to_string().into()),
        (400, deep.into()),
        (400, b"\x00\xff\xfe\x01 garbage".to_vec()),
        (400, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (400, b"{\"v\":1".to_vec()),
        (400, b"{\"v\":2,\"kind\":\"leg\"}".to_vec()),
        (400, b"{\"v\":1e400}".to_vec()),
        (400, b"null".to_vec()),
        (
            400,
            b"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>"
                .to_vec(),
        ),
    ];
    let (mut accepted, mut rejected) = (0, 0);
    let mut count = |answer: &Answer| {
        let (legs, refused) = answer.told();
        accepted += legs;
        rejected += refused;
    };
    for (status, body) in strange {
        let answer = serve.post("k1", body.clone()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert_eq!(answer.status, status, "{shown}: {}", answer.body);
        assert!(answer.told().1 >= 1, "{shown} is not counted: {}", answer.body);
        count(&answer);
    }
    // One bad apple spoils nobody: three good ones, two bad ones.
    let batch = [
        lost_call("good-1").to_string(),
        "{\"v\":1,\"kind\":\"leg\",".to_owned(),
        lost_call("good-2").to_string(),
        call_of("rival", "k1", "theft-2").to_string(),
        lost_call("good-3").to_string(),
    ];
    let answer = serve.post("k1", batch.join("\n")).await;
    assert_eq!((answer.status.as_u16(), answer.told()), (202, (3, 2)), "{}", answer.body);
    count(&answer);

    let letters = dead_letters(&home);
    assert_eq!(letters.len() as u64, rejected, "{letters:#?}");
    let metrics = serve.metrics().await;
    let sum = |name: &str| {
        metrics.iter().filter(|(key, _)| key.starts_with(name)).map(|(_, value)| value).sum::<f64>()
    };
    assert_eq!(sum("ringpost_ingest_legs_accepted_total"), accepted as f64);
    assert_eq!(sum("ringpost_ingest_legs_rejected_total"), rejected as f64);

    let requests = receiver.count(3).await;
    let mut sessions: Vec<String> = requests.iter().map(|request| request.session()).collect();
    let mut wanted = ["good-1", "good-2", "good-3"].map(session_of).to_vec();
    sessions.sort();
    wanted.sort();
    assert_eq!(sessions, wanted);
    let (status, _) = serve.stop().await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(receiver.requests().len(), 3, "a call of somebody else was told");
}

/// Bytes that are no request, and a head without an end: answered 4xx or cut off, and never waited for.
fn not_even_http(intake: SocketAddr) {
    let heads = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"POST /ingest/k1 HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef".to_vec(),
        format!("POST /ingest/k1 HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(32 * 1024)).into_bytes(),
        format!("POST /ingest/k1/{} HTTP/1.1\r\nHost: x\r\n\r\n", "%00".repeat(100)).into_bytes(),
    ];
    for head in heads {
        let mut stream = TcpStream::connect(intake).expect("the intake listens");
        // It may be cut off while it is written.
        let _ = stream.write_all(&head).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malicious_name_of_a_caller_arrives_as_it_was_sent() {
    let home = Home::new(SETTINGS);
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let form = trigger("acme", "form", &receiver.url("/form"), "format = \"form\"");
    home.apply(&format!("{COMPANY}{}{form}", trigger("acme", "json", &receiver.url("/json"), "")));
    let nasty =
        "\"'; DROP TABLE calls;--\\\r\n\t\u{1}\u{7f}</script>&cdr[id]=x%00+=\u{202e}\u{200f}evil\u{1f600}";
    let name = format!("{nasty}{}", "ü".repeat(5 * 1024));
    let mut call = lost_call("nasty");
    call["name"] = json!(name);
    let serve = home.serve().await;
    serve.accept("k1", call.to_string()).await;
    for request in receiver.count(2).await {
        let got = match &*request.path {
            "/json" => request.json()["cdr"]["cliName"].as_str().expect("a name").to_owned(),
            _ => {
                let pairs: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
                let ids = pairs.iter().filter(|(key, _)| key == "cdr[id]").count();
                assert_eq!(ids, 1, "the name has become a key");
                pairs.into_iter().find(|(key, _)| key == "cdr[cliName]").expect("a name").1
            }
        };
        assert_eq!(got, name, "{}", request.path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_is_sent_in_again_once_the_cause_is_mended() {
    let home = Home::new(SETTINGS);
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    home.apply(&format!("{COMPANY}{RIVAL}"));
    let mut serve = home.serve().await;
    let call = call_of("newcomer", "shared", "early");
    let answer = serve.post("shared", call.to_string()).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let letters = dead_letters(&home);
    assert!(letters.len() == 1 && letters[0].contains("no tenant has the key newcomer"), "{letters:#?}");

    let newcomer = "[[tenant]]\nkey = \"newcomer\"\n".to_owned()
        + &trigger("newcomer", "CRM", &receiver.url("/crm"), "");
    home.apply(&format!("{COMPANY}{RIVAL}{newcomer}"));
    // Three tenants are known from now on.
    serve.logged("\"tenants\":3").await;
    let to = format!("http://{}", serve.intake);
    let done = home.run(&["dead-letters", "replay", "--all", "--to", &to]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let requests = receiver.count(1).await;
    assert_eq!(requests[0].json()["cdr"]["cliName"], "Dora Evans");
    assert_eq!(dead_letters(&home), Vec::<String>::new());
}
