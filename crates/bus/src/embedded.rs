//! The log in one file of this machine: SQLite in WAL mode, synced at every transaction, one writer.
//!
//! [`Embedded`] is the handle, [`Journal`] the writer's loop that the caller runs. Many appends that wait at the
//! same time share one transaction, and so one sync of the disk.

mod backup;
mod chunk;
mod file;
mod group;
mod heads;
mod job;
mod journal;
mod lag;
mod lock;
mod patience;
mod plan;
mod recent;
mod retention;
mod rows;
mod worker;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::sqlite::SqlitePool;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Config, Error, Keep, Log, Metrics, Offset, OpenError, Partition, Record, Subscription};

use group::Groups;
use heads::Heads;
use job::{Job, Queue};
use lock::Lock;
use recent::Recent;

pub use backup::{check_journal, copy_journal, is_in_use, prepare_restored};
pub use journal::Journal;
pub use lag::Lag;
pub use worker::EmbeddedWorker;

/// Jobs that may wait for the writer, whatever their size: some for each connection of a busy intake.
const QUEUE_JOBS: usize = 4_096;

/// Handle of the embedded log; cheap to clone.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
    queue: Queue,
}

/// What handle, workers and writer share.
pub(crate) struct Shared {
    config: Config,
    readers: SqlitePool,
    /// Numbers of the topics in the file.
    ids: Vec<i64>,
    heads: Mutex<Heads>,
    recent: Mutex<Recent>,
    groups: Mutex<Groups>,
    /// Told at every append and at every change of a group: readers that wait look again.
    tail: watch::Sender<()>,
    metrics: Metrics,
}

impl Embedded {
    /// Opens the journal, or makes it. The journal does nothing until [`Journal::run`] runs; that ends when the
    /// last handle and worker is gone.
    ///
    /// # Errors
    /// The folder cannot be used, is used by another process, or holds another configuration's journal.
    pub async fn open(config: Config) -> Result<(Self, Journal), OpenError> {
        config.check()?;
        let lock = Lock::take(&config.folder)?;
        let file::Opened { connection, ids, heads } = file::open(&config).await?;
        let shared = Arc::new(Shared {
            readers: file::readers(&config),
            ids,
            heads: Mutex::new(heads),
            recent: Mutex::default(),
            groups: Mutex::default(),
            tail: watch::Sender::default(),
            metrics: Metrics::new(),
            config,
        });
        let (sender, jobs) = mpsc::channel(QUEUE_JOBS);
        let queue = Queue::new(sender);
        let journal = Journal::new(Arc::clone(&shared), connection, jobs, queue.waiting(), lock);
        Ok((Self { shared, queue }, journal))
    }

    /// Bytes of appends that may wait for the disk, as configured.
    pub fn queue_bytes(&self) -> usize {
        self.shared.config.queue_bytes
    }

    /// Its counters.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Drops records that are older than their topic keeps them and that every group has passed. Returns how
    /// many. To be called now and then; each step is short, so that appends do not wait for it.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn retain(&self, now: i64) -> Result<u64, Error> {
        let mut dropped = 0;
        for (index, topic) in self.shared.config.topics.iter().enumerate() {
            let Keep::For(keep) = topic.keep else { continue };
            let keep = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
            for partition in 0..topic.partitions {
                dropped += self.drop_older(index, partition, now.saturating_sub(keep)).await?;
            }
        }
        Ok(dropped)
    }

    async fn drop_older(&self, topic: usize, partition: u32, than: i64) -> Result<u64, Error> {
        let mut dropped = 0;
        loop {
            let step = retention::find(&self.shared, topic, partition, than).await?;
            let Some(step) = step else { return Ok(dropped) };
            let (done, answer) = oneshot::channel();
            self.queue.wait(Job::Drop { step, done }).await?;
            dropped += answer.await.map_err(|_| Error::Closed)??;
        }
    }
}

impl Log for Embedded {
    type Worker = EmbeddedWorker;

    async fn append(&self, topic: &str, records: Vec<Record>) -> Result<Vec<(Partition, Offset)>, Error> {
        let index = self.shared.topic(topic)?;
        self.shared.check_records(topic, &records)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let (done, answer) = oneshot::channel();
        let job = Job::Append { topic: index, records, done };
        if !self.queue.offer(job, self.shared.config.queue_bytes)? {
            self.shared.metrics.refused.inc();
            return Err(Error::Busy { topic: topic.to_owned() });
        }
        self.shared.metrics.queue_bytes.set(self.queue.waiting().load(Ordering::Relaxed) as i64);
        answer.await.map_err(|_| Error::Closed)?
    }

    async fn worker(&self, subscription: Subscription) -> Result<EmbeddedWorker, Error> {
        EmbeddedWorker::join(Arc::clone(&self.shared), self.queue.clone(), &subscription)
    }
}

impl Shared {
    fn heads(&self) -> MutexGuard<'_, Heads> {
        // Held for plain memory work only: a panic inside leaves nothing half-done.
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Index of a topic of records.
    fn topic(&self, name: &str) -> Result<usize, Error> {
        let index = self.any_topic(name)?;
        match self.config.topics[index].keep {
            Keep::For(_) => Ok(index),
            Keep::Latest => Err(Error::Topic {
                topic: name.to_owned(),
                why: "it keeps state, and is written by commits only",
            }),
        }
    }

    /// Index of a topic of state.
    fn state_topic(&self, name: &str) -> Result<usize, Error> {
        let index = self.any_topic(name)?;
        match self.config.topics[index].keep {
            Keep::Latest => Ok(index),
            Keep::For(_) => Err(Error::Topic { topic: name.to_owned(), why: "it keeps records, not state" }),
        }
    }

    fn any_topic(&self, name: &str) -> Result<usize, Error> {
        let found = self.config.topics.iter().position(|topic| topic.name == name);
        found.ok_or_else(|| Error::Topic { topic: name.to_owned(), why: "there is no such topic" })
    }

    fn check_records(&self, topic: &str, records: &[Record]) -> Result<(), Error> {
        let most = self.config.record_bytes;
        match records.iter().map(Record::size).max() {
            Some(bytes) if bytes > most => Err(Error::TooLarge { topic: topic.to_owned(), bytes, most }),
            _ => Ok(()),
        }
    }
}
