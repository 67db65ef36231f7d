//! Consumer groups: who has which partition. A partition changes hands in two steps: its owner is told, commits what
//! it has and lets go; then the next one takes it.

use std::collections::{BTreeMap, BTreeSet};

use ringpost_bus::{Error, Partition};

/// A worker, in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) group: String,
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
    members: BTreeSet<u64>,
    owners: Vec<Option<u64>>,
}

impl Groups {
    pub(super) fn join(&mut self, name: &str, topics: &[String], partitions: u32) -> Result<Member, Error> {
        self.last_id += 1;
        let group = self.groups.entry(name.to_owned()).or_insert_with(|| Group {
            topics: topics.to_vec(),
            members: BTreeSet::new(),
            owners: vec![None; partitions as usize],
        });
        if group.topics != topics {
            let why = "another worker of this group reads other topics";
            return Err(Error::Topic { topic: name.to_owned(), why });
        }
        group.members.insert(self.last_id);
        Ok(Member { group: name.to_owned(), id: self.last_id })
    }

    pub(super) fn part(&mut self, member: &Member) {
        let Some(group) = self.groups.get_mut(&member.group) else { return };
        group.members.remove(&member.id);
        for owner in &mut group.owners {
            owner.take_if(|owner| *owner == member.id);
        }
        if group.members.is_empty() {
            self.groups.remove(&member.group);
        }
    }

    /// Partitions that the member has to let go.
    pub(super) fn leaves(&self, member: &Member) -> Vec<Partition> {
        self.filter(member, |owner, target| owner == Some(member.id) && target != member.id)
    }

    /// Partitions that are meant for the member, and free or its own.
    pub(super) fn takes(&self, member: &Member) -> Vec<Partition> {
        self.filter(member, |owner, target| {
            target == member.id && owner.is_none_or(|owner| owner == member.id)
        })
    }

    fn filter(&self, member: &Member, which: impl Fn(Option<u64>, u64) -> bool) -> Vec<Partition> {
        let Some(group) = self.groups.get(&member.group) else { return Vec::new() };
        let members: Vec<u64> = group.members.iter().copied().collect();
        let with_target = (0..).zip(&group.owners).map(|(at, owner)| {
            let target = members[at as usize % members.len()];
            (Partition(at), *owner, target)
        });
        with_target.filter(|(_, owner, target)| which(*owner, *target)).map(|(at, ..)| at).collect()
    }

    pub(super) fn take(&mut self, member: &Member, partition: Partition) -> bool {
        let Some(group) = self.groups.get_mut(&member.group) else { return false };
        *group.owners[partition.0 as usize].get_or_insert(member.id) == member.id
    }

    pub(super) fn leave(&mut self, member: &Member, partition: Partition) {
        if let Some(group) = self.groups.get_mut(&member.group) {
            group.owners[partition.0 as usize].take_if(|owner| *owner == member.id);
        }
    }

    pub(super) fn owns(&self, member: &Member, partition: Partition) -> bool {
        let group = self.groups.get(&member.group);
        let owner = group.and_then(|group| group.owners.get(partition.0 as usize).copied().flatten());
        owner == Some(member.id)
    }
}
