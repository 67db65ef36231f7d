//! A tenant's trigger cannot reach into the networks around the server.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::harness::{COMPANY, Home, Kept, lost_call};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_to_an_inner_address_fails_with_that_reason_and_no_connection_is_made() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("it can be asked");
    let port = listener.local_addr().expect("it is bound").port();
    // Every way to write this machine, and neighbours that a cloud has.
    let urls = [
        format!("http://127.0.0.1:{port}/a"),
        format!("http://127.1:{port}/b"),
        format!("http://2130706433:{port}/c"),
        format!("http://0x7f.0.0.1:{port}/d"),
        format!("http://0:{port}/e"),
        format!("http://[::1]:{port}/f"),
        format!("http://[::ffff:127.0.0.1]:{port}/g"),
        format!("http://localhost:{port}/h"),
        format!("http://10.0.0.1:{port}/i"),
        format!("http://192.168.1.1:{port}/j"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://[fd00::1]:{port}/k"),
    ];
    let home = Home::new("[sessions]\nsettle = \"100ms\"\n[delivery]\nallow_http = true\n");
    let mut resources = COMPANY.to_owned();
    for (number, url) in urls.iter().enumerate() {
        resources += &format!(
            "[[trigger]]\ntenant = \"acme\"\nname = \"inner {number}\"\nurl = \"{url}\"\nretries = 0\n"
        );
    }
    home.apply(&resources);
    let serve = home.serve().await;
    serve.accept("k1", lost_call("ssrf").to_string()).await;
    let count = urls.len() as f64;
    serve
        .until("all to be refused", |value| {
            value("deliver_attempts_total{outcome=\"refused_address\"}") == count
        })
        .await;
    serve.stop().await;

    let attempts = Kept::open(&home).await.attempts().await;
    assert_eq!(attempts.len(), urls.len());
    for attempt in attempts {
        assert_eq!((&*attempt.class, attempt.last), ("refused_address", true));
        assert!(attempt.error.contains(" is refused: "), "{}", attempt.error);
    }
    let nobody = listener.accept().map_err(|error| error.kind());
    assert_eq!(nobody.map(|_| ()), Err(ErrorKind::WouldBlock), "a connection was made");
}
