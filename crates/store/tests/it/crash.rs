//! A process killed in the middle: what `settle` has acknowledged is there, and the log is never behind the debts.

use std::fs;
use std::path::Path;

use ringpost_store::{
    AttemptFilter, Batch, Config, DebtFilter, Ending, EndingFilter, Keyring, LaneWord, SessionFilter, Store,
};

use crate::bench::{
    Bench, at, attempt, debt, delivery, ended, envelope, failure, key, lane, session_id, sessions,
    settle_debts, with_triggers,
};
use crate::lanes::{open_at, says};
use crate::notices::notice;

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

/// The store's files before a batch, and its log after: a kill between the two commits of `settle`.
struct Between {
    folder: tempfile::TempDir,
}

impl Between {
    async fn of(bench: &Bench, store: Store, batch: &Batch) -> Self {
        store.close().await;
        let before = fs::read(bench.folder().join("store.db")).unwrap();
        let store = bench.open().await;
        store.settle(batch, "me", at(5)).await.unwrap();
        let (folder, found) = killed(bench.folder(), "store.db-wal").await;
        found.close().await;
        fs::write(folder.path().join("store.db"), before).unwrap();
        Self { folder }
    }

    async fn open(&self) -> Store {
        let config = Config { folder: self.folder.path().to_owned(), keyring: Keyring::new(key('a')) };
        Store::open(config).await.unwrap()
    }
}

fn spent(delivery: ringpost_model::Delivery) -> LaneWord {
    LaneWord::Spent { debt: Box::new(debt(delivery, at(5))), at: at(5) }
}

/// A debt's try that delivered is on record before its debt is gone: who takes the debt up after the kill sees that, and
/// the receiver is not told again.
#[tokio::test]
async fn a_kill_before_a_delivered_debt_is_gone_sends_it_no_more() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0)), debt(delivery(1, 2, 1), at(0))], at(0)).await;
    let of = store.debts(&DebtFilter::default(), 9).await.unwrap().found.remove(0).lane;
    assert_eq!(store.claim(of, "me", at(1), 9, at(20)).await.unwrap().len(), 2);
    let batch = Batch {
        attempts: vec![attempt(&delivery(1, 1, 1), at(2), 1)],
        ended: vec![ended(delivery(1, 1, 1), Ending::Delivered, at(3))],
        ..Batch::default()
    };
    let between = Between::of(&bench, store, &batch).await;
    let store = between.open().await;
    let claimed = store.claim(of, "you", at(30), 9, at(50)).await.unwrap();
    let claimed: Vec<_> = claimed.iter().map(|debt| debt.delivery.id).collect();
    assert_eq!(claimed, [delivery(1, 2, 1).id], "the other one may not have got there");
    assert_eq!(store.debts(&DebtFilter::default(), 9).await.unwrap().len(), 1);
}

/// What was owed stays owed: its failure is on record, and its next try tells the rest. What nobody had owed is over,
/// on record as failed.
#[tokio::test]
async fn a_kill_before_a_failure_is_spent_loses_no_delivery() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    let last = |n| {
        let (row, exchange) = failure(&delivery(1, n, 1), at(1), n as u64);
        (ringpost_store::Attempt { last: true, ..row }, exchange)
    };
    let batch = Batch {
        attempts: vec![last(1), last(2)],
        ended: vec![ended(delivery(1, 1, 1), Ending::Failed, at(5))],
        lanes: vec![spent(delivery(1, 1, 1)), spent(delivery(1, 2, 1))],
        notices: vec![notice(1)],
        ..Batch::default()
    };
    let between = Between::of(&bench, store, &batch).await;
    let store = between.open().await;
    let asked = [delivery(1, 1, 1), delivery(1, 2, 1)];
    assert_eq!(store.settled_or_owed(&asked, at(-60)).await.unwrap().len(), 2);
    assert_eq!(store.debts(&DebtFilter::default(), 9).await.unwrap().len(), 1);
    assert_eq!(store.stats().await.unwrap().spent, 0);
    assert!(store.unfired_notices(9).await.unwrap().is_empty());
    let failed = AttemptFilter { failed: true, ..AttemptFilter::default() };
    assert_eq!(store.attempts(&failed, 9).await.unwrap().len(), 2);
    // The same batch again, by who knows nothing of the kill, makes it whole.
    store.settle(&batch, "me", at(5)).await.unwrap();
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.debts, stats.spent), (0, 2));
    assert_eq!(store.unfired_notices(9).await.unwrap(), [notice(1)]);
    assert_eq!(store.attempts(&failed, 9).await.unwrap().len(), 2);
}

/// Nothing of an opening is seen before all of it is: a lane is never open without what comes back, nor the other way.
#[tokio::test]
async fn a_kill_before_a_lane_is_opened_opens_nothing() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    let over = ended(delivery(1, 1, 1), Ending::Failed, at(5));
    let batch = Batch { ended: vec![over], lanes: vec![spent(delivery(1, 1, 1))], ..Batch::default() };
    store.settle(&batch, "me", at(5)).await.unwrap();
    let revive = LaneWord::Revive { lane: lane(1), now: at(6), reason: "down".into() };
    let batch = Batch {
        attempts: vec![failure(&delivery(1, 2, 1), at(5), 1)],
        debts: vec![debt(delivery(1, 2, 1), at(8))],
        lanes: vec![says(lane(1), open_at(6, 11)), revive],
        notices: vec![notice(1)],
        ..Batch::default()
    };
    let between = Between::of(&bench, store, &batch).await;
    let store = between.open().await;
    assert!(store.lanes().await.unwrap().is_empty());
    assert_eq!((store.stats().await.unwrap().debts, store.stats().await.unwrap().spent), (0, 1));
    assert!(
        store.settled_or_owed(&[delivery(1, 1, 1)], at(-60)).await.unwrap().contains(&delivery(1, 1, 1).id)
    );
    store.settle(&batch, "me", at(6)).await.unwrap();
    assert_eq!(store.lanes().await.unwrap()[0].owed, 2);
    assert!(store.endings(&EndingFilter::default(), 9).await.unwrap().is_empty(), "it is owed, not failed");
    // And after: all of it is there.
    store.close().await;
    let (_folder, after) = killed(between.folder.path(), "").await;
    assert_eq!((after.stats().await.unwrap().debts, after.lanes().await.unwrap()[0].owed), (2, 2));
    assert_eq!(after.unmailed_notices(9).await.unwrap(), [notice(1)]);
}
