//! From what a worker has to say to a transaction: names looked up, positions that fence, each key once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::error::RDKafkaErrorCode;
use tokio::time::{Instant, sleep};

use crate::kafka::fetch;
use crate::kafka::transaction::{self, Failure, Work};
use crate::{Commit, Error, Partition, StateChange};

use super::{KafkaWorker, Owned, blocking, writer};

/// A process that has fenced our writer joins the group next, and a heartbeat tells it.
const REPLACED: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl KafkaWorker {
    /// Looks names up, and refuses what can never be stored.
    pub(super) fn resolve(&self, commit: Commit) -> Result<Work, Error> {
        let mut outputs = Vec::with_capacity(commit.outputs.len());
        for output in commit.outputs {
            let partitions = self.shared.records_topic(&output.topic)?;
            self.shared.check_records(&output.topic, &output.records)?;
            outputs.push((self.shared.named(&output.topic), partitions, output.records));
        }
        if !commit.changes.is_empty() && self.state.is_none() {
            let topic = self.group.to_string();
            return Err(Error::Topic { topic, why: "this worker has subscribed to no topic of state" });
        }
        self.check_changes(&commit.changes)?;
        let mut positions = BTreeMap::new();
        for change in &commit.changes {
            self.stand_at(change.partition, &mut positions)?;
        }
        for position in &commit.positions {
            let topic = self.shared.named(&position.topic);
            let at = self.topics.iter().position(|one| *one == topic);
            let at = at
                .ok_or(Error::Topic { topic: position.topic.clone(), why: "this worker does not read it" })?;
            let committed = self.owned(position.partition)?.committed[at];
            let (group, partition, asked) = (self.group.to_string(), position.partition, position.next.0);
            if asked < committed {
                return Err(Error::Backwards { group, partition, asked, committed });
            }
            positions.insert((at, partition), asked);
        }
        if positions.is_empty() {
            // Records alone: any partition of ours says that we are still of the group.
            self.owned.keys().next().map_or(Ok(()), |partition| self.stand_at(*partition, &mut positions))?;
        }
        let positions =
            positions.into_iter().map(|((at, partition), next)| (self.topics[at].clone(), partition, next));
        let (positions, changes) = (positions.collect(), self.newest(commit.changes));
        Ok(Work { outputs, state: self.state.clone(), changes, positions })
    }

    /// One that brokers would never take must not be tried for ever.
    fn check_changes(&self, changes: &[StateChange]) -> Result<(), Error> {
        let most = self.shared.config.record_bytes;
        let size = |change: &StateChange| {
            self.key_prefix.len() + change.key.len() + change.value.as_ref().map_or(0, Bytes::len) + 16
        };
        match (changes.iter().map(size).max(), &self.state) {
            (Some(bytes), Some(named)) if bytes > most => {
                let topic = named[self.shared.config.prefix.len()..].to_owned();
                Err(Error::TooLarge { topic, bytes, most })
            }
            _ => Ok(()),
        }
    }

    /// Where the group stands in a partition, told again: only a member that has it may.
    fn stand_at(
        &self,
        partition: Partition,
        positions: &mut BTreeMap<(usize, Partition), u64>,
    ) -> Result<(), Error> {
        let owned = self.owned(partition)?;
        if let Some(committed) = owned.committed.first() {
            positions.entry((0, partition)).or_insert(*committed);
        }
        Ok(())
    }

    fn owned(&self, partition: Partition) -> Result<&Owned, Error> {
        let fenced = || Error::Fenced { group: self.group.to_string(), partition };
        self.owned.get(&partition).ok_or_else(fenced)
    }

    /// Of several changes of one key the last one.
    fn newest(&self, changes: Vec<StateChange>) -> Vec<(Partition, Bytes, Option<Bytes>)> {
        let mut last = HashMap::with_capacity(changes.len());
        for (at, change) in changes.iter().enumerate() {
            last.insert((change.partition, change.key.clone()), at);
        }
        let named = |key: Bytes| match self.key_prefix.is_empty() {
            true => key,
            false => [&self.key_prefix[..], &key[..]].concat().into(),
        };
        let kept = changes.into_iter().enumerate();
        let kept = kept.filter(|(at, change)| last[&(change.partition, change.key.clone())] == *at);
        kept.map(|(_, change)| (change.partition, named(change.key), change.value)).collect()
    }

    pub(super) async fn make_durable(&mut self, work: Work) -> (Work, Result<(), Failure>) {
        let reader = self.reader.clone();
        if let (Some(reader), true) = (&reader, work.outputs.is_empty() && work.changes.is_empty()) {
            let reader = Arc::clone(reader);
            return blocking(move || {
                let done = transaction::commit_positions(&work, &reader);
                (work, done)
            })
            .await;
        }
        let writer = match &self.writer {
            Some(writer) => Arc::clone(writer),
            None => {
                let number = self.slot.as_ref().map_or(0, |slot| slot.number);
                let member = format!("{}-{number}", self.shared.config.instance);
                match writer(&self.shared, &self.group, &member).await {
                    Ok(made) => Arc::clone(self.writer.insert(made)),
                    Err(error) => return (work, Err(Failure::Again(error.to_string()))),
                }
            }
        };
        blocking(move || {
            let done = writer.commit(&work, reader.as_deref());
            (work, done)
        })
        .await
    }

    /// What is committed is known here, too.
    pub(super) fn follow(&mut self, work: &Work) {
        for (topic, partition, next) in &work.positions {
            let at = self.topics.iter().position(|one| one == topic);
            if let (Some(at), Some(owned)) = (at, self.owned.get_mut(partition)) {
                owned.committed[at] = *next;
            }
        }
    }

    /// Whether it was another process of this name that fenced our writer. The group tells the reader so, some moments
    /// later; a new worker here would only fence that one in turn.
    pub(super) async fn is_replaced(&self) -> bool {
        let Some(reader) = &self.reader else { return false };
        let (end, mut unread) = (Instant::now() + REPLACED, VecDeque::new());
        let all = fetch::Most { records: usize::MAX, bytes: usize::MAX, headers: false };
        while Instant::now() < end {
            unread.clear();
            let taken = fetch::take(reader, &all, &mut unread);
            let code = taken.err().and_then(|error| error.rdkafka_error_code());
            if code == Some(RDKafkaErrorCode::FencedInstanceId) {
                return true;
            }
            sleep(LOOK_AGAIN).await;
        }
        false
    }

    pub(super) fn commit_failed(&mut self, failure: Failure) -> Error {
        let group = self.group.to_string();
        match failure {
            Failure::Again(reason) => Error::Broker { what: format!("commit for group {group}"), reason },
            Failure::Lost(reason) => self.ends_with(Error::Lost { group, reason }),
            Failure::Fenced(reason) | Failure::Over(reason) => {
                self.ends_with(Error::Broken { group, reason })
            }
        }
    }
}
