//! Topics of others: read, keyed by tenant and written to our own, each record once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use ringpost_bus::{Event, KafkaConfig, Keep, Log, Subscription, Topic, Worker, create_topics, partition_of};
use serde_json::{Value, json};

use crate::harness::{COMPANY, Receiver, Reply, eventually, lost_call, session_of};

use super::{Brokered, LEGS, PATIENCE};

/// Partitions of our own topics in these tests.
const OURS: u32 = 4;

impl Brokered {
    /// Makes a topic as another program would, with another number of partitions.
    async fn foreign(&self, name: &str) -> String {
        let topic =
            Topic { name: name.to_owned(), partitions: 3, keep: Keep::For(Duration::from_secs(3_600)) };
        let mut config = KafkaConfig::new(&self.bootstrap, "another", vec![topic], Arc::new(|| 0));
        self.prefix.clone_into(&mut config.prefix);
        create_topics(&config, None).await.expect("the broker makes it");
        format!("{}{name}", self.prefix)
    }

    fn producer(&self) -> FutureProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).create().expect("a producer")
    }

    /// What is on the topic of legs, with the partition of each.
    async fn legs(&self) -> Vec<(u32, Value)> {
        let group = format!("look-{:08x}", rand::random::<u32>());
        let what = Subscription { group, topics: vec![LEGS.to_owned()], state: None };
        let mut worker = self.log().await.worker(what).await.expect("a reader");
        let mut found = Vec::new();
        loop {
            match worker.next(PATIENCE).await.expect("it reads") {
                Event::Idle(_) => return found,
                Event::Records(batch) => found.extend(batch.messages.iter().map(|message| {
                    (batch.partition.0, serde_json::from_slice(&message.value).expect("a leg"))
                })),
                _ => {}
            }
        }
    }
}

async fn send(producer: &FutureProducer, topic: &str, key: &str, tenant: Option<&str>, value: &str) {
    let mut record = FutureRecord::to(topic).key(key).payload(value);
    if let Some(tenant) = tenant {
        record = record.headers(OwnedHeaders::new().insert(Header { key: "tenant", value: Some(tenant) }));
    }
    producer.send(record, Duration::from_secs(30)).await.expect("the broker takes it");
}

/// A call without its tenant: something else names it.
fn unnamed(leg: &str) -> String {
    let mut call = lost_call(leg);
    call.as_object_mut().expect("an object").remove("tenant");
    call.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_topics_of_others_become_calls_each_record_once_whoever_is_killed_meanwhile() {
    let Some(brokered) = Brokered::new("foreign") else { return };
    let home = &brokered.home;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    home.apply(&format!(
        "{COMPANY}\n[[trigger]]\ntenant = \"acme\"\nname = \"all\"\nurl = \"{}\"\n",
        receiver.url("/all")
    ));
    let (first, second) = (brokered.foreign("cdr").await, format!("{}later", brokered.prefix));
    let settings = std::fs::read_to_string(home.path("ringpost.toml")).expect("it was written");
    let section = |topic: &str, from: &str| {
        format!("[[source.kafka]]\ntopic = \"{topic}\"\npbx = \"k1\"\ntenant_from = \"{from}\"\n")
    };
    let settings = format!("{settings}{}{}", section(&first, "key"), section(&second, "header:tenant"));
    home.write("ringpost.toml", &settings);
    let producer = brokered.producer();
    let calls: Vec<String> = (0..120).map(|call| format!("call-{call}")).collect();
    let mut serve = home.serve().await;
    for (at, call) in calls.iter().enumerate() {
        send(&producer, &first, "acme", None, &unnamed(call)).await;
        if at % 40 == 20 {
            serve.kill();
            serve = home.serve().await;
        }
    }
    send(&producer, &first, "rival", None, &unnamed("not-theirs")).await;
    // A topic that comes later is found then.
    brokered.foreign("later").await;
    send(&producer, &second, "whatever", Some("acme"), &unnamed("by-header")).await;
    let expected: Vec<String> =
        calls.iter().map(String::as_str).chain(["by-header"]).map(session_of).collect();
    eventually("every call", async || {
        let records = brokered.records().await;
        expected.iter().all(|session| records.contains_key(&(session.clone(), 1))).then_some(())
    })
    .await;
    let letters = brokered.letters().await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    assert!(letter["position"].as_str().expect("text").starts_with(&format!("{first}/")), "{letter}");
    assert!(letter["reason"].as_str().expect("text").contains("rival"), "{letter}");
    let mut times = BTreeMap::<String, u32>::new();
    for (partition, leg) in brokered.legs().await {
        assert_eq!(leg["tenant"], "acme");
        assert_eq!(partition, partition_of(b"acme", OURS).0, "keyed by tenant");
        *times.entry(leg["leg"].as_str().expect("text").to_owned()).or_default() += 1;
    }
    assert_eq!(times.len(), expected.len());
    assert!(times.values().all(|times| *times == 1), "exactly once: {times:?}");
    serve.stops_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_a_leg_in_the_wrong_partition_is_put_right_and_is_one_call_with_the_rest_of_it() {
    let Some(brokered) = Brokered::new("stray") else { return };
    let home = &brokered.home;
    home.apply(COMPANY);
    let serve = home.serve().await;
    let begin = 1_773_133_200_000_000_i64;
    let half = |leg: &str, with: &str| {
        json!({
            "v": 1, "kind": "leg", "tenant": "acme", "pbx": "k1", "leg": leg, "direction": if leg == "a" { "in" } else { "out" },
            "side": if leg == "a" { "external" } else { "internal" }, "created": begin, "answered": begin + 1_000_000,
            "ended": begin + 9_000_000, "bridges": [{"with": with, "from": begin + 1_000_000, "to": begin + 9_000_000}],
        })
        .to_string()
    };
    let right = partition_of(b"acme", OURS).0;
    let wrong = i32::try_from((right + 1) % OURS).expect("small");
    let topic = format!("{}{LEGS}", brokered.prefix);
    let stray = half("b", "a");
    let record = FutureRecord::to(&topic).key("acme").payload(&stray).partition(wrong);
    brokered.producer().send(record, Duration::from_secs(30)).await.expect("the broker takes it");
    let answer = serve.post("k1", half("a", "b")).await;
    assert_eq!(answer.told(), (1, 0), "{answer:?}");
    let expected = (session_of("a"), 1);
    eventually("a record", async || brokered.records().await.contains_key(&expected).then_some(())).await;
    assert_eq!(brokered.records().await.len(), 1, "one call");
    serve.until("counted", |value| value("session_legs_rekeyed_total") == 1.0).await;
}
