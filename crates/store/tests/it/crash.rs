//! A process killed in the middle: what `settle` has acknowledged is there, and the log is never behind the debts.

use std::fs;
use std::path::Path;

use ringpost_store::{AttemptFilter, Batch, Config, DebtFilter, Ending, Keyring, SessionFilter, Store};

use crate::bench::{
    Bench, at, attempt, debt, delivery, ended, envelope, key, session_id, sessions, with_triggers,
};

/// The files as a killed process leaves them. To be called while nothing is written.
async fn killed(folder: &Path, without: &str) -> (tempfile::TempDir, Store) {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with("-shm") && name != without {
            fs::copy(&path, copy.path().join(name)).unwrap();
        }
    }
    let config = Config { folder: copy.path().to_owned(), keyring: Keyring::new(key('a')) };
    let store = Store::open(config).await.unwrap();
    (copy, store)
}

#[tokio::test]
async fn what_was_settled_is_there_after_a_kill() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    for n in 0..20 {
        let batch = Batch {
            attempts: vec![attempt(&delivery(1, n, 1), at(n as i64), n as u64)],
            debts: vec![debt(delivery(2, n, 1), at(0))],
            ended: vec![ended(delivery(3, n, 1), Ending::Failed, at(0))],
            ..sessions(&[envelope(n, 1, |_| {})])
        };
        store.settle(&batch, "me", at(0)).await.unwrap();
        if n % 6 != 5 {
            continue;
        }
        let (_folder, found) = killed(bench.folder(), "").await;
        let count = n as usize + 1;
        assert_eq!(found.attempts(&AttemptFilter::default(), 100).await.unwrap().len(), count);
        assert_eq!(found.debts(&DebtFilter::default(), 100).await.unwrap().len(), count);
        assert_eq!(found.sessions(&SessionFilter::default(), 100).await.unwrap().len(), count);
        let asked: Vec<_> = (1..=3).flat_map(|t| (0..=n).map(move |s| delivery(t, s, 1))).collect();
        assert_eq!(found.settled_or_owed(&asked, at(-60)).await.unwrap().len(), asked.len());
    }
}

/// Between the two commits of `settle`: the log has the attempt, the store does not know the call yet. The same batch
/// again, which is what happens when the record is read again, makes it whole, and adds no row.
#[tokio::test]
async fn a_kill_between_the_two_files_is_healed_by_the_same_batch() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    store.close().await;
    let before = fs::read(bench.folder().join("store.db")).unwrap();
    let store = bench.open().await;
    let batch = Batch {
        attempts: vec![attempt(&delivery(1, 1, 1), at(0), 1)],
        debts: vec![debt(delivery(2, 1, 1), at(0))],
        ..sessions(&[envelope(1, 1, |_| {})])
    };
    store.settle(&batch, "me", at(0)).await.unwrap();
    let (folder, found) = killed(bench.folder(), "store.db-wal").await;
    found.close().await;
    fs::write(folder.path().join("store.db"), before).unwrap();
    let config = Config { folder: folder.path().to_owned(), keyring: Keyring::new(key('a')) };
    let found = Store::open(config).await.unwrap();
    assert!(found.session(session_id(1)).await.unwrap().is_none());
    let asked = [delivery(1, 1, 1), delivery(2, 1, 1)];
    let known = found.settled_or_owed(&asked, at(-60)).await.unwrap();
    assert!(known.contains(&asked[0].id) && !known.contains(&asked[1].id), "what was sent is not sent again");
    found.settle(&batch, "me", at(0)).await.unwrap();
    assert_eq!(found.attempts(&AttemptFilter::default(), 10).await.unwrap().len(), 1);
    assert_eq!(found.settled_or_owed(&asked, at(-60)).await.unwrap().len(), 2);
    assert!(found.session(session_id(1)).await.unwrap().is_some());
}
