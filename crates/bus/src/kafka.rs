//! The log on Apache Kafka. Exactly once for readers of what is committed: a worker's positions, records and state are one
//! transaction, which the group's own generation fences (exactly-once v2).
//!
//! [`Kafka`] is the handle. Topics are made by [`create_topics`] or by an administrator, and looked at when the log is
//! opened: one that is not as the promises need it is refused.

mod append;
mod context;
mod ends;
mod fetch;
mod health;
mod inspect;
mod lags;
mod moving;
mod restore;
mod settings;
mod slots;
mod topics;
mod transaction;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::consumer::BaseConsumer;

use crate::{Error, Keep, Lag, Log, Metrics, Offset, OpenError, Partition, Record, Subscription};

use append::Appender;
use context::Quiet;
use lags::Lags;
use slots::Slots;

pub use inspect::{GroupSeen, Inspection, TopicSeen, inspect};
pub use moving::{
    Doing, Marker, MemberSeen, Move, MoveError, MoveStep, Moved, MovedRecords, MovedState, Route, Router,
    StateSeen, Survey, Tell, To, UnreadSeen, carry_out, discard, marker, survey,
};
pub use settings::{KafkaConfig, check_property};
pub use topics::{TopicMade, create_topics, print_topics};
pub use worker::KafkaWorker;

/// Handle of the log on Kafka; cheap to clone.
#[derive(Clone)]
pub struct Kafka {
    shared: Arc<Shared>,
}

/// What handle and workers share.
struct Shared {
    config: KafkaConfig,
    /// By name as configured.
    known: HashMap<String, topics::Known>,
    appender: Appender,
    probe: Arc<BaseConsumer<Quiet>>,
    slots: Arc<Slots>,
    lags: Lags,
    metrics: Metrics,
}

impl Kafka {
    /// Looks whether brokers and topics are as they have to be.
    ///
    /// # Errors
    /// All that is not, each with what to do about it.
    pub async fn open(config: KafkaConfig) -> Result<Self, OpenError> {
        config.check()?;
        let unusable = |error: rdkafka::error::KafkaError| OpenError::Brokers {
            mistakes: vec![settings::what_is_wrong(&error)],
        };
        let probe = config.probe().create_with_context(Quiet).map_err(unusable)?;
        let appender = Appender::new(config.appender()).map_err(unusable)?;
        let probe = Arc::new(probe);
        let known = topics::check(&config, Arc::clone(&probe)).await?;
        let (slots, lags, metrics) = (Arc::default(), Lags::default(), Metrics::new());
        Ok(Self { shared: Arc::new(Shared { config, known, appender, probe, slots, lags, metrics }) })
    }

    /// Bytes of appends that may wait for brokers, as configured.
    pub fn queue_bytes(&self) -> usize {
        self.shared.config.queue_bytes
    }

    /// How far the workers of this process are behind in their partitions, as of the last time the brokers told where
    /// these end.
    pub fn lags(&self) -> Vec<Lag> {
        self.shared.lags.all()
    }

    /// Why records cannot be appended durably to a topic now; none = they can, as far as one sees. One question to a
    /// broker.
    pub async fn append_trouble(&self, topic: &str) -> Option<String> {
        let Some(known) = self.shared.known.get(topic) else {
            return Some("there is no such topic".to_owned());
        };
        health::append_trouble(Arc::clone(&self.shared.probe), self.shared.named(topic), known.min_in_sync)
            .await
    }

    /// How many partitions a topic has now, by its name as configured; none = it is not there.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn partitions(&self, topic: &str) -> Result<Option<u32>, Error> {
        let named = self.shared.named(topic);
        health::partitions(Arc::clone(&self.shared.probe), named)
            .await
            .map_err(|reason| Error::Broker { what: format!("look for topic {topic}"), reason })
    }

    /// Its counters.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }
}

impl Log for Kafka {
    type Worker = KafkaWorker;

    async fn append(&self, topic: &str, records: Vec<Record>) -> Result<Vec<(Partition, Offset)>, Error> {
        let shared = &self.shared;
        let partitions = shared.records_topic(topic)?;
        shared.check_records(topic, &records)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let named = shared.named(topic);
        let appended = shared.appender.append(&named, partitions, &records, shared.config.queue_bytes).await;
        shared.metrics.queue_bytes.set(shared.appender.waiting() as i64);
        match appended {
            Ok(places) => {
                records.iter().for_each(|record| shared.metrics.wrote(record));
                Ok(places)
            }
            Err(Error::Busy { .. }) => {
                shared.metrics.refused.inc();
                Err(Error::Busy { topic: topic.to_owned() })
            }
            Err(error) => Err(error),
        }
    }

    async fn worker(&self, subscription: Subscription) -> Result<KafkaWorker, Error> {
        KafkaWorker::join(Arc::clone(&self.shared), &subscription).await
    }
}

impl Shared {
    /// The name on the broker.
    fn named(&self, topic: &str) -> String {
        if self.is_foreign(topic) { topic.to_owned() } else { format!("{}{topic}", self.config.prefix) }
    }

    /// The name as the caller knows it, of a name on the broker.
    fn known_as<'a>(&self, named: &'a str) -> &'a str {
        if self.is_foreign(named) { named } else { &named[self.config.prefix.len()..] }
    }

    /// Whether a topic belongs to others, and is only read.
    fn is_foreign(&self, topic: &str) -> bool {
        self.config.foreign.iter().any(|foreign| foreign == topic)
    }

    /// The number of partitions of a topic of records.
    fn records_topic(&self, name: &str) -> Result<u32, Error> {
        match self.topic(name)? {
            (partitions, Keep::For(_)) => Ok(partitions),
            (_, Keep::Latest) => Err(Error::Topic {
                topic: name.to_owned(),
                why: "it keeps state, and is written by commits only",
            }),
        }
    }

    fn state_topic(&self, name: &str) -> Result<u32, Error> {
        match self.topic(name)? {
            (partitions, Keep::Latest) => Ok(partitions),
            (_, Keep::For(_)) => {
                Err(Error::Topic { topic: name.to_owned(), why: "it keeps records, not state" })
            }
        }
    }

    fn topic(&self, name: &str) -> Result<(u32, Keep), Error> {
        let found = self.config.topics.iter().find(|topic| topic.name == name);
        let found = found.and_then(|topic| Some((self.known.get(name)?.partitions, topic.keep)));
        found.ok_or_else(|| Error::Topic { topic: name.to_owned(), why: "there is no such topic" })
    }

    /// How many partitions a worker's topics have, all of them.
    fn partitions_of(&self, what: &Subscription) -> Result<u32, Error> {
        let mut all = Vec::new();
        for topic in what.topics.iter().filter(|topic| !self.is_foreign(topic)) {
            all.push((topic, self.records_topic(topic)?));
        }
        if let Some(topic) = &what.state {
            all.push((topic, self.state_topic(topic)?));
        }
        let first = all.first().map_or(0, |(_, partitions)| *partitions);
        match all.iter().find(|(_, partitions)| *partitions != first) {
            None => Ok(first),
            Some((topic, _)) => Err(Error::Topic {
                topic: (*topic).clone(),
                why: "topics read together need the same number of partitions",
            }),
        }
    }

    fn check_records(&self, topic: &str, records: &[Record]) -> Result<(), Error> {
        let most = self.config.record_bytes;
        match records.iter().map(Record::size).max() {
            Some(bytes) if bytes > most => Err(Error::TooLarge { topic: topic.to_owned(), bytes, most }),
            _ => Ok(()),
        }
    }
}
