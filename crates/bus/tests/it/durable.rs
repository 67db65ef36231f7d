//! What only the embedded log promises: group commit, bounds, a full disk, retention, one process at a time.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use ringpost_bus::{Commit, Embedded, Error, Event, Keep, Log, OpenError, Worker};

use crate::bench::{
    Backend, Bench, batches, change, done_with, keeper, output, read_all, reader, record, state, until_idle,
};

#[tokio::test]
async fn many_appends_share_one_sync() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    let appends = (0..1_000).map(|i| log.append("in", vec![record(&i.to_string(), "x")]));
    for places in join_all(appends).await {
        assert_eq!(places.unwrap().len(), 1);
    }
    let commits = log.metrics().commits.get();
    assert!(commits <= 20, "1000 appends at once took {commits} transactions");
    assert_eq!(log.metrics().records.get(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appenders_at_the_same_time_get_each_offset_once() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    let tasks = (0..16).map(|task| {
        let log = log.clone();
        tokio::spawn(async move {
            let mut places = Vec::new();
            for i in 0..20 {
                let value = format!("{task}:{i}");
                places.extend(log.append("in", vec![record(&(i % 5).to_string(), &value)]).await.unwrap());
            }
            places
        })
    });
    let mut places: Vec<_> = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
    places.sort_unstable();
    let before = places.len();
    places.dedup();
    assert_eq!(places.len(), before);
    let read = read_all(&log, "g", "in").await;
    assert_eq!(read.len(), 320);
    for task in 0..16 {
        for key in 0..5 {
            let mine = read.iter().filter_map(|value| {
                let (whose, i) = value.split_once(':').unwrap();
                let i: usize = i.parse().unwrap();
                (whose == task.to_string() && i % 5 == key).then_some(i)
            });
            assert!(mine.is_sorted(), "one appender's records of one key keep their order");
        }
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_loses_nothing_it_took() {
    let mut bench = Bench::with(|config| config.queue_bytes = 2_000);
    let log = bench.open().await;
    let appends = (0..100).map(|_| log.append("in", vec![record("a", &"x".repeat(200))]));
    let results = join_all(appends).await;
    let taken = results.iter().filter(|result| result.is_ok()).count();
    assert!((1..100).contains(&taken), "{taken} of 100 taken");
    for error in results.into_iter().filter_map(Result::err) {
        assert!(error.is_temporary());
        let text = "append to in: not stored, the queue of the journal is full; try again";
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(read_all(&log, "g", "in").await.len(), taken);
    assert_eq!(log.metrics().refused.get() as usize, 100 - taken);
}

#[tokio::test]
async fn a_full_disk_refuses_and_all_goes_on_once_there_is_room() {
    let mut bench = Bench::with(|config| config.file_bytes = Some(1 << 20));
    let log = bench.open().await;
    let mut stored = 0;
    let error = loop {
        match log.append("in", vec![record("a", &"x".repeat(50_000))]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full), "{error}");
    assert!(error.is_temporary());
    assert!(stored > 10, "{stored}");
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    let read = batches(until_idle(&mut worker).await);
    let messages: usize = read.iter().map(|batch| batch.messages.len()).sum();
    assert_eq!(messages, stored, "what was acknowledged is there, and nothing else");
    // Small things still fit, so a worker gets on, and then old records make room.
    worker.commit(done_with(read.last().unwrap())).await.unwrap();
    let two_hours = 7_200_000_000;
    assert_eq!(log.retain(two_hours).await.unwrap() as usize, stored);
    let places = log.append("in", vec![record("a", &"x".repeat(50_000))]).await.unwrap();
    assert_eq!(places[0].1.0 as usize, stored, "offsets go on");
}

#[tokio::test]
async fn a_commit_that_fails_in_the_middle_leaves_nothing() {
    let mut bench = Bench::with(|config| config.file_bytes = Some(1 << 20));
    let log = bench.open().await;
    log.append("in", vec![record("acme", "leg")]).await.unwrap();
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    let batch = batches(until_idle(&mut worker).await).remove(0);
    // Outputs and positions are written first and fit; the state does not.
    let commit = |size: usize| Commit {
        outputs: vec![output("out", vec![record("acme", "cdr")])],
        changes: vec![change(batch.partition, "call", Some(&"x".repeat(size)))],
        ..done_with(&batch)
    };
    let error = worker.commit(commit(2 << 20)).await.unwrap_err();
    assert!(matches!(error, Error::Full), "{error}");
    assert!(read_all(&log, "other", "out").await.is_empty());
    // The same worker goes on, with the same offsets as if nothing had been.
    worker.commit(commit(10)).await.unwrap();
    drop((worker, log));
    let log = bench.open().await;
    assert_eq!(read_all(&log, "other", "out").await, ["cdr"]);
    assert_eq!(state(&log, "g").await[0].1.len(), 10);
    assert!(read_all(&log, "g", "in").await.is_empty());
}

#[tokio::test]
async fn a_commit_dropped_half_way_ends_the_worker_and_not_the_group() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    log.append("in", vec![record("acme", "leg")]).await.unwrap();
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    let batch = batches(until_idle(&mut worker).await).remove(0);
    let commit = Commit { outputs: vec![output("out", vec![record("acme", "cdr")])], ..done_with(&batch) };
    // Polled once, it is in the writer's queue; then it is dropped.
    assert!(worker.commit(commit).now_or_never().is_none());
    let error = worker.next(Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    drop(worker);
    // It may hold or not; but whoever comes next begins where it was decided, and nothing is done twice.
    let left = read_all(&log, "g", "in").await.len();
    let answers = read_all(&log, "other", "out").await.len();
    assert_eq!(left + answers, 1, "{left} left, {answers} answered");
}

#[tokio::test]
async fn batches_are_bounded_in_records_and_bytes() {
    let mut bench = Bench::with(|config| (config.batch_records, config.batch_bytes) = (10, 1_000));
    let log = bench.open().await;
    let small = (0..100).map(|_| record("a", "x"));
    let large = (0..20).map(|_| record("a", &"x".repeat(300)));
    let huge = [record("a", &"x".repeat(5_000))];
    log.append("in", small.chain(large).chain(huge).collect()).await.unwrap();
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    let mut read = 0;
    for batch in batches(until_idle(&mut worker).await) {
        let bytes: usize = batch.messages.iter().map(|m| m.key.len() + m.value.len()).sum();
        assert!(batch.messages.len() <= 10);
        assert!(bytes <= 1_000 || batch.messages.len() == 1, "{bytes} bytes");
        read += batch.messages.len();
    }
    assert_eq!(read, 121);
}

#[tokio::test]
async fn retention_waits_for_the_slowest_group_and_keeps_the_offsets() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    for i in 0..6 {
        log.append("in", vec![record("acme", &i.to_string())]).await.unwrap();
    }
    let mut fast = log.worker(reader("fast", "in")).await.unwrap();
    let read = batches(until_idle(&mut fast).await);
    fast.commit(done_with(read.last().unwrap())).await.unwrap();
    // A group that has read nothing yet counts from the moment it is there.
    let mut slow = log.worker(reader("slow", "in")).await.unwrap();
    let batch = batches(until_idle(&mut slow).await).remove(0);
    let hour = 3_600_000_000;
    assert_eq!(log.retain(2 * hour).await.unwrap(), 0, "the slow group has not passed any");
    let lag = log.lags().into_iter().find(|lag| lag.group == "slow" && lag.records > 0).unwrap();
    assert_eq!(lag.records, 6);
    slow.commit(done_with(&batch)).await.unwrap();
    assert_eq!(log.retain(hour / 2).await.unwrap(), 0, "none is old enough");
    assert!(log.retain(2 * hour).await.unwrap() > 0);
    drop((fast, slow, log));
    let log = bench.open().await;
    let places = log.append("in", vec![record("acme", "new")]).await.unwrap();
    assert_eq!(places[0].1.0, 6, "an offset is never given twice");
    assert_eq!(read_all(&log, "new group", "in").await.last().unwrap(), "new");
}

#[tokio::test]
async fn a_second_process_is_told_and_does_no_harm() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    let second = Embedded::open(bench.config(bench.folder())).await;
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    log.append("in", vec![record("a", "1")]).await.unwrap();
}

#[tokio::test]
async fn the_number_of_partitions_is_fixed() {
    let mut bench = Bench::new();
    drop(bench.open().await);
    bench.adjust = |config| config.topics[0].partitions = 4;
    let mut config = bench.config(bench.folder());
    // The journal of the first one may still be closing; it holds the lock until it is done.
    let error = loop {
        match Embedded::open(config.clone()).await {
            Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
            other => break other.err().unwrap(),
        }
    };
    let text = "open the journal: topic in has 3 partitions, the configuration says 4";
    assert_eq!(error.to_string(), text);
    config.topics[0].partitions = 0;
    let error = Embedded::open(config).await.err().unwrap();
    assert_eq!(error.to_string(), "open the journal: topic in has no partition");
}

#[tokio::test]
async fn topics_read_together_need_the_same_partitions() {
    let mut bench = Bench::with(|config| {
        config.topics[1].partitions = 5;
        config.topics[1].keep = Keep::For(Duration::from_secs(1));
    });
    let log = bench.open().await;
    let mut both = reader("g", "in");
    both.topics.push("out".to_owned());
    let error = log.worker(both).await.err().unwrap();
    assert!(matches!(error, Error::Topic { .. }), "{error}");
}

#[tokio::test]
async fn a_worker_of_two_topics_reads_both() {
    let mut bench = Bench::new();
    let log = bench.open().await;
    let mut both = reader("g", "in");
    both.topics.push("out".to_owned());
    let mut worker = log.worker(both).await.unwrap();
    until_idle(&mut worker).await;
    for topic in ["in", "out", "in"] {
        log.append(topic, vec![record("acme", topic)]).await.unwrap();
    }
    let mut read: Vec<_> = batches(until_idle(&mut worker).await);
    read.sort_by(|a, b| a.topic.cmp(&b.topic));
    let counts: Vec<_> = read.iter().map(|batch| (&*batch.topic, batch.messages.len())).collect();
    let of =
        |topic: &str| counts.iter().filter(|(name, _)| *name == topic).map(|(_, count)| count).sum::<usize>();
    assert_eq!((of("in"), of("out")), (2, 1));
    assert!(matches!(worker.next(Duration::ZERO).await.unwrap(), Event::Idle(_)));
}
