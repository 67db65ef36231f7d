//! Partitions that come and go. The group speaks of those of the first topic; the others follow it, so that a worker has
//! a partition of all topics or of none.

use std::sync::Arc;

use rdkafka::consumer::Consumer;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tracing::{error, info};

use crate::kafka::context::{Shift, numbers};
use crate::kafka::restore::{Restore, Restored};
use crate::{Assignment, Error, Event, Partition};

use super::{KafkaWorker, Owned};

impl KafkaWorker {
    /// What the group wants, one thing at a time.
    pub(super) fn shift(&mut self) -> Result<Option<Event>, Error> {
        while let Some(shift) = self.reader.as_ref().and_then(|reader| reader.context().next_shift()) {
            match shift {
                Shift::Take(list) => self.take(&list),
                Shift::Leave(list) => {
                    let leaving = self.forget(&list);
                    self.leaving = Some(leaving.clone());
                    if !leaving.is_empty() {
                        return Ok(Some(Event::Revoked(leaving)));
                    }
                    self.let_go();
                }
                Shift::Lost(list) => {
                    let lost = self.forget(&list);
                    self.give_back(&lost);
                    if !lost.is_empty() {
                        let (group, reason) =
                            (self.group.to_string(), "it was silent for too long".to_owned());
                        return Err(self.ends_with(Error::Lost { group, reason }));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Gives up what was told to be given up.
    pub(super) fn let_go(&mut self) {
        let Some(leaving) = self.leaving.take() else { return };
        for partition in &leaving {
            self.owned.remove(partition);
            self.shared.lags.forget(&self.group, *partition);
        }
        self.give_back(&leaving);
    }

    fn lead(&self) -> &str {
        self.topics.first().map_or("", String::as_str)
    }

    /// Nothing more of these partitions is handed out. Tells which of them the caller knows.
    fn forget(&mut self, list: &TopicPartitionList) -> Vec<Partition> {
        let going = numbers(list, self.lead());
        self.ready.retain(|batch| !going.contains(&batch.partition));
        self.restoring.retain(|partition, _| !going.contains(partition));
        going.into_iter().filter(|partition| self.owned.contains_key(partition)).collect()
    }

    /// Ours from now on, but not read before its state is there.
    fn take(&mut self, list: &TopicPartitionList) {
        self.has_joined = true;
        let partitions = numbers(list, self.lead());
        // The group waits for an answer, and not for what takes long.
        self.assign(&TopicPartitionList::new());
        if !partitions.is_empty() {
            self.restore(partitions);
        }
    }

    fn assign(&self, list: &TopicPartitionList) {
        let Some(reader) = &self.reader else { return };
        if let Err(error) = reader.incremental_assign(list) {
            error!(%error, group = %self.group, "partitions could not be taken");
        }
    }

    /// Of those that were never read there is nothing to stop; the group is answered in any case.
    fn give_back(&self, partitions: &[Partition]) {
        let Some(reader) = &self.reader else { return };
        let mut list = TopicPartitionList::new();
        for (partition, topic) in
            partitions.iter().flat_map(|one| self.topics.iter().map(move |topic| (one, topic)))
        {
            list.add_partition(topic, partition.0 as i32);
        }
        if let Err(error) = reader.incremental_unassign(&list) {
            error!(%error, group = %self.group, "partitions could not be given back");
        }
    }

    /// Before the reader is closed: whatever the group waits for is answered.
    pub(super) fn answer_all(&mut self) {
        self.let_go();
        while let Some(shift) = self.reader.as_ref().and_then(|reader| reader.context().next_shift()) {
            match shift {
                Shift::Take(_) => self.assign(&TopicPartitionList::new()),
                Shift::Leave(list) | Shift::Lost(list) => {
                    let known = self.forget(&list);
                    self.give_back(&known);
                }
            }
        }
    }

    /// Begins to make partitions ready, beside those that are.
    pub(super) fn restore(&mut self, partitions: Vec<Partition>) {
        info!(group = %self.group, ?partitions, "partitions are being taken over");
        self.turns += 1;
        let turn = self.turns;
        self.restoring.extend(partitions.iter().map(|partition| (*partition, turn)));
        let state = self.state.clone().map(|topic| (topic, self.shared.config.restorer(&self.group)));
        let restore = Restore {
            turn,
            group: self.group.to_string(),
            reader: self.reader.clone(),
            topics: self.topics.clone(),
            state,
            key_prefix: self.key_prefix.clone(),
            partitions,
            probe: Arc::clone(&self.shared.probe),
            is_cancelled: Arc::clone(&self.is_gone),
        };
        let into = self.restored.0.clone();
        // It tells what it has by the channel, and ends with the worker.
        drop(tokio::task::spawn_blocking(move || restore.run(&into)));
    }

    /// A partition is ready. None: it was taken back meanwhile.
    pub(super) fn assigned(&mut self, restored: Restored) -> Option<Event> {
        let Restored { turn, partition, from, state } = restored;
        // To assign partitions would make librdkafka forget that it has lost those it had.
        let is_lost = self.reader.as_ref().is_some_and(|reader| reader.assignment_lost());
        if is_lost || self.restoring.get(&partition) != Some(&turn) {
            return None;
        }
        self.restoring.remove(&partition);
        let mut list = TopicPartitionList::new();
        for (topic, next) in self.topics.iter().zip(&from) {
            let next = KafkaOffset::Offset(*next as i64);
            if let Err(error) = list.add_partition_offset(topic, partition.0 as i32, next) {
                error!(%error, group = %self.group, %partition, "partition cannot be read");
            }
        }
        self.assign(&list);
        let owned = Owned { committed: from.clone(), handed: from.clone(), from, goal: None };
        self.owned.insert(partition, owned);
        Some(Event::Assigned(Assignment { partition, state }))
    }
}
