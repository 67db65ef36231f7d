//! The face that stages are wired against. Traits, because a second backend (Kafka) has to be put in its place
//! without touching them; static, because a process uses one backend and every call is on the hot path.

use std::time::Duration;

use crate::{Assignment, Batch, Commit, Error, Offset, Partition, Record};

/// A log of topics.
pub trait Log: Clone + Send + Sync + 'static {
    /// Its reader and processor.
    type Worker: Worker;

    /// Appends records and returns where they stand, in the order given, only when they are durable.
    ///
    /// # Errors
    /// After an error nothing of this call is promised: try again where [`Error::is_temporary`] says so. (It may
    /// be found in the log nevertheless, as after a lost answer of any server.)
    fn append(
        &self,
        topic: &str,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Vec<(Partition, Offset)>, Error>> + Send;

    /// Joins a consumer group. The partitions are shared among the workers of the group.
    ///
    /// # Errors
    /// An unknown topic, or topics with different numbers of partitions.
    fn worker(&self, subscription: Subscription) -> impl Future<Output = Result<Self::Worker, Error>> + Send;
}

/// What a worker reads, and where its state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Name of the consumer group.
    pub group: String,
    /// Topics to read, all with the same number of partitions: a worker has a partition of all or of none. None at
    /// all = a worker that only writes, with the partitions of its state: what it reads is not in the log.
    pub topics: Vec<String>,
    /// The compacted topic ([`crate::Keep::Latest`]) that keeps its state; none = it has no state.
    pub state: Option<String>,
}

/// One member of a consumer group: reads partitions, and makes what follows from them durable.
pub trait Worker: Send + 'static {
    /// The next thing that happens. Waits for it; where all partitions are read to their end, and that was not
    /// told within `patience`, that is [`Event::Idle`]. May be dropped half-way: nothing is lost.
    ///
    /// # Errors
    /// The log cannot be read, or a commit was dropped half-way ([`Error::Interrupted`]).
    fn next(&mut self, patience: Duration) -> impl Future<Output = Result<Event, Error>> + Send;

    /// Makes positions, outputs and state changes durable together, or none of them. A failed commit may be
    /// tried again as it is where [`Error::is_temporary`] says so. Not to be dropped half-way.
    ///
    /// # Errors
    /// [`Error::Fenced`] when a partition is no longer this worker's; else why nothing was stored.
    fn commit(&mut self, commit: Commit) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What happens to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A partition is this worker's now. Its records follow from the committed position on, or from the oldest.
    Assigned(Assignment),
    /// Records of a partition.
    Records(Batch),
    /// Every partition of this worker was read to its end at this time (microseconds since 1970-01-01 UTC).
    Idle(i64),
    /// These partitions of this worker were read to their end at this time, others were not. Told after so long as
    /// `patience` without an `Idle`: while one partition is busy, the time of the quiet ones goes on.
    AtEnd(i64, Vec<Partition>),
    /// These partitions go to another worker at the next call of `next`: what is to be committed for them must
    /// be committed before.
    Revoked(Vec<Partition>),
}
