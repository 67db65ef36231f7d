//! What next tries are made of, for many debts at once.

use ringpost_model::{Delivery, Envelope, Trigger};
use ringpost_store::{Batch, Content, Debt, Error, Expect, Prepared, Store};

use crate::bench::{
    Bench, at, debt, delivery, envelope, sessions, suite, tenant, tenant_key, trigger, trigger_id,
    with_triggers,
};
use crate::notices::notice;

suite! {
    each_debt_gets_its_trigger_its_version_and_its_revision
    what_is_no_longer_there_is_told_debt_by_debt
    a_trigger_that_cannot_be_read_stops_only_its_own_debts
    many_debts_are_prepared_in_their_order
    a_notice_is_told_as_it_was
}

async fn prepare(store: &Store, deliveries: &[Delivery]) -> Vec<Result<Prepared, Error>> {
    let debts: Vec<Debt> = deliveries.iter().map(|delivery| debt(delivery.clone(), at(0))).collect();
    store.prepare(&debts).await.unwrap()
}

async fn renamed(store: &Store, n: u128, name: &str) -> Trigger {
    let renamed = Trigger { name: name.into(), ..trigger(n) };
    store.put_trigger(&tenant_key("acme"), &renamed, Expect::Anything, at(1)).await.unwrap();
    renamed
}

fn revision(prepared: &Prepared) -> (u128, u32) {
    let Some(Content::Envelope(bytes)) = &prepared.content else { panic!("a record, not {prepared:?}") };
    let envelope = Envelope::from_bytes(bytes).unwrap();
    (envelope.session.0.as_u128() - 1_000, envelope.rev)
}

async fn each_debt_gets_its_trigger_its_version_and_its_revision(bench: Bench) {
    let store = with_triggers(&bench).await;
    let revisions = [envelope(1, 1, |_| {}), envelope(1, 2, |_| {}), envelope(2, 1, |_| {})];
    store.settle(&sessions(&revisions), "me", at(0)).await.unwrap();
    renamed(&store, 1, "new").await;
    let newer = Delivery { trigger_version: 2, ..delivery(1, 2, 1) };
    let asked = [delivery(1, 1, 2), delivery(1, 1, 1), newer, delivery(2, 2, 1)];
    let prepared = prepare(&store, &asked).await;
    let said: Vec<_> = prepared
        .iter()
        .map(|prepared| {
            let prepared = prepared.as_ref().unwrap();
            let name = |stored: &Option<std::sync::Arc<ringpost_store::StoredTrigger>>| {
                stored.as_ref().unwrap().trigger.name.to_string()
            };
            (name(&prepared.current), name(&prepared.version), revision(prepared))
        })
        .collect();
    let expect = |current: &str, version: &str, record| (current.to_owned(), version.to_owned(), record);
    let expected = [
        expect("new", "CRM 1", (1, 2)),
        expect("new", "CRM 1", (1, 1)),
        expect("new", "new", (2, 1)),
        expect("CRM 2", "CRM 2", (2, 1)),
    ];
    assert_eq!(said, expected);
}

async fn what_is_no_longer_there_is_told_debt_by_debt(bench: Bench) {
    let store = with_triggers(&bench).await;
    store.settle(&sessions(&[envelope(1, 2, |_| {})]), "me", at(0)).await.unwrap();
    store.remove_trigger(trigger_id(2), Expect::Anything, at(1)).await.unwrap();
    let asked = [
        delivery(1, 1, 1),
        delivery(2, 1, 2),
        Delivery { trigger_version: 9, ..delivery(1, 1, 2) },
        delivery(8, 1, 2),
    ];
    let there: Vec<_> = prepare(&store, &asked)
        .await
        .into_iter()
        .map(|prepared| {
            let prepared = prepared.unwrap();
            (prepared.current.is_some(), prepared.version.is_some(), prepared.content.is_some())
        })
        .collect();
    assert_eq!(there, [(true, true, false), (false, true, true), (true, false, true), (false, false, true)]);
    assert!(prepare(&store, &[]).await.is_empty());
}

async fn a_trigger_that_cannot_be_read_stops_only_its_own_debts(bench: Bench) {
    let store = with_triggers(&bench).await;
    store.settle(&sessions(&[envelope(1, 1, |_| {})]), "me", at(0)).await.unwrap();
    bench
        .damage(
            "UPDATE trigger_versions SET sealed = x'' WHERE trigger_id = x'00000000000000000000000000000002'",
        )
        .await;
    let prepared = prepare(&store, &[delivery(1, 1, 1), delivery(2, 1, 1), delivery(3, 1, 1)]).await;
    assert_eq!(prepared.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

async fn many_debts_are_prepared_in_their_order(bench: Bench) {
    let store = with_triggers(&bench).await;
    let records: Vec<_> = (1..=600).map(|n| envelope(n, 1, |_| {})).collect();
    store.settle(&sessions(&records), "me", at(0)).await.unwrap();
    let asked: Vec<_> = (1..=600).rev().map(|n| delivery(n % 3 + 1, n, 1)).collect();
    let prepared = prepare(&store, &asked).await;
    let found: Vec<_> = prepared.iter().map(|prepared| revision(prepared.as_ref().unwrap()).0).collect();
    assert_eq!(found, (1..=600).rev().collect::<Vec<_>>());
}

async fn a_notice_is_told_as_it_was(bench: Bench) {
    let store = with_triggers(&bench).await;
    store
        .settle(&Batch { notices: vec![notice(1), notice(2)], ..Batch::default() }, "me", at(0))
        .await
        .unwrap();
    bench.damage("UPDATE notices SET document = '' WHERE rowid = 2").await;
    let asked = [1, 2, 3].map(|n| Delivery::of_notice(&notice(n), tenant("acme").id, &trigger(1), 1));
    let contents: Vec<_> =
        prepare(&store, &asked).await.into_iter().map(|prepared| prepared.map(|it| it.content)).collect();
    assert_eq!(contents[0].as_ref().unwrap(), &Some(Content::Notice(Box::new(notice(1)))));
    assert!(contents[1].is_err());
    assert_eq!(contents[2].as_ref().unwrap(), &None);
}
