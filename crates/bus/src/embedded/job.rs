//! What waits for the writer, and the bounded queue that it waits in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Offset, Partition, Position, Record, StateChange};

use super::group::Member;
use super::retention::Step;

/// One thing for the writer to do. Everything is resolved and checked as far as one caller can.
pub(super) enum Job {
    /// Records of one topic.
    Append { topic: usize, records: Vec<Record>, done: Done<Vec<(Partition, Offset)>> },
    /// What a worker makes durable.
    Commit { work: Commit, done: Done<()> },
    /// A worker takes a partition: where does it begin? Goes through the writer, so that it comes after whatever
    /// the former owner has in the queue.
    Take { member: Member, topics: Vec<usize>, partition: u32, done: Done<Vec<u64>> },
    /// Old chunks go.
    Drop { step: Step, done: Done<u64> },
}

/// Where the answer goes. A caller that does not wait any more is no error.
pub(super) type Done<T> = oneshot::Sender<Result<T, Error>>;

/// A worker's commit with its topics looked up.
pub(super) struct Commit {
    pub(super) member: Member,
    pub(super) positions: Vec<(usize, Position)>,
    pub(super) outputs: Vec<(usize, Vec<Record>)>,
    /// The state topic, where there are changes.
    pub(super) state: Option<usize>,
    pub(super) changes: Vec<StateChange>,
    pub(super) size: usize,
}

impl Job {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Append { records, .. } => records.iter().map(Record::size).sum(),
            Self::Commit { work, .. } => work.size,
            Self::Take { .. } | Self::Drop { .. } => 64,
        }
    }

    /// Tells the caller that nothing was stored.
    pub(super) fn fail(self, error: Error) {
        match self {
            Self::Append { done, .. } => _ = done.send(Err(error)),
            Self::Commit { done, .. } => _ = done.send(Err(error)),
            Self::Take { done, .. } => _ = done.send(Err(error)),
            Self::Drop { done, .. } => _ = done.send(Err(error)),
        }
    }
}

/// The sending half: bounded in jobs and in bytes.
#[derive(Clone)]
pub(super) struct Queue {
    sender: mpsc::Sender<Job>,
    waiting: Arc<AtomicUsize>,
}

impl Queue {
    pub(super) fn new(sender: mpsc::Sender<Job>) -> Self {
        Self { sender, waiting: Arc::default() }
    }

    /// Bytes that wait; the writer counts them down.
    pub(super) fn waiting(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.waiting)
    }

    /// Puts a job in where there is room; false = there is none.
    pub(super) fn offer(&self, job: Job, most: usize) -> Result<bool, Error> {
        let size = job.size();
        let before = self.waiting.fetch_add(size, Ordering::Relaxed);
        // One job is always let in, or a request larger than the queue could never be stored.
        if before > 0 && before + size > most {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
            return Ok(false);
        }
        match self.sender.try_send(job) {
            Ok(()) => Ok(true),
            Err(refused) => {
                self.waiting.fetch_sub(size, Ordering::Relaxed);
                if matches!(refused, TrySendError::Full(_)) { Ok(false) } else { Err(Error::Closed) }
            }
        }
    }

    /// Puts a job in as soon as there is room: workers are the pipeline, and wait.
    pub(super) async fn wait(&self, job: Job) -> Result<(), Error> {
        let permit = self.sender.reserve().await.map_err(|_| Error::Closed)?;
        self.waiting.fetch_add(job.size(), Ordering::Relaxed);
        permit.send(job);
        Ok(())
    }
}
