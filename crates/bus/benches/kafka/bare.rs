//! The bare loop: rdkafka as its own examples use it, with the settings that make it fast, and nothing of ours.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::load::{make, parse};
use crate::{LEGS, MOST, PER_CALL};

const LONG: Duration = Duration::from_secs(30);

/// Reads all legs; tells how many transactions it took.
pub(crate) fn run(bootstrap: &str, prefix: &str, group: &str, interval: Duration) -> usize {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", format!("{prefix}{group}-{}", interval.as_millis()))
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "8192")
        .create()
        .expect("a consumer");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("transactional.id", format!("{prefix}{group}"))
        .set("compression.type", "lz4")
        .set("linger.ms", "2")
        .create()
        .expect("a producer");
    producer.init_transactions(LONG).expect("a transactional id");
    let (input, output, state) = (format!("{prefix}in"), format!("{prefix}out"), format!("{prefix}state"));
    consumer.subscribe(&[&input]).expect("a subscription");
    let (mut read, mut transactions) = (0, 0);
    while read < LEGS {
        let Some(Ok(mut message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        producer.begin_transaction().expect("begun");
        let (until, mut gathered) = (Instant::now() + interval, 0);
        let mut positions = HashMap::new();
        loop {
            let value = message.payload().unwrap_or_default();
            let leg = parse(value);
            if read % PER_CALL == 0 {
                let made = make(&leg, value);
                send(&producer, BaseRecord::to(&output).key(&made.key).payload(&made.record));
                let at = message.partition();
                send(
                    &producer,
                    BaseRecord::to(&state).partition(at).key(&made.state_key).payload(&made.state),
                );
            }
            positions.insert(message.partition(), message.offset() + 1);
            (read, gathered) = (read + 1, gathered + 1);
            if gathered >= MOST || read >= LEGS || Instant::now() >= until {
                break;
            }
            match consumer.poll(until.saturating_duration_since(Instant::now())) {
                Some(Ok(next)) => message = next,
                _ => break,
            }
        }
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        let mut list = TopicPartitionList::new();
        for (partition, next) in positions {
            list.add_partition_offset(&input, partition, Offset::Offset(next)).expect("a position");
        }
        let member = consumer.group_metadata().expect("a member");
        producer.send_offsets_to_transaction(&list, &member, LONG).expect("positions sent");
        producer.commit_transaction(LONG).expect("committed");
        transactions += 1;
    }
    transactions
}

fn send(producer: &BaseProducer, mut record: BaseRecord<'_, Vec<u8>, Vec<u8>>) {
    while let Err((_, unsent)) = producer.send(record) {
        record = unsent;
        producer.poll(Duration::from_millis(5));
    }
}
