//! What one client may take: bytes, headers, time, connections. Who takes more is cut off, and the others are served.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{COMPANY, Home, QUICK, lost_call, token};

const SETTINGS: &str = r#"
[http]
max_body = "64KiB"
max_headers = "8KiB"
max_connections = 4
request_timeout = "1s"
"#;
/// The time above, on a machine that is starved.
const SOON: Duration = Duration::from_secs(30);

/// Sends bytes, and reads until the other side closes.
async fn talk(intake: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(intake).await.expect("a connection");
    // It may be closed before all was sent.
    _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut answer)).await;
    // A reset is an end too; to hang is not.
    _ = read.expect("the server closes a connection that takes too much");
    String::from_utf8_lossy(&answer).into_owned()
}

fn head(headers: &str, length: usize) -> String {
    let token = token("k1");
    format!(
        "POST /ingest/k1 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n{headers}content-length: {length}\r\n\r\n"
    )
}

/// A byte now and then, until it is cut off.
async fn drip(mut stream: TcpStream) {
    for byte in b"POST /ingest/k1 HTTP/1.1\r\nx-slow: ".iter().cycle() {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_too_many_bytes_headers_connections_or_too_much_time_is_cut_off_and_others_are_served() {
    let home = Home::new(&format!("{QUICK}{SETTINGS}"));
    home.apply(COMPANY);
    let serve = home.serve().await;
    let body = lost_call("never").to_string();

    // The same in order, to see that nothing else is the matter.
    let call = lost_call("good").to_string();
    let good =
        talk(serve.intake, format!("{}{call}", head("connection: close\r\n", call.len())).as_bytes()).await;
    assert!(good.starts_with("HTTP/1.1 202"), "{good}");

    let many: String = (0..100).map(|number| format!("x-{number}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(20_000));
    for (what, headers) in [("100 headers", many), ("20 KB of headers", long)] {
        let answer = talk(serve.intake, format!("{}{body}", head(&headers, body.len())).as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{what}: {answer}");
    }
    assert_eq!(serve.post("k1", vec![b' '; 65 * 1024]).await.status, 413);
    // A chunked body says nothing of its length.
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunked = head("transfer-encoding: chunked\r\n", 0).replace("content-length: 0\r\n", "");
    let answer = talk(serve.intake, format!("{chunked}{chunk}{chunk}0\r\n\r\n").as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");

    // Half a body, half a head, nothing: the time is over some day.
    let slow = talk(serve.intake, format!("{}{}", head("", body.len()), &body[..20]).as_bytes()).await;
    assert!(slow.is_empty() || slow.starts_with("HTTP/1.1 408"), "{slow}");
    assert!(!talk(serve.intake, b"POST /ingest/k1 HTTP/1.1\r\nhost:").await.contains("202"));
    assert_eq!(talk(serve.intake, b"").await, "");

    // All seats taken by clients that are silent or drip: a switch gets one in the end, and is heard.
    let mut drips = Vec::new();
    for _ in 0..8 {
        let stream = TcpStream::connect(serve.intake).await.expect("a connection");
        drips.push(tokio::spawn(drip(stream)));
    }
    let began = Instant::now();
    let answer =
        timeout(SOON, serve.post("k1", lost_call("patient").to_string())).await.expect("it is served");
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert!(began.elapsed() > Duration::from_millis(500), "more connections than the limit were served");
    println!("served after {:.1?}, beside 8 clients that drip into 4 connections", began.elapsed());
    for drip in drips {
        timeout(SOON, drip).await.expect("a client that drips is cut off").expect("it does not panic");
    }
    let metrics = serve.metrics().await;
    assert_eq!(metrics["ringpost_ingest_legs_accepted_total{dialect=\"native\"}"], 2.0);
    let (status, _) = serve.stop().await;
    assert_eq!(status.code(), Some(0));
}
