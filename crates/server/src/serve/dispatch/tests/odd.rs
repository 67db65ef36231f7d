//! What hardly ever happens: calls that cannot be sent while a receiver is down, clocks that are put back, URLs that
//! are corrected in the middle of a call's corrections, many receivers that hang.

use std::time::Duration;

use ringpost_model::{DeliveryId, LaneId, Timestamp, TriggerId};
use ringpost_store::Debt;
use uuid::Uuid;

use super::bench::{Bench, Does, Running, TRIGGER, session};
use crate::clock;

/// A second trigger.
const OTHER: TriggerId = TriggerId(Uuid::from_u128(0x72));
const HOUR: i64 = 3_600_000_000;

async fn is_down(running: &Running) -> bool {
    let rows = running.store.lanes().await.unwrap();
    rows.iter().any(|row| row.breaker.is_open())
}

/// The same for another call, by a version of a trigger.
fn another(known: &Debt, n: u128, trigger: TriggerId, version: u64) -> Debt {
    let mut debt = Debt { leased_until: None, due: clock::now(), ..known.clone() };
    let delivery = &mut debt.delivery;
    delivery.id = DeliveryId::of_record(trigger, session(n), 1);
    (delivery.session, delivery.trigger, delivery.trigger_version) = (session(n), trigger, version);
    debt
}

fn an_hour_ago() -> Option<Timestamp> {
    Some(clock::now().plus_micros(-HOUR))
}

#[tokio::test]
async fn a_call_that_cannot_be_sent_does_not_keep_a_receiver_from_being_asked_whether_it_is_back() {
    let bench = Bench { lease: Duration::from_secs(3_600), ..Bench::hasty() };
    bench.receiver.always("/hook", Does::AnswerAgo(503, 10));
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    running.emit_all((1..=3).map(|n| (n, 1, false))).await;
    running.until("all wait", async || is_down(&running).await && running.debts().await.len() == 3).await;
    // The oldest ones are of a version of the trigger that was never there: they end without a request.
    let known = running.debts().await.remove(0);
    let debts = (11..=40).map(|n| Debt { first_try: an_hour_ago(), ..another(&known, n, TRIGGER, 99) });
    running.owe(debts.collect()).await;
    bench.receiver.always("/hook", Does::Answer(200));
    running.until_settled().await;
    let delivered = running.attempts().await.iter().filter(|attempt| attempt.ok).count();
    assert_eq!(delivered, 3);
}

#[tokio::test]
async fn calls_of_a_trigger_whose_key_is_lost_do_not_either() {
    let bench = Bench { lease: Duration::from_secs(3_600), ..Bench::hasty() };
    bench.add_unreadable(OTHER, r#""retries":0"#).await;
    bench.receiver.always("/hook", Does::AnswerAgo(503, 10));
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    running.emit_all((1..=3).map(|n| (n, 1, false))).await;
    running.until("all wait", async || is_down(&running).await && running.debts().await.len() == 3).await;
    let known = running.debts().await.remove(0);
    let debts = (11..=40).map(|n| Debt { first_try: an_hour_ago(), ..another(&known, n, OTHER, 1) });
    running.owe(debts.collect()).await;
    bench.receiver.always("/hook", Does::Answer(200));
    let delivered = async || running.attempts().await.iter().filter(|attempt| attempt.ok).count();
    // The others wait for their key.
    running
        .until("those that can be sent", async || delivered().await == 3 && running.debts().await.len() == 30)
        .await;
}

#[tokio::test]
async fn a_trigger_that_cannot_be_read_keeps_nobody_from_being_told() {
    let bench = Bench::hasty();
    bench.add_unreadable(OTHER, r#""retries":0"#).await;
    bench.receiver.always("/hook", Does::Answer(503));
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    let (pager, gone) = (TriggerId(Uuid::from_u128(0x81)), TriggerId(Uuid::from_u128(0x82)));
    running.add_trigger(pager, r#""url":"https://ops.example/pager","event":"trigger.disabled""#).await;
    let only_lost = r#""filters":[{"field":"lost","op":"eq","value":true}]"#;
    running.add_trigger(gone, &format!(r#""url":"https://old.example/gone",{only_lost}"#)).await;
    bench.receiver.always("/gone", Does::Answer(410));
    running.emit_all((1..=3).map(|n| (n, 1, false))).await;
    running.until("all wait", async || is_down(&running).await && running.debts().await.len() == 3).await;
    let known = running.debts().await.remove(0);
    running.owe(vec![Debt { due: known.due, ..another(&known, 11, OTHER, 1) }]).await;
    running.emit_all([(12, 1, true)]).await;
    let is_told = || bench.receiver.told().iter().any(|line| line.starts_with("/pager trigger.disabled"));
    running.until("told that a receiver is gone", async || is_told()).await;
}

#[tokio::test]
async fn a_receiver_is_well_again_though_a_paused_trigger_still_has_calls_for_it() {
    let bench = Bench::hasty();
    bench.receiver.always("/hook", Does::Answer(503));
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    running.add_trigger(OTHER, r#""retries":0,"paused":true"#).await;
    running.emit_all((1..=3).map(|n| (n, 1, false))).await;
    running.until("all wait", async || is_down(&running).await && running.debts().await.len() == 6).await;
    bench.receiver.always("/hook", Does::Answer(200));
    running.until("what may go has gone", async || running.debts().await.len() == 3).await;
    running.until("well again", async || running.store.lanes().await.unwrap().is_empty()).await;
    let debts = running.debts().await;
    assert!(debts.iter().all(|debt| debt.delivery.trigger == OTHER), "they wait for their trigger");
}

#[tokio::test]
async fn a_clock_that_was_put_back_keeps_no_receiver_waiting_that_is_back() {
    let bench = Bench::hasty();
    bench.receiver.always("/hook", Does::Answer(503));
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    running.emit_all((1..=3).map(|n| (n, 1, false))).await;
    running.until("all wait", async || is_down(&running).await && running.debts().await.len() == 3).await;
    bench.receiver.jump(-5 * HOUR);
    bench.receiver.always("/hook", Does::Answer(200));
    running.until_settled().await;
    running.until("well again", async || running.store.lanes().await.unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_clock_that_was_put_back_keeps_no_retry_waiting() {
    let bench = Bench::new();
    bench.receiver.does([Does::Answer(500)]);
    let running = bench.start().await;
    running.configure(r#""retries":1"#).await;
    running.emit(7, 1).await;
    running.until("owed", async || running.debts().await.len() == 1).await;
    bench.receiver.jump(-5 * HOUR);
    running.until_settled().await;
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1", "/hook 7 rev 1"]);
}

#[tokio::test]
async fn a_clock_that_was_put_back_while_nothing_ran_keeps_nothing_waiting_that_was_in_flight() {
    let bench = Bench::new();
    bench.receiver.does([Does::Hold]);
    let running = bench.start().await;
    running.configure(r#""retries":1"#).await;
    running.emit(7, 1).await;
    running.until("in flight", async || running.debts().await.len() == 1).await;
    running.crash().await;
    bench.receiver.jump(-5 * HOUR);
    let running = bench.start().await;
    running.until_settled().await;
    assert_eq!(running.attempts().await.iter().filter(|attempt| attempt.ok).count(), 1);
}

#[tokio::test]
async fn a_record_does_not_come_back_once_its_correction_went_to_a_corrected_url() {
    let bench = Bench { handoff: Duration::from_secs(60), ..Bench::hasty() };
    let running = bench.start().await;
    running.configure(r#""revisions":"all","retries":0"#).await;
    bench.receiver.does([Does::HoldThen(503)]);
    running.emit(7, 1).await;
    running.until("the record is in flight", async || bench.receiver.got().len() == 1).await;
    running.add_trigger(TRIGGER, r#""url":"https://crm.example/new","revisions":"all","retries":0"#).await;
    running.emit(7, 2).await;
    let is_taken = async || running.debts().await.iter().any(|debt| debt.leased_until.is_some());
    running.until("the correction waits behind it", is_taken).await;
    bench.receiver.release();
    running.until("the correction", async || bench.receiver.told().contains(&"/new 7 rev 2".into())).await;
    // Fresh calls go the way that is still remembered, and find the old receiver down.
    bench.receiver.always("/hook", Does::Answer(503));
    running.emit_all([(8, 1, false), (9, 1, false), (10, 1, false)]).await;
    running.until_settled().await;
    running
        .until("they came the new way", async || {
            let told = bench.receiver.told();
            [8, 9, 10].iter().all(|n| told.contains(&format!("/new {n} rev 1")))
        })
        .await;
    let of_seven: Vec<_> = bench.receiver.told().into_iter().filter(|line| line.contains(" 7 rev")).collect();
    assert_eq!(of_seven, ["/hook 7 rev 1", "/new 7 rev 2"]);
}

#[tokio::test]
async fn what_is_owed_to_hundreds_of_receivers_is_taken_up_by_and_by() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":1,"paused":true"#).await;
    running.emit(1, 1).await;
    running.until("owed", async || running.debts().await.len() == 1).await;
    let known = running.debts().await.remove(0);
    running.add_trigger(TRIGGER, r#""paused":false"#).await;
    running.until_settled().await;
    // Of each its call is no longer kept: they end without a request.
    let version = known.delivery.trigger_version;
    let debts = (0..600)
        .map(|n| Debt { lane: LaneId(Uuid::from_u128(n)), ..another(&known, 1_000 + n, TRIGGER, version) });
    running.owe(debts.collect()).await;
    running.until("it has begun", async || !running.endings().await.is_empty()).await;
    let ended = running.endings().await.len();
    assert!(ended < 600, "nobody was heard before all {ended} were through");
    running.until_settled().await;
    assert_eq!(running.endings().await.len(), 600);
}

#[tokio::test]
async fn many_receivers_that_hang_keep_no_calls_from_others() {
    const HANDOFF: Duration = Duration::from_secs(6);
    let bench = Bench { handoff: HANDOFF, ..Bench::new() };
    let running = bench.start().await;
    running
        .configure(
            r#""url":"https://quick.example/quick","filters":[{"field":"lost","op":"eq","value":true}]"#,
        )
        .await;
    for n in 0..16_u32 {
        let filters = format!(
            r#"[{{"field":"dur","op":"eq","value":{n}}},{{"field":"lost","op":"eq","value":false}}]"#
        );
        let keys = format!(r#""url":"https://slow-{n}.example/slow-{n}","filters":{filters}"#);
        running.add_trigger(TriggerId(Uuid::from_u128(0x100 + u128::from(n))), &keys).await;
        bench.receiver.always(&format!("/slow-{n}"), Does::Hold);
    }
    running.emit_all((1..=256).map(|n| (n, 1, false))).await;
    running.until("all of them hang", async || running.lag() == 0).await;
    running.emit_all((1_001..=9_000).map(|n| (n, 1, false))).await;
    let begun = tokio::time::Instant::now();
    running.emit_all([(10_000, 1, true)]).await;
    running
        .until("the quick one", async || bench.receiver.told().contains(&"/quick 10000 rev 1".into()))
        .await;
    let waited = begun.elapsed();
    println!("a call behind 8,000 to receivers that hang waited {waited:?}");
    assert!(waited < 2 * HANDOFF, "{waited:?}: the records before it waited in turn, 2,048 at a time");
}
