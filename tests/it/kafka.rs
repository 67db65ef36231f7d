//! The whole on Kafka: one machine with all roles, its log on a real broker. `make test-kafka`; without a broker these
//! tests say so and do nothing.

mod foreign;
mod keep;
mod letters;
mod moving;
mod roles;

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Once};
use std::time::Duration;

use ringpost_bus::{Event, Kafka, KafkaConfig, Keep, Log, Record, Subscription, Topic, Worker, partition_of};
use ringpost_model::Envelope;

use crate::harness::{
    COMPANY, Home, Kept, Receiver, Reply, Traffic, eventually, judge, lost_call, run, session_of, settle_down,
};

const LEGS: &str = "ringpost.legs";
const CDRS: &str = "ringpost.cdrs";
const DEAD_LETTERS: &str = "ringpost.dead-letters";
const PATIENCE: Duration = Duration::from_millis(100);

static TOLD: Once = Once::new();

/// An installation with topics of its own on the brokers of this run.
struct Brokered {
    home: Home,
    bootstrap: String,
    prefix: String,
}

impl Brokered {
    /// None, and told loudly, where there are no brokers.
    fn new(name: &str) -> Option<Self> {
        let Ok(bootstrap) = std::env::var("RINGPOST_TEST_KAFKA") else {
            // Not by a macro: what those print of a test that passes is not shown.
            TOLD.call_once(|| {
                let text = "SKIPPED: the tests of the whole on Kafka. They need a broker: make test-kafka\n";
                std::io::stderr().write_all(text.as_bytes()).expect("there is a standard error");
            });
            return None;
        };
        let prefix = format!("{name}-{:08x}.", rand::random::<u32>());
        let settings = format!(
            r#"
[bus]
backend = "kafka"
partitions = 4
[bus.kafka]
bootstrap = "{bootstrap}"
prefix = "{prefix}"
instance = "one"
[sessions]
settle = "300ms"
gap = "1s"
max_idle = "3s"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
"#
        );
        let home = Home::new(&settings);
        let file = home.path("ringpost.toml");
        let done = run(&["topics", "create", "--config", file.to_str().expect("a plain name")]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(done.stdout.contains(&format!("{prefix}{LEGS}: made")), "{}", done.stdout);
        Some(Self { home, bootstrap, prefix })
    }

    /// The log as another program has it.
    async fn log(&self) -> Kafka {
        let topic =
            |name: &str| Topic { name: name.to_owned(), partitions: 4, keep: Keep::For(Duration::MAX) };
        let topics = [LEGS, CDRS, DEAD_LETTERS].map(topic).to_vec();
        let mut config = KafkaConfig::new(&self.bootstrap, "another", topics, Arc::new(|| 0));
        self.prefix.clone_into(&mut config.prefix);
        Kafka::open(config).await.expect("the topics are as they have to be")
    }

    /// There are records in the topic of records, and each revision of one is there once.
    async fn has_each_record_once(&self) {
        let records = self.records().await;
        let repeated: Vec<_> = records.iter().filter(|(_, times)| **times != 1).collect();
        assert!(!records.is_empty() && repeated.is_empty(), "{repeated:?}");
    }

    /// How often each revision of a record is in the topic of records.
    async fn records(&self) -> HashMap<(String, u64), usize> {
        let group = format!("look-{:08x}", rand::random::<u32>());
        let what = Subscription { group, topics: vec![CDRS.to_owned()], state: None };
        let mut worker = self.log().await.worker(what).await.expect("a reader");
        let mut found = HashMap::new();
        loop {
            match worker.next(PATIENCE).await.expect("it reads") {
                Event::Idle(_) => return found,
                Event::Records(batch) => {
                    for message in batch.messages {
                        let envelope = Envelope::from_bytes(&message.value).expect("an envelope");
                        let of = (envelope.session.to_string(), u64::from(envelope.rev));
                        *found.entry(of).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_a_process_that_is_killed_again_and_again_makes_each_record_once_and_sends_every_call() {
    let Some(brokered) = Brokered::new("kill") else { return };
    let home = &brokered.home;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let traffic = Traffic::new(60, 4);
    home.apply(&traffic.resources(&receiver));
    let mut sending = traffic.send();
    for part in 1..=3 {
        let serve = home.serve().await;
        sending.to(Some(serve.intake));
        sending.accepted(sending.requests * part / 4).await;
        sending.to(None);
        serve.kill();
    }
    let serve = home.serve().await;
    sending.to(Some(serve.intake));
    sending.done().await;
    settle_down(&serve, &traffic, &receiver).await;
    serve.stops_well().await;
    judge(&traffic, &Kept::open(home).await, &receiver.requests()).await;
    brokered.has_each_record_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_legs_that_another_program_wrote_to_the_topic_become_records_too() {
    let Some(brokered) = Brokered::new("legs") else { return };
    let home = &brokered.home;
    home.apply(COMPANY);
    let serve = home.serve().await;
    let answer = serve.post("k1", lost_call("by-http").to_string()).await;
    assert_eq!(answer.told(), (1, 0), "{answer:?}");
    let leg = lost_call("by-topic").to_string();
    let record = Record { key: "acme".into(), value: leg.into(), timestamp: 0 };
    brokered.log().await.append(LEGS, vec![record]).await.expect("a broker takes it");
    let expected = [session_of("by-http"), session_of("by-topic")];
    eventually("both records", async || {
        let records = brokered.records().await;
        expected.iter().all(|session| records.get(&(session.clone(), 1)) == Some(&1)).then_some(())
    })
    .await;
    serve.stops_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_legs_with_a_wrong_key_meet_the_others_of_their_call_and_are_counted() {
    let Some(brokered) = Brokered::new("keys") else { return };
    let home = &brokered.home;
    home.apply(COMPANY);
    let serve = home.serve().await;
    // Two legs that talked with each other: where they do not meet, each waits in vain for the other.
    let begin = 1_773_133_200_000_000_i64;
    let leg = |id: &str, with: &str, direction: &str| {
        serde_json::json!({
            "v": 1, "kind": "leg", "tenant": "acme", "pbx": "k1", "leg": id, "direction": direction,
            "created": begin, "answered": begin + 5_000_000, "ended": begin + 60_000_000,
            "bridges": [{"with": with, "from": begin + 5_000_000, "to": begin + 60_000_000}],
        })
    };
    let at = partition_of(b"acme", 4);
    let astray = (0..).map(|key| format!("key-{key}")).find(|key| partition_of(key.as_bytes(), 4) != at);
    let records = [("acme".to_owned(), leg("a", "b", "in")), (astray.expect("one"), leg("b", "a", "out"))];
    let records =
        records.map(|(key, leg)| Record { key: key.into(), value: leg.to_string().into(), timestamp: 0 });
    brokered.log().await.append(LEGS, records.to_vec()).await.expect("a broker takes it");
    serve.until("the leg is found astray", |value| value("session_legs_rekeyed_total") == 1.0).await;
    let records = eventually("the record", async || {
        let records = brokered.records().await;
        (!records.is_empty()).then_some(records)
    })
    .await;
    let call = session_of("a");
    assert!(records.iter().all(|((session, _), times)| *session == call && *times == 1), "{records:?}");
    serve.stops_well().await;
}
