//! A receiver is down for long, and the server dies meanwhile: everything that waits for it arrives, and nothing else
//! waits with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringpost_store::Ending;
use serde_json::Value;

use crate::harness::{
    COMPANY, Home, Kept, Receiver, Reply, Request, Serve, eventually, lost_call, run, session_of,
};

/// A receiver counts as down within a second, and is probed often; a lease of somebody who died ends soon.
const SETTINGS: &str = r#"
[sessions]
settle = "50ms"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
deadline = "1s"
handoff = "100ms"
[delivery.breaker]
many = 5
many_over = "500ms"
few = 3
few_over = "700ms"
first_probe = "200ms"
longest_probe = "400ms"
"#;

/// Answers of a receiver that is being mended.
const STILL_BROKEN: usize = 3;
const CALLS: usize = 60;

fn leg(number: usize) -> String {
    format!("call-{number:03}")
}

fn number(request: &Request) -> usize {
    let id = request.session();
    (0..=CALLS).find(|number| session_of(&leg(*number)) == id).expect("a call of this test")
}

async fn send(serve: &Serve, numbers: std::ops::Range<usize>) {
    for number in numbers {
        serve.accept("k1", lost_call(&leg(number)).to_string()).await;
    }
}

/// Whether `ringpost status` shows the lane to `/held` as open.
fn is_open(serve: &Serve) -> bool {
    let done = run(&["status", "--json", "--admin", &format!("http://{}", serve.admin)]);
    let status: Value = serde_json::from_str(&done.stdout).expect("status is JSON");
    let lanes = status["lanes"]["troubled"].as_array().expect("a list");
    lanes
        .iter()
        .any(|lane| lane["state"] == "open" && lane["url"].as_str().is_some_and(|url| url.contains("/held")))
}

async fn until_open(serve: &Serve) {
    eventually("the lane to be open", async || is_open(serve).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_down_over_two_crashes_gets_every_call_oldest_first_and_is_not_run_over() {
    let home = Home::new(SETTINGS);
    let down = Receiver::down();
    let other = Receiver::start(|_| Reply::status(200)).await;
    let trigger = |name: &str, url: String, rest: &str| {
        format!("[[trigger]]\ntenant = \"acme\"\nname = \"{name}\"\nurl = \"{url}\"\nretries = 0\n{rest}\n")
    };
    home.apply(&format!(
        "{COMPANY}{}{}{}",
        trigger("Held", down.url("/held"), ""),
        trigger("Failing", down.url("/fails"), "whileDown = \"fail\""),
        trigger("Neighbour", other.url("/well"), "")
    ));
    // Connections are refused.
    let serve = home.serve().await;
    send(&serve, 0..15).await;
    serve.until("the first tries", |value| value("deliver_attempts_total{outcome=\"connect\"}") >= 6.0).await;
    // Time is part of what makes a receiver count as down.
    tokio::time::sleep(Duration::from_millis(600)).await;
    send(&serve, 15..25).await;
    until_open(&serve).await;
    send(&serve, 25..35).await;
    serve.until("calls are owed", |value| value("deliver_debts") >= 20.0).await;
    serve.kill();

    // It is down for the next life too, from its first moment on.
    let serve = home.serve().await;
    until_open(&serve).await;
    send(&serve, 35..45).await;
    other.count(45).await;
    serve.kill();

    // It comes back, says no for some time, and then takes what it gets, in its own time.
    let answers = Arc::new(AtomicUsize::new(0));
    let receiver = down.listen(move |request| {
        if request.path == "/fails" {
            return Reply::status(200);
        }
        let number = answers.fetch_add(1, Ordering::SeqCst);
        if number < STILL_BROKEN {
            Reply::status(500)
        } else {
            Reply::status(200).after(Duration::from_millis(60))
        }
    });
    let serve = home.serve().await;
    send(&serve, 45..50).await;
    let held = |requests: &[Request]| -> Vec<Request> {
        requests.iter().filter(|request| request.path == "/held").cloned().collect()
    };
    eventually("every call", async || {
        let told: BTreeSet<usize> =
            held(&receiver.requests()).iter().filter(|request| request.is_delivered()).map(number).collect();
        (told.len() == 50).then_some(())
    })
    .await;
    serve.until("nothing owed", |value| value("deliver_debts") == 0.0).await;
    eventually("the lane to be well", async || (!is_open(&serve)).then_some(())).await;
    // As always from now on.
    send(&serve, 50..CALLS).await;
    receiver
        .until("the calls after", |requests| {
            held(requests).iter().filter(|it| number(it) >= 50).count() == 10
        })
        .await;
    other.count(CALLS).await;
    serve
        .until("nothing owed", |value| {
            value("deliver_debts") == 0.0 && value("stage_lag_records{stage=\"dispatch\"}") == 0.0
        })
        .await;
    let (status, _) = serve.stop().await;
    assert_eq!(status.code(), Some(0));

    let requests = held(&receiver.requests());
    // Probes while it was broken: one at a time, of the oldest.
    assert!(requests[..=STILL_BROKEN].iter().all(|request| number(request) == number(&requests[0])));
    // Each was answered with success once; only the probes were asked more than once.
    let delivered: Vec<usize> = requests.iter().filter(|it| it.is_delivered()).map(number).collect();
    assert_eq!(delivered.len(), CALLS);
    assert_eq!(delivered.iter().copied().collect::<BTreeSet<_>>().len(), CALLS, "a call was told twice");
    ramps(&requests[STILL_BROKEN..]);
    oldest_first(&delivered);

    let kept = Kept::open(&home).await;
    assert!(kept.debts().await.is_empty());
    let endings = kept.endings().await;
    assert!(endings.iter().all(|ended| ended.ending == Ending::Superseded), "given up: {endings:#?}");
    the_first_probe_is_the_oldest(&kept, &requests[0]).await;
    the_other_trigger_failed(&kept, &receiver.requests()).await;
}

/// Age counts from a delivery's first try. Calls that end in one millisecond are tried in any order.
async fn the_first_probe_is_the_oldest(kept: &Kept, probe: &Request) {
    let trigger = kept.trigger("Held").await;
    let first =
        kept.attempts().await.into_iter().filter(|it| it.trigger == trigger).min_by_key(|it| it.started);
    let oldest = first.expect("somebody tried").session.to_string();
    assert_eq!(probe.session(), oldest, "the first probe is not of the oldest call");
}

/// Of n calls that were answered with success, the next ones found at most n under way: 1, 2, 4 …
fn ramps(requests: &[Request]) {
    for (at, request) in requests.iter().enumerate().skip(1) {
        let before = &requests[..at];
        let answered = before.iter().filter(|it| it.answered_before(request.came)).count();
        let under_way = before.len() - answered;
        assert!(
            under_way < answered.max(1) || answered >= 16,
            "{under_way} under way after {answered} answers"
        );
    }
}

/// What waited comes in the order it began to wait, as far as several at a time can.
fn oldest_first(delivered: &[usize]) {
    let waited: Vec<usize> = delivered.iter().copied().filter(|number| *number < 35).collect();
    for (place, number) in waited.iter().enumerate() {
        assert!(place.abs_diff(*number) <= 20, "call {number} came as number {place}: {delivered:?}");
    }
    assert!(waited.first().is_some_and(|number| *number < 5), "{delivered:?}");
}

/// `whileDown: fail`: every call has one request, and is over with it.
async fn the_other_trigger_failed(kept: &Kept, requests: &[Request]) {
    let trigger = kept.trigger("Failing").await;
    let attempts: Vec<_> =
        kept.attempts().await.into_iter().filter(|attempt| attempt.trigger == trigger).collect();
    let failed = attempts.iter().filter(|attempt| !attempt.ok).count();
    let told = requests.iter().filter(|request| request.path == "/fails").count();
    assert!(failed >= 35, "only {failed} failed");
    assert!(attempts.iter().all(|attempt| attempt.last), "something was tried again");
    // A kill may hit one that was under way, which is then tried once more.
    assert!((CALLS..=CALLS + 10).contains(&attempts.len()), "{} requests", attempts.len());
    assert!(told >= CALLS - 50, "after it was back only {told} came");
}
