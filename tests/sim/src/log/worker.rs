//! A worker of the simulated log: what it has read is its own, and gone with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringpost_bus::{Assignment, Batch, Commit, Error, Event, Partition, Subscription, Worker};
use tokio::sync::watch;

use super::group::{Instance, Member};
use super::{Shared, check_sizes, write_failed};
use crate::weather::Luck;

/// See [`super::SimLog`].
pub struct SimWorker {
    shared: Arc<Shared>,
    member: Member,
    instance: Option<Instance>,
    topics: Vec<String>,
    state: Option<String>,
    /// By partition the offset to read next, one for each topic.
    cursors: BTreeMap<Partition, Vec<u64>>,
    leaving: Vec<Partition>,
    turn: usize,
    tail: watch::Receiver<()>,
    idled: i64,
    has_read: bool,
    committing: bool,
}

impl SimWorker {
    pub(super) fn join(
        shared: Arc<Shared>,
        what: Subscription,
        instance: Option<Instance>,
    ) -> Result<Self, Error> {
        let Subscription { group, topics, state } = what;
        let mut counts = Vec::new();
        for topic in &topics {
            counts.push((topic, shared.disk().records_topic(topic)?));
        }
        if let Some(state) = &state {
            counts.push((state, shared.disk().state_topic(state)?));
        }
        let partitions = counts.first().map_or(0, |(_, count)| *count);
        if let Some((topic, _)) = counts.iter().find(|(_, count)| *count != partitions) {
            let why = "topics read together need the same number of partitions";
            return Err(Error::Topic { topic: (*topic).clone(), why });
        }
        let member = shared.groups().join(&group, &topics, partitions, instance.as_ref())?;
        let tail = shared.tail.subscribe();
        shared.tail.send_replace(());
        let (cursors, leaving) = Default::default();
        let (turn, idled, has_read, committing) = (0, 0, false, false);
        Ok(Self {
            shared,
            member,
            instance,
            topics,
            state,
            cursors,
            leaving,
            turn,
            tail,
            idled,
            has_read,
            committing,
        })
    }

    /// What the group wants of this worker, one thing at a time.
    fn rebalance(&mut self) -> Option<Event> {
        let leaves = self.shared.groups().leaves(&self.member);
        let (known, unknown): (Vec<_>, Vec<_>) =
            leaves.into_iter().partition(|partition| self.cursors.contains_key(partition));
        for partition in unknown {
            self.let_go(partition);
        }
        if !known.is_empty() {
            self.leaving.clone_from(&known);
            self.shared.trace.note(format_args!("{} revoked {known:?}", self.member.group));
            return Some(Event::Revoked(known));
        }
        let takes = self.shared.groups().takes(&self.member);
        for partition in takes {
            let is_new = !self.cursors.contains_key(&partition);
            if is_new && self.shared.groups().take(&self.member, partition) {
                return Some(self.assign(partition));
            }
        }
        None
    }

    fn assign(&mut self, partition: Partition) -> Event {
        let disk = self.shared.disk();
        let place = |topic: &String| disk.position(&self.member.group, topic, partition).unwrap_or_default();
        let from: Vec<u64> = self.topics.iter().map(place).collect();
        let state = self.state.as_ref().map(|topic| disk.state(topic, partition)).unwrap_or_default();
        drop(disk);
        self.shared.trace.note(format_args!("{} assigned {partition} from {from:?}", self.member.group));
        self.cursors.insert(partition, from);
        Event::Assigned(Assignment { partition, state })
    }

    fn let_go(&mut self, partition: Partition) {
        self.cursors.remove(&partition);
        self.shared.groups().leave(&self.member, partition);
        self.shared.tail.send_replace(());
    }

    /// The next records of some partition, each in turn.
    fn read(&mut self) -> Option<Batch> {
        let count = self.topics.len();
        let places: Vec<(Partition, usize)> =
            self.cursors.keys().flat_map(|partition| (0..count).map(|at| (*partition, at))).collect();
        for step in 1..=places.len() {
            let turn = (self.turn + step) % places.len();
            let (partition, at) = places[turn];
            let from = self.cursors[&partition][at];
            if from >= self.shared.disk().end(&self.topics[at], partition) {
                continue;
            }
            let most = self.shared.batch_size();
            let messages = self.shared.disk().read(&self.topics[at], partition, from, most);
            let cursors = self.cursors.get_mut(&partition).expect("it was found above");
            cursors[at] += messages.len() as u64;
            self.turn = turn;
            let (group, topic) = (&self.member.group, self.topics[at].clone());
            self.shared.trace.note(format_args!("{group} read {partition}@{from} {}", messages.len()));
            return Some(Batch { topic, partition, messages });
        }
        None
    }

    fn at_end(&self) -> Vec<Partition> {
        let disk = self.shared.disk();
        let is_dry = |partition: Partition, cursors: &[u64]| {
            self.topics.iter().zip(cursors).all(|(topic, next)| *next >= disk.end(topic, partition))
        };
        self.cursors.iter().filter(|(at, cursors)| is_dry(**at, cursors)).map(|(at, _)| *at).collect()
    }

    /// Refuses what can never be stored, and what is another's.
    fn check(&self, commit: &Commit) -> Result<(), Error> {
        for position in &commit.positions {
            self.shared.disk().records_topic(&position.topic)?;
        }
        for output in &commit.outputs {
            check_sizes(&output.topic, &output.records)?;
            self.shared.disk().records_topic(&output.topic)?;
        }
        let group = self.member.group.clone();
        if !commit.changes.is_empty() && self.state.is_none() {
            let why = "this worker has subscribed to no topic of state";
            return Err(Error::Topic { topic: group, why });
        }
        let of_positions = commit.positions.iter().map(|position| position.partition);
        let mut used = of_positions.chain(commit.changes.iter().map(|change| change.partition));
        let groups = self.shared.groups();
        match used.find(|partition| !groups.owns(&self.member, *partition)) {
            Some(partition) => Err(Error::Fenced { group, partition }),
            None => Ok(()),
        }
    }

    /// All of it at one stroke, or nothing.
    fn store(&self, commit: Commit, luck: Luck) -> Result<(), Error> {
        self.check(&commit)?;
        let mut disk = self.shared.disk();
        disk.check(&self.member.group, &commit)?;
        match luck {
            Luck::Fine => disk.commit(&self.member.group, self.state.as_deref(), commit),
            // A transaction that was given up may end its writer.
            _ if self.instance.is_some() && self.shared.weather.part(1) == 0 => return Err(self.broken()),
            Luck::Full => return Err(Error::Full),
            Luck::Fails | Luck::LostAnswer => return Err(write_failed()),
        }
        drop(disk);
        self.shared.tail.send_replace(());
        Ok(())
    }

    fn broken(&self) -> Error {
        Error::Broken { group: self.member.group.clone(), reason: "its transaction was given up".to_owned() }
    }

    fn check_known(&self) -> Result<(), Error> {
        if self.shared.groups().knows(&self.member) {
            return Ok(());
        }
        self.shared.trace.note(format_args!("{} was missed", self.member.group));
        Err(Error::Lost { group: self.member.group.clone(), reason: "it was silent for too long".to_owned() })
    }

    fn check_uninterrupted(&self) -> Result<(), Error> {
        if self.committing {
            return Err(Error::Interrupted { group: self.member.group.clone() });
        }
        Ok(())
    }
}

impl Worker for SimWorker {
    async fn next(&mut self, patience: Duration) -> Result<Event, Error> {
        self.check_uninterrupted()?;
        for partition in std::mem::take(&mut self.leaving) {
            self.let_go(partition);
        }
        let mut waited = false;
        loop {
            self.tail.borrow_and_update();
            self.check_known()?;
            if let Some(event) = self.rebalance() {
                return Ok(event);
            }
            let now = self.shared.clock.now().micros();
            let quiet = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
            if self.has_read && now.saturating_sub(self.idled) >= quiet {
                let partitions = self.at_end();
                if !partitions.is_empty() && partitions.len() < self.cursors.len() {
                    (self.idled, self.has_read) = (now, false);
                    return Ok(Event::AtEnd(now, partitions));
                }
            }
            let has_more = self.at_end().len() < self.cursors.len();
            if has_more && self.shared.weather.read() == Luck::Fails {
                let source = Arc::new(std::io::Error::other("the simulated disk failed"));
                let (topic, partition) = (self.topics[0].clone(), Partition(0));
                return Err(Error::Read { topic, partition, source });
            }
            if let Some(batch) = self.read() {
                self.has_read = true;
                return Ok(Event::Records(batch));
            }
            if waited || now.saturating_sub(self.idled) >= quiet {
                (self.idled, self.has_read) = (now, false);
                return Ok(Event::Idle(now));
            }
            waited = tokio::time::timeout(patience, self.tail.changed()).await.is_err();
        }
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), Error> {
        self.check_uninterrupted()?;
        if commit.is_empty() {
            return Ok(());
        }
        self.check(&commit)?;
        self.committing = true;
        self.shared.weather.pause().await;
        let luck = self.shared.weather.write();
        let Commit { positions, outputs, changes } = &commit;
        let records: usize = outputs.iter().map(|output| output.records.len()).sum();
        let (positions, changes) = (positions.len(), changes.len());
        let group = &self.member.group;
        self.shared.trace.note(format_args!(
            "{group} commit {positions} positions {records} records {changes} changes {luck:?}"
        ));
        let result = self.store(commit, luck);
        self.shared.weather.pause().await;
        self.committing = false;
        result
    }
}

/// Its partitions are free for the others of its group.
impl Drop for SimWorker {
    fn drop(&mut self) {
        let now = self.shared.clock.elapsed();
        self.shared.groups().part(&self.member, now);
        self.shared.tail.send_replace(());
    }
}
