//! Receivers that are down, gone, or ask for patience.

use ringpost_store::Ending;

use crate::harness::{COMPANY, Home, Kept, QUICK, Receiver, Reply, Request, lost_call, session_of};

/// Retry `n` starts `n` times this after try `n` ended, in microseconds.
const STEP: i64 = 2_000_000;

fn trigger(name: &str, url: &str, rest: &str) -> String {
    format!("[[trigger]]\ntenant = \"acme\"\nname = \"{name}\"\nurl = \"{url}\"\n{rest}\n")
}

fn calls_at(requests: &[Request], path: &str) -> Vec<String> {
    requests.iter().filter(|request| request.path == path).map(Request::session).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_down_gets_its_call_when_it_is_up_also_after_a_restart_of_ours() {
    let home = Home::new(QUICK);
    let down = Receiver::down();
    home.apply(&format!("{COMPANY}{}", trigger("CRM", &down.url("/crm"), "retries = 10")));
    let serve = home.serve().await;
    serve.accept("k1", lost_call("down").to_string()).await;
    let refused = "deliver_attempts_total{outcome=\"connect\"}";
    serve.until("two tries", |value| value(refused) >= 2.0).await;
    let (status, _) = serve.stop().await;
    assert_eq!(status.code(), Some(0));

    let kept = Kept::open(&home).await;
    let (debts, attempts) = (kept.debts().await, kept.attempts().await);
    let last = attempts.last().expect("two tries");
    let due = last.ended.micros() + i64::from(last.number) * STEP;
    assert_eq!(debts.iter().map(|debt| debt.due.micros()).collect::<Vec<_>>(), [due], "{attempts:#?}");
    drop(kept);

    let serve = home.serve().await;
    let receiver = down.listen(|_| Reply::status(200));
    let requests = receiver.count(1).await;
    assert_eq!(calls_at(&requests, "/crm"), [session_of("down")]);
    serve.stop().await;

    let kept = Kept::open(&home).await;
    let attempts = kept.attempts().await;
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (1..).take(attempts.len()).collect::<Vec<_>>(), "the count of tries began anew");
    for pair in attempts.windows(2) {
        let waited = pair[1].started.micros() - pair[0].ended.micros();
        assert!(waited >= i64::from(pair[0].number) * STEP, "try {} came after {waited} µs", pair[1].number);
    }
    let ends: Vec<(bool, &str)> = attempts.iter().map(|attempt| (attempt.last, &*attempt.class)).collect();
    let (last, before) = ends.split_last().expect("there are some");
    assert_eq!(*last, (true, "success"));
    assert!(before.len() >= 2 && before.iter().all(|end| *end == (false, "connect")), "{ends:?}");
    assert_eq!((kept.debts().await.len(), requests.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_not_asked_again_and_its_trigger_says_why() {
    let home = Home::new(QUICK);
    let receiver =
        Receiver::start(|request| Reply::status(if request.path == "/gone" { 410 } else { 200 })).await;
    let triggers = trigger("Gone", &receiver.url("/gone"), "retries = 10")
        + &trigger("Here", &receiver.url("/here"), "");
    home.apply(&format!("{COMPANY}{triggers}"));
    let mut serve = home.serve().await;
    // Tells of a call, and how many triggers it was held against.
    let call = async |leg: &str| {
        let asked = async || serve.metrics().await["ringpost_trigger_evaluations_total"];
        let before = asked().await;
        serve.accept("k1", lost_call(leg).to_string()).await;
        let is_told = |requests: &[Request]| calls_at(requests, "/here").contains(&session_of(leg));
        receiver.until("the other receiver to be told", is_told).await;
        asked().await - before
    };
    assert_eq!(call("call-0").await, 2.0);
    receiver.until("the gone receiver to be told", |requests| !calls_at(requests, "/gone").is_empty()).await;
    // The change is effective within two seconds: until then calls still come, and are answered alike.
    let mut last = 1;
    while call(&format!("call-{last}")).await == 2.0 {
        last += 1;
        assert!(last < 200, "it is asked again and again");
    }
    serve.logged("trigger disabled").await;
    serve.stop().await;

    let requests = receiver.requests();
    assert!(
        !calls_at(&requests, "/gone").contains(&session_of(&format!("call-{last}"))),
        "it was asked once more"
    );
    let mut gone = calls_at(&requests, "/gone");
    gone.sort();
    gone.dedup();
    assert_eq!(gone.len(), calls_at(&requests, "/gone").len(), "a call was tried again after 410");
    let kept = Kept::open(&home).await;
    let state = |name: &str| {
        let triggers = kept.triggers();
        let name = name.to_owned();
        async move {
            let stored =
                triggers.await.into_iter().find(|stored| *stored.trigger.name == *name).expect("applied");
            (stored.trigger.enabled, stored.trigger.disabled_reason.to_string())
        }
    };
    assert_eq!(state("Gone").await, (false, "the receiver answered 410 Gone".to_owned()));
    assert_eq!(state("Here").await, (true, String::new()));
    assert!(kept.debts().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asks_for_patience_uses_no_try_up() {
    let home = Home::new(QUICK);
    let answers = std::sync::Mutex::new(vec![
        Reply::status(200),
        Reply::status(500),
        Reply::status(503).header("retry-after", "1"),
        Reply::status(429).header("retry-after", "1"),
    ]);
    let receiver = Receiver::start(move |_| {
        let mut answers = answers.lock().expect("nobody panics with it");
        answers.pop().unwrap_or_else(|| Reply::status(200))
    })
    .await;
    // One retry: were patience a try, the failure after it would be the last.
    home.apply(&format!("{COMPANY}{}", trigger("Busy", &receiver.url("/busy"), "retries = 1")));
    let serve = home.serve().await;
    serve.accept("k1", lost_call("busy").to_string()).await;
    receiver.count(4).await;
    serve.until("nothing owed", |value| value("deliver_debts") == 0.0).await;
    serve.stop().await;

    let kept = Kept::open(&home).await;
    let attempts = kept.attempts().await;
    let classes: Vec<&str> = attempts.iter().map(|attempt| &*attempt.class).collect();
    assert_eq!(classes, ["throttled", "throttled", "http_error", "success"]);
    for pair in attempts.windows(2) {
        let waited = pair[1].started.micros() - pair[0].ended.micros();
        assert!(waited >= 1_000_000, "the next request came after {waited} µs");
    }
    let failed = kept.endings().await.into_iter().filter(|ended| ended.ending == Ending::Failed).count();
    assert_eq!((failed, receiver.requests().len()), (0, 4));
}
