//! What goes wrong with processes, and comes right: each record is answered once, in order, whatever happens.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use ringpost_bus::{Kafka, Log};
use tokio::sync::oneshot;

use crate::bench::{PARTITIONS, read_all, record};

use super::Brokers;
use super::counter::{assert_counted, count};
use super::process::Process;

const KEYS: usize = 12;

/// One more record of every key, so many times.
async fn feed(log: &Kafka, each: u64) {
    for _ in 0..each {
        let records = (0..KEYS).map(|key| record(&format!("k{key}"), &"x".repeat(500)));
        log.append("in", records.collect()).await.unwrap();
    }
}

/// All answers, once there are so many. More than that, and others than the right ones, are for the caller to find.
async fn answers(log: &Kafka, each: u64) -> Vec<String> {
    let begun = Instant::now();
    for turn in 0.. {
        let read = read_all(log, &format!("check-{turn}"), "out").await;
        if read.len() as u64 >= each * KEYS as u64 {
            return read;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{} answers", read.len());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    unreachable!()
}

/// Records in a topic, those of transactions that were given up among them.
fn written(brokers: &Brokers, topic: &str) -> u64 {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", std::env::var("RINGPOST_TEST_KAFKA").unwrap())
        .set("group.id", format!("{}look", brokers.prefix))
        .set("isolation.level", "read_uncommitted")
        .create()
        .unwrap();
    let (topic, wait) = (format!("{}{topic}", brokers.prefix), Duration::from_secs(10));
    let (mut list, mut ends) = (TopicPartitionList::new(), Vec::new());
    for partition in 0..PARTITIONS as i32 {
        list.add_partition_offset(&topic, partition, Offset::Beginning).unwrap();
        ends.push(reader.fetch_watermarks(&topic, partition, wait).unwrap().1);
    }
    reader.assign(&list).unwrap();
    let mut count = 0;
    loop {
        let position = reader.position().unwrap();
        let at = |partition: usize| position.find_partition(&topic, partition as i32).unwrap().offset();
        if (0..ends.len())
            .all(|partition| at(partition) == Offset::Offset(ends[partition]) || ends[partition] == 0)
        {
            return count;
        }
        if let Some(message) = reader.poll(Duration::from_millis(50)) {
            message.unwrap();
            count += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_in_the_middle_of_transactions_leaves_each_record_answered_once() {
    let Some(mut brokers) = Brokers::find() else { return };
    let log = brokers.start("test").await;
    feed(&log, 1).await;
    let mut each = 1;
    for round in 0..8_u64 {
        let process = Process::start(&brokers, "a");
        process.until("assigned");
        feed(&log, 40).await;
        each += 40;
        process.until("committing");
        // Somewhere between the first record of a transaction and the answer to its commit.
        tokio::time::sleep(Duration::from_millis(round * 2)).await;
        process.signal("-KILL");
    }
    let process = Process::start(&brokers, "a");
    assert_counted(&answers(&log, each).await, KEYS, each);
    let (all, answered) = (written(&brokers, "out"), each * KEYS as u64);
    assert!(all > answered, "no kill came in the middle of a transaction: this run shows nothing");
    drop(process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_stopped_for_too_long_cannot_finish_what_it_began() {
    let Some(mut brokers) = Brokers::find() else { return };
    let log = brokers.start("test").await;
    feed(&log, 1).await;
    let mut each = 1;
    let first = Process::start(&brokers, "a");
    first.until("committed");
    let second = Process::start(&brokers, "b");
    second.until("assigned");
    for _ in 0..2 {
        feed(&log, 30).await;
        first.until("committing");
        first.signal("-STOP");
        feed(&log, 30).await;
        each += 60;
        // All partitions are the second one's once the first is missed.
        assert_counted(&answers(&log, each).await, KEYS, each);
        first.signal("-CONT");
        let over = first.until("over");
        assert!(over.contains("use a worker of group counter"), "{over}");
        first.until("assigned");
        feed(&log, 10).await;
        each += 10;
        assert_counted(&answers(&log, each).await, KEYS, each);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_come_and_go_hand_over_what_they_counted() {
    let Some(mut brokers) = Brokers::find() else { return };
    let (log, other) = (brokers.start("a").await, brokers.start("b").await);
    let (stop_first, stopped) = oneshot::channel();
    let first = tokio::spawn(count(log.clone(), stopped, |_| {}));
    feed(&log, 20).await;
    let (stop_second, stopped) = oneshot::channel();
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    let second = tokio::spawn(count(other, stopped, move |line| drop(told.send(line))));
    let feeding = {
        let log = log.clone();
        tokio::spawn(async move { feed(&log, 200).await })
    };
    while !tells.recv().await.unwrap().starts_with("assigned") {}
    feeding.await.unwrap();
    feed(&log, 20).await;
    stop_first.send(()).unwrap();
    first.await.unwrap();
    feed(&log, 20).await;
    assert_counted(&answers(&log, 260).await, KEYS, 260);
    stop_second.send(()).unwrap();
    second.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_of_one_name_with_much_to_do_the_later_one_goes_on_and_the_other_ends() {
    let Some(mut brokers) = Brokers::find() else { return };
    let log = brokers.start("test").await;
    for _ in 0..4 {
        feed(&log, 1).await;
        let mut first = Process::start(&brokers, "a");
        first.until("committed");
        let feeding = {
            let log = log.clone();
            tokio::spawn(async move {
                loop {
                    feed(&log, 1).await;
                }
            })
        };
        first.until("committed");
        let mut second = Process::start(&brokers, "a");
        second.until("committed");
        first.until_ended();
        second.until("committed");
        assert!(!second.has_ended());
        feeding.abort();
    }
}
