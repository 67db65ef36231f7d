//! What receivers get, whatever happens to them or to us.

mod bench;
mod down;
mod odd;
mod steps;

use std::time::Duration;

use ringpost_model::{DeliveryId, Dialect, Pbx, PbxKey, TriggerId};
use ringpost_store::{Batch, DebtFilter, Ending};
use uuid::Uuid;

use crate::clock;

use bench::{Bench, Does, TRIGGER, session};

/// How many attempts, debts and endings there are.
async fn counts(running: &bench::Running) -> [usize; 3] {
    [running.attempts().await.len(), running.debts().await.len(), running.endings().await.len()]
}

#[tokio::test]
async fn a_first_try_that_succeeds_costs_one_row_and_is_not_made_again_after_a_restart() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":1"#).await;
    running.emit(7, 1).await;
    running.until("passed", async || running.lag() == 0 && !running.attempts().await.is_empty()).await;
    assert_eq!(counts(&running).await, [1, 0, 0]);
    running.crash().await;
    let running = bench.start().await;
    running.emit(8, 1).await;
    running.until("the next one", async || running.attempts().await.len() == 2).await;
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1", "/hook 8 rev 1"]);
}

#[tokio::test]
async fn retries_come_after_2_and_then_4_seconds_and_a_restart_forgets_none() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":3"#).await;
    bench.receiver.does([Does::Answer(500)]);
    running.emit(7, 1).await;
    running.until("owed", async || running.debts().await.first().is_some_and(|debt| debt.tries == 1)).await;
    let (debt, attempt) = (running.debts().await.remove(0), running.attempts().await.remove(0));
    assert_eq!(debt.due.micros() - attempt.ended.micros(), 2_000_000);
    assert_eq!(debt.leased_until, None);
    running.crash().await;

    let running = bench.start().await;
    assert_eq!(running.debts().await.first(), Some(&debt));
    bench.receiver.does([Does::Answer(503)]);
    running.until("owed", async || running.debts().await.first().is_some_and(|debt| debt.tries == 2)).await;
    let (debt, attempt) = (running.debts().await.remove(0), running.attempts().await.remove(1));
    assert!(attempt.started >= running.attempts().await[0].ended.plus_micros(2_000_000));
    assert_eq!(debt.due.micros() - attempt.ended.micros(), 4_000_000);
    running.stop().await;

    let running = bench.start().await;
    running.until_settled().await;
    let attempts = running.attempts().await;
    let told: Vec<_> = attempts.iter().map(|it| (it.number, it.ok, it.last, it.delivery)).collect();
    let id = attempts[0].delivery;
    assert_eq!(told, [(1, false, false, id), (2, false, false, id), (3, true, true, id)]);
    let ids: Vec<String> =
        bench.receiver.got().iter().map(|line| line[line.len() - 36..].to_owned()).collect();
    assert_eq!(ids, vec![id.to_string(); 3]);
}

#[tokio::test]
async fn tries_that_are_used_up_leave_the_reason_on_record_and_no_debt() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":1"#).await;
    bench.receiver.does([Does::AnswerAgo(500, 10), Does::Answer(404)]);
    running.emit(7, 1).await;
    running.until("two tries", async || running.attempts().await.len() == 2).await;
    running.until_settled().await;
    let endings = running.endings().await;
    assert_eq!((endings[0].ending, &*endings[0].reason), (Ending::Failed, "answered 404"));
}

#[tokio::test]
async fn a_hanging_receiver_does_not_hold_the_stream_back_and_its_debt_ends_with_its_request() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":1"#).await;
    bench.receiver.does([Does::Hold]);
    running.emit(7, 1).await;
    running.until("handed off", async || running.lag() == 0 && running.debts().await.len() == 1).await;
    assert!(running.debts().await[0].leased_until.is_some(), "it is in flight: nobody else may send it");
    running.emit(8, 1).await;
    running.until("the next call", async || running.attempts().await.len() == 1 && running.lag() == 0).await;
    bench.receiver.release();
    running.until_settled().await;
    running.until("both", async || running.attempts().await.len() == 2).await;
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1", "/hook 8 rev 1"]);
}

#[tokio::test]
async fn a_hanging_receiver_delays_no_other() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""url":"https://slow.example/slow""#).await;
    let other = TriggerId(Uuid::from_u128(0x72));
    running.add_trigger(other, r#""url":"https://quick.example/quick""#).await;
    bench.receiver.always("/slow", Does::Hold);
    running.emit_all((1..=400).map(|n| (n, 1, false))).await;
    let quick = async || bench.receiver.told().iter().filter(|line| line.starts_with("/quick")).count();
    running.until("all to the quick one", async || quick().await == 400 && running.lag() == 0).await;
    running.until("the slow one's are owed", async || running.debts().await.len() == 400).await;
    bench.receiver.release();
    running.until_settled().await;
    let mut told = bench.receiver.told();
    told.sort();
    told.dedup();
    assert_eq!((told.len(), bench.receiver.got().len()), (800, 800), "each once");
}

#[tokio::test]
async fn the_delivery_of_a_backlog_does_not_keep_new_calls_waiting() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""url":"https://crm.example/backlog","paused":true"#).await;
    let other = TriggerId(Uuid::from_u128(0x72));
    let only_lost = r#""filters":[{"field":"lost","op":"eq","value":true}]"#;
    running.add_trigger(other, &format!(r#""url":"https://new.example/new",{only_lost}"#)).await;
    running.emit_all((1..=1_000).map(|n| (n, 1, false))).await;
    running.until("a backlog", async || running.lag() == 0 && running.debts().await.len() == 1_000).await;
    running.add_trigger(TRIGGER, r#""url":"https://crm.example/backlog","paused":false"#).await;
    running.until("it is being delivered", async || bench.receiver.got().len() > 50).await;
    running.emit_all([(2_000, 1, true)]).await;
    running.until("the new call", async || bench.receiver.told().contains(&"/new 2000 rev 1".into())).await;
    assert!(bench.receiver.got().len() < 900, "{} of 1,000 came first", bench.receiver.got().len());
    running.until_settled().await;
}

#[tokio::test]
async fn a_debt_that_cannot_be_sent_ends_with_its_reason_and_its_neighbours_go_on() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":1,"paused":true"#).await;
    running.emit_all((1..=3).map(|n| (n, 1, false))).await;
    running.until("all owed", async || running.debts().await.len() == 3).await;
    // The first is of a version of the trigger that was never there.
    let mut broken = running.debts().await.remove(0);
    broken.delivery.id = DeliveryId::of_record(TRIGGER, session(9), 1);
    (broken.delivery.session, broken.delivery.trigger_version) = (session(9), 99);
    let batch = Batch { debts: vec![broken], ..Batch::default() };
    running.store.settle(&batch, "test", clock::now()).await.unwrap();
    running.add_trigger(TRIGGER, r#""paused":false"#).await;
    running.until("delivered", async || running.attempts().await.len() == 3).await;
    running.until_settled().await;
    let ended = running.endings().await.remove(0);
    assert_eq!((ended.delivery.session, ended.ending), (session(9), Ending::Failed));
    assert_eq!(&*ended.reason, "the version of its trigger is no longer kept");
}

#[tokio::test]
async fn a_receiver_that_is_gone_switches_its_trigger_off_and_its_debts_are_cancelled() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":1"#).await;
    bench.receiver.does([Does::Answer(500)]);
    running.emit(7, 1).await;
    running.until("owed", async || running.debts().await.len() == 1).await;
    bench.receiver.does([Does::Answer(410)]);
    running.emit(8, 1).await;
    running.until("cancelled", async || running.endings().await.len() == 1).await;
    let ended = running.endings().await.remove(0);
    assert_eq!((ended.delivery.session, ended.ending), (session(7), Ending::Cancelled));
    let stored = running.store.trigger(TRIGGER).await.unwrap().unwrap();
    assert!(!stored.trigger.enabled);
    assert_eq!(&*stored.trigger.disabled_reason, "the receiver answered 410 Gone");
    running.until_settled().await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_pause_gets_one_and_no_try_is_used_up() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":0"#).await;
    bench.receiver.does([Does::Throttle]);
    running.emit(7, 1).await;
    running.until("owed", async || running.debts().await.len() == 1).await;
    running.emit(8, 1).await;
    running.until("both owed", async || running.debts().await.len() == 2 && running.lag() == 0).await;
    let debts = running.debts().await;
    let used: Vec<_> = debts.iter().map(|debt| (debt.attempts, debt.tries)).collect();
    assert_eq!(used, [(1, 0), (0, 0)]);
    assert_eq!(debts[0].due.micros() - running.attempts().await[0].ended.micros(), 30_000_000);
    assert_eq!(running.store.paused_lanes(debts[0].due.plus_micros(-1)).await.unwrap().len(), 1);
    assert_eq!(bench.receiver.got().len(), 1, "the lane is paused for all");
}

#[tokio::test]
async fn what_a_paused_trigger_fires_is_owed_and_not_sent() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""paused":true"#).await;
    running.emit(7, 1).await;
    running.until("owed", async || running.lag() == 0 && running.debts().await.len() == 1).await;
    assert_eq!(bench.receiver.got().len(), 0);
    running.add_trigger(TRIGGER, r#""paused":false"#).await;
    running.until_settled().await;
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1"]);
}

#[tokio::test]
async fn a_trigger_of_one_environment_tells_no_other() {
    let bench = Bench::new();
    let running = bench.start().await;
    let pbx = |environment: &str| Pbx {
        key: PbxKey::new("k1").unwrap(),
        guid: "".into(),
        name: "".into(),
        tenant: None,
        zone: None,
        region: "".into(),
        dialect: Dialect::Native,
        environment: environment.into(),
        sides: Default::default(),
    };
    running.store.put_pbx(&pbx("test"), clock::now()).await.unwrap();
    running.configure(r#""environments":["live"]"#).await;
    running.emit(7, 1).await;
    running.until("passed", async || running.lag() == 0).await;
    running.store.put_pbx(&pbx("live"), clock::now()).await.unwrap();
    running.emit(8, 1).await;
    running.until("sent", async || !bench.receiver.got().is_empty()).await;
    assert_eq!(bench.receiver.told(), ["/hook 8 rev 1"]);
}

#[tokio::test]
async fn a_correction_takes_the_place_of_an_owed_record() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""revisions":"all""#).await;
    bench.receiver.does([Does::Answer(500)]);
    running.emit(7, 1).await;
    running.until("owed", async || running.debts().await.len() == 1).await;
    running.emit(7, 2).await;
    running.until("two tries", async || running.attempts().await.len() == 2).await;
    running.until_settled().await;
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1", "/hook 7 rev 2"]);
    let ended = running.endings().await.remove(0);
    assert_eq!((ended.delivery.rev, ended.ending), (1, Ending::Superseded));
}

#[tokio::test]
async fn a_correction_waits_for_the_record_that_is_in_flight() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""revisions":"all""#).await;
    bench.receiver.does([Does::Hold]);
    running.emit(7, 1).await;
    running.until("in flight", async || running.debts().await.len() == 1).await;
    running.emit(7, 2).await;
    running.until("owed", async || running.lag() == 0 && running.debts().await.len() == 2).await;
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1"]);
    bench.receiver.release();
    running.until_settled().await;
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1", "/hook 7 rev 2"]);
}

#[tokio::test]
async fn a_correction_that_no_longer_matches_is_told_to_who_has_the_record_even_in_one_batch() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""revisions":"all","filters":[{"field":"lost","op":"eq","value":true}]"#).await;
    // Two corrections of what matched, and one of what never did.
    running.emit_all([(7, 1, true), (7, 2, false), (8, 1, false), (8, 2, false)]).await;
    running.until("told", async || bench.receiver.got().len() == 2).await;
    running.until_settled().await;
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1", "/hook 7 rev 2 matches:false"]);
}

#[tokio::test]
async fn after_a_crash_a_record_never_follows_its_correction() {
    let bench = Bench { handoff: Duration::from_secs(60), ..Bench::new() };
    let running = bench.start().await;
    running.configure(r#""revisions":"all""#).await;
    bench.receiver.does([Does::Hold]);
    running.emit_all([(7, 1, false), (7, 2, false)]).await;
    let is_owed = async || running.debts().await.first().is_some_and(|debt| debt.delivery.rev == 2);
    running.until("the correction is owed", is_owed).await;
    running.until("the record is in flight", async || bench.receiver.got().len() == 1).await;
    running.crash().await;
    let running = bench.start().await;
    running.until("passed", async || running.lag() == 0).await;
    running.until_settled().await;
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1", "/hook 7 rev 2"]);
    let ended = running.endings().await.remove(0);
    assert_eq!((ended.delivery.rev, ended.ending), (1, Ending::Superseded));
}

#[tokio::test]
async fn a_record_that_was_enriched_again_is_the_calls_record_and_fires_nothing() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""revisions":"all""#).await;
    running.emit(7, 1).await;
    running.until_settled().await;
    running.emit_quiet(7, 2).await;
    running.emit(8, 1).await;
    running.until("the next one", async || bench.receiver.told().len() == 2).await;
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1", "/hook 8 rev 1"]);
    running.until("read", async || running.lag() == 0).await;
    assert_eq!(running.store.session(session(7)).await.unwrap().unwrap().session.rev, 2);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_a_dead_letter_and_does_not_stop_the_next() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":1"#).await;
    running.append(b"{\"v\":1").await;
    running.emit(8, 1).await;
    running.until("the next one", async || running.lag() == 0 && bench.receiver.got().len() == 1).await;
    assert_eq!(running.store.stats().await.unwrap().dead_letters, 1);
}

#[tokio::test]
async fn a_stop_leaves_a_debt_for_everything_that_had_not_ended() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":1"#).await;
    bench.receiver.always("/hook", Does::Hold);
    running.emit_all((1..=40).map(|n| (n, 1, false))).await;
    running.until("in flight", async || bench.receiver.got().len() == 16).await;
    running.stop().await;

    // Before the next dispatcher claims them.
    let store = bench.store().await;
    let debts = store.debts(&DebtFilter::default(), 100).await.unwrap();
    assert_eq!(debts.len(), 40);
    assert!(debts.iter().all(|debt| debt.leased_until.is_none()), "nobody waits for a lease");
    store.close().await;

    bench.receiver.always("/hook", Does::Answer(200));
    let running = bench.start().await;
    assert_eq!(running.lag(), 0, "the stream has moved on");
    running.until_settled().await;
    running.until("all", async || running.attempts().await.len() == 40).await;
}

#[tokio::test]
async fn whenever_it_dies_nothing_is_lost_and_only_what_was_in_flight_is_repeated() {
    let bench = Bench::new();
    let running = bench.start().await;
    running.configure(r#""retries":2"#).await;
    running.stop().await;
    let mut emitted = 0;
    for (round, requests) in [1, 3, 20, 40, 64, 90].into_iter().enumerate() {
        let running = bench.start().await;
        bench
            .receiver
            .does((0..30).map(|n| if n % 7 == 3 { Does::AnswerAgo(500, 10) } else { Does::Answer(200) }));
        running.emit_all((emitted + 1..=emitted + 30).map(|n| (n, 1, false))).await;
        emitted += 30;
        let goal = requests.min(round * 30 + 30);
        running.until("so many requests", async || bench.receiver.got().len() >= goal).await;
        running.crash().await;
    }
    let running = bench.start().await;
    running.until_settled().await;
    let attempts = running.attempts().await;
    let delivered: std::collections::BTreeSet<_> =
        attempts.iter().filter(|attempt| attempt.ok).map(|attempt| attempt.session).collect();
    assert_eq!(delivered.len() as u128, emitted, "nothing is lost");
    let mut of_session = std::collections::BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.ok) {
        *of_session.entry(attempt.session).or_insert(0) += 1;
    }
    assert!(
        of_session.values().all(|count| *count == 1),
        "what is known to be delivered is never sent again"
    );
    let ids: std::collections::BTreeSet<_> =
        bench.receiver.got().iter().map(|line| line[line.len() - 36..].to_owned()).collect();
    assert_eq!(ids.len() as u128, emitted, "one id per delivery, whatever happens");
}
