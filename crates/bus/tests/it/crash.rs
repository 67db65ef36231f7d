//! A process killed, a torn tail: what was acknowledged is there.

use std::fs;
use std::path::Path;

use ringpost_bus::{Embedded, Log};

use crate::bench::{Backend, Bench, config, read_all, record};

/// The files as they are now, as a killed process leaves them. To be called while nothing is written.
fn copy(from: &Path, to: &Path) {
    for name in ["journal.db", "journal.db-wal"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// What a process that starts on these files finds in `in`.
async fn found(folder: &Path) -> Vec<String> {
    let (log, journal) = Embedded::open(config(folder, std::sync::Arc::new(|| 0))).await.unwrap();
    let journal = tokio::spawn(journal.run());
    let read = read_all(&log, "check", "in").await;
    drop(log);
    journal.await.unwrap();
    read
}

#[tokio::test]
async fn a_killed_process_has_kept_all_it_acknowledged() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    let mut acknowledged = Vec::new();
    for i in 0..30 {
        log.append("in", vec![record("acme", &i.to_string())]).await.unwrap();
        acknowledged.push(i.to_string());
        if i % 7 == 0 {
            let killed = tempfile::tempdir().unwrap();
            copy(bench.folder(), killed.path());
            assert_eq!(found(killed.path()).await, acknowledged);
        }
    }
}

#[tokio::test]
async fn a_torn_or_damaged_tail_costs_only_what_was_not_acknowledged() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    let wal = bench.folder().join("journal.db-wal");
    for i in 0..5 {
        log.append("in", vec![record("acme", &i.to_string())]).await.unwrap();
    }
    let safe = fs::metadata(&wal).unwrap().len() as usize;
    log.append("in", vec![record("acme", "5")]).await.unwrap();
    let whole = fs::metadata(&wal).unwrap().len() as usize;
    assert!(whole > safe);
    for at in (safe..whole).step_by(509) {
        // The sixth is being written when the power fails: cut off, or some of it never came to the disk.
        let torn = tempfile::tempdir().unwrap();
        copy(bench.folder(), torn.path());
        let path = torn.path().join("journal.db-wal");
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(at);
        fs::write(&path, &bytes).unwrap();
        let read = found(torn.path()).await;
        assert_eq!(read, ["0", "1", "2", "3", "4"], "cut at {at} of {whole}");

        let damaged = tempfile::tempdir().unwrap();
        copy(bench.folder(), damaged.path());
        let path = damaged.path().join("journal.db-wal");
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 0xff;
        fs::write(&path, &bytes).unwrap();
        let read = found(damaged.path()).await;
        assert_eq!(read, ["0", "1", "2", "3", "4"], "damaged at {at} of {whole}");
    }
}
