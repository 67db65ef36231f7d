//! Finished calls: revisions, searching.

use ringpost_model::{CallDirection, Envelope, NumberName};
use ringpost_store::{Batch, CallOutcome, Keep, Session, SessionFilter, Store};

use crate::bench::{Bench, at, debt, delivery, envelope, session_id, sessions, suite, tenant_key};

suite! {
    a_session_is_taken_over_by_a_higher_revision_only
    every_revision_stays_readable
    both_revisions_in_one_batch_are_kept
    an_absorbed_session_is_listed_no_longer
    sessions_are_found_by_what_people_know_of_a_call
    pages_follow_each_other_without_gap_or_repeat
    old_sessions_go_but_not_those_that_are_owed
}

async fn put(store: &Store, envelopes: &[Envelope]) {
    store.settle(&sessions(envelopes), "me", at(0)).await.unwrap();
}

async fn list(store: &Store, filter: SessionFilter) -> Vec<u128> {
    let found = store.sessions(&filter, 100).await.unwrap();
    found.iter().map(|session| session.id.0.as_u128() - 1_000).collect()
}

async fn a_session_is_taken_over_by_a_higher_revision_only(bench: Bench) {
    let store = bench.open().await;
    let with_talk = |rev, talk| envelope(1, rev, |cdr| cdr.talk = talk);
    for (rev, talk, expected) in [(1, 10, (1, 10)), (3, 30, (3, 30)), (2, 20, (3, 30)), (3, 99, (3, 30))] {
        put(&store, &[with_talk(rev, talk)]).await;
        let stored = store.session(session_id(1)).await.unwrap().unwrap();
        assert_eq!((stored.session.rev, stored.session.talk), expected, "after revision {rev}");
        assert_eq!(Envelope::from_bytes(&stored.envelope).unwrap().cdr.talk, expected.1);
    }
    let store = bench.reopen(store).await;
    assert_eq!(store.session(session_id(1)).await.unwrap().unwrap().session.rev, 3);
    assert!(store.session(session_id(2)).await.unwrap().is_none());
}

async fn talk_of(store: &Store, rev: u32) -> Option<u32> {
    let bytes = store.envelope(session_id(1), rev).await.unwrap()?;
    Some(Envelope::from_bytes(&bytes).unwrap().cdr.talk)
}

async fn every_revision_stays_readable(bench: Bench) {
    let store = bench.open().await;
    for rev in 1..=3 {
        put(&store, &[envelope(1, rev, |cdr| cdr.talk = rev * 10)]).await;
    }
    for rev in 1..=3 {
        assert_eq!(talk_of(&store, rev).await, Some(rev * 10));
    }
    assert_eq!(talk_of(&store, 4).await, None);
}

async fn both_revisions_in_one_batch_are_kept(bench: Bench) {
    let store = bench.open().await;
    let mut batch: Vec<_> = (10..50).map(|n| envelope(n, 1, |_| {})).collect();
    batch.insert(20, envelope(1, 1, |cdr| cdr.talk = 10));
    batch.insert(21, envelope(1, 2, |cdr| cdr.talk = 20));
    batch.push(envelope(1, 3, |cdr| cdr.talk = 30));
    put(&store, &batch).await;
    // The same again, as after a crash.
    put(&store, &batch).await;
    for rev in 1..=3 {
        assert_eq!(talk_of(&store, rev).await, Some(rev * 10));
    }
    assert_eq!(list(&store, SessionFilter::default()).await.len(), 41);
}

async fn an_absorbed_session_is_listed_no_longer(bench: Bench) {
    let store = bench.open().await;
    put(&store, &[envelope(1, 1, |_| {}), envelope(2, 1, |_| {})]).await;
    put(&store, &[envelope(2, 2, |cdr| cdr.replaces = vec![session_id(1)])]).await;
    assert_eq!(list(&store, SessionFilter::default()).await, [2]);
    let absorbed = store.session(session_id(1)).await.unwrap().unwrap();
    assert_eq!(absorbed.session.replaced_by, Some(session_id(2)));
}

async fn sessions_are_found_by_what_people_know_of_a_call(bench: Bench) {
    let store = bench.open().await;
    let user = |number: &str, name: &str| NumberName { number: number.into(), name: name.into() };
    let mut globex = envelope(4, 1, |cdr| cdr.cli.number = "+441632960101".into());
    globex.tenant = tenant_key("globex");
    let calls = [
        envelope(1, 1, |cdr| {
            cdr.cli.number = "+441632960101".into();
            cdr.ddi.number = "+441614960000".into();
            cdr.direction = CallDirection::Incoming;
            cdr.ans = true;
            cdr.users.answered = user("201", "Zoë O'Neill");
        }),
        envelope(2, 1, |cdr| {
            cdr.cli.number = "+441632960102".into();
            cdr.direction = CallDirection::Incoming;
            cdr.lost = true;
            cdr.users.first_rang = user("202", "100%_sure");
        }),
        envelope(3, 1, |cdr| {
            cdr.ddi.number = "+441632960101".into();
            cdr.direction = CallDirection::Outgoing;
        }),
        globex,
    ];
    put(&store, &calls).await;
    let acme = || SessionFilter { tenants: vec![tenant_key("acme")], ..SessionFilter::default() };
    assert_eq!(list(&store, acme()).await, [3, 2, 1], "newest first, and none of another tenant");
    let check = async |filter: SessionFilter, expected: &[u128]| {
        assert_eq!(list(&store, filter.clone()).await, expected, "{filter:?}");
    };
    check(SessionFilter { number: Some("+441632960101".into()), ..acme() }, &[3, 1]).await;
    check(SessionFilter { number: Some("+4416329601".into()), ..acme() }, &[]).await;
    check(SessionFilter { user: Some("neill".into()), ..acme() }, &[1]).await;
    check(SessionFilter { user: Some("202".into()), ..acme() }, &[2]).await;
    check(SessionFilter { user: Some("100%_".into()), ..acme() }, &[2]).await;
    check(SessionFilter { user: Some("%".into()), ..acme() }, &[2]).await;
    check(SessionFilter { direction: Some(CallDirection::Incoming), ..acme() }, &[2, 1]).await;
    check(SessionFilter { outcome: Some(CallOutcome::Lost), ..acme() }, &[2]).await;
    check(SessionFilter { outcome: Some(CallOutcome::Answered), ..acme() }, &[1]).await;
    check(SessionFilter { outcome: Some(CallOutcome::Unanswered), ..acme() }, &[3]).await;
    check(SessionFilter { from: Some(at(2)), to: Some(at(3)), ..acme() }, &[2]).await;
    let both = vec![tenant_key("acme"), tenant_key("globex")];
    let many = (0..150).map(|n| tenant_key(&format!("t{n}"))).chain([tenant_key("globex")]).collect();
    check(SessionFilter { tenants: both.clone(), ..acme() }, &[4, 3, 2, 1]).await;
    check(SessionFilter { tenants: many, ..acme() }, &[4]).await;
    check(SessionFilter { tenants: vec![], number: Some("+441632960101".into()), ..acme() }, &[4, 3, 1])
        .await;
    check(SessionFilter { tenants: both, number: Some("+441632960101".into()), ..acme() }, &[4, 3, 1]).await;
}

async fn pages_follow_each_other_without_gap_or_repeat(bench: Bench) {
    let store = bench.open().await;
    // Many begin in the same second.
    let calls: Vec<_> = (0..25).map(|n| envelope(n, 1, |cdr| cdr.start = at(n as i64 / 10))).collect();
    put(&store, &calls).await;
    let mut filter = SessionFilter::default();
    let mut read: Vec<Session> = Vec::new();
    loop {
        let page = store.sessions(&filter, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.before = Some(last.cursor());
        read.extend(page);
    }
    assert_eq!(read.len(), 25);
    assert!(read.is_sorted_by(|one, next| (one.start, one.id) > (next.start, next.id)));
}

async fn old_sessions_go_but_not_those_that_are_owed(bench: Bench) {
    let store = bench.open().await;
    // More than one step; emitted a minute after they began; the second has a revision, the third is owed.
    let calls: Vec<_> = (0..2_500).map(|n| envelope(n, 1, |_| {})).collect();
    put(&store, &calls).await;
    put(&store, &[envelope(1, 2, |_| {})]).await;
    let debts = vec![debt(delivery(1, 2, 1), at(0))];
    store.settle(&Batch { debts, ..Batch::default() }, "me", at(0)).await.unwrap();
    let day = 86_400;
    let dropped = store.retain(Keep::default(), at(400 * day + 60 + 2_000)).await.unwrap();
    assert_eq!(dropped.sessions, 1_999);
    assert!(store.session(session_id(0)).await.unwrap().is_none());
    assert!(store.session(session_id(2)).await.unwrap().is_some());
    assert!(store.envelope(session_id(1), 1).await.unwrap().is_none());
    assert_eq!(list(&store, SessionFilter::default()).await.len(), 100);
    assert_eq!(store.retain(Keep::default(), at(500 * day)).await.unwrap().sessions, 500);
}
