//! What must be known to the receiver and to us alone is in no log, no metric, and readable in no file.

use std::path::Path;

use crate::harness::{Home, Receiver, Reply, lost_call};

/// Everything that a tenant or an operator would not like to read elsewhere.
const SECRETS: [&str; 15] = [
    "path-secret-4711",
    "query-secret-4712",
    "basic-password-4713",
    // The same with its user, as it goes over the wire.
    "cmluZ3Bvc3Q6YmFzaWMtcGFzc3dvcmQtNDcxMw",
    "bearer-token-4714",
    "header-secret-4715",
    "custom-secret-4716",
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "ingest-token-4717-long-enough",
    "path-secret-4718",
    "query-secret-4719",
    "header-secret-4723",
    "wrong-ingest-token-4720",
    "location-secret-4721",
    "gone-secret-4722",
];

const SETTINGS: &str = r#"
[sessions]
settle = "100ms"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
[log]
level = "trace"
"#;

fn resources(receiver: &Receiver, down: &str) -> String {
    let origin = receiver.url("");
    format!(
        r#"
[[tenant]]
key = "acme"

[[pbx]]
key = "k1"
tenant = "acme"
tokens = ["ingest-token-4717-long-enough"]

[[trigger]]
tenant = "acme"
name = "basic"
url = "{origin}/hooks/path-secret-4711?sig=query-secret-4712"
auth = {{ kind = "basic", user = "ringpost", password = "basic-password-4713" }}
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

[[trigger]]
tenant = "acme"
name = "bearer"
url = "{origin}/echo"
method = "GET"
auth = {{ kind = "bearer", token = "bearer-token-4714" }}
headers = {{ "X-Api-Key" = "header-secret-4715" }}
customData = {{ key = "custom-secret-4716" }}

[[trigger]]
tenant = "acme"
name = "moved"
url = "{origin}/moved/location-secret-4721?key=query-secret-4719"
headers = {{ Authorization = "Custom header-secret-4723" }}
retries = 1

[[trigger]]
tenant = "acme"
name = "down"
url = "{down}/x/path-secret-4718"
retries = 1

[[trigger]]
tenant = "acme"
name = "gone"
url = "{origin}/gone/gone-secret-4722"
"#
    )
}

/// Echoes all that it knows, as a page of a framework in debug mode does.
fn echo(request: &crate::harness::Request) -> Reply {
    let known = format!("{:?} {} {}", request.headers, request.path, request.query);
    let known: String =
        known.chars().filter(|character| !character.is_control() && character.is_ascii()).collect();
    match &*request.path {
        path if path.starts_with("/moved") => Reply::status(302).header("location", path),
        path if path.starts_with("/gone") => Reply::status(410).header("x-echo", &known),
        _ => Reply::status(200).header("x-echo", &known).body(&known),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_readable_in_the_log_the_metrics_or_the_files() {
    let home = Home::new(SETTINGS);
    let receiver = Receiver::start(echo).await;
    let down = Receiver::down();
    home.apply(&resources(&receiver, &down.url("")));
    let serve = home.serve().await;
    let token = "ingest-token-4717-long-enough";
    let in_path = format!("k1/{token}");
    assert_eq!(serve.post_with(&in_path, "none", lost_call("secret-1").to_string()).await.status, 202);
    assert_eq!(serve.post_with("k1", token, lost_call("visible-leg").to_string()).await.status, 202);
    assert_eq!(serve.post_with("k1/wrong-ingest-token-4720", "none", "{}").await.status, 401);
    assert_eq!(serve.post_with("k1", token, "no record").await.status, 400);
    // Two calls: each is taken by two at once, and fails twice at two others; one of them is gone at once.
    let ended = |value: &dyn Fn(&str) -> f64| {
        let of = |outcome: &str| value(&format!("deliver_attempts_total{{outcome=\"{outcome}\"}}"));
        of("success") == 4.0 && of("redirect") == 4.0 && of("connect") == 4.0 && of("gone") >= 1.0
    };
    serve.until("every try", ended).await;
    serve.until("nothing owed", |value| value("deliver_debts") == 0.0).await;

    let metrics = serve.metrics_text().await;
    check("the metrics", metrics.as_bytes());
    check_files(&home.data());
    let (_, log) = serve.stop().await;
    check_files(&home.data());
    let log = log.join("\n");
    check("the log", log.as_bytes());
    // Had nothing been written, nothing would have been found.
    assert!(log.contains("delivery failed") && log.contains("\"level\":\"DEBUG\""), "{log}");
    assert!(metrics.contains("deliver_attempts_total"));
    let names = receiver.requests().iter().any(|request| request.query.contains("query-secret-4712"));
    assert!(names, "the receiver was not told the secrets either");
}

fn check_files(folder: &Path) {
    let mut files = 0;
    let mut visible = false;
    for entry in std::fs::read_dir(folder).expect("the data folder") {
        let path = entry.expect("a file").path();
        let bytes = std::fs::read(&path).expect("a file");
        check(&path.display().to_string(), &bytes);
        visible |= position(&bytes, b"visible-leg").is_some();
        files += 1;
    }
    assert!(files >= 4 && visible, "the scan finds nothing at all in {files} files");
}

fn check(place: &str, bytes: &[u8]) {
    for secret in SECRETS {
        if let Some(at) = position(bytes, secret.as_bytes()) {
            let around = &bytes[at.saturating_sub(300)..(at + 100).min(bytes.len())];
            panic!("{secret} is in {place}: {}", String::from_utf8_lossy(around));
        }
    }
}

fn position(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}
