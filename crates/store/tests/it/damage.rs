//! A row that cannot be read, by a flipped bit or another program's hand, stops nothing else.

use ringpost_store::{Attempt, AttemptFilter, DebtFilter, Ending, EndingFilter, Expect, Store};

use crate::bench::{
    Bench, at, attempt, claim, debt, delivery, ended, lane, names, settle_debts, settle_ended, suite,
    tenant_key, trigger, trigger_id, with_triggers,
};
use crate::lanes::{open_at, says, tell};

suite! {
    a_trigger_whose_secret_does_not_open_keeps_no_other_back
    a_trigger_whose_document_is_no_json_is_whole_again_once_it_is_saved
    a_trigger_that_cannot_be_read_can_be_removed
    a_debt_that_cannot_be_read_is_set_aside_and_the_next_is_claimed
    who_stood_behind_a_damaged_debt_is_next
    a_damaged_debt_stops_neither_a_probe_nor_a_newer_revision_nor_cancelling
    a_damaged_debt_is_told_in_a_list_of_the_others
    a_damaged_ending_or_attempt_keeps_no_other_off_its_page
    a_damaged_breaker_is_told_probed_and_healed
    a_tenant_that_cannot_be_read_keeps_no_other_back
    a_pbx_that_cannot_be_read_keeps_no_other_back
    a_change_that_is_not_understood_keeps_no_other_back
}

async fn a_trigger_whose_secret_does_not_open_keeps_no_other_back(bench: Bench) {
    let store = with_triggers(&bench).await;
    // The last byte of trigger 2's sealed value.
    let sqlite =
        "UPDATE trigger_versions SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB)
        WHERE trigger_id = x'00000000000000000000000000000002'";
    let postgres =
        "UPDATE trigger_versions SET sealed = substr(sealed, 1, length(sealed) - 1) || '\\x00'::bytea
        WHERE trigger_id = '00000000000000000000000000000002'";
    bench.damage_each(sqlite, postgres).await;
    let triggers = store.triggers(&tenant_key("acme")).await.unwrap();
    let read: Vec<_> = triggers.iter().map(|stored| stored.trigger.id).collect();
    assert_eq!((read, triggers.skipped), (vec![trigger_id(1), trigger_id(3)], 1));
    let told = &triggers.unreadable[0];
    assert_eq!(told.row, format!("trigger {}", trigger_id(2)));
    let text = format!("failed to read the triggers of a tenant: a secret of {}", trigger_id(2));
    assert_eq!((told.error.to_string(), told.error.is_temporary()), (text, false));
    assert!(store.trigger(trigger_id(1)).await.is_ok());
    assert!(store.trigger(trigger_id(2)).await.is_err());
}

async fn a_trigger_whose_document_is_no_json_is_whole_again_once_it_is_saved(bench: Bench) {
    let store = with_triggers(&bench).await;
    let sql =
        "UPDATE trigger_versions SET document = '{' WHERE trigger_id = x'00000000000000000000000000000002'";
    bench.damage(sql).await;
    let error = store.trigger(trigger_id(2)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("failed to read a trigger: trigger {} is damaged", trigger_id(2)));
    let saved = store.put_trigger(&tenant_key("acme"), &trigger(2), Expect::Version(1), at(1)).await.unwrap();
    assert_eq!(saved, 2);
    assert_eq!(store.triggers(&tenant_key("acme")).await.unwrap().skipped, 0);
}

async fn a_trigger_that_cannot_be_read_can_be_removed(bench: Bench) {
    let store = with_triggers(&bench).await;
    bench.damage("UPDATE trigger_versions SET sealed = substr(sealed, 1, 0)").await;
    assert!(store.remove_trigger(trigger_id(1), Expect::Anything, at(1)).await.unwrap());
    assert_eq!(store.triggers(&tenant_key("acme")).await.unwrap().skipped, 2);
}

/// So that each kind of column is bad once. An id of PostgreSQL cannot be.
const BAD: [(&str, &str); 4] = [
    ("tenant = ''", "tenant = ''"),
    ("rev = -1", "rev = -1"),
    ("session = x'00'", "tries = -1"),
    ("delivery = x'00'", "attempts = 5000000000"),
];

async fn owed(bench: &Bench, count: u128) -> Store {
    let store = with_triggers(bench).await;
    settle_debts(&store, (1..=count).map(|n| debt(delivery(1, n, 1), at(n as i64))).collect(), at(0)).await;
    store
}

async fn a_debt_that_cannot_be_read_is_set_aside_and_the_next_is_claimed(bench: Bench) {
    let store = owed(&bench, 6).await;
    for (seq, (sqlite, postgres)) in (1..).zip(BAD) {
        let bad = if bench.is_postgres() { postgres } else { sqlite };
        bench.damage(&format!("UPDATE debts SET {bad} WHERE seq = {seq}")).await;
    }
    let first = store.claim(lane(1), "me", at(9), 2, at(20)).await.unwrap();
    assert!(first.is_empty(), "the oldest two are damaged");
    assert_eq!(claim(&store, "me", at(9)).await, [(1, 5, 1), (1, 6, 1)]);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.debts, stats.damaged), (2, 4));
    let kept = store.damaged(10).await.unwrap();
    assert_eq!((kept.len(), &*kept[0].place, kept[0].found), (4, "debts", at(9)));
    let content: serde_json::Value = serde_json::from_str(&kept[2].content).unwrap();
    let id = content["delivery"].as_str().unwrap().replace('-', "").to_lowercase();
    assert_eq!(id, delivery(1, 2, 1).id.0.simple().to_string());
    assert_eq!(content["rev"], -1);
    assert!(kept[2].error.contains("rev"), "{}", kept[2].error);
}

async fn who_stood_behind_a_damaged_debt_is_next(bench: Bench) {
    let store = with_triggers(&bench).await;
    let flying = ringpost_store::Debt { leased_until: Some(at(5)), ..debt(delivery(1, 1, 1), at(0)) };
    settle_debts(&store, vec![flying, debt(delivery(1, 1, 2), at(0))], at(0)).await;
    bench.damage("UPDATE debts SET matches = 7, tenant = '' WHERE seq = 1").await;
    assert!(claim(&store, "me", at(5)).await.is_empty());
    assert_eq!(claim(&store, "me", at(5)).await, [(1, 1, 2)]);
}

async fn a_damaged_debt_stops_neither_a_probe_nor_a_newer_revision_nor_cancelling(bench: Bench) {
    let store = owed(&bench, 4).await;
    bench.damage("UPDATE debts SET tenant = '' WHERE seq < 4").await;
    // A newer revision of the first.
    settle_debts(&store, vec![debt(delivery(1, 1, 2), at(0))], at(0)).await;
    assert_eq!(store.stats().await.unwrap().damaged, 1);
    tell(&store, vec![says(lane(1), open_at(0, 5))], 0).await;
    let probe = store.claim_probe(lane(1), "me", at(5), at(9)).await.unwrap().unwrap();
    assert_eq!(names(&probe.delivery), (1, 4, 1));
    bench.damage("UPDATE debts SET tenant = '' WHERE session = x'000000000000000000000000000003E9'").await;
    let mut off = trigger(1);
    off.enabled = false;
    store.put_trigger(&tenant_key("acme"), &off, Expect::Anything, at(6)).await.unwrap();
    assert!(store.cancel_debts(at(6), 10).await.unwrap().is_empty());
    assert_eq!(store.cancel_debts(at(10), 10).await.unwrap().len(), 1, "what was in flight");
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.debts, stats.damaged), (0, 4));
}

async fn a_damaged_debt_is_told_in_a_list_of_the_others(bench: Bench) {
    let store = owed(&bench, 3).await;
    let bad = ["UPDATE debts SET session = x'00' WHERE seq = 2", "UPDATE debts SET rev = -1 WHERE seq = 2"];
    bench.damage_each(bad[0], bad[1]).await;
    let debts = store.debts(&DebtFilter::default(), 10).await.unwrap();
    assert_eq!((debts.len(), debts.skipped, &*debts.unreadable[0].row), (2, 1, "debt 2"));
    assert!(!debts.unreadable[0].error.is_temporary());
}

async fn a_damaged_ending_or_attempt_keeps_no_other_off_its_page(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_ended(
        &store,
        (1..=3).map(|n| ended(delivery(1, n, 1), Ending::Failed, at(n as i64))).collect(),
        at(5),
    )
    .await;
    let attempts: Vec<_> = (1..=3).map(|n| attempt(&delivery(1, n, 1), at(n as i64), n as u64)).collect();
    let batch = ringpost_store::Batch { attempts, ..Default::default() };
    store.settle(&batch, "me", at(5)).await.unwrap();
    bench.damage_day("UPDATE endings SET how = 'eaten' WHERE at = (SELECT max(at) FROM endings)").await;
    bench
        .damage_day(
            "UPDATE attempts SET status = -1 WHERE started = (SELECT min(started) + 1000000 FROM attempts)",
        )
        .await;
    let endings = store.endings(&EndingFilter::default(), 10).await.unwrap();
    assert_eq!((endings.len(), endings.skipped), (2, 1));
    assert_eq!(endings.unreadable[0].row, format!("the ending of {}", delivery(1, 3, 1).id));
    let attempts = store.attempts(&AttemptFilter::default(), 10).await.unwrap();
    let of = |attempt: &Attempt| attempt.session;
    assert_eq!(
        attempts.iter().map(of).collect::<Vec<_>>(),
        [delivery(1, 3, 1).session, delivery(1, 1, 1).session]
    );
}

#[tokio::test]
async fn a_damaged_day_makes_room_for_a_new_one() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    let settle = async |store: &Store, n: u128| {
        let attempts = vec![attempt(&delivery(1, n, 1), at(n as i64), n as u64)];
        store.settle(&ringpost_store::Batch { attempts, ..Default::default() }, "me", at(0)).await.unwrap();
    };
    settle(&store, 1).await;
    store.close().await;
    let file = bench.folder().join("attempts-2026-03-10.db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[8_192..].fill(0xaa);
    std::fs::write(&file, &bytes).unwrap();
    let store = bench.open().await;
    settle(&store, 2).await;
    let left = store.attempts(&AttemptFilter::default(), 10).await.unwrap();
    assert_eq!(left.iter().map(|attempt| attempt.session).collect::<Vec<_>>(), [delivery(1, 2, 1).session]);
    let aside = bench.folder().join("attempts-2026-03-10.db.damaged-1");
    assert_eq!(std::fs::read(aside).unwrap(), bytes, "kept as it was");
}

async fn a_damaged_breaker_is_told_probed_and_healed(bench: Bench) {
    let store = owed(&bench, 2).await;
    tell(&store, vec![says(lane(1), open_at(0, 5)), says(lane(2), open_at(0, 5))], 0).await;
    bench
        .damage("UPDATE lanes SET breaker = '{' WHERE lane = (SELECT lane FROM lanes ORDER BY lane LIMIT 1)")
        .await;
    let lanes = store.lanes().await.unwrap();
    assert_eq!((lanes.len(), &lanes.unreadable[0].row), (1, &format!("lane {}", lane(1))));
    assert!(claim(&store, "me", at(4)).await.is_empty(), "it is still open");
    store.resume_lane(lane(1), at(1)).await.unwrap();
    assert!(store.claim_probe(lane(1), "me", at(1), at(9)).await.unwrap().is_some());
    tell(&store, vec![says(lane(1), open_at(0, 15))], 2).await;
    assert_eq!(store.lanes().await.unwrap().skipped, 0);
}

async fn a_tenant_that_cannot_be_read_keeps_no_other_back(bench: Bench) {
    let store = with_triggers(&bench).await;
    store.put_tenant(&crate::bench::tenant("globex"), at(0)).await.unwrap();
    bench.damage("UPDATE tenants SET document = '{' WHERE key = 'acme'").await;
    let tenants = store.tenants().await.unwrap();
    assert_eq!((tenants.len(), &*tenants.unreadable[0].row), (1, "tenant acme"));
    assert!(store.tenant(&tenant_key("acme")).await.is_err());
    assert!(store.tenant(&tenant_key("globex")).await.unwrap().is_some());
    store.put_tenant(&crate::bench::tenant("acme"), at(1)).await.unwrap();
    assert_eq!(store.tenants().await.unwrap().skipped, 0, "saved anew it is whole again");
}

async fn a_change_that_is_not_understood_keeps_no_other_back(bench: Bench) {
    let store = with_triggers(&bench).await;
    let all = store.changes_since(0).await.unwrap();
    bench.damage("UPDATE changes SET kind = 'weather' WHERE kind = 'tenant'").await;
    assert_eq!(store.changes_since(0).await.unwrap(), all[1..]);
}

async fn a_pbx_that_cannot_be_read_keeps_no_other_back(bench: Bench) {
    let store = with_triggers(&bench).await;
    let pbx = |key| serde_json::from_str(&format!(r#"{{"key":"{key}"}}"#)).unwrap();
    for key in ["k1", "k2"] {
        store.put_pbx(&pbx(key), at(0)).await.unwrap();
    }
    bench.damage("UPDATE pbxs SET document = '{' WHERE key = 'k1'").await;
    let pbxs = store.pbxs().await.unwrap();
    assert_eq!((pbxs.len(), &*pbxs.unreadable[0].row), (1, "pbx k1"));
    store.put_pbx(&pbx("k1"), at(1)).await.unwrap();
    assert_eq!(store.pbxs().await.unwrap().skipped, 0, "saved anew it is whole again");
    bench.damage("UPDATE pbxs SET document = '{' WHERE key = 'k2'").await;
    assert!(store.remove_pbx(&crate::bench::pbx_key("k2")).await.unwrap());
}
