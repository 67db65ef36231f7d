//! A receiver that is down: what is held, what fails, what people are told, and that it all comes when it is back.

use std::time::Duration;

use ringpost_model::{EventName, TriggerId};
use ringpost_store::Ending;
use uuid::Uuid;

use super::super::BacklogLimits;
use super::bench::{Bench, Does, Running, TRIGGER, session};

/// A second trigger.
const OTHER: TriggerId = TriggerId(Uuid::from_u128(0x72));

async fn is_down(running: &Running) -> bool {
    let rows = running.store.lanes().await.unwrap();
    rows.iter().any(|row| row.breaker.is_open())
}

/// The notices, as event and call.
async fn notices(running: &Running) -> Vec<(EventName, Option<u128>)> {
    let all = running.store.unmailed_notices(1_000).await.unwrap();
    all.iter().map(|it| (it.event, it.session.map(|it| it.0.as_u128()))).collect()
}

#[tokio::test]
async fn calls_that_failed_before_a_receiver_counted_as_down_come_too_when_it_is_back() {
    let bench = Bench::hasty();
    bench.receiver.always("/hook", Does::AnswerAgo(503, 10));
    let running = bench.start().await;
    running.configure(r#""retries":1"#).await;
    running.emit(7, 1).await;
    running
        .until("its tries are used up", async || {
            running.endings().await.len() == 1 || is_down(&running).await
        })
        .await;
    running.emit_all([(8, 1, false), (9, 1, false)]).await;
    running.until("it counts as down", async || is_down(&running).await && running.lag() == 0).await;
    running.until("all three wait", async || running.debts().await.len() == 3).await;
    bench.receiver.always("/hook", Does::Answer(200));
    running.until_settled().await;
    running.until("well again", async || running.store.lanes().await.unwrap().is_empty()).await;
    let delivered: Vec<_> = running.attempts().await.iter().filter(|it| it.ok).map(|it| it.session).collect();
    assert_eq!(delivered.len(), 3, "each once: {delivered:?}");
    for call in [7, 8, 9] {
        assert!(delivered.contains(&session(call)), "{call}");
    }
    let told = notices(&running).await;
    assert!(told.contains(&(EventName::DeliveryExhausted, Some(7))), "{told:?}");
    let failing = running.store.unmailed_notices(1_000).await.unwrap();
    let failing = failing.iter().find(|it| it.event == EventName::TriggerFailing).unwrap();
    assert!(failing.owed >= Some(2), "those that come back are among what waits: {failing:?}");
    let count = |event| told.iter().filter(|(it, _)| *it == event).count();
    assert_eq!((count(EventName::TriggerFailing), count(EventName::TriggerRecovered)), (1, 1), "{told:?}");
}

#[tokio::test]
async fn a_restart_knows_that_a_receiver_is_down_and_sends_it_probes_only() {
    let bench = Bench::hasty();
    bench.receiver.always("/hook", Does::Answer(503));
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    running.emit_all((1..=3).map(|n| (n, 1, false))).await;
    running.until("down", async || is_down(&running).await).await;
    running.crash().await;
    let before = bench.receiver.got().len();
    let running = bench.start().await;
    running.emit_all((11..=40).map(|n| (n, 1, false))).await;
    running.until("all wait", async || running.lag() == 0 && running.debts().await.len() >= 30).await;
    let attempts = running.attempts().await.len();
    running.until("some probes", async || running.attempts().await.len() >= attempts + 3).await;
    let got = bench.receiver.got().len() - before;
    assert!(got < 20, "{got} requests to a receiver that is down");
    bench.receiver.always("/hook", Does::Answer(200));
    running.until_settled().await;
    let ok = running.attempts().await.iter().filter(|it| it.ok).count();
    assert_eq!(ok, 33);
}

#[tokio::test]
async fn a_trigger_that_does_not_hold_fails_while_its_receiver_is_down() {
    let bench = Bench::hasty();
    bench.receiver.always("/hook", Does::Answer(503));
    let running = bench.start().await;
    running.configure(r#""retries":0,"whileDown":"fail""#).await;
    running.emit_all((1..=6).map(|n| (n, 1, false))).await;
    running.until("all failed", async || running.lag() == 0 && running.attempts().await.len() == 6).await;
    running.until_settled().await;
    assert!(running.attempts().await.iter().all(|it| it.last && !it.ok));
}

#[tokio::test]
async fn a_trigger_is_switched_off_after_so_many_failed_tries_where_it_asks_for_that() {
    let bench = Bench::hasty();
    bench.receiver.always("/hook", Does::Answer(500));
    let running = bench.start().await;
    running.configure(r#""retries":0,"autoDisable":{"failures":4,"within":60}"#).await;
    for call in 1..=4 {
        running.emit(call, 1).await;
        running.until("tried", async || running.attempts().await.len() as u128 == call).await;
    }
    let enabled = async || running.store.trigger(TRIGGER).await.unwrap().unwrap().trigger.enabled;
    running.until("switched off", async || !enabled().await).await;
    let reason = running.store.trigger(TRIGGER).await.unwrap().unwrap().trigger.disabled_reason;
    assert_eq!(&*reason, "4 failed tries within 60 s");
    running
        .until("told", async || notices(&running).await.contains(&(EventName::TriggerDisabled, None)))
        .await;
    assert!(!is_down(&running).await, "its failures hold nothing back");
}

#[tokio::test]
async fn what_waits_is_bounded_and_what_is_beyond_fails_with_that_reason() {
    let bench = Bench { backlog: BacklogLimits { trigger: 5, tenant: 100 }, ..Bench::hasty() };
    let running = bench.start().await;
    running.configure(r#""paused":true"#).await;
    running.emit_all((1..=8).map(|n| (n, 1, false))).await;
    running.until("dealt with", async || running.lag() == 0 && running.endings().await.len() == 3).await;
    assert_eq!(running.debts().await.len(), 5);
    let endings = running.endings().await;
    assert!(endings.iter().all(|it| it.ending == Ending::Failed && it.reason.starts_with("backlog full")));
    let told = notices(&running).await;
    assert_eq!(told.len(), 1, "one for all of an hour: {told:?}");
}

#[tokio::test]
async fn what_was_held_as_long_as_it_may_be_has_one_last_try() {
    let bench = Bench { max_hold: Duration::from_millis(300), ..Bench::hasty() };
    bench.receiver.always("/hook", Does::Answer(503));
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    running.emit_all((1..=5).map(|n| (n, 1, false))).await;
    running.until("given up", async || running.lag() == 0 && running.debts().await.is_empty()).await;
    let endings: Vec<_> = running.endings().await.iter().map(|it| it.ending).collect();
    assert!(!endings.is_empty() && endings.iter().all(|it| *it == Ending::Failed), "{endings:?}");
    for call in 1..=5 {
        let of_call: Vec<_> =
            running.attempts().await.into_iter().filter(|it| it.session == session(call)).collect();
        assert!(of_call.last().unwrap().last, "{call}");
    }
}

#[tokio::test]
async fn a_corrected_url_heals_what_waits_for_a_receiver_that_is_down() {
    let bench = Bench::hasty();
    bench.receiver.always("/hook", Does::Answer(503));
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    running.emit_all((1..=6).map(|n| (n, 1, false))).await;
    running.until("down", async || is_down(&running).await && running.lag() == 0).await;
    running.add_trigger(TRIGGER, r#""url":"https://crm.example/new","retries":0"#).await;
    running.until_settled().await;
    let told = bench.receiver.told();
    assert!((1..=6).all(|n| told.contains(&format!("/new {n} rev 1"))), "{told:?}");
}

#[tokio::test]
async fn who_listens_is_told_that_a_receiver_is_down_and_back_and_of_calls_given_up() {
    let bench = Bench::hasty();
    bench.receiver.always("/hook", Does::Answer(503));
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    for (n, event) in ["delivery.exhausted", "trigger.failing", "trigger.recovered"].into_iter().enumerate() {
        let keys = format!(r#""url":"https://ops.example/{event}","event":"{event}""#);
        running.add_trigger(TriggerId(Uuid::from_u128(0x80 + n as u128)), &keys).await;
    }
    running.emit_all((1..=3).map(|n| (n, 1, false))).await;
    let told = |event: &str| {
        bench.receiver.told().iter().filter(|line| line.starts_with(&format!("/{event} "))).count()
    };
    running.until("told that it is down", async || told("trigger.failing") == 1).await;
    bench.receiver.always("/hook", Does::Answer(200));
    running.until("told that it is back", async || told("trigger.recovered") == 1).await;
    running.until_settled().await;
    assert!(told("delivery.exhausted") >= 1);
    running.crash().await;
    let running = bench.start().await;
    running.emit(9, 1).await;
    running.until("the next call", async || bench.receiver.told().contains(&"/hook 9 rev 1".into())).await;
    assert_eq!((told("trigger.failing"), told("trigger.recovered")), (1, 1), "each is told once");
}

#[tokio::test]
async fn one_receiver_that_is_down_delays_no_other() {
    let bench = Bench::hasty();
    bench.receiver.always("/hook", Does::Answer(503));
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    running.add_trigger(OTHER, r#""url":"https://crm.example/other","retries":0"#).await;
    running.emit_all((1..=50).map(|n| (n, 1, false))).await;
    let others = || bench.receiver.told().iter().filter(|line| line.starts_with("/other")).count();
    running.until("the other has all", async || others() == 50 && running.lag() == 0).await;
    assert!(is_down(&running).await);
}
