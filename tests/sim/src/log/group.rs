//! Consumer groups: who has which partition. A partition changes hands in two steps: its owner is told, commits what
//! it has and lets go; then the next one takes it.
//!
//! A member with a name is as one of Kafka with static membership: it may fall silent for a while and keeps what it
//! has, and a later one of its name takes that over at once. One that is silent for too long is a member no more, and is
//! not told.

use std::collections::BTreeSet;
use std::collections::{BTreeMap, btree_map::Entry};
use std::sync::Arc;
use std::time::Duration;

use ringpost_bus::{Error, Partition};

/// A member that is silent for so long is given up: `session.timeout.ms`, as `[bus.kafka]` has it by default.
const SESSION: Duration = Duration::from_secs(10);

/// The name of a process among those that share the log.
pub(super) type Instance = Arc<str>;

/// A worker, in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) group: String,
    seat: Seat,
}

/// In the order in which partitions are dealt: a later member of a name sits where the former one sat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seat {
    instance: Option<Instance>,
    id: u64,
}

/// Every group with a worker.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<String, Group>,
    last_id: u64,
}

#[derive(Debug)]
struct Group {
    topics: Vec<String>,
    members: BTreeSet<Seat>,
    /// Since when who is silent.
    silent: BTreeMap<u64, Duration>,
    owners: Vec<Option<u64>>,
}

impl Groups {
    pub(super) fn join(
        &mut self,
        name: &str,
        topics: &[String],
        partitions: u32,
        instance: Option<&Instance>,
    ) -> Result<Member, Error> {
        self.last_id += 1;
        let group = match self.groups.entry(name.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Group {
                topics: topics.to_vec(),
                members: BTreeSet::new(),
                silent: BTreeMap::new(),
                owners: vec![None; partitions as usize],
            }),
        };
        if group.topics != topics {
            let why = "another worker of this group reads other topics";
            return Err(Error::Topic { topic: name.to_owned(), why });
        }
        let seat = Seat { instance: instance.cloned(), id: self.last_id };
        let is_former = |other: &&Seat| seat.instance.is_some() && other.instance == seat.instance;
        if let Some(former) = group.members.iter().find(is_former).cloned() {
            group.remove(&former, Some(seat.id));
        }
        group.members.insert(seat.clone());
        Ok(Member { group: name.to_owned(), seat })
    }

    /// A worker is no more. One with a name is missed later, or followed by another.
    pub(super) fn part(&mut self, member: &Member, now: Duration) {
        let Some(group) = self.groups.get_mut(&member.group) else { return };
        if member.seat.instance.is_some() && group.members.contains(&member.seat) {
            group.silent.entry(member.seat.id).or_insert(now);
            return;
        }
        group.remove(&member.seat, None);
        self.forget_empty();
    }

    /// Every worker of this process falls silent, or is heard again, if nobody has missed it.
    pub(super) fn hear(&mut self, instance: &str, is_heard: bool, now: Duration) {
        for group in self.groups.values_mut() {
            let named = |seat: &&Seat| seat.instance.as_deref() == Some(instance);
            for seat in group.members.iter().filter(named) {
                if is_heard {
                    group.silent.remove(&seat.id);
                } else {
                    group.silent.insert(seat.id, now);
                }
            }
        }
    }

    /// Who was silent for too long is a member no more.
    pub(super) fn miss(&mut self, now: Duration) {
        for group in self.groups.values_mut() {
            let is_missed = |seat: &&Seat| group.silent.get(&seat.id).is_some_and(|at| *at + SESSION <= now);
            let missed: Vec<Seat> = group.members.iter().filter(is_missed).cloned().collect();
            for seat in missed {
                group.remove(&seat, None);
            }
        }
        self.forget_empty();
    }

    fn forget_empty(&mut self) {
        self.groups.retain(|_, group| !group.members.is_empty());
    }

    /// Whether the group still knows it.
    pub(super) fn knows(&self, member: &Member) -> bool {
        self.groups.get(&member.group).is_some_and(|group| group.members.contains(&member.seat))
    }

    /// Partitions that the member has to let go.
    pub(super) fn leaves(&self, member: &Member) -> Vec<Partition> {
        let own = member.seat.id;
        self.filter(member, |owner, target| owner == Some(own) && target != own)
    }

    /// Partitions that are meant for the member, and free or its own.
    pub(super) fn takes(&self, member: &Member) -> Vec<Partition> {
        let own = member.seat.id;
        self.filter(member, |owner, target| target == own && owner.is_none_or(|owner| owner == own))
    }

    fn filter(&self, member: &Member, which: impl Fn(Option<u64>, u64) -> bool) -> Vec<Partition> {
        let Some(group) = self.groups.get(&member.group) else { return Vec::new() };
        let members: Vec<u64> = group.members.iter().map(|seat| seat.id).collect();
        let with_target = (0..).zip(&group.owners).map(|(at, owner)| {
            let target = members[at as usize % members.len()];
            (Partition(at), *owner, target)
        });
        with_target.filter(|(_, owner, target)| which(*owner, *target)).map(|(at, ..)| at).collect()
    }

    pub(super) fn take(&mut self, member: &Member, partition: Partition) -> bool {
        let Some(group) = self.groups.get_mut(&member.group) else { return false };
        *group.owners[partition.0 as usize].get_or_insert(member.seat.id) == member.seat.id
    }

    pub(super) fn leave(&mut self, member: &Member, partition: Partition) {
        if let Some(group) = self.groups.get_mut(&member.group) {
            group.owners[partition.0 as usize].take_if(|owner| *owner == member.seat.id);
        }
    }

    pub(super) fn owns(&self, member: &Member, partition: Partition) -> bool {
        let group = self.groups.get(&member.group);
        let owner = group.and_then(|group| group.owners.get(partition.0 as usize).copied().flatten());
        owner == Some(member.seat.id)
    }
}

impl Group {
    /// Its partitions are another's, or free.
    fn remove(&mut self, seat: &Seat, next: Option<u64>) {
        self.members.remove(seat);
        self.silent.remove(&seat.id);
        for owner in self.owners.iter_mut().filter(|owner| **owner == Some(seat.id)) {
            *owner = next;
        }
    }
}
