//! The log of this process, wherever it is configured to be. The stages are wired against its face; what only one
//! backend has is asked for here.

mod renewed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ringpost_bus::{
    Clock, Commit, Config as JournalConfig, Embedded, EmbeddedWorker, Error, Event, Journal, Kafka,
    KafkaConfig, Lag, Log, Marker, Metrics, Offset, Partition, Record, Subscription, Worker,
};

use crate::clock;
use crate::config::{Backend, Config};
use crate::topics;

pub use renewed::Renewed;

/// See [`open`].
#[derive(Clone)]
pub(crate) enum ServedLog {
    Embedded(Embedded),
    Kafka(Kafka),
}

/// A worker of it. On Kafka it is followed by another one where it comes to its end.
pub(crate) enum ServedWorker {
    Embedded(EmbeddedWorker),
    Kafka(Box<Renewed<Kafka>>),
}

/// Opens the log; the journal, where there is one, is for the caller to run.
///
/// # Errors
/// It is not there, or not as it has to be.
pub(crate) async fn open(config: &Config) -> anyhow::Result<(ServedLog, Option<Journal>)> {
    match config.bus.backend {
        Backend::Embedded => {
            let mut settings = JournalConfig::new(config.data.dir.clone(), topics::all(config), wall());
            settings.batch_records = config.bus.batch;
            let (log, journal) = Embedded::open(settings).await?;
            Ok((ServedLog::Embedded(log), Some(journal)))
        }
        Backend::Kafka => {
            let settings = kafka(config)?;
            is_whole(&settings).await?;
            let log = Kafka::open(settings).await?;
            Ok((ServedLog::Kafka(log), None))
        }
    }
}

/// Topics that a move has left half-way are used by nobody.
async fn is_whole(settings: &KafkaConfig) -> anyhow::Result<()> {
    let marker = ringpost_bus::marker(settings, topics::MOVED).await?;
    match marker {
        Marker::None | Marker::Whole(_) => Ok(()),
        Marker::Made | Marker::Begun(_) => bail!("{}", topics::half_moved(&settings.prefix)),
    }
}

/// What `[bus.kafka]` comes to.
///
/// # Errors
/// The machine has no name, and none is configured.
pub(crate) fn kafka(config: &Config) -> anyhow::Result<KafkaConfig> {
    let kafka = &config.bus.kafka;
    let instance = match &kafka.instance {
        Some(name) => name.clone(),
        None => machine().context("find out the machine's name: set bus.kafka.instance")?,
    };
    let mut settings = KafkaConfig::new(&kafka.bootstrap, &instance, topics::all(config), wall());
    settings.prefix.clone_from(&kafka.prefix);
    settings.foreign = config.source.kafka.iter().map(|source| source.topic.clone()).collect();
    settings.properties.clone_from(&kafka.properties);
    settings.batch_records = config.bus.batch;
    Ok(settings)
}

/// The groups of every role, each with the topic that it reads.
pub(crate) const GROUPS: [(&str, &str); 3] =
    [("aggregate", topics::LEGS), ("dispatch", topics::CDRS), ("dead-letters", topics::DEAD_LETTERS)];

/// Names this process in leases: no other has it, nor has one that was here before.
pub(crate) fn process_name(config: &Config) -> String {
    let id = format!("{}-{}", std::process::id(), clock::now().micros());
    let instance = config.bus.kafka.instance.clone().or_else(|| machine().ok());
    match (config.bus.backend, instance) {
        // In containers most processes have one and the same number.
        (Backend::Kafka, Some(instance)) => format!("{instance}-{id}"),
        _ => id,
    }
}

/// The name that the machine, or the pod, goes by.
fn machine() -> anyhow::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    anyhow::ensure!(!name.trim().is_empty(), "it has none");
    Ok(name.trim().to_owned())
}

fn wall() -> Clock {
    Arc::new(|| clock::now().micros())
}

impl ServedLog {
    /// Its counters.
    pub(crate) fn metrics(&self) -> &Metrics {
        match self {
            Self::Embedded(log) => log.metrics(),
            Self::Kafka(log) => log.metrics(),
        }
    }

    /// Why legs cannot be appended durably now; none = they can, as far as one sees.
    pub(crate) async fn append_trouble(&self) -> Option<String> {
        match self {
            // What keeps the disk from taking them is told to who sends them, and by the files themselves.
            Self::Embedded(_) => None,
            Self::Kafka(log) => log.append_trouble(topics::LEGS).await,
        }
    }

    /// How many partitions a topic has now; none = it is not there. Embedded topics are as they were made.
    ///
    /// # Errors
    /// No broker answers.
    pub(crate) async fn partitions(&self, topic: &str) -> Result<Option<u32>, Error> {
        match self {
            Self::Embedded(_) => Ok(None),
            Self::Kafka(log) => log.partitions(topic).await,
        }
    }

    /// Bytes of appends that may wait.
    pub(crate) fn queue_bytes(&self) -> usize {
        match self {
            Self::Embedded(log) => log.queue_bytes(),
            Self::Kafka(log) => log.queue_bytes(),
        }
    }

    /// How far groups are behind; on Kafka those of this process, in its own partitions.
    pub(crate) fn lags(&self) -> Vec<Lag> {
        match self {
            Self::Embedded(log) => log.lags(),
            Self::Kafka(log) => log.lags(),
        }
    }

    /// When the oldest record was written that a group has not committed, by group. Not known on Kafka.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) async fn unread_since(&self) -> Result<BTreeMap<String, i64>, Error> {
        match self {
            Self::Embedded(log) => log.unread_since().await,
            Self::Kafka(_) => Ok(BTreeMap::new()),
        }
    }

    /// Drops what is old. Brokers do that themselves.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) async fn retain(&self, now: i64) -> Result<u64, Error> {
        match self {
            Self::Embedded(log) => log.retain(now).await,
            Self::Kafka(_) => Ok(0),
        }
    }
}

impl Log for ServedLog {
    type Worker = ServedWorker;

    async fn append(&self, topic: &str, records: Vec<Record>) -> Result<Vec<(Partition, Offset)>, Error> {
        match self {
            Self::Embedded(log) => log.append(topic, records).await,
            Self::Kafka(log) => log.append(topic, records).await,
        }
    }

    async fn worker(&self, subscription: Subscription) -> Result<ServedWorker, Error> {
        match self {
            Self::Embedded(log) => log.worker(subscription).await.map(ServedWorker::Embedded),
            Self::Kafka(log) => {
                let worker = Renewed::join(log.clone(), subscription).await?;
                Ok(ServedWorker::Kafka(Box::new(worker)))
            }
        }
    }
}

impl Worker for ServedWorker {
    async fn next(&mut self, patience: Duration) -> Result<Event, Error> {
        match self {
            Self::Embedded(worker) => worker.next(patience).await,
            Self::Kafka(worker) => worker.next(patience).await,
        }
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), Error> {
        match self {
            Self::Embedded(worker) => worker.commit(commit).await,
            Self::Kafka(worker) => worker.commit(commit).await,
        }
    }
}
