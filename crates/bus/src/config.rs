//! Settings of the log.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::OpenError;

/// The wall clock, in microseconds since 1970-01-01 UTC: given by the caller, read nowhere else.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How long a topic's records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// So long after their timestamp, and in any case until every group has committed past them.
    For(Duration),
    /// The newest value of each key: a topic of workers' state, written by commits only.
    Latest,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions; fixed once the topic exists.
    pub partitions: u32,
    /// How long records are kept.
    pub keep: Keep,
}

/// Settings of the embedded log.
#[derive(Clone)]
pub struct Config {
    /// The folder that holds the journal.
    pub folder: PathBuf,
    /// Every topic.
    pub topics: Vec<Topic>,
    /// Bytes of appends that may wait for the disk; beyond, an append is refused. 64 MiB: a second of a disk
    /// that writes slowly.
    pub queue_bytes: usize,
    /// Largest record, in bytes. 1 MiB, as brokers have it.
    pub record_bytes: usize,
    /// Most records in one batch of a reader. 1,000.
    pub batch_records: usize,
    /// Most bytes in one batch of a reader (but always one record). 4 MiB.
    pub batch_bytes: usize,
    /// Most bytes that the journal's file may take; none = as many as the disk has.
    pub file_bytes: Option<u64>,
    /// The wall clock.
    pub clock: Clock,
}

impl Config {
    /// Settings with their defaults.
    pub fn new(folder: PathBuf, topics: Vec<Topic>, clock: Clock) -> Self {
        Self {
            folder,
            topics,
            queue_bytes: 64 << 20,
            record_bytes: 1 << 20,
            batch_records: 1_000,
            batch_bytes: 4 << 20,
            file_bytes: None,
            clock,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let mut names = std::collections::BTreeSet::new();
        for topic in &self.topics {
            if topic.partitions == 0 {
                return Err(OpenError::Config(format!("topic {} has no partition", topic.name)));
            }
            if !names.insert(&topic.name) {
                return Err(OpenError::Config(format!("topic {} is there twice", topic.name)));
            }
        }
        if self.batch_records == 0 {
            return Err(OpenError::Config("a batch of no records".to_owned()));
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("folder", &self.folder)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}
