//! Who gets what is owed, in the simulated store: claims of a lane, probes, last tries.

use std::collections::BTreeMap;

use ringpost_model::{Delivery, DeliveryId, LaneId, Timestamp};
use ringpost_store::{Debt, Ended, LaneDue};

use super::debts::{DebtRow, superseded};
use super::owed::Owed;

/// Debts looked at for one probe.
const PROBED: usize = 16;

/// A claim: by whom, when, until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lessee<'a> {
    pub(super) owner: &'a str,
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
}

/// What was leased, and what has ended instead, since a newer revision is owed.
pub(super) type Claimed = (Vec<Debt>, Vec<Ended>);

impl Owed {
    /// Leases due debts of a lane.
    pub(super) fn claim(&mut self, lane: LaneId, limit: usize, to: Lessee<'_>) -> Claimed {
        if self.lanes.is_paused(lane, to.now) {
            return Claimed::default();
        }
        let is_open = self.lanes.is_open(lane);
        let is_due = |row: &DebtRow| row.debt.due <= to.now && !(is_open && row.holds);
        let by_due = |row: &DebtRow| row.debt.due;
        let due = self.candidates(lane, limit, is_due, by_due);
        self.lease(&due, usize::MAX, to)
    }

    /// Leases the probe of a lane whose receiver is down.
    pub(super) fn claim_probe(&mut self, lane: LaneId, to: Lessee<'_>) -> (Option<Debt>, Vec<Ended>) {
        if !self.lanes.lease_probe(lane, to.now, to.until) {
            return Default::default();
        }
        let mut all_ended = Vec::new();
        loop {
            let oldest = self.candidates(lane, PROBED, |row| row.is_in_no_flight(to.now), oldest);
            if oldest.is_empty() {
                self.lanes.end_probe(lane);
                return (None, all_ended);
            }
            let (claimed, ended) = self.lease(&oldest, 1, to);
            all_ended.extend(ended);
            if let Some(debt) = claimed.into_iter().next() {
                return (Some(debt), all_ended);
            }
        }
    }

    /// Leases what has waited for too long for receivers that are down.
    pub(super) fn claim_last(&mut self, older_than: Timestamp, limit: usize, to: Lessee<'_>) -> Claimed {
        let is_too_old = |row: &DebtRow| row.is_in_no_flight(to.now) && oldest(row) < older_than;
        let has_any = |lane: &LaneId| {
            let of_lane = |row: &&DebtRow| row.debt.lane == *lane && row.can_be_claimed();
            self.debts.rows.values().filter(of_lane).any(is_too_old)
        };
        let lanes: Vec<LaneId> = self.lanes.open_lanes(to.now).into_iter().filter(has_any).collect();
        let (mut claimed, mut ended) = Claimed::default();
        for (at, lane) in lanes.iter().enumerate() {
            let share = (limit - claimed.len()).div_ceil(lanes.len() - at);
            let found = self.candidates(*lane, share, is_too_old, oldest);
            let (more, over) = self.lease(&found, share, to);
            claimed.extend(more);
            ended.extend(over);
        }
        (claimed, ended)
    }

    /// Debts of a lane that can be claimed, in some order, then by seq.
    fn candidates(
        &self,
        lane: LaneId,
        limit: usize,
        which: impl Fn(&DebtRow) -> bool,
        order: impl Fn(&DebtRow) -> Timestamp,
    ) -> Vec<DeliveryId> {
        let of_lane = self.debts.rows.values().filter(|row| row.debt.lane == lane && row.can_be_claimed());
        let found = of_lane.filter(|row| which(row));
        let mut found: Vec<_> = found.map(|row| (order(row), row.seq, row.debt.delivery.id)).collect();
        found.sort_unstable();
        found.into_iter().take(limit).map(|(.., delivery)| delivery).collect()
    }

    fn lease(&mut self, some: &[DeliveryId], most: usize, to: Lessee<'_>) -> Claimed {
        let (mut claimed, mut ended) = Claimed::default();
        let mut leased = Vec::new();
        let mut delivered = Vec::new();
        for id in some {
            let Some(row) = self.debts.rows.get(id) else { continue };
            if (row.owner.is_some() || self.several) && self.delivered.contains(id) {
                delivered.push(row.debt.delivery.clone());
            } else if self.debts.has_newer(&row.debt.delivery) || self.is_outrun(&row.debt.delivery) {
                ended.push(superseded(row.debt.delivery.clone(), to.now));
            } else if claimed.len() < most {
                leased.push(*id);
                claimed.push(Debt { leased_until: Some(to.until), ..row.debt.clone() });
            }
        }
        for id in leased {
            if let Some(row) = self.debts.rows.get_mut(&id) {
                row.owner = Some(to.owner.to_owned());
                (row.debt.due, row.debt.leased_until) = (to.until, Some(to.until));
            }
        }
        for over in delivered.iter().chain(ended.iter().map(|ended| &ended.delivery)) {
            self.debts.delete(over, to.owner, to.now);
        }
        (claimed, ended)
    }

    /// A later revision was delivered.
    fn is_outrun(&self, delivery: &Delivery) -> bool {
        self.several && delivery.later().any(|later| self.delivered.contains(&later.id))
    }

    /// Every lane with debts that can be claimed now or later, earliest first.
    pub(super) fn lanes_owed(&self) -> Vec<LaneDue> {
        let mut lanes: BTreeMap<LaneId, Timestamp> = BTreeMap::new();
        for row in self.debts.rows.values().filter(|row| row.can_be_claimed()) {
            let lane = row.debt.lane;
            if self.lanes.is_open(lane) && row.holds {
                continue;
            }
            let due = lanes.entry(lane).or_insert(row.debt.due);
            *due = row.debt.due.min(*due);
        }
        let due = |(lane, due)| LaneDue { lane, due: self.lanes.not_before(lane, due) };
        let mut lanes: Vec<LaneDue> = lanes.into_iter().map(due).collect();
        lanes.sort_by_key(|lane| (lane.due, lane.lane));
        lanes
    }
}

fn oldest(row: &DebtRow) -> Timestamp {
    row.debt.first_try.unwrap_or(row.debt.queued)
}
