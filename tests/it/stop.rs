//! A stop in the middle of the day: an update, a new machine.

use std::time::{Duration, Instant};

use crate::harness::{Home, Kept, Receiver, Reply, Traffic, judge, settle_down};

/// As configured below.
const GRACE: Duration = Duration::from_secs(8);

const SETTINGS: &str = r#"
[sessions]
settle = "300ms"
gap = "1s"
max_idle = "3s"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
[shutdown]
grace = "8s"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_of_traffic_loses_no_call_and_forgets_nothing_owed() {
    let home = Home::new(SETTINGS);
    let receiver = Receiver::start(|_| Reply::status(200).after(Duration::from_millis(150))).await;
    let traffic = Traffic::new(60, 4);
    home.apply(&traffic.resources(&receiver));

    let serve = home.serve().await;
    let mut sending = traffic.send();
    sending.to(Some(serve.intake));
    sending.accepted(sending.requests / 2).await;
    receiver.until("a request in flight", |requests| !requests.is_empty()).await;
    let began = Instant::now();
    serve.terminate();
    let (status, log) = serve.ended().await;
    let took = began.elapsed();
    sending.to(None);
    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    assert!(took <= GRACE + Duration::from_secs(2), "it took {took:?} to stop");
    assert!(!log.iter().any(|line| line.contains("grace time is over")), "{}", log.join("\n"));
    let before = receiver.requests().len();
    assert_eq!(receiver.in_flight(), 0, "a request was cut off");

    let serve = home.serve().await;
    sending.to(Some(serve.intake));
    sending.done().await;
    settle_down(&serve, &traffic, &receiver).await;
    let (status, _) = serve.stop().await;
    assert_eq!(status.code(), Some(0));
    let requests = receiver.requests();
    assert!(0 < before && before < requests.len(), "the stop was not in the middle of the traffic");
    judge(&traffic, &Kept::open(&home).await, &requests).await;
}
