//! What lanes are told from outside: gates, shares of rates; and what they are asked for: room, shares wanted.

use std::time::Duration;

use ringpost_model::LaneId;
use tokio::time::Instant;

use super::{Core, Effects, Lane};
use crate::lane::gate::{Gate, Share};

impl Core {
    /// How far a lane is open from now on. What may not wait there goes back.
    pub(in crate::lane) fn set_gate(&mut self, now: Instant, id: LaneId, gate: Gate) -> Effects {
        let mut effects = Effects::default();
        let before = match gate {
            Gate::Free => self.gates.remove(&id),
            gate => self.gates.insert(id, gate),
        };
        if before.unwrap_or_default() != gate {
            self.go_on(now, id, &mut effects);
        }
        effects
    }

    pub(super) fn gate(&self, id: LaneId) -> Gate {
        self.gates.get(&id).copied().unwrap_or_default()
    }

    /// This process's part of the lane's rate from now on.
    pub(in crate::lane) fn share(&mut self, now: Instant, id: LaneId, share: Option<Share>) -> Effects {
        let mut effects = Effects::default();
        // A share of nothing is none: the lane is not told at once that it needs another.
        let share = share.filter(|share| share.milli_per_second > 0);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.has_asked &= share.is_none();
            lane.pace.share(now, share, longest_breath(self.config.handoff));
            self.go_on(now, id, &mut effects);
        }
        effects
    }

    /// Lanes that need a share of their rate now or soon, and the whole rate.
    pub(in crate::lane) fn wants_share(&self, now: Instant) -> Vec<(LaneId, u32)> {
        let wants = |(id, lane): (&LaneId, &Lane)| {
            lane.pace.wants_share(now, lane.waiting() > 0).map(|rate| (*id, rate))
        };
        self.lanes.iter().filter_map(wants).collect()
    }

    /// How many more jobs the lane could soon start: for who takes them from a store.
    pub(in crate::lane) fn room(&self, now: Instant, id: LaneId) -> usize {
        let all = if self.closed { 0 } else { self.config.jobs.saturating_sub(self.jobs) };
        let lane = self.lanes.get(&id);
        if lane.is_some_and(|lane| lane.pause(now).is_some()) {
            return 0;
        }
        let of_lane = match (self.gate(id), lane) {
            (Gate::Shut, _) => 0,
            (gate @ Gate::Few(_), lane) => {
                let here = lane.map_or(0, |lane| lane.owed_in_flight + lane.queue.owed() + lane.in_line);
                gate.seats(self.config.concurrency).saturating_sub(here)
            }
            (Gate::Free, None) => self.config.concurrency * 2,
            (Gate::Free, Some(lane)) => self.unused(now, lane).max(self.owed_turns(now, lane)),
        };
        all.min(of_lane)
    }

    /// A lane fills up below its number of requests in flight, so that one whose receiver hangs is given nothing
    /// that it would only give back.
    fn unused(&self, now: Instant, lane: &Lane) -> usize {
        let waiting = lane.waiting();
        if lane.in_flight + waiting >= self.config.concurrency {
            return 0;
        }
        let free = self.config.concurrency * 2 - lane.in_flight - waiting;
        let in_time = lane.pace.fits(now, self.config.handoff).map(|fits| fits.saturating_sub(waiting));
        free.min(in_time.unwrap_or(free))
    }

    /// One start in two is for what is owed, also while what has just fired fills the lane.
    fn owed_turns(&self, now: Instant, lane: &Lane) -> usize {
        let starts = lane.flow.last(now, self.config.handoff);
        (starts / 2).min(self.config.concurrency).saturating_sub(lane.queue.owed() + lane.in_line)
    }
}

/// A quarter of `handoff` and no more, so that nothing goes back for a breath's sake.
fn longest_breath(handoff: Duration) -> Duration {
    handoff / 4
}
