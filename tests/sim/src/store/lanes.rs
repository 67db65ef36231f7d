//! Lanes that are not plain, in the simulated store: paused, or with a breaker; and shares of their rates.

use std::collections::{BTreeMap, BTreeSet};

use ringpost_model::{Breaker, LaneId, TenantId, Text, Timestamp};
use ringpost_store::{ASKED_FOR_PAUSE, LaneRow};

const NEVER: Timestamp = Timestamp::from_micros(0);

/// What is known of lanes.
#[derive(Debug, Clone, Default)]
pub struct Lanes {
    rows: BTreeMap<LaneId, Row>,
    /// By lane and process: until when, and how many requests in a thousand seconds.
    shares: BTreeMap<(LaneId, String), (Timestamp, u64)>,
}

#[derive(Debug, Clone, Default)]
struct Row {
    owner: Option<TenantId>,
    shown: Text,
    breaker: Breaker,
    probe_until: Timestamp,
    paused_until: Timestamp,
    pause_reason: Text,
}

impl Row {
    fn probe_at(&self) -> Option<Timestamp> {
        if let Breaker::Open { probe_at, .. } = self.breaker { Some(probe_at) } else { None }
    }
}

impl Lanes {
    /// Every lane that is not plain; `owed` says how much is owed in one, and how much of it waits for no trigger.
    pub fn all(&self, owed: impl Fn(LaneId) -> (u64, u64)) -> Vec<LaneRow> {
        let unless_never = |time: Timestamp| Some(time).filter(|time| *time != NEVER);
        let row = |(lane, row): (&LaneId, &Row)| LaneRow {
            lane: *lane,
            owner: row.owner,
            shown: row.shown.clone(),
            breaker: row.breaker.clone(),
            probe_until: unless_never(row.probe_until),
            paused_until: unless_never(row.paused_until),
            pause_reason: row.pause_reason.clone(),
            owed: owed(*lane).0,
            waiting: owed(*lane).1,
        };
        self.rows.iter().map(row).collect()
    }

    pub(super) fn is_paused(&self, lane: LaneId, now: Timestamp) -> bool {
        self.rows.get(&lane).is_some_and(|row| row.paused_until > now)
    }

    pub(super) fn is_open(&self, lane: LaneId) -> bool {
        self.rows.get(&lane).is_some_and(|row| row.breaker.is_open())
    }

    /// Lanes that were opened, or are open no longer.
    pub(super) fn changed_since(&self, before: &Self) -> Vec<(LaneId, bool)> {
        let lanes: BTreeSet<LaneId> = self.rows.keys().chain(before.rows.keys()).copied().collect();
        let changed = lanes.into_iter().filter(|lane| self.is_open(*lane) != before.is_open(*lane));
        changed.map(|lane| (lane, self.is_open(lane))).collect()
    }

    /// When a debt that is due then can be claimed.
    pub(super) fn not_before(&self, lane: LaneId, due: Timestamp) -> Timestamp {
        self.rows.get(&lane).map_or(due, |row| due.max(row.paused_until))
    }

    /// Open lanes that are not paused, the one whose probe was due first before.
    pub(super) fn open_lanes(&self, now: Timestamp) -> Vec<LaneId> {
        let open = self.rows.iter().filter(|(_, row)| row.paused_until <= now);
        let mut open: Vec<_> = open.filter_map(|(lane, row)| Some((row.probe_at()?, *lane))).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, lane)| lane).collect()
    }

    /// Leases the probe, where it is due and nobody's.
    pub(super) fn lease_probe(&mut self, lane: LaneId, now: Timestamp, until: Timestamp) -> bool {
        let Some(row) = self.rows.get_mut(&lane) else { return false };
        let is_due = row.probe_at().is_some_and(|at| at <= now);
        let is_free = is_due && row.probe_until <= now && row.paused_until <= now;
        if is_free {
            row.probe_until = until;
        }
        is_free
    }

    pub(super) fn end_probe(&mut self, lane: LaneId) {
        if let Some(row) = self.rows.get_mut(&lane) {
            row.probe_until = NEVER;
        }
    }

    /// False = another process has opened the lane meanwhile, and this word is of before that.
    pub(super) fn put_breaker(
        &mut self,
        lane: LaneId,
        (owner, shown): (TenantId, &Text),
        new: &Breaker,
        now: Timestamp,
    ) -> bool {
        let known = self.rows.get(&lane);
        if known.is_some_and(|row| !may_follow(&row.breaker, new)) {
            return false;
        }
        if *new == Breaker::Healthy {
            if let Some(row) = self.rows.get_mut(&lane) {
                (row.breaker, row.probe_until) = (Breaker::Healthy, NEVER);
            }
            let is_plain = |row: &Row| row.breaker == Breaker::Healthy && row.paused_until <= now;
            if self.rows.get(&lane).is_some_and(is_plain) {
                self.rows.remove(&lane);
            }
            return true;
        }
        let row = self.rows.entry(lane).or_default();
        let before = row.probe_at();
        (row.owner, row.shown, row.breaker) = (Some(owner), shown.clone(), new.clone());
        if before.is_none() || row.probe_at() != before {
            row.probe_until = NEVER;
        }
        true
    }

    /// Of two pauses the one that ends later holds.
    pub(super) fn pause(
        &mut self,
        lane: LaneId,
        (owner, shown): (TenantId, &Text),
        until: Timestamp,
        reason: &Text,
    ) {
        let row = self.rows.entry(lane).or_default();
        row.owner = Some(owner);
        if !shown.is_empty() {
            row.shown = shown.clone();
        }
        if until > row.paused_until {
            (row.paused_until, row.pause_reason) = (until, reason.clone());
        }
    }

    pub(super) fn is_any_paused_after(&self, far: Timestamp) -> bool {
        self.rows.values().any(|row| is_paused_too_long(row, far))
    }

    /// A pause that is longer than any a receiver can ask for is over.
    pub(super) fn undo_far_times(&mut self, far: Timestamp, now: Timestamp) -> u64 {
        let mut undone = 0;
        for row in self.rows.values_mut().filter(|row| is_paused_too_long(row, far)) {
            row.paused_until = now;
            undone += 1;
        }
        undone
    }

    /// A process's part of a rate, in requests of a thousand seconds.
    pub(super) fn lease_rate(
        &mut self,
        lane: LaneId,
        rate: u32,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> u64 {
        let rate = u64::from(rate) * 1_000;
        let others =
            self.shares.iter().filter(|((of, who), (ends, _))| *of == lane && who != owner && *ends > now);
        let (count, taken) = others.fold((0, 0), |(count, sum), (_, (_, share))| (count + 1, sum + share));
        let share = (rate / (count + 1)).min(rate.saturating_sub(taken));
        self.shares.insert((lane, owner.to_owned()), (until, share));
        share
    }
}

fn is_paused_too_long(row: &Row, far: Timestamp) -> bool {
    row.paused_until > far && *row.pause_reason == *ASKED_FOR_PAUSE
}

/// Whether one process can have said both, one after the other.
fn may_follow(old: &Breaker, new: &Breaker) -> bool {
    match (old, new) {
        (Breaker::Open { .. } | Breaker::Ramping { .. }, Breaker::Failing { .. }) => false,
        (Breaker::Open { since: old, .. }, Breaker::Open { since: new, .. }) => old == new,
        _ => true,
    }
}
