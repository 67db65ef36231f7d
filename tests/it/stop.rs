//! A stop in the middle of the day: an update, a new machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{COMPANY, Home, Kept, Receiver, Reply, Traffic, judge, lost_call, settle_down};

/// As configured below.
const GRACE: Duration = Duration::from_secs(8);

/// Few requests at a time, so that many wait when the stop comes.
const SETTINGS: &str = r#"
[sessions]
settle = "300ms"
gap = "1s"
max_idle = "3s"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
concurrency = 2
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_holds_up_no_stop_and_gets_its_call_at_the_next_start() {
    let home = Home::new(&SETTINGS.replace("8s", "2s"));
    let is_first = AtomicBool::new(true);
    let receiver = Receiver::start(move |_| {
        if is_first.swap(false, Ordering::SeqCst) { Reply::hang() } else { Reply::status(200) }
    })
    .await;
    let url = receiver.url("/hangs");
    home.apply(&format!(
        "{COMPANY}[[trigger]]\ntenant = \"acme\"\nname = \"CRM\"\nurl = \"{url}\"\nretries = 0\n"
    ));
    let serve = home.serve().await;
    serve.accept("k1", lost_call("hangs").to_string()).await;
    receiver.count(1).await;
    let log = serve.stops_well().await;
    assert!(!log.iter().any(|line| line.contains("grace time is over")), "{}", log.join("\n"));
    let kept = Kept::open(&home).await;
    assert_eq!(kept.debts().await.len(), 1, "the call was forgotten");
    drop(kept);

    let serve = home.serve().await;
    let requests = receiver.count(2).await;
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    assert_eq!(requests[0].body, requests[1].body);
    serve.until("nothing owed", |value| value("deliver_debts") == 0.0).await;
    serve.stop().await;
    assert_eq!(receiver.requests().len(), 2);
}
