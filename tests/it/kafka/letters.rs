//! What is refused on Kafka: on its topic in the transaction that goes past it, and to be listed, shown and replayed as
//! on one machine.

use ringpost_bus::{Event, Log, Record, Subscription, Worker};
use serde_json::Value;

use crate::harness::{COMPANY, Receiver, Reply, eventually, lost_call};

use super::{Brokered, DEAD_LETTERS, LEGS, PATIENCE};

impl Brokered {
    /// Whatever is on the topic of dead letters, in the order of positions.
    pub(super) async fn letters(&self) -> Vec<Value> {
        let group = format!("look-{:08x}", rand::random::<u32>());
        let what = Subscription { group, topics: vec![DEAD_LETTERS.to_owned()], state: None };
        let mut worker = self.log().await.worker(what).await.expect("a reader");
        let mut found = Vec::new();
        loop {
            match worker.next(PATIENCE).await.expect("it reads") {
                Event::Idle(_) => break,
                Event::Records(batch) => {
                    for message in batch.messages {
                        let letter: Value = serde_json::from_slice(&message.value).expect("JSON");
                        assert_eq!(letter["position"].as_str().expect("a text").as_bytes(), &message.key[..]);
                        found.push(letter);
                    }
                }
                _ => {}
            }
        }
        found.sort_by_key(|letter| letter["position"].to_string());
        found
    }

    /// The lines of `dead-letters list`, once there are so many.
    pub(super) async fn listed(&self, count: usize) -> Vec<Vec<String>> {
        eventually("dead letters in the store", async || {
            let done = self.home.run(&["dead-letters", "list"]);
            assert_eq!(done.code, Some(0), "{}", done.stderr);
            let rows = done.stdout.lines().map(|line| line.split('\t').map(str::to_owned).collect());
            let rows: Vec<Vec<String>> = rows.collect();
            (rows.len() == count).then_some(rows)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_what_is_refused_is_on_its_topic_and_is_listed_shown_and_replayed_as_anywhere() {
    let Some(brokered) = Brokered::new("letters") else { return };
    let home = &brokered.home;
    home.apply(COMPANY);
    // The store's copy is made by the role api: what was refused before waits on the topic.
    let serve = home.serve_as("ingest,aggregate,dispatch").await;
    let of_nobody = lost_call("late-tenant").to_string().replace("\"acme\"", "\"globex\"");
    let (nonsense, stranger) = (serve.post("k1", "no leg").await, serve.post("k1", of_nobody).await);
    assert_eq!((nonsense.told(), stranger.told()), ((0, 1), (0, 1)), "{nonsense:?} {stranger:?}");
    let record = Record { key: "acme".into(), value: "neither".into(), timestamp: 0 };
    let places = brokered.log().await.append(LEGS, vec![record]).await.expect("a broker takes it");
    let letters = eventually("three letters on the topic", async || {
        Some(brokered.letters().await).filter(|letters| letters.len() == 3)
    })
    .await;
    let reasons: Vec<_> = letters.iter().map(|letter| letter["body"].as_str().expect("text")).collect();
    assert!(reasons.contains(&"neither") && reasons.contains(&"no leg"), "{letters:?}");
    let position = format!("{}ringpost.legs/{}@{}", brokered.prefix, places[0].0, places[0].1);
    assert!(letters.iter().any(|letter| letter["position"] == position.as_str()), "{letters:?}");
    assert!(home.run(&["dead-letters", "list"]).stdout.is_empty(), "nobody has copied them yet");

    let api = home.serve_as("api").await;
    let rows = brokered.listed(3).await;
    let row = rows.iter().find(|row| row[5].contains("globex")).expect("the stranger's");
    let shown = home.run(&["dead-letters", "show", &row[0]]);
    assert!(shown.stdout.contains("pbx       k1"), "{}", shown.stdout);
    // With the tenant declared it is a call like any other.
    home.apply(
        &COMPANY
            .replace("tenant = \"acme\"\ntokens", "tokens")
            .replace("[[pbx]]", "[[tenant]]\nkey = \"globex\"\n\n[[pbx]]"),
    );
    let to = format!("http://{}", serve.intake);
    eventually("it is taken in", async || {
        let done = home.run(&["dead-letters", "replay", &row[0], "--to", &to]);
        (done.code == Some(0)).then_some(())
    })
    .await;
    brokered.listed(2).await;
    eventually("its record", async || (brokered.records().await.len() == 1).then_some(())).await;
    for serve in [serve, api] {
        serve.stops_well().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_a_leg_that_came_too_late_makes_the_next_revision_when_somebody_says_so() {
    let Some(brokered) = Brokered::new("reopen") else { return };
    let home = &brokered.home;
    let settings = std::fs::read_to_string(home.path("ringpost.toml")).expect("it was written");
    let forgetful = format!("[sessions]\n{}", crate::reopen::FORGETFUL);
    home.write("ringpost.toml", &settings.replace("[sessions]\n", &forgetful));
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    home.apply(&crate::reopen::resources(&receiver));
    let serve = home.serve().await;
    crate::reopen::story(home, &serve, &receiver).await;
    let records = brokered.records().await;
    assert!(records.len() == 2 && records.values().all(|times| *times == 1), "{records:?}");
}
