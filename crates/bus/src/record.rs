//! What goes through the log, and what a worker makes durable together.

use std::fmt;

use bytes::Bytes;

/// Number of a partition, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u32);

/// Place of a record in its partition, from 0, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub u64);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record to be written. Its key decides its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Records of one key keep their order.
    pub key: Bytes,
    /// The content.
    pub value: Bytes,
    /// Microseconds since 1970-01-01 UTC; retention goes by it.
    pub timestamp: i64,
}

impl Record {
    /// Bytes that it counts for in every bound.
    pub(crate) fn size(&self) -> usize {
        self.key.len() + self.value.len() + 16
    }
}

/// A record as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its place.
    pub offset: Offset,
    /// Its key.
    pub key: Bytes,
    /// Its content.
    pub value: Bytes,
    /// Microseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    /// Names and values that were sent with it, in order; only of topics of others.
    pub headers: Vec<(String, Bytes)>,
}

/// Records of one partition of one topic, in order. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Of which topic.
    pub topic: String,
    /// Of which partition.
    pub partition: Partition,
    /// In order of their offsets.
    pub messages: Vec<Message>,
}

impl Batch {
    /// What to commit once every message is dealt with.
    pub fn position(&self) -> Position {
        let last = self.messages.last().map_or(0, |message| message.offset.0 + 1);
        Position { topic: self.topic.clone(), partition: self.partition, next: Offset(last) }
    }
}

/// Up to where a group has dealt with a partition: the offset to read next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Of which topic.
    pub topic: String,
    /// Of which partition.
    pub partition: Partition,
    /// The first offset not dealt with.
    pub next: Offset,
}

/// Records for one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The topic.
    pub topic: String,
    /// In order; each goes to the partition of its key.
    pub records: Vec<Record>,
}

/// One entry of a worker's state changes. Of several for one key the last holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The partition whose records caused it.
    pub partition: Partition,
    /// Its name.
    pub key: Bytes,
    /// The new value; none = forgotten.
    pub value: Option<Bytes>,
}

/// One entry of a worker's state, as last committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateEntry {
    /// Its name.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
}

/// A partition that is this worker's from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The partition, of every topic of the subscription.
    pub partition: Partition,
    /// What earlier owners kept, by key.
    pub state: Vec<StateEntry>,
}

/// What becomes durable together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// How far the worker has come.
    pub positions: Vec<Position>,
    /// What it has to say.
    pub outputs: Vec<Output>,
    /// What it has to remember.
    pub changes: Vec<StateChange>,
}

impl Commit {
    /// Nothing to be made durable.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty() && self.outputs.is_empty() && self.changes.is_empty()
    }

    /// Bytes that it counts for in every bound.
    pub(crate) fn size(&self) -> usize {
        let outputs = self.outputs.iter().flat_map(|output| &output.records).map(Record::size);
        let changes = self
            .changes
            .iter()
            .map(|change| change.key.len() + change.value.as_ref().map_or(0, Bytes::len) + 16);
        outputs.sum::<usize>() + changes.sum::<usize>() + 64
    }
}
