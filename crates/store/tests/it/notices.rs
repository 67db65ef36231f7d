//! What the system tells about itself, kept until it has fired and was mailed.

use ringpost_model::{Delivery, EventName, Notice, NoticeId};
use ringpost_store::{Batch, Store};

use crate::bench::{
    Bench, at, debt, settle_debts, settle_ended, suite, tenant, tenant_key, trigger, trigger_id,
    with_triggers,
};

suite! {
    a_notice_told_twice_is_one
    a_notice_waits_to_fire_and_to_be_mailed_apart
    a_notice_is_marked_together_with_what_it_led_to
    an_old_notice_goes_but_not_one_that_is_owed
    a_damaged_notice_keeps_no_other_back
}

pub(crate) fn notice(n: i64) -> Notice {
    let trigger = trigger_id(1);
    Notice {
        v: 1,
        id: NoticeId::of(EventName::TriggerFailing, trigger, &n.to_string()),
        event: EventName::TriggerFailing,
        at: at(n),
        tenant: tenant_key("acme"),
        tenant_id: tenant("acme").id,
        trigger_id: trigger,
        trigger_name: "CRM 1".into(),
        url: "https://crm.example/hooks/…".into(),
        reason: "503".into(),
        delivery: None,
        session: None,
        attempts: None,
        since: Some(at(n - 60)),
        owed: Some(7),
    }
}

async fn tell(store: &Store, notices: Vec<Notice>) {
    store.settle(&Batch { notices, ..Batch::default() }, "me", at(0)).await.unwrap();
}

fn owed(n: i64) -> Delivery {
    Delivery::of_notice(&notice(n), tenant("acme").id, &trigger(1), 1)
}

async fn a_notice_told_twice_is_one(bench: Bench) {
    let store = with_triggers(&bench).await;
    tell(&store, vec![notice(2), notice(1), notice(2)]).await;
    let later = Notice { reason: "told again, in other words".into(), ..notice(1) };
    tell(&store, vec![later]).await;
    let store = bench.reopen(store).await;
    assert_eq!(store.unfired_notices(10).await.unwrap(), [notice(1), notice(2)], "oldest first");
    assert_eq!(store.unfired_notices(1).await.unwrap(), [notice(1)]);
    assert_eq!(store.notice(notice(2).id).await.unwrap(), Some(notice(2)));
    assert_eq!(store.notice(notice(3).id).await.unwrap(), None);
}

async fn a_notice_waits_to_fire_and_to_be_mailed_apart(bench: Bench) {
    let store = with_triggers(&bench).await;
    tell(&store, vec![notice(1), notice(2)]).await;
    store.mailed(&[notice(1).id, notice(9).id]).await.unwrap();
    assert_eq!(store.unmailed_notices(10).await.unwrap(), [notice(2)]);
    assert_eq!(store.unfired_notices(10).await.unwrap().len(), 2);
    // The same batch again wakes nothing up.
    tell(&store, vec![notice(1), notice(2)]).await;
    assert_eq!(store.unmailed_notices(10).await.unwrap(), [notice(2)]);
}

async fn a_notice_is_marked_together_with_what_it_led_to(bench: Bench) {
    let store = with_triggers(&bench).await;
    tell(&store, vec![notice(1)]).await;
    let debts = vec![debt(owed(1), at(0))];
    let batch = Batch { debts, fired: vec![notice(1).id], ..Batch::default() };
    for _ in 0..2 {
        store.settle(&batch, "me", at(0)).await.unwrap();
        assert!(store.unfired_notices(10).await.unwrap().is_empty());
        let owed_now = store.debts(&Default::default(), 10).await.unwrap();
        assert_eq!((owed_now.len(), owed_now[0].delivery.is_notice()), (1, true));
    }
    assert_eq!(store.unmailed_notices(10).await.unwrap().len(), 1);
}

async fn an_old_notice_goes_but_not_one_that_is_owed(bench: Bench) {
    let store = with_triggers(&bench).await;
    tell(&store, vec![notice(1), notice(2)]).await;
    settle_debts(&store, vec![debt(owed(1), at(0))], at(0)).await;
    let later = at(15 * 86_400);
    assert_eq!(store.retain(Default::default(), later).await.unwrap().notices, 1);
    assert!(store.notice(notice(1).id).await.unwrap().is_some(), "it is rendered from it");
    let over = crate::bench::ended(owed(1), ringpost_store::Ending::Delivered, later);
    settle_ended(&store, vec![over], later).await;
    assert_eq!(store.retain(Default::default(), later).await.unwrap().notices, 1);
}

async fn a_damaged_notice_keeps_no_other_back(bench: Bench) {
    let store = with_triggers(&bench).await;
    tell(&store, (1..=4).map(notice).collect()).await;
    bench.damage("UPDATE notices SET document = replace(document, '{', '[') WHERE rowid IN (1, 2)").await;
    let found = store.unfired_notices(1).await.unwrap();
    assert_eq!((found.found.clone(), found.skipped), (vec![notice(3)], 2));
    assert_eq!(found.unreadable[0].row, format!("notice {}", notice(1).id));
    let error = store.notice(notice(1).id).await.unwrap_err();
    assert_eq!(error.to_string(), format!("failed to read a notice: notice {} is damaged", notice(1).id));
    assert!(!error.is_temporary());
}
