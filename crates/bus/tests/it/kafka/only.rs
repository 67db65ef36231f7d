//! Fencing, aborted transactions, and topics that are not as they have to be.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use ringpost_bus::{Commit, Error, Kafka, Log, OpenError, Worker, print_topics};

use crate::bench::{HASTY, batches, change, done_with, keeper, output, read_all, record, state, until_idle};

use super::Brokers;

/// Sets one setting of a topic, as an administrator would.
async fn alter(brokers: &Brokers, topic: &str, key: &str, value: &str) {
    let config = brokers.config("admin");
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.bootstrap);
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let topic = format!("{}{topic}", brokers.prefix);
    // It replaces all settings of the topic.
    let all = [("message.timestamp.type", "LogAppendTime"), ("cleanup.policy", "delete")];
    let mut altered = AlterConfig::new(ResourceSpecifier::Topic(&topic));
    for (known, before) in all {
        altered = altered.set(known, if known == key { value } else { before });
    }
    if !all.iter().any(|(known, _)| *known == key) {
        altered = altered.set(key, value);
    }
    for result in admin.alter_configs(&[altered], &AdminOptions::new()).await.unwrap() {
        result.unwrap();
    }
}

/// More than a broker takes that was told to take 10,000 bytes; it cannot be compressed to less.
fn noise() -> String {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + (state >> 33) as u8 % 90)
    };
    std::iter::repeat_with(next).take(50_000).collect()
}

#[tokio::test]
async fn of_two_processes_of_one_name_the_one_that_came_later_goes_on_and_the_other_says_why_it_ends() {
    let Some(mut brokers) = Brokers::find() else { return };
    let (first, second) = (brokers.start("a").await, brokers.start("a").await);
    first.append("in", vec![record("acme", "1")]).await.unwrap();
    let mut zombie = first.worker(keeper("g", "in")).await.unwrap();
    let batch = batches(until_idle(&mut zombie).await).remove(0);
    let answered = |text: &str| Commit {
        outputs: vec![output("out", vec![record("acme", text)])],
        changes: vec![change(batch.partition, "acme", Some(text))],
        ..done_with(&batch)
    };
    let mut heir = second.worker(keeper("g", "in")).await.unwrap();
    until_idle(&mut heir).await;
    let error = zombie.commit(answered("by the zombie")).await.unwrap_err();
    assert!(matches!(error, Error::Replaced { .. }), "{error}");
    assert!(zombie.commit(answered("by the zombie")).await.is_err(), "for good");
    // Its reader is told by whom.
    let mut reader = first.worker(crate::bench::reader("other", "in")).await.unwrap();
    until_idle(&mut reader).await;
    let mut other = second.worker(crate::bench::reader("other", "in")).await.unwrap();
    until_idle(&mut other).await;
    let replaced = loop {
        match reader.next(HASTY).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(replaced, Error::Replaced { .. }), "{replaced}");
    assert!(!replaced.wants_new_worker(), "two that chase each other would never come to an end");

    heir.commit(answered("by the heir")).await.unwrap();
    assert_eq!(read_all(&second, "check", "out").await, ["by the heir"]);
}

#[tokio::test]
async fn a_commit_that_was_given_up_leaves_nothing_and_holds_when_it_is_repeated() {
    let Some(mut brokers) = Brokers::find() else { return };
    let log = brokers.start("a").await;
    log.append("in", vec![record("acme", "1"), record("acme", "2")]).await.unwrap();
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    let batch = batches(until_idle(&mut worker).await).remove(0);
    let large = noise();
    let commit = Commit {
        outputs: vec![output("out", vec![record("acme", "small"), record("acme", &large)])],
        changes: vec![change(batch.partition, "acme", Some("2"))],
        ..done_with(&batch)
    };
    let other = brokers.start("look").await;
    // A broker that refuses one of the records.
    alter(&brokers, "out", "max.message.bytes", "10000").await;
    let error = worker.commit(commit.clone()).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(error.to_string().contains("too large"), "{error}");
    assert!(read_all(&other, "check", "out").await.is_empty(), "nothing of it is there");

    alter(&brokers, "out", "max.message.bytes", "1114112").await;
    // librdkafka has used up the number of the record that was refused, and notices only when it sends the next.
    let mut tries = 0;
    while let Err(error) = worker.commit(commit.clone()).await {
        tries += 1;
        assert!(error.is_temporary() && tries < 3, "{error}");
    }
    assert_eq!(read_all(&other, "check", "out").await, ["small".to_owned(), large]);
    drop(worker);
    assert_eq!(state(&log, "g").await, [("acme".to_owned(), "2".to_owned())]);
    assert!(read_all(&log, "g", "in").await.is_empty(), "the position has moved with it");
}

#[tokio::test]
async fn after_a_commit_that_was_given_up_for_good_every_record_comes_again() {
    let Some(mut brokers) = Brokers::find() else { return };
    let log = brokers.start("a").await;
    let records = (0..30).map(|key| record(&key.to_string(), "x")).collect();
    log.append("in", records).await.unwrap();
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    let read = batches(until_idle(&mut worker).await);
    alter(&brokers, "out", "max.message.bytes", "10000").await;
    let commit = Commit {
        positions: read.iter().map(ringpost_bus::Batch::position).collect(),
        outputs: vec![output("out", vec![record("acme", &noise())])],
        changes: vec![change(read[0].partition, "acme", Some("1"))],
    };
    assert!(worker.commit(commit).await.is_err());
    drop(worker);
    let mut next = log.worker(keeper("g", "in")).await.unwrap();
    let again = batches(until_idle(&mut next).await);
    let messages =
        |batches: &[ringpost_bus::Batch]| -> usize { batches.iter().map(|batch| batch.messages.len()).sum() };
    assert_eq!((messages(&read), messages(&again)), (30, 30));
}

#[tokio::test]
async fn topics_that_are_not_as_they_have_to_be_are_refused_with_what_to_do() {
    let Some(mut brokers) = Brokers::find() else { return };
    let Err(error) = Kafka::open(brokers.config("a")).await else { panic!("there is no topic") };
    let OpenError::Brokers { mistakes } = &error else { panic!("{error}") };
    assert_eq!(mistakes.len(), 4, "{mistakes:?}");
    assert!(mistakes[3].contains("ringpost topics create"), "{mistakes:?}");
    drop(brokers.start("a").await);
    alter(&brokers, "in", "message.timestamp.type", "CreateTime").await;
    let Err(error) = Kafka::open(brokers.config("a")).await else { panic!("a sender's clock counts") };
    let text = error.to_string();
    assert!(text.contains("message.timestamp.type=CreateTime"), "{text}");
    assert!(text.contains("kafka-configs.sh") && text.contains("LogAppendTime"), "{text}");
    let mut nobody = brokers.config("a");
    nobody.bootstrap = "127.0.0.1:1".to_owned();
    nobody.timeout = std::time::Duration::from_millis(500);
    let Err(error) = Kafka::open(nobody).await else { panic!("nobody answers") };
    assert!(error.to_string().contains("no broker of 127.0.0.1:1 answers within 500ms"), "{error}");
}

#[test]
fn commands_for_administrators_say_every_setting() {
    let mut config = super::bench::config("b1:9092", "eu.", "a", std::sync::Arc::new(|| 0));
    config.topics.truncate(3);
    let commands = print_topics(&config, Some(3));
    let lines: Vec<&str> = commands.lines().collect();
    assert_eq!(
        lines[0],
        "kafka-topics.sh --bootstrap-server b1:9092 --create --if-not-exists --topic eu.in --partitions 3 \
         --replication-factor 3 --config message.timestamp.type=LogAppendTime --config max.message.bytes=1114112 \
         --config cleanup.policy=delete --config retention.ms=3600000 --config min.insync.replicas=2"
    );
    assert!(lines[2].contains("cleanup.policy=compact"), "{}", lines[2]);
}

#[tokio::test]
async fn who_has_committed_everything_is_not_behind_whatever_markers_of_transactions_follow() {
    let Some(mut brokers) = Brokers::find() else { return };
    let log = brokers.start("a").await;
    let behind = |group: &str| -> u64 {
        log.lags().iter().filter(|lag| lag.group == group).map(|lag| lag.records).sum()
    };
    log.append("in", vec![record("acme", "1")]).await.unwrap();
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    let batch = batches(until_idle(&mut worker).await).remove(0);
    let answer = output("out", vec![record("acme", "one"), record("acme", "two")]);
    worker.commit(Commit { outputs: vec![answer], ..done_with(&batch) }).await.unwrap();
    // Records and the marker of their transaction.
    let mut next = log.worker(crate::bench::reader("next", "out")).await.unwrap();
    let batch = batches(until_idle(&mut next).await).remove(0);
    assert!(behind("next") >= 2, "nothing of it is committed: {:?}", log.lags());
    next.commit(done_with(&batch)).await.unwrap();
    until_idle(&mut next).await;
    assert_eq!(behind("next"), 0, "{:?}", log.lags());
}
