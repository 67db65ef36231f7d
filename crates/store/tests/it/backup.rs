//! A copy taken while the store runs.

use std::fs;

use ringpost_store::{AttemptFilter, Batch, Config, DebtFilter, Keyring, SessionFilter, Store};

use crate::bench::{
    Bench, at, attempt, debt, delivery, ended, envelope, key, session_id, sessions, with_triggers,
};

fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

async fn settle(store: &Store, n: u128) {
    let batch = Batch {
        attempts: vec![attempt(&delivery(1, n, 1), at(n as i64 * 3_600), n as u64)],
        debts: vec![debt(delivery(2, n, 1), at(0))],
        ended: vec![ended(delivery(3, n, 1), ringpost_store::Ending::Failed, at(n as i64 * 3_600))],
        ..sessions(&[envelope(n, 1, |_| {})])
    };
    store.settle(&batch, "me", at(0)).await.unwrap();
}

#[tokio::test]
async fn a_copy_is_whole_and_goes_on_by_itself() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    for n in 1..=20 {
        settle(&store, n).await;
    }
    let copy = tempfile::tempdir().unwrap();
    let into = copy.path().join("made/2026-03-11");
    let files = store.backup(&into).await.unwrap();
    let copied: Vec<_> = files.iter().map(|file| file.name.clone()).collect();
    assert_eq!(copied, ["store.db", "attempts-2026-03-10.db", "attempts-2026-03-11.db"]);
    assert_eq!(
        names(&into),
        ["attempts-2026-03-10.db", "attempts-2026-03-11.db", "store.db"],
        "and nothing else"
    );
    for file in &files {
        assert_eq!(fs::metadata(into.join(&file.name)).unwrap().len(), file.bytes);
    }
    settle(&store, 21).await;
    let config = Config { folder: into, keyring: Keyring::new(key('a')) };
    let restored = Store::open(config).await.unwrap();
    assert_eq!(restored.attempts(&AttemptFilter::default(), 100).await.unwrap().len(), 20);
    assert_eq!(restored.debts(&DebtFilter::default(), 100).await.unwrap().len(), 20);
    assert_eq!(restored.sessions(&SessionFilter::default(), 100).await.unwrap().len(), 20);
    assert!(
        restored.trigger(crate::bench::trigger_id(1)).await.unwrap().is_some(),
        "secrets open with the same key"
    );
    settle(&restored, 30).await;
    assert!(restored.session(session_id(30)).await.unwrap().is_some());
}

/// What is over in the copy of the store is in the copy of its log, whatever was written meanwhile.
#[tokio::test]
async fn a_copy_taken_while_deliveries_are_settled_forgets_none_of_them() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    for n in 1..=500 {
        store
            .settle(&Batch { debts: vec![debt(delivery(1, n, 1), at(0))], ..Batch::default() }, "me", at(0))
            .await
            .unwrap();
    }
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 1..=500_u128 {
                let batch = Batch {
                    attempts: vec![attempt(&delivery(1, n, 1), at(1), n as u64)],
                    ended: vec![ended(delivery(1, n, 1), ringpost_store::Ending::Delivered, at(1))],
                    ..Batch::default()
                };
                store.settle(&batch, "me", at(1)).await.unwrap();
            }
        })
    };
    let mut seen = Vec::new();
    while !writer.is_finished() {
        let copy = tempfile::tempdir().unwrap();
        store.backup(copy.path()).await.unwrap();
        let config = Config { folder: copy.path().to_owned(), keyring: Keyring::new(key('a')) };
        let restored = Store::open(config).await.unwrap();
        let owed = restored.debts(&DebtFilter::default(), 1_000).await.unwrap().len();
        let deliveries: Vec<_> = (1..=500).map(|n| delivery(1, n, 1)).collect();
        let known = restored.settled_or_owed(&deliveries, at(-60)).await.unwrap();
        assert_eq!(known.len(), 500, "{owed} of them owed");
        seen.push(owed);
        restored.close().await;
    }
    writer.await.unwrap();
    assert!(seen.iter().all(|owed| *owed <= 500) && !seen.is_empty(), "{seen:?}");
}

#[tokio::test]
async fn a_folder_with_a_copy_in_it_is_left_alone() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    let copy = tempfile::tempdir().unwrap();
    fs::write(copy.path().join("store.db.partial"), "left by one that was killed").unwrap();
    store.backup(copy.path()).await.unwrap();
    assert_eq!(names(copy.path()), ["store.db"]);
    let error = store.backup(copy.path()).await.unwrap_err();
    assert_eq!(error.to_string(), "copy of store.db: the folder has one already; give an empty one");
    assert!(!error.is_temporary());
}

#[tokio::test]
async fn a_damaged_day_is_told_and_keeps_no_other_file_back() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    for n in [1, 20] {
        settle(&store, n).await;
    }
    store.close().await;
    let day = bench.folder().join("attempts-2026-03-10.db");
    let mut bytes = fs::read(&day).unwrap();
    for byte in &mut bytes[8_192..16_384] {
        *byte = 0xaa;
    }
    fs::write(&day, bytes).unwrap();
    let store = bench.open().await;
    let copy = tempfile::tempdir().unwrap();
    let files = store.backup(copy.path()).await.unwrap();
    let told = &files.unreadable[0];
    assert_eq!((files.skipped, &*told.row), (1, "attempts-2026-03-10.db"));
    assert!(
        !told.error.is_temporary() && told.error.to_string().contains("attempts-2026-03-10.db is damaged"),
        "{}",
        told.error
    );
    assert_eq!(names(copy.path()), ["attempts-2026-03-11.db", "store.db"], "no half of it");
}
