//! What a worker needs before it may read a partition: where its group goes on, and the state that was kept with it.
//!
//! State is read up to the end that the partition has now, transactions that are still open included. Those are waited
//! for: a former owner that died half-way, or was fenced, may have one, and only when it is over is it known what holds.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset as KafkaOffset, TopicPartitionList};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::{Partition, StateEntry};

use super::context::{Member, Quiet};
use super::ends;

/// One call of the broker.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between tries while the broker is away.
const AGAIN: Duration = Duration::from_millis(200);
/// Entries between two looks at how far reading has come, where there is always one more.
const LOOK_EVERY: u64 = 1_000;
/// A partition of which nothing comes for so long has no leader, or an open transaction is in the way: it is begun anew
/// after the others.
const SILENT: Duration = Duration::from_secs(3);
/// Progress is told so often.
const TELL_EVERY: Duration = Duration::from_secs(3);

/// A partition that may be read now.
#[derive(Debug)]
pub(super) struct Restored {
    /// As in [`Restore::turn`].
    pub(super) turn: u64,
    pub(super) partition: Partition,
    /// By topic, in the order asked for.
    pub(super) from: Vec<u64>,
    pub(super) state: Vec<StateEntry>,
}

/// What is to be restored.
pub(super) struct Restore {
    /// Which turn of the worker this is. A partition may go while it is being read, be moved on by another owner, and come
    /// back: what an earlier turn has read of it counts no more.
    pub(super) turn: u64,
    /// For the log.
    pub(super) group: String,
    /// The reader whose group goes on somewhere; none = nothing is read.
    pub(super) reader: Option<Arc<BaseConsumer<Member>>>,
    /// As the broker knows them.
    pub(super) topics: Vec<String>,
    /// The topic of state, and the settings of who reads it.
    pub(super) state: Option<(String, ClientConfig)>,
    /// Only keys that begin so count, and are told without it.
    pub(super) key_prefix: Vec<u8>,
    pub(super) partitions: Vec<Partition>,
    /// Sees what open transactions have written.
    pub(super) probe: Arc<BaseConsumer<Quiet>>,
    /// The worker is gone.
    pub(super) is_cancelled: Arc<AtomicBool>,
}

/// State of one partition on its way. One at a time: what is read and what it is turned into would else be in memory
/// twice for all of them, and the first partition would have to wait for the last one.
struct Reading {
    partition: Partition,
    end: u64,
    entries: HashMap<Bytes, Bytes>,
}

impl Restore {
    /// Tells each partition as soon as it is there. Blocks; a broker that is away is waited for.
    pub(super) fn run(self, into: &mpsc::UnboundedSender<Restored>) {
        let Some(from) = self.insist("ask where the group goes on", || self.starts()) else { return };
        let Some((topic, config)) = &self.state else {
            for (partition, from) in from {
                // The worker is gone: nobody waits for it.
                let _ = into.send(Restored { turn: self.turn, partition, from, state: Vec::new() });
            }
            return;
        };
        let reader = self.insist("read state", || config.create_with_context(Quiet));
        let Some(reader) = reader else { return };
        self.read_state(topic, &reader, from, into);
    }

    /// Where the group goes on, by partition: what it has committed, else the oldest record.
    fn starts(&self) -> Result<HashMap<Partition, Vec<u64>>, KafkaError> {
        let mut starts = HashMap::new();
        let Some(reader) = &self.reader else {
            starts.extend(self.partitions.iter().map(|partition| (*partition, Vec::new())));
            return Ok(starts);
        };
        let (mut asked, mut places) = (TopicPartitionList::new(), Vec::new());
        for partition in &self.partitions {
            for topic in &self.topics {
                asked.add_partition(topic, partition.0 as i32);
                places.push((topic.clone(), *partition));
            }
        }
        // Positions of transactions that are still open are waited for by librdkafka.
        let committed = reader.committed_offsets(asked, PATIENCE)?;
        let oldest = ends::ask(&self.probe, &places, KafkaOffset::Beginning, PATIENCE)?;
        for (topic, partition) in places {
            let found = committed.find_partition(&topic, partition.0 as i32);
            let oldest = oldest[&(topic.clone(), partition)];
            let from: &mut Vec<u64> = starts.entry(partition).or_default();
            from.push(match found.map(|element| element.offset()) {
                Some(KafkaOffset::Offset(next)) if next >= 0 => {
                    self.kept(&topic, partition, next as u64, oldest)
                }
                _ => oldest,
            });
        }
        Ok(starts)
    }

    /// Where reading begins. What the brokers have dropped before it was read is gone, and nobody else would tell.
    fn kept(&self, topic: &str, partition: Partition, next: u64, oldest: u64) -> u64 {
        if oldest > next {
            let (group, records) = (&self.group, oldest - next);
            error!(
                group,
                topic,
                %partition,
                records,
                "records were dropped by the topic's retention before they were read"
            );
        }
        next.max(oldest)
    }

    fn read_state(
        &self,
        topic: &str,
        reader: &BaseConsumer<Quiet>,
        mut from: HashMap<Partition, Vec<u64>>,
        into: &mpsc::UnboundedSender<Restored>,
    ) {
        let Some(ends) = self.insist("ask where state ends", || self.ends(topic)) else { return };
        let begin = |partition| self.insist("begin to read state", || begin(reader, topic, partition));
        let mut left: VecDeque<(Partition, u64)> =
            ends.into_iter().map(|((_, partition), end)| (partition, end)).collect();
        left.make_contiguous().sort_unstable();
        let (begun, mut told, mut heard, mut entries) =
            (Instant::now(), Instant::now(), Instant::now(), 0_u64);
        let (mut looked_at, mut reading) = (None, None);
        while !self.is_cancelled.load(Ordering::Acquire) {
            let Some(one) = &mut reading else {
                let Some((partition, end)) = left.pop_front() else { return };
                let Some(()) = begin(partition) else { return };
                reading = Some(Reading { partition, end, entries: HashMap::new() });
                (looked_at, heard) = (None, Instant::now());
                continue;
            };
            // A look asks librdkafka's main thread, which is too much for each entry.
            if looked_at.is_none_or(|before| entries >= before + LOOK_EVERY) {
                looked_at = Some(entries);
                if one.is_done(topic, reader) {
                    let from = from.remove(&one.partition).unwrap_or_default();
                    self.hand_out(reading.take(), from, into);
                    continue;
                }
            }
            match reader.poll(Duration::from_millis(10)) {
                None if heard.elapsed() >= SILENT && !left.is_empty() => {
                    left.push_back((one.partition, one.end));
                    reading = None;
                }
                None => looked_at = None,
                Some(Ok(message)) if message.partition() as u32 == one.partition.0 => {
                    (entries, heard) = (entries + 1, Instant::now());
                    one.take(message.key().unwrap_or_default(), message.payload(), &self.key_prefix);
                }
                // Of the one before, which has all.
                Some(Ok(_)) => {}
                Some(Err(error)) => warn!(%error, group = self.group, "state cannot be read, trying again"),
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let (group, partitions) = (&self.group, left.len() + 1);
                let seconds = begun.elapsed().as_secs();
                info!(group, partitions, entries, seconds, "state is being read");
            }
        }
    }

    /// Where the state of each partition ends now.
    fn ends(&self, topic: &str) -> Result<ends::Ends, KafkaError> {
        let places: Vec<_> = self.partitions.iter().map(|partition| (topic.to_owned(), *partition)).collect();
        ends::ask(&self.probe, &places, KafkaOffset::End, PATIENCE)
    }

    /// A partition that was read to its end.
    fn hand_out(&self, read: Option<Reading>, from: Vec<u64>, into: &mpsc::UnboundedSender<Restored>) {
        let Some(Reading { partition, entries, .. }) = read else { return };
        let mut state: Vec<_> = entries.into_iter().map(|(key, value)| StateEntry { key, value }).collect();
        state.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        info!(group = self.group, %partition, entries = state.len(), "partition taken over");
        let _ = into.send(Restored { turn: self.turn, partition, from, state });
    }

    /// Until it succeeds, or nobody waits for it any more.
    fn insist<T>(&self, what: &str, call: impl Fn() -> Result<T, KafkaError>) -> Option<T> {
        loop {
            if self.is_cancelled.load(Ordering::Acquire) {
                return None;
            }
            match call() {
                Ok(done) => return Some(done),
                Err(error) => {
                    warn!(%error, group = self.group, "{what} failed, trying again");
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a thread of its own, that waits for a broker"
                    )]
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }
}

/// Reads one partition from its oldest entry, and no other.
fn begin(reader: &BaseConsumer<Quiet>, topic: &str, partition: Partition) -> Result<(), KafkaError> {
    let mut assigned = TopicPartitionList::new();
    assigned.add_partition_offset(topic, partition.0 as i32, KafkaOffset::Beginning)?;
    reader.assign(&assigned)
}

impl Reading {
    /// Whether reading has come to where it ended. Not known = not yet.
    fn is_done(&self, topic: &str, reader: &BaseConsumer<Quiet>) -> bool {
        let Ok(positions) = reader.position() else { return false };
        let found = positions.find_partition(topic, self.partition.0 as i32);
        let next = match found.map(|element| element.offset()) {
            Some(KafkaOffset::Offset(next)) => next.max(0) as u64,
            _ => 0,
        };
        next >= self.end
    }

    fn take(&mut self, key: &[u8], value: Option<&[u8]>, prefix: &[u8]) {
        let Some(key) = key.strip_prefix(prefix) else { return };
        match value {
            Some(value) => {
                self.entries.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            }
            None => {
                self.entries.remove(key);
            }
        }
    }
}
