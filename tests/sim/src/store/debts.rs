//! What is owed, in the simulated store: in line within a trigger and session, and leased. Who gets it is in `claim`,
//! what is known of lanes in `lanes`.

use std::collections::{BTreeMap, BTreeSet};

use ringpost_model::{Delivery, DeliveryId, LaneId, Timestamp, TriggerId};
use ringpost_store::{Debt, Ended, Ending, OwedCount};

use super::configuration::Configuration;

/// A debt as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebtRow {
    /// The debt. While it is leased `due` is the end of the lease, and so is `leased_until`.
    pub debt: Debt,
    /// Order within one trigger and session.
    pub seq: u64,
    /// Who leases it.
    pub owner: Option<String>,
    /// The trigger is paused or off.
    pub held: bool,
    /// An earlier delivery of the same trigger and session is owed.
    pub behind: bool,
    /// It waits while its receiver is down.
    pub holds: bool,
    /// It had failed, and came back: since when.
    pub failed: Option<Timestamp>,
}

/// All debts.
#[derive(Debug, Clone, Default)]
pub struct Debts {
    pub(super) rows: BTreeMap<DeliveryId, DebtRow>,
    last_seq: u64,
}

impl DebtRow {
    pub(super) fn is_free(&self, owner: &str, now: Timestamp) -> bool {
        self.owner.as_deref() == Some(owner) || self.is_in_no_flight(now)
    }

    pub(super) fn is_in_no_flight(&self, now: Timestamp) -> bool {
        self.owner.is_none() || self.debt.due <= now
    }

    pub(super) fn can_be_claimed(&self) -> bool {
        !self.held && !self.behind
    }
}

impl Debts {
    /// Every debt, by seq.
    pub fn all(&self) -> Vec<&DebtRow> {
        let mut rows: Vec<_> = self.rows.values().collect();
        rows.sort_by_key(|row| row.seq);
        rows
    }

    /// Something is owed for this delivery.
    pub fn holds(&self, delivery: DeliveryId) -> bool {
        self.rows.contains_key(&delivery)
    }

    /// How much is owed for each trigger.
    pub fn counts(&self) -> Vec<OwedCount> {
        let mut counts: BTreeMap<TriggerId, OwedCount> = BTreeMap::new();
        for row in self.rows.values() {
            let Delivery { trigger, owner, .. } = row.debt.delivery;
            counts.entry(trigger).or_insert(OwedCount { trigger, owner, debts: 0 }).debts += 1;
        }
        counts.into_values().collect()
    }

    /// How much is owed in a lane, and how much of it waits for no trigger.
    pub(super) fn in_lane(&self, lane: LaneId) -> (u64, u64) {
        let rows = || self.rows.values().filter(|row| row.debt.lane == lane);
        (rows().count() as u64, rows().filter(|row| !row.held).count() as u64)
    }

    /// Triggers with debts in a lane.
    pub(super) fn triggers_of(&self, lane: LaneId) -> BTreeSet<TriggerId> {
        let rows = self.rows.values().filter(|row| row.debt.lane == lane);
        rows.map(|row| row.debt.delivery.trigger).collect()
    }

    /// Triggers with debts in such lanes.
    pub(super) fn waiting(&self, which: impl Fn(&LaneId) -> bool) -> BTreeSet<(LaneId, TriggerId)> {
        let rows = self.rows.values().filter(|row| which(&row.debt.lane));
        rows.map(|row| (row.debt.lane, row.debt.delivery.trigger)).collect()
    }

    /// A new debt, or a known one with its next due time. What it, or a newer one, takes the place of is gone, and
    /// returned.
    pub(super) fn put(
        &mut self,
        configuration: &Configuration,
        debt: &Debt,
        owner: &str,
        now: Timestamp,
    ) -> Vec<Ended> {
        let delivery = &debt.delivery;
        let due = debt.leased_until.unwrap_or(debt.due);
        let lessee = debt.leased_until.map(|_| owner.to_owned());
        let behind = self.strand(delivery).any(|row| row.debt.delivery.rev < delivery.rev);
        match self.rows.get_mut(&delivery.id) {
            Some(row) if row.is_free(owner, now) => {
                let Debt { delivery, queued, .. } = row.debt.clone();
                row.debt = Debt { delivery, queued, due, ..debt.clone() };
                row.owner = lessee;
            }
            Some(_) => {}
            None => {
                self.last_seq += 1;
                let (held, holds) =
                    (configuration.is_held(delivery.trigger), configuration.holds(delivery.trigger));
                let debt = Debt { due, ..debt.clone() };
                let (seq, failed) = (self.last_seq, None);
                let row = DebtRow { debt, seq, owner: lessee, held, behind, holds, failed };
                self.rows.insert(delivery.id, row);
            }
        }
        let strand = (delivery.trigger, delivery.session);
        for row in self.rows.values_mut() {
            let other = &row.debt.delivery;
            row.behind |= (other.trigger, other.session) == strand && other.rev > delivery.rev;
        }
        let older = self.older(delivery, now);
        for ended in &older {
            self.delete(&ended.delivery, owner, now);
        }
        older
    }

    /// Debts of the same trigger and session that are not in flight, and that a newer revision is owed of.
    fn older(&self, delivery: &Delivery, now: Timestamp) -> Vec<Ended> {
        let newest = self.strand(delivery).map(|row| row.debt.delivery.rev).max().unwrap_or_default();
        let is_older = |row: &&DebtRow| row.debt.delivery.rev < newest && row.is_in_no_flight(now);
        let mut older: Vec<&DebtRow> = self.strand(delivery).filter(is_older).collect();
        older.sort_by_key(|row| row.seq);
        older.into_iter().map(|row| superseded(row.debt.delivery.clone(), now)).collect()
    }

    fn strand(&self, delivery: &Delivery) -> impl Iterator<Item = &DebtRow> {
        let (trigger, session) = (delivery.trigger, delivery.session);
        self.rows
            .values()
            .filter(move |row| row.debt.delivery.trigger == trigger && row.debt.delivery.session == session)
    }

    pub(super) fn has_newer(&self, delivery: &Delivery) -> bool {
        self.strand(delivery).any(|other| other.debt.delivery.rev > delivery.rev)
    }

    /// A debt is no more, unless it is leased to somebody else; the next in line may go. Returns since when it had
    /// counted as failed, if it had come back.
    pub(super) fn delete(&mut self, delivery: &Delivery, owner: &str, now: Timestamp) -> Option<Timestamp> {
        let row = self.rows.get(&delivery.id).filter(|row| row.is_free(owner, now))?;
        let failed = row.failed;
        self.rows.remove(&delivery.id);
        let next =
            self.strand(delivery).min_by_key(|row| row.debt.delivery.rev).map(|row| row.debt.delivery.id);
        if let Some(row) = next.and_then(|next| self.rows.get_mut(&next)) {
            row.behind = false;
        }
        failed
    }

    /// Ends debts of triggers that are off, but for those in flight.
    pub(super) fn cancel(
        &mut self,
        configuration: &Configuration,
        now: Timestamp,
        limit: usize,
    ) -> Vec<Ended> {
        let is_off = |row: &&DebtRow| configuration.is_off(row.debt.delivery.trigger);
        let is_free = |row: &&DebtRow| row.is_in_no_flight(now);
        let mut off: Vec<&DebtRow> = self.rows.values().filter(is_off).filter(is_free).collect();
        off.sort_by_key(|row| (row.debt.delivery.trigger, row.debt.delivery.session, row.seq));
        let cancelled = |row: &DebtRow| Ended {
            delivery: row.debt.delivery.clone(),
            ending: Ending::Cancelled,
            reason: "the trigger was disabled or removed".into(),
            at: now,
        };
        let ended: Vec<Ended> = off.into_iter().take(limit).map(cancelled).collect();
        for one in &ended {
            self.delete(&one.delivery, "", now);
        }
        ended
    }

    /// A trigger was changed.
    pub(super) fn hold(&mut self, trigger: TriggerId, held: bool, holds: bool) {
        for row in self.rows.values_mut().filter(|row| row.debt.delivery.trigger == trigger) {
            (row.held, row.holds) = (held, holds);
        }
    }

    pub(super) fn is_any_due_after(&self, far: Timestamp) -> bool {
        self.rows.values().any(|row| row.debt.due > far)
    }

    /// What is due later than anything can be is due now.
    pub(super) fn undo_far_times(&mut self, far: Timestamp, now: Timestamp) -> u64 {
        let mut undone = 0;
        for row in self.rows.values_mut().filter(|row| row.debt.due > far) {
            row.debt.due = now;
            row.debt.leased_until = row.debt.leased_until.map(|_| now);
            undone += 1;
        }
        undone
    }

    /// A trigger's URL was changed.
    pub(super) fn move_to(&mut self, trigger: TriggerId, lane: LaneId, now: Timestamp) -> u64 {
        let mut moved = 0;
        for row in self.rows.values_mut() {
            let is_elsewhere = row.debt.delivery.trigger == trigger && row.debt.lane != lane;
            if is_elsewhere && row.is_in_no_flight(now) {
                row.debt.lane = lane;
                moved += 1;
            }
        }
        moved
    }
}

pub(super) fn superseded(delivery: Delivery, now: Timestamp) -> Ended {
    let reason = "a newer revision goes in its place".into();
    Ended { delivery, ending: Ending::Superseded, reason, at: now }
}
