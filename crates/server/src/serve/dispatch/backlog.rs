//! How much may be owed: beyond that a delivery fails at once, instead of filling the disk until nothing is taken in
//! any more. Pure. The counts are the store's, and what was owed since they were read; a batch more or less.

use std::collections::BTreeMap;

use ringpost_model::{TenantId, TriggerId};
use ringpost_store::OwedCount;

/// Owed deliveries, counted.
#[derive(Debug)]
pub(super) struct Backlog {
    by_trigger: BTreeMap<TriggerId, u64>,
    by_owner: BTreeMap<TenantId, u64>,
    limits: Limits,
}

/// Deliveries that may be owed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one trigger.
    pub trigger: u64,
    /// For all triggers of one tenant.
    pub tenant: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { trigger: 100_000, tenant: 1_000_000 }
    }
}

impl Backlog {
    pub(super) fn new(limits: Limits) -> Self {
        Self { by_trigger: BTreeMap::new(), by_owner: BTreeMap::new(), limits }
    }

    /// As the store counts.
    pub(super) fn refresh(&mut self, counts: &[OwedCount]) {
        self.by_trigger = counts.iter().map(|count| (count.trigger, count.debts)).collect();
        self.by_owner.clear();
        for count in counts {
            *self.by_owner.entry(count.owner).or_default() += count.debts;
        }
    }

    /// Counts one more, or says that there is no room for it.
    pub(super) fn add(&mut self, trigger: TriggerId, owner: TenantId) -> bool {
        let of_trigger = self.by_trigger.entry(trigger).or_default();
        let of_owner = self.by_owner.entry(owner).or_default();
        if *of_trigger >= self.limits.trigger || *of_owner >= self.limits.tenant {
            return false;
        }
        *of_trigger += 1;
        *of_owner += 1;
        true
    }

    /// Owed for a trigger.
    pub(super) fn of(&self, trigger: TriggerId) -> u64 {
        self.by_trigger.get(&trigger).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn one_trigger_takes_its_own_room_and_not_its_neighbours() {
        let [one, other] = [TriggerId(Uuid::from_u128(1)), TriggerId(Uuid::from_u128(2))];
        let owner = TenantId(Uuid::from_u128(9));
        let mut backlog = Backlog::new(Limits { trigger: 2, tenant: 3 });
        assert_eq!(
            [one, one, one, other, other].map(|trigger| backlog.add(trigger, owner)),
            [true, true, false, true, false]
        );
        assert!(!backlog.add(one, TenantId(Uuid::from_u128(8))), "its own room is full all the same");
        backlog.refresh(&[OwedCount { trigger: one, owner, debts: 1 }]);
        assert!(backlog.add(one, owner) && !backlog.add(one, owner));
    }
}
