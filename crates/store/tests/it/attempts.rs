//! The log of attempts and endings.

use ringpost_model::AttemptId;
use ringpost_store::{Attempt, AttemptFilter, Batch, Ending, EndingFilter, Error, Exchange, Keep, Store};
use uuid::Uuid;

use crate::bench::{
    Bench, at, attempt, delivery, ended, failure, session_id, settle_ended, suite, tenant, trigger_id,
    with_triggers,
};

suite! {
    an_attempt_comes_back_with_headers_and_bodies
    the_same_attempt_again_is_one_row
    attempts_are_found_by_trigger_session_outcome_and_time
    pages_of_attempts_cross_days
    an_attempt_belongs_to_the_day_of_its_id
    days_go_whole_and_only_when_all_of_them_is_old
    endings_are_listed_with_all_that_a_replay_needs
}

async fn log(store: &Store, attempts: Vec<(Attempt, Exchange)>) {
    store.settle(&Batch { attempts, ..Batch::default() }, "me", at(0)).await.unwrap();
}

async fn ids(store: &Store, filter: AttemptFilter) -> Vec<u128> {
    let found = store.attempts(&filter, 1_000).await.unwrap();
    found.iter().map(|attempt| attempt.id.0.as_u128() & 0xffff).collect()
}

async fn an_attempt_comes_back_with_headers_and_bodies(bench: Bench) {
    let store = with_triggers(&bench).await;
    let (mut row, mut exchange) = attempt(&delivery(1, 1, 1), at(0), 1);
    row.status = None;
    row.error = "no answer".into();
    exchange.response_cut = true;
    log(&store, vec![(row.clone(), exchange.clone())]).await;
    let store = bench.reopen(store).await;
    let found = store.attempt(row.id).await.unwrap().unwrap();
    assert_eq!((found.attempt, found.exchange), (row.clone(), exchange));
    assert_eq!(store.attempts(&AttemptFilter::default(), 10).await.unwrap(), [row]);
    assert!(store.attempt(AttemptId(Uuid::from_u128(1))).await.unwrap().is_none());
}

async fn the_same_attempt_again_is_one_row(bench: Bench) {
    let store = with_triggers(&bench).await;
    let first = attempt(&delivery(1, 1, 1), at(0), 1);
    let mut changed = first.clone();
    changed.0.class = "other".into();
    log(&store, vec![first.clone(), changed.clone()]).await;
    log(&store, vec![changed]).await;
    assert_eq!(store.attempts(&AttemptFilter::default(), 10).await.unwrap(), [first.0]);
    // A second request is always a second row, even at the same instant.
    log(&store, vec![attempt(&delivery(1, 1, 1), at(0), 2)]).await;
    assert_eq!(ids(&store, AttemptFilter::default()).await, [2, 1]);
}

async fn attempts_are_found_by_trigger_session_outcome_and_time(bench: Bench) {
    let store = with_triggers(&bench).await;
    let mut foreign = attempt(&delivery(3, 3, 1), at(30), 4);
    foreign.0.owner = tenant("globex").id;
    let attempts = vec![
        failure(&delivery(1, 1, 1), at(0), 1),
        attempt(&delivery(1, 1, 1), at(10), 2),
        attempt(&delivery(2, 1, 1), at(20), 3),
        foreign,
    ];
    log(&store, attempts).await;
    let acme = || AttemptFilter { owners: vec![tenant("acme").id], ..AttemptFilter::default() };
    let check = async |filter: AttemptFilter, expected: &[u128]| {
        assert_eq!(ids(&store, filter.clone()).await, expected, "{filter:?}");
    };
    check(AttemptFilter::default(), &[4, 3, 2, 1]).await;
    check(acme(), &[3, 2, 1]).await;
    let both = vec![tenant("globex").id, tenant("acme").id];
    check(AttemptFilter { owners: both, failed: false, ..AttemptFilter::default() }, &[4, 3, 2, 1]).await;
    let many = (0..150).map(|n| tenant(&format!("t{n}")).id).chain([tenant("globex").id]).collect();
    check(AttemptFilter { owners: many, ..AttemptFilter::default() }, &[4]).await;
    check(AttemptFilter { trigger: Some(trigger_id(1)), ..acme() }, &[2, 1]).await;
    check(AttemptFilter { trigger: Some(trigger_id(3)), ..acme() }, &[]).await;
    check(AttemptFilter { session: Some(session_id(1)), ..acme() }, &[3, 2, 1]).await;
    check(AttemptFilter { failed: true, ..acme() }, &[1]).await;
    check(AttemptFilter { failed: true, trigger: Some(trigger_id(1)), ..acme() }, &[1]).await;
    check(AttemptFilter { class: Some("success".into()), ..acme() }, &[3, 2]).await;
    check(AttemptFilter { from: Some(at(10)), to: Some(at(20)), ..acme() }, &[2]).await;
    check(AttemptFilter { from: Some(at(10).plus_micros(1)), ..acme() }, &[3]).await;
}

async fn pages_of_attempts_cross_days(bench: Bench) {
    let store = with_triggers(&bench).await;
    let hours = (0..60).map(|n| attempt(&delivery(1, n, 1), at(n as i64 * 3_600), n as u64));
    log(&store, hours.collect()).await;
    let mut filter = AttemptFilter::default();
    let mut read = Vec::new();
    loop {
        let page = store.attempts(&filter, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.before = Some(last.id);
        read.extend(page.iter().map(|attempt| attempt.id.0.as_u128() & 0xffff));
    }
    assert_eq!(read, (0..60).rev().collect::<Vec<_>>());
}

async fn an_attempt_belongs_to_the_day_of_its_id(bench: Bench) {
    let store = with_triggers(&bench).await;
    let mut wrong = attempt(&delivery(1, 1, 1), at(0), 1);
    wrong.0.id = AttemptId(Uuid::from_u128(5));
    let batch = Batch { attempts: vec![wrong], ..Batch::default() };
    let error = store.settle(&batch, "me", at(0)).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(!error.is_temporary());
}

async fn days_go_whole_and_only_when_all_of_them_is_old(bench: Bench) {
    let store = with_triggers(&bench).await;
    let day = 86_400;
    let attempts = (0..20).map(|n| attempt(&delivery(1, n, 1), at(n as i64 * day), n as u64));
    log(&store, attempts.collect()).await;
    let keep = Keep::default();
    // The first day is over 14 days and 15 hours before 2026-03-25 15:00.
    assert_eq!(store.retain(keep, at(14 * day + 14 * 3_600)).await.unwrap().days, 0);
    let dropped = store.retain(keep, at(14 * day + 15 * 3_600)).await.unwrap();
    assert_eq!((dropped.days, dropped.sessions), (1, 0));
    assert_eq!(ids(&store, AttemptFilter::default()).await, (1..20).rev().collect::<Vec<_>>());
    assert_eq!(store.retain(keep, at(100 * day)).await.unwrap().days, 19);
    assert!(ids(&store, AttemptFilter::default()).await.is_empty());
    log(&store, vec![attempt(&delivery(1, 1, 1), at(0), 7)]).await;
    assert_eq!(ids(&store, AttemptFilter::default()).await, [7], "a day that was dropped can be begun again");
}

async fn endings_are_listed_with_all_that_a_replay_needs(bench: Bench) {
    let store = with_triggers(&bench).await;
    let failed = ended(delivery(1, 1, 1), Ending::Failed, at(5));
    let cancelled = ended(delivery(2, 1, 1), Ending::Cancelled, at(86_400));
    // What was delivered is told by its attempt.
    let delivered = ended(delivery(3, 1, 1), Ending::Delivered, at(6));
    settle_ended(&store, vec![failed.clone(), cancelled.clone(), delivered], at(6)).await;
    let store = bench.reopen(store).await;
    let list = async |filter: EndingFilter| store.endings(&filter, 10).await.unwrap();
    assert_eq!(list(EndingFilter::default()).await, [cancelled.clone(), failed.clone()]);
    let of_trigger = EndingFilter { trigger: Some(trigger_id(1)), ..EndingFilter::default() };
    assert_eq!(&*list(of_trigger).await, std::slice::from_ref(&failed));
    let of_kind = EndingFilter { ending: Some(Ending::Cancelled), ..EndingFilter::default() };
    assert_eq!(list(of_kind).await, [cancelled]);
    let of_time = EndingFilter { from: Some(at(5)), to: Some(at(6)), ..EndingFilter::default() };
    assert_eq!(list(of_time).await, [failed]);
}
