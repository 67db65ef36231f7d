//! Legs straight onto their topic, as a switch's own program writes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringpost_bus::{Kafka, KafkaConfig, Keep, Log, Record, Topic};

use crate::backing::Topics;
use crate::figures::now_micros;

const LEGS: &str = "ringpost.legs";
/// Legs of one append.
const AT_ONCE: usize = 2_000;
/// Between two appends at a steady rate.
const TURN: Duration = Duration::from_millis(10);

/// A producer of its own.
pub(crate) struct Feed {
    log: Arc<Kafka>,
}

impl Feed {
    pub(crate) async fn open(topics: &Topics) -> Self {
        let Topics { bootstrap, prefix, partitions } = topics;
        let keep = Keep::For(Duration::from_secs(3_600));
        let legs = Topic { name: LEGS.to_owned(), partitions: *partitions, keep };
        let mut config = KafkaConfig::new(bootstrap, "feed", vec![legs], Arc::new(now_micros));
        prefix.clone_into(&mut config.prefix);
        Self { log: Arc::new(Kafka::open(config).await.expect("the brokers")) }
    }

    /// Returns when all are acknowledged.
    pub(crate) async fn append(&self, legs: &[(String, String)]) {
        for some in legs.chunks(AT_ONCE) {
            self.log.append(LEGS, records(some)).await.expect("appended");
        }
    }

    /// So many a second; `each` is told when an append begins, and up to which leg it goes.
    pub(crate) async fn steady(
        &self,
        legs: &[(String, String)],
        rate: usize,
        mut each: impl FnMut(Instant, usize),
    ) {
        let (begun, mut sent) = (Instant::now(), 0);
        let mut appends = tokio::task::JoinSet::new();
        for turn in 0.. {
            if sent == legs.len() {
                break;
            }
            tokio::time::sleep_until((begun + TURN * turn).into()).await;
            let due = (begun.elapsed().as_secs_f64() * rate as f64) as usize;
            let until = due.clamp(sent, legs.len());
            each(Instant::now(), until);
            let (log, records) = (Arc::clone(&self.log), records(&legs[sent..until]));
            appends.spawn(async move { log.append(LEGS, records).await.expect("appended") });
            sent = until;
        }
        while let Some(done) = appends.join_next().await {
            done.expect("nobody panics");
        }
    }
}

fn records(legs: &[(String, String)]) -> Vec<Record> {
    let record = |(tenant, text): &(String, String)| Record {
        key: tenant.clone().into(),
        value: text.clone().into(),
        timestamp: 0,
    };
    legs.iter().map(record).collect()
}
