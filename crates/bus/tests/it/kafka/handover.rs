//! Partitions that change hands at the worst moment, and ends that are not what they seem.

use std::time::Duration;

use futures_util::FutureExt;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use ringpost_bus::{Commit, Error, Event, Kafka, Log, Partition, Worker, partition_of};

use crate::bench::{
    Backend, HASTY, PARTITIONS, batches, change, done_with, keeper, output, read_all, reader, record, state,
    texts, until_assigned, until_idle, until_revoked,
};

use super::Brokers;

/// A call of a broker.
const WAIT: Duration = Duration::from_secs(20);

/// Whether the group has given all to this instance.
fn is_alone(brokers: &Brokers, group: &str, instance: &str) -> bool {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", std::env::var("RINGPOST_TEST_KAFKA").unwrap());
    let client: BaseConsumer = client.create().unwrap();
    let groups = client.fetch_group_list(Some(&format!("{}{group}", brokers.prefix)), WAIT).unwrap();
    let members = groups.groups()[0].members();
    groups.groups()[0].state() == "Stable"
        && members.len() == 1
        && members[0].client_id() == format!("ringpost-{instance}")
}

#[tokio::test]
async fn a_partition_that_was_moved_on_and_came_back_is_not_given_the_state_of_before() {
    let Some(mut brokers) = Brokers::find() else { return };
    let mut config = brokers.config("quick");
    config.properties.insert("session.timeout.ms".to_owned(), "1000".to_owned());
    drop(brokers.start("quick").await);
    let quick = Kafka::open(config.clone()).await.unwrap();
    // It reads one piece of state in a tenth of a second.
    let mut hampered = config.clone();
    hampered.instance = "slow".to_owned();
    for (key, value) in
        [("fetch.message.max.bytes", "100"), ("fetch.min.bytes", "1000000"), ("fetch.wait.max.ms", "100")]
    {
        hampered.properties.insert(key.to_owned(), value.to_owned());
    }
    let slow = Kafka::open(hampered).await.unwrap();

    let mut first = quick.worker(keeper("g", "in")).await.unwrap();
    until_idle(&mut first).await;
    for n in 0..80 {
        let changes = (0..PARTITIONS).map(|at| change(Partition(at), &format!("k{n}"), Some("1"))).collect();
        first.commit(Commit { changes, ..Commit::default() }).await.unwrap();
    }
    drop(first);
    let mut slow = slow.worker(keeper("g", "in")).await.unwrap();
    // It begins to read, and is told to give up a part of it before it is done.
    while !is_alone(&brokers, "g", "slow") {
        assert!(!matches!(slow.next(HASTY).now_or_never(), Some(Ok(Event::Assigned(_)))), "too quick");
    }
    config.instance = "another".to_owned();
    let another = Kafka::open(config).await.unwrap();
    let mut second = another.worker(keeper("g", "in")).await.unwrap();
    let moved = loop {
        tokio::select! {
            event = second.next(WAIT) => if let Event::Assigned(assignment) = event.unwrap() { break assignment },
            event = slow.next(WAIT) => assert!(!matches!(event.unwrap(), Event::Assigned(_)), "too quick"),
        }
    };
    assert_eq!(moved.state.len(), 80);
    let changes = vec![change(moved.partition, "k0", Some("moved on"))];
    second.commit(Commit { changes, ..Commit::default() }).await.unwrap();
    drop(second);
    let again = loop {
        match slow.next(WAIT).await.unwrap() {
            Event::Assigned(one) if one.partition == moved.partition => break one,
            _ => {}
        }
    };
    let entry = again.state.iter().find(|entry| &entry.key[..] == b"k0").unwrap();
    assert_eq!(&entry.value[..], b"moved on");
}

/// A writer of transactions that has nothing to do with us.
fn stranger(brokers: &Brokers) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", std::env::var("RINGPOST_TEST_KAFKA").unwrap())
        .set("transactional.id", format!("{}stranger", brokers.prefix))
        .create()
        .unwrap();
    producer.init_transactions(WAIT).unwrap();
    producer
}

#[tokio::test]
async fn time_does_not_pass_for_records_that_an_open_transaction_hides_and_passes_for_all_others() {
    let Some(mut brokers) = Brokers::find() else { return };
    brokers.set_clock(1_000);
    let log = brokers.start("a").await;
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    until_idle(&mut worker).await;
    let (stranger, topic) = (stranger(&brokers), format!("{}in", brokers.prefix));
    let at = partition_of(b"acme", PARTITIONS);
    stranger.begin_transaction().unwrap();
    let sent = BaseRecord::to(&topic).partition(at.0 as i32).key("acme").payload("open");
    stranger.send(sent).unwrap();
    stranger.flush(WAIT).unwrap();
    // This one is acknowledged.
    log.append("in", vec![record("acme", "behind it")]).await.unwrap();
    for now in [3_000, 5_000, 7_000] {
        brokers.set_clock(now);
        loop {
            match worker.next(HASTY).await.unwrap() {
                Event::AtEnd(at_end, partitions) if at_end == now => {
                    assert!(partitions.len() == 2 && !partitions.contains(&at), "{partitions:?}");
                    break;
                }
                // Asked for before the transaction began, or the clock went on.
                Event::Idle(1_000) | Event::AtEnd(..) => {}
                event => panic!("{event:?}"),
            }
        }
    }
    stranger.commit_transaction(WAIT).unwrap();
    let read = batches(until_idle(&mut worker).await);
    assert_eq!(read.iter().flat_map(texts).collect::<Vec<_>>(), ["open", "behind it"]);
}

#[tokio::test]
async fn time_passes_beside_transactions_that_follow_each_other_without_a_gap() {
    let Some(mut brokers) = Brokers::find() else { return };
    let log = brokers.start("a").await;
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    until_idle(&mut worker).await;
    let writers = [stranger(&brokers), {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", std::env::var("RINGPOST_TEST_KAFKA").unwrap())
            .set("transactional.id", format!("{}another", brokers.prefix))
            .create()
            .unwrap();
        producer.init_transactions(WAIT).unwrap();
        producer
    }];
    let topic = format!("{}in", brokers.prefix);
    let begin = |writer: &BaseProducer| {
        writer.begin_transaction().unwrap();
        for at in 0..PARTITIONS as i32 {
            writer.send(BaseRecord::to(&topic).partition(at).key("x").payload("y")).unwrap();
        }
        writer.flush(WAIT).unwrap();
    };
    begin(&writers[0]);
    brokers.set_clock(1_000);
    let mut idle = false;
    for turn in 0..200 {
        let (ending, beginning) = (&writers[turn % 2], &writers[(turn + 1) % 2]);
        // At no moment is none open.
        begin(beginning);
        ending.commit_transaction(WAIT).unwrap();
        while let Some(event) = worker.next(Duration::from_millis(20)).now_or_never() {
            idle |= matches!(event.unwrap(), Event::Idle(1_000));
        }
        let event = tokio::time::timeout(Duration::from_millis(50), worker.next(HASTY)).await;
        idle |= matches!(event, Ok(Ok(Event::Idle(1_000))));
        if idle {
            return;
        }
    }
    panic!("time stands still");
}

#[tokio::test]
async fn records_that_were_dropped_before_they_were_read_hold_up_nothing() {
    let Some(mut brokers) = Brokers::find() else { return };
    let log = brokers.start("a").await;
    let append = async || log.append("in", (0..10).map(|_| record("acme", "x")).collect()).await.unwrap();
    let at = append().await[0].0;
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    let batch = batches(until_idle(&mut worker).await).remove(0);
    worker.commit(done_with(&batch)).await.unwrap();
    drop(worker);
    append().await;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", std::env::var("RINGPOST_TEST_KAFKA").unwrap());
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let mut until = TopicPartitionList::new();
    let topic = format!("{}in", brokers.prefix);
    until.add_partition_offset(&topic, at.0 as i32, KafkaOffset::Offset(20)).unwrap();
    admin.delete_records(&until, &AdminOptions::new()).await.unwrap();
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    assert!(batches(until_idle(&mut worker).await).is_empty(), "and it is idle");
    append().await;
    let batch = batches(until_idle(&mut worker).await).remove(0);
    assert_eq!(batch.messages.len(), 10);
    worker.commit(done_with(&batch)).await.unwrap();
}

#[tokio::test]
async fn state_that_is_too_large_is_refused_and_not_tried_for_ever() {
    let Some(mut brokers) = Brokers::find() else { return };
    let log = brokers.start("a").await;
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    until_idle(&mut worker).await;
    let commit = |bytes: usize| {
        let changes = vec![change(Partition(0), "call", Some(&"x".repeat(bytes)))];
        Commit { changes, ..Commit::default() }
    };
    let error = worker.commit(commit(2 << 20)).await.unwrap_err();
    assert!(matches!(&error, Error::TooLarge { topic, .. } if topic == "state"), "{error}");
    assert!(!error.is_temporary());
    worker.commit(commit((1 << 20) - 100)).await.unwrap();
    drop(worker);
    assert_eq!(state(&log, "g").await[0].1.len(), (1 << 20) - 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_dropped_half_way_holds_or_its_records_come_again_but_never_both() {
    let Some(mut brokers) = Brokers::find() else { return };
    let (log, other) = (brokers.start("a").await, brokers.start("b").await);
    let keys: Vec<String> = (0..30).map(|key| key.to_string()).collect();
    log.append("in", keys.iter().map(|key| record(key, "x")).collect()).await.unwrap();
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    let read = batches(until_idle(&mut worker).await);
    let mut heir = other.worker(keeper("g", "in")).await.unwrap();
    let joining = tokio::spawn(async move {
        let events = until_assigned(&mut heir, 1).await;
        (heir, events)
    });
    let leaving = until_revoked(&mut worker).await;
    let answers = |partition: Partition| {
        let of = read.iter().filter(move |batch| batch.partition == partition);
        of.flat_map(|batch| &batch.messages).count()
    };
    // So much that it takes its time.
    let large: Vec<_> = (0..200_000).map(|_| record("large", "x")).collect();
    let outputs = vec![output("out", large)];
    let positions = read.iter().map(ringpost_bus::Batch::position).collect();
    let commit = worker.commit(Commit { outputs, positions, ..Commit::default() });
    assert!(commit.now_or_never().is_none(), "it has begun");
    drop(worker);
    let (mut heir, _) = joining.await.unwrap();
    let again: usize = batches(until_idle(&mut heir).await)
        .iter()
        .filter(|batch| leaving.contains(&batch.partition))
        .map(|batch| batch.messages.len())
        .sum();
    let all: usize = leaving.iter().map(|partition| answers(*partition)).sum();
    assert!(again == 0 || again == all, "{again} of {all}");
    // Its former owner is done when it has let go of all it had.
    let is_stored = !read_all(&log, "check", "out").await.is_empty();
    assert_ne!(is_stored, again > 0, "{again} came again");
}
