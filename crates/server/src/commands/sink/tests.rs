//! The sink over real sockets: what a sender meets, and what a person reads.

use std::time::Duration;

use ringpost_model::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::*;

struct Running {
    address: std::net::SocketAddr,
    receiver: mpsc::Receiver<Received>,
    /// Dropped with the test, and the server with it.
    _server: JoinSet<std::io::Result<()>>,
}

async fn start(flags: &[&str]) -> Running {
    #[derive(Debug, clap::Parser)]
    struct Only {
        #[command(flatten)]
        sink: Sink,
    }
    let arguments = std::iter::once("sink").chain(flags.iter().copied());
    let sink = <Only as clap::Parser>::try_parse_from(arguments).unwrap().sink;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel(QUEUE);
    let mut server = JoinSet::new();
    server.spawn(server::serve(listener, sink.settings().unwrap(), sender));
    Running { address, receiver, _server: server }
}

impl Running {
    async fn connect(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// The whole answer.
    async fn ask(&self, request: &str) -> String {
        let mut answer = String::new();
        self.connect(request).await.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn status(&self, path: &str, headers: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        self.ask(&request).await[9..12].to_owned()
    }
}

fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

const PLAIN: show::Look = show::Look { coloured: false, brief: false };

fn shown(mut received: Received) -> String {
    received.at = Timestamp::from_micros(1_773_133_200_123_000);
    show::text(&received, PLAIN)
}

#[tokio::test]
async fn a_json_delivery_is_shown_with_its_keys_in_order_and_its_numbers_exact() {
    let mut sink = start(&[]).await;
    let body =
        r#"{"triggerId":"t","cdr":{"dur":60,"rateCost":0.1000000000000000000001,"tags":{},"n":["a\"b{",1]}}"#;
    let headers =
        "content-type: application/json\r\nwebhook-id: d1\r\nauthorization: Basic c2VjcmV0\r\nx-crm: 7\r\n";
    let answer = sink.ask(&post("/crm?api-version=1&x=a+b%26c", headers, body)).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    insta::assert_snapshot!(shown(sink.receiver.recv().await.unwrap()), @r#"
    #1 09:00:00.123Z  POST /crm  -> 202
      webhook-id     d1
      content-type   application/json
      authorization  Basic …
      x-crm          7
      query
        api-version  1
        x            a b&c
      body (JSON, 96 bytes)
        {
          "triggerId": "t",
          "cdr": {
            "dur": 60,
            "rateCost": 0.1000000000000000000001,
            "tags": {},
            "n": [
              "a\"b{",
              1
            ]
          }
        }
    "#);
}

#[tokio::test]
async fn a_form_is_shown_decoded_and_aligned() {
    let mut sink = start(&[]).await;
    let headers = "content-type: application/x-www-form-urlencoded\r\n";
    sink.ask(&post("/", headers, "triggerId=t&cdr[cliNum]=%2B441632960101&cdr[cliName]=J%C3%B6rg+%1b")).await;
    insta::assert_snapshot!(shown(sink.receiver.recv().await.unwrap()), @r#"
    #1 09:00:00.123Z  POST /  -> 202
      content-type  application/x-www-form-urlencoded
      body (form, 66 bytes)
        triggerId     t
        cdr[cliNum]   +441632960101
        cdr[cliName]  Jörg �
    "#);
}

#[tokio::test]
async fn repeats_of_one_delivery_are_counted() {
    let mut sink = start(&["--fail-first", "1"]).await;
    assert_eq!(sink.status("/", "webhook-id: a\r\n").await, "500");
    assert_eq!(sink.status("/", "webhook-id: b\r\n").await, "500");
    assert_eq!(sink.status("/", "webhook-id: a\r\n").await, "202");
    let mut attempts = Vec::new();
    for _ in 0..3 {
        attempts.push(sink.receiver.recv().await.unwrap().attempt.unwrap());
    }
    assert_eq!(attempts, [1, 1, 2]);
}

#[tokio::test]
async fn one_sink_plays_several_receivers() {
    let sink = start(&["--status", "204", "--route", "/gone=gone", "--route", "/lossy=fail-every:2"]).await;
    assert_eq!(sink.status("/", "").await, "204");
    assert_eq!(sink.status("/gone/x", "").await, "410");
    let lossy =
        [sink.status("/lossy", "").await, sink.status("/lossy", "").await, sink.status("/lossy", "").await];
    assert_eq!(lossy, ["202", "500", "202"]);
}

#[tokio::test]
async fn retry_after_is_sent_with_429() {
    let sink = start(&["--retry-after", "5"]).await;
    let answer = sink.ask("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: 5\r\n"), "{answer}");
}

/// The delay is real time on a real socket, so only its lower end is asserted.
#[tokio::test]
async fn a_delay_delays() {
    let sink = start(&["--delay", "60ms"]).await;
    let before = std::time::Instant::now();
    assert_eq!(sink.status("/", "").await, "202");
    assert!(before.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_hanging_receiver_takes_the_request_and_never_answers() {
    let mut sink = start(&["--hang"]).await;
    let mut stream = sink.connect("GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let received = sink.receiver.recv().await.unwrap();
    assert_eq!(received.answer, None);
    assert!(shown(received).contains("GET /x  -> no answer"));
    let answer = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(answer.is_err(), "it answered");
}

#[tokio::test]
async fn an_endless_body_goes_on() {
    let sink = start(&["--endless-body"]).await;
    let mut stream = sink.connect("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut read = 0;
    let mut buffer = vec![0; 4096];
    while read < 3 * 1024 {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "it ended after {read} bytes");
        read += count;
    }
}

#[tokio::test]
async fn signatures_are_checked_of_bodies_and_of_appended_queries() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut sink = start(&["--secret", secret]).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let sign = |payload: &str| {
        let webhook = standardwebhooks::Webhook::new(secret).unwrap();
        let signature = webhook.sign("d", now, payload.as_bytes()).unwrap();
        format!("webhook-id: d\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {signature}\r\n")
    };
    sink.ask(&post("/", &sign("{}"), "{}")).await;
    sink.ask(&post("/", &sign("{}"), "{ }")).await;
    sink.status("/?sig=theirs&triggerId=t&id=1", &sign("triggerId=t&id=1")).await;
    sink.status("/?sig=theirs&triggerId=t&id=2", &sign("triggerId=t&id=1")).await;
    sink.status("/", "").await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(sink.receiver.recv().await.unwrap().signature.name());
    }
    assert_eq!(seen, ["valid", "invalid", "valid", "invalid", "absent"]);
}

#[tokio::test]
async fn the_record_of_requests_is_one_line_of_json_each() {
    let mut sink = start(&[]).await;
    sink.ask(&post("/a?b=c", "webhook-id: d\r\n", r#"{"n":1.10}"#)).await;
    let mut received = sink.receiver.recv().await.unwrap();
    received.at = Timestamp::from_micros(1_773_133_200_123_000);
    let mut line = Vec::new();
    record::append(&received, &mut line).unwrap();
    insta::assert_snapshot!(String::from_utf8(line).unwrap(), @r#"{"at":"2026-03-10T09:00:00.123000Z","number":1,"method":"POST","path":"/a","query":"b=c","headers":{"connection":"close","content-length":"10","host":"x","webhook-id":"d"},"body":"{\"n\":1.10}","json":{"n":1.10},"attempt":1,"signature":"absent","status":202}"#);
}
