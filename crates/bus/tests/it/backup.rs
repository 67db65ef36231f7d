//! A copy of the journal is as it was at one moment, and goes on where no place is used twice.

use ringpost_bus::{
    Batch, Commit, Embedded, Log, Offset, OpenError, Worker, copy_journal, is_in_use, prepare_restored,
};

use crate::bench::{Backend, Bench, batches, keeper, read_all, reader, record, until_idle};

fn all_of(read: &[Batch]) -> Commit {
    Commit { positions: read.iter().map(Batch::position).collect(), ..Commit::default() }
}

#[tokio::test]
async fn a_copy_taken_while_records_come_holds_all_that_was_acknowledged_before_and_no_half_transaction() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    for i in 0..200 {
        log.append("in", vec![record("a", &i.to_string())]).await.unwrap();
    }
    let into = tempfile::tempdir().unwrap();
    let writing = {
        let log = log.clone();
        tokio::spawn(async move {
            for i in 200..400 {
                log.append("in", vec![record("a", &i.to_string()), record("a", "pair")]).await.unwrap();
            }
        })
    };
    let bytes = copy_journal(bench.folder(), into.path()).await.unwrap();
    writing.await.unwrap();
    assert_eq!(std::fs::metadata(into.path().join("journal.db")).unwrap().len(), bytes);
    assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 1, "nothing is left beside it");

    let (copy, journal) = Embedded::open(bench.config(into.path())).await.unwrap();
    let journal = tokio::spawn(journal.run());
    let read = read_all(&copy, "g", "in").await;
    let numbers: Vec<usize> = read.iter().filter_map(|value| value.parse().ok()).collect();
    assert!(numbers.len() >= 200, "{}", numbers.len());
    assert!(numbers.iter().enumerate().all(|(at, number)| at == *number), "{numbers:?}");
    assert_eq!(read.len() - numbers.len(), numbers.len() - 200, "pairs are whole");
    drop(copy);
    journal.await.unwrap();
}

#[tokio::test]
async fn a_restored_journal_gives_out_no_offset_again_and_everything_is_read_once() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    log.append("in", vec![record("a", "1"), record("a", "2")]).await.unwrap();
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    let read = batches(until_idle(&mut worker).await);
    worker.commit(all_of(&read)).await.unwrap();
    drop(worker);
    log.append("in", vec![record("a", "3")]).await.unwrap();
    let into = tempfile::tempdir().unwrap();
    copy_journal(bench.folder(), into.path()).await.unwrap();
    prepare_restored(into.path(), 0).await.unwrap();

    for round in 0..2 {
        let (copy, journal) = Embedded::open(bench.config(into.path())).await.unwrap();
        let journal = tokio::spawn(journal.run());
        let lag: u64 = copy.lags().iter().filter(|lag| lag.group == "g").map(|lag| lag.records).sum();
        assert_eq!(lag, if round == 0 { 1 } else { 0 }, "the gap is no lag");
        let places = copy.append("in", vec![record("a", &format!("4.{round}"))]).await.unwrap();
        assert!(places[0].1 > Offset(1 << 32), "{places:?}");
        let mut worker = copy.worker(reader("g", "in")).await.unwrap();
        let events = until_idle(&mut worker).await;
        let read = batches(events);
        let values: Vec<String> = read
            .iter()
            .flat_map(|batch| &batch.messages)
            .map(|message| String::from_utf8(message.value.to_vec()).unwrap())
            .collect();
        let expected: &[&str] = if round == 0 { &["3", "4.0"] } else { &["4.1"] };
        assert_eq!(values, expected);
        worker.commit(all_of(&read)).await.unwrap();
        assert!(copy.lags().iter().all(|lag| lag.records == 0), "{:?}", copy.lags());
        drop((worker, copy));
        journal.await.unwrap();
    }
}

#[tokio::test]
async fn retention_passes_the_gap_of_a_restored_journal() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    log.append("in", vec![record("a", "1")]).await.unwrap();
    read_all(&log, "g", "in").await;
    let into = tempfile::tempdir().unwrap();
    copy_journal(bench.folder(), into.path()).await.unwrap();
    prepare_restored(into.path(), 0).await.unwrap();
    let (copy, journal) = Embedded::open(bench.config(into.path())).await.unwrap();
    let journal = tokio::spawn(journal.run());
    copy.append("in", vec![record("a", "2")]).await.unwrap();
    let mut worker = copy.worker(keeper("g", "in")).await.unwrap();
    let read = batches(until_idle(&mut worker).await);
    worker.commit(all_of(&read)).await.unwrap();
    // Much later: all three chunks of the partition go, and two records are counted.
    assert_eq!(copy.retain(i64::MAX / 2).await.unwrap(), 2);
    let places = copy.append("in", vec![record("a", "3")]).await.unwrap();
    assert!(places[0].1 > Offset((1 << 32) + 1), "{places:?}");
    drop((worker, copy));
    journal.await.unwrap();
}

#[tokio::test]
async fn a_damaged_copy_is_told() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    log.append("in", vec![record("a", &"x".repeat(100_000))]).await.unwrap();
    let into = tempfile::tempdir().unwrap();
    copy_journal(bench.folder(), into.path()).await.unwrap();
    let again = copy_journal(bench.folder(), into.path()).await.unwrap_err();
    assert!(matches!(again, OpenError::Folder { .. }), "a copy is never written over: {again}");
    let path = into.path().join("journal.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 8_192);
    std::fs::write(&path, bytes).unwrap();
    let error = prepare_restored(into.path(), 0).await.unwrap_err();
    assert!(matches!(error, OpenError::Read { .. }), "{error}");
}

#[tokio::test]
async fn who_writes_a_journal_is_seen_from_outside() {
    let mut bench = Bench::new();
    assert!(!is_in_use(bench.folder()));
    let log = bench.open().await;
    assert!(is_in_use(bench.folder()));
    drop(log);
}

#[tokio::test]
async fn the_oldest_unread_record_says_how_far_a_group_is_behind_in_time() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    let at = |value: &str, timestamp| ringpost_bus::Record { timestamp, ..record("a", value) };
    log.append("in", vec![at("1", 10), at("2", 20)]).await.unwrap();
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    let read = batches(until_idle(&mut worker).await);
    assert_eq!(log.unread_since().await.unwrap()["g"], 10);
    let mut position = read[0].position();
    position.next = Offset(1);
    worker.commit(Commit { positions: vec![position], ..Commit::default() }).await.unwrap();
    assert_eq!(log.unread_since().await.unwrap()["g"], 20);
    worker.commit(all_of(&read)).await.unwrap();
    assert!(log.unread_since().await.unwrap().is_empty());
}
