//! What one transaction of the writer does, worked out in memory before the disk is touched: many jobs become
//! few rows.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::{Config, Error, Offset, Partition, Record, partition_of};

use super::chunk::Chunk;
use super::heads::{Heads, Place};
use super::job::Commit;
use super::retention::Step;

/// One transaction.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) chunks: Vec<Chunk>,
    pub(super) positions: BTreeMap<Place, u64>,
    /// By topic, partition, key. Of several changes of one key the last holds.
    pub(super) state: HashMap<(usize, u32, Bytes), Option<Bytes>>,
    pub(super) drops: Vec<Step>,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// Where in `chunks` the open chunk of a partition is.
    open: HashMap<(usize, u32), usize>,
}

impl Plan {
    /// Nothing to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.positions.is_empty() && self.state.is_empty() && self.drops.is_empty()
    }

    /// Gives every record its place.
    pub(super) fn append(
        &mut self,
        heads: &Heads,
        config: &Config,
        topic: usize,
        records: &[Record],
    ) -> Vec<(Partition, Offset)> {
        let partitions = config.topics[topic].partitions;
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            let partition = partition_of(&record.key, partitions);
            let chunk = self.chunk(heads, topic, partition.0, record);
            places.push((partition, Offset(chunk.end())));
            chunk.push(record);
            self.records += 1;
            self.bytes += (record.key.len() + record.value.len()) as u64;
        }
        places
    }

    /// The chunk that the record goes to.
    fn chunk(&mut self, heads: &Heads, topic: usize, partition: u32, record: &Record) -> &mut Chunk {
        let open = self.open.get(&(topic, partition)).copied();
        let index = match open {
            Some(index) if self.chunks[index].has_room_for(record) => index,
            _ => {
                let base =
                    open.map_or_else(|| heads.next(topic, partition), |index| self.chunks[index].end());
                self.chunks.push(Chunk::new(topic, partition, base));
                self.open.insert((topic, partition), self.chunks.len() - 1);
                self.chunks.len() - 1
            }
        };
        &mut self.chunks[index]
    }

    /// Adds all of a worker's commit, or nothing of it.
    pub(super) fn commit(&mut self, heads: &Heads, config: &Config, work: Commit) -> Result<(), Error> {
        let group = &work.member.group;
        for (topic, position) in &work.positions {
            let place = (group.clone(), *topic, position.partition.0);
            let committed = heads.position(&place).unwrap_or_default();
            if position.next.0 < committed {
                let (partition, asked) = (position.partition, position.next.0);
                return Err(Error::Backwards { group: group.to_string(), partition, asked, committed });
            }
        }
        for (topic, position) in work.positions {
            self.positions.insert((group.clone(), topic, position.partition.0), position.next.0);
        }
        for (topic, records) in &work.outputs {
            self.append(heads, config, *topic, records);
        }
        if let Some(topic) = work.state {
            for change in work.changes {
                self.state.insert((topic, change.partition.0, change.key), change.value);
            }
        }
        Ok(())
    }

    /// Where a group begins in a partition. A new group begins with the oldest record, and is noted, so that
    /// retention waits for it from now on.
    pub(super) fn take(&mut self, heads: &Heads, place: Place) -> u64 {
        let (_, topic, partition) = place;
        if let Some(next) = self.positions.get(&place).copied().or_else(|| heads.position(&place)) {
            return next;
        }
        let start = heads.start(topic, partition);
        self.positions.insert(place, start);
        start
    }

    /// After the transaction has succeeded: memory follows the disk.
    pub(super) fn apply(self, heads: &mut Heads) {
        for chunk in self.chunks {
            heads.set_end(chunk.topic, chunk.partition, chunk.end());
        }
        for (place, next) in self.positions {
            heads.set_position(place, next);
        }
        for step in self.drops {
            heads.set_start(step.topic, step.partition, step.before);
        }
    }
}
