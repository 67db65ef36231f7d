//! What of the simulated log is durable.

use std::collections::BTreeMap;

use bytes::Bytes;
use ringpost_bus::{Commit, Error, Message, Offset, Partition, Record, StateEntry, partition_of};

/// A topic.
#[derive(Debug, Clone)]
pub struct SimTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// It keeps the newest value of each key, and is written by commits only.
    pub keeps_state: bool,
}

/// Topics, positions, state.
#[derive(Debug, Default)]
pub struct Disk {
    topics: BTreeMap<String, (SimTopic, Vec<Vec<Message>>)>,
    positions: BTreeMap<(String, String, Partition), u64>,
    state: BTreeMap<(String, Partition), BTreeMap<Bytes, Bytes>>,
}

impl Disk {
    pub(super) fn new(topics: Vec<SimTopic>) -> Self {
        let empty = |topic: SimTopic| {
            let partitions = vec![Vec::new(); topic.partitions as usize];
            (topic.name.clone(), (topic, partitions))
        };
        Self { topics: topics.into_iter().map(empty).collect(), ..Self::default() }
    }

    /// Every record of a topic, by partition and offset.
    pub fn records(&self, topic: &str) -> impl Iterator<Item = (Partition, &Message)> {
        let partitions = self.topics.get(topic).into_iter().flat_map(|(_, partitions)| partitions);
        (0..)
            .zip(partitions)
            .flat_map(|(at, messages)| messages.iter().map(move |message| (Partition(at), message)))
    }

    /// Records that a group has not committed.
    pub fn lag(&self, group: &str, topic: &str) -> u64 {
        let Some((about, _)) = self.topics.get(topic) else { return 0 };
        let behind = |at: u32| {
            let partition = Partition(at);
            self.end(topic, partition) - self.position(group, topic, partition).unwrap_or_default()
        };
        (0..about.partitions).map(behind).sum()
    }

    /// The partitions of a topic of records.
    pub(super) fn records_topic(&self, name: &str) -> Result<u32, Error> {
        let (topic, _) = self.topic(name)?;
        if topic.keeps_state {
            let why = "it keeps state, and is written by commits only";
            return Err(Error::Topic { topic: name.to_owned(), why });
        }
        Ok(topic.partitions)
    }

    /// The partitions of a topic of state.
    pub(super) fn state_topic(&self, name: &str) -> Result<u32, Error> {
        let (topic, _) = self.topic(name)?;
        if !topic.keeps_state {
            return Err(Error::Topic { topic: name.to_owned(), why: "it keeps records, not state" });
        }
        Ok(topic.partitions)
    }

    fn topic(&self, name: &str) -> Result<&(SimTopic, Vec<Vec<Message>>), Error> {
        let unknown = || Error::Topic { topic: name.to_owned(), why: "there is no such topic" };
        self.topics.get(name).ok_or_else(unknown)
    }

    pub(super) fn append(&mut self, topic: &str, partition: Partition, record: &Record) -> Offset {
        let (_, partitions) = self.topics.get_mut(topic).expect("it was looked up");
        let messages = &mut partitions[partition.0 as usize];
        let offset = Offset(messages.len() as u64);
        let Record { key, value, timestamp } = record.clone();
        messages.push(Message { offset, key, value, timestamp, headers: Vec::new() });
        offset
    }

    pub(super) fn end(&self, topic: &str, partition: Partition) -> u64 {
        self.topics.get(topic).map_or(0, |(_, all)| all[partition.0 as usize].len() as u64)
    }

    pub(super) fn position(&self, group: &str, topic: &str, partition: Partition) -> Option<u64> {
        self.positions.get(&(group.to_owned(), topic.to_owned(), partition)).copied()
    }

    /// Up to so many records from an offset on.
    pub(super) fn read(&self, topic: &str, partition: Partition, from: u64, most: usize) -> Vec<Message> {
        let Some((_, partitions)) = self.topics.get(topic) else { return Vec::new() };
        partitions[partition.0 as usize].iter().skip(from as usize).take(most).cloned().collect()
    }

    pub(super) fn state(&self, topic: &str, partition: Partition) -> Vec<StateEntry> {
        let entries = self.state.get(&(topic.to_owned(), partition)).into_iter().flatten();
        entries.map(|(key, value)| StateEntry { key: key.clone(), value: value.clone() }).collect()
    }

    /// Whether a commit can be stored as it is.
    pub(super) fn check(&self, group: &str, commit: &Commit) -> Result<(), Error> {
        for position in &commit.positions {
            let committed = self.position(group, &position.topic, position.partition).unwrap_or_default();
            if position.next.0 < committed {
                let (partition, asked) = (position.partition, position.next.0);
                return Err(Error::Backwards { group: group.to_owned(), partition, asked, committed });
            }
        }
        Ok(())
    }

    /// Stores all of a commit that was checked.
    pub(super) fn commit(&mut self, group: &str, state: Option<&str>, commit: Commit) {
        for position in commit.positions {
            let place = (group.to_owned(), position.topic, position.partition);
            self.positions.insert(place, position.next.0);
        }
        for output in commit.outputs {
            let partitions = self.topics.get(&output.topic).map_or(1, |(topic, _)| topic.partitions);
            for record in &output.records {
                self.append(&output.topic, partition_of(&record.key, partitions), record);
            }
        }
        let Some(state) = state else { return };
        for change in commit.changes {
            let entries = self.state.entry((state.to_owned(), change.partition)).or_default();
            match change.value {
                Some(value) => _ = entries.insert(change.key, value),
                None => _ = entries.remove(&change.key),
            }
        }
    }
}
