//! Consumer groups of this process: who has which partition. A partition changes hands in two steps, so that
//! nobody works on it twice: its owner is told, commits what it has, and lets go; then the next one takes it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::Error;

/// A worker, in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) group: Arc<str>,
    id: u64,
}

/// Every group with a worker.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<Arc<str>, Group>,
    last_id: u64,
}

#[derive(Debug)]
struct Group {
    topics: Vec<usize>,
    members: BTreeSet<u64>,
    /// By partition. Not its target's as long as the former owner has not let go.
    owners: Vec<Option<u64>>,
}

/// What a worker has to do about its partitions.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Shift {
    /// Its own, to be let go.
    pub(super) leave: Vec<u32>,
    /// Free and meant for it, or taken by it already.
    pub(super) take: Vec<u32>,
}

impl Groups {
    /// A new member; its partitions are found by [`Groups::shift`].
    pub(super) fn join(&mut self, name: &str, topics: &[usize], partitions: u32) -> Result<Member, Error> {
        self.last_id += 1;
        let name: Arc<str> = name.into();
        let group = self.groups.entry(Arc::clone(&name)).or_insert_with(|| Group {
            topics: topics.to_vec(),
            members: BTreeSet::new(),
            owners: vec![None; partitions as usize],
        });
        if group.topics != topics {
            let why = "another worker of this group reads other topics";
            return Err(Error::Topic { topic: name.to_string(), why });
        }
        group.members.insert(self.last_id);
        Ok(Member { group: name, id: self.last_id })
    }

    /// The member is gone, and with it its partitions.
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

    pub(super) fn shift(&self, member: &Member) -> Shift {
        let mut shift = Shift::default();
        let Some(group) = self.groups.get(&member.group) else { return shift };
        let members: Vec<u64> = group.members.iter().copied().collect();
        for (partition, owner) in (0..).zip(&group.owners) {
            let target = members[partition as usize % members.len()];
            match *owner {
                Some(owner) if owner == member.id && target != member.id => shift.leave.push(partition),
                Some(owner) if owner == member.id => shift.take.push(partition),
                None if target == member.id => shift.take.push(partition),
                _ => {}
            }
        }
        shift
    }

    /// Makes the member the owner, where the partition is free or its own.
    pub(super) fn take(&mut self, member: &Member, partition: u32) -> bool {
        let Some(group) = self.groups.get_mut(&member.group) else { return false };
        let owner = group.owners[partition as usize].get_or_insert(member.id);
        *owner == member.id
    }

    /// The member lets a partition go.
    pub(super) fn leave(&mut self, member: &Member, partition: u32) {
        if let Some(group) = self.groups.get_mut(&member.group) {
            group.owners[partition as usize].take_if(|owner| *owner == member.id);
        }
    }

    pub(super) fn owns(&self, member: &Member, partition: u32) -> bool {
        let group = self.groups.get(&member.group);
        let owner = group.and_then(|group| group.owners.get(partition as usize).copied().flatten());
        owner == Some(member.id)
    }
}
