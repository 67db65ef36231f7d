//! Turns: which lane starts its next request, what goes back, which lane is forgotten.

use std::cmp::Reverse;

use ringpost_model::LaneId;
use tokio::time::Instant;

use super::queue::Queued;
use super::{Back, Core, Effects, Lane, Start, strand};
use crate::job::Job;
use crate::lane::gate::Gate;
use crate::lane::key::Origin;
use crate::lane::pace::Wait;

impl Core {
    /// The next job of the strand joins the queue of its lane, which is returned.
    pub(super) fn leave_strand(&mut self, now: Instant, job: &Job) -> Option<LaneId> {
        let line = self.strands.get_mut(&strand(job))?;
        let Some((id, next)) = line.waiting.pop_front() else {
            self.strands.remove(&strand(job));
            return None;
        };
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.in_line -= 1;
            lane.queue.push(Queued { job: next, since: now });
        }
        Some(id)
    }

    /// Gives back the queued jobs for which `which` holds.
    pub(super) fn give_back(
        &mut self,
        now: Instant,
        id: LaneId,
        which: impl Fn(&Queued) -> bool,
        effects: &mut Effects,
    ) {
        while let Some(lane) = self.lanes.get_mut(&id) {
            let Some(Queued { job, .. }) = lane.queue.take(&which) else { break };
            let pause = lane.pause(now).unwrap_or_default();
            lane.has_probe &= !job.probe;
            self.jobs -= 1;
            let superseded = self.end(&job);
            let next = self.leave_strand(now, &job);
            effects.back.push(Back { lane: id, job, pause, superseded });
            if let Some(next) = next.filter(|next| *next != id) {
                self.go_on(now, next, effects);
            }
        }
    }

    /// The lane, and then its origin, go on as far as they can.
    pub(super) fn go_on(&mut self, now: Instant, id: LaneId, effects: &mut Effects) {
        let Some(lane) = self.lanes.get(&id) else { return };
        let origin = lane.origin.clone();
        let gate = self.gate(id);
        if gate == Gate::Shut {
            self.give_back(now, id, |queued| !gate.admits(&queued.job), effects);
        }
        self.join_ring(now, id);
        self.fill_seats(now, &origin, effects);
        self.drop_if_idle(now, id);
    }

    /// A lane that could start a request stands in its origin's ring, once.
    fn join_ring(&mut self, now: Instant, id: LaneId) {
        let seats = self.gate(id).seats(self.config.concurrency);
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if lane.in_ring || !lane.is_ready(now, seats) {
            return;
        }
        match lane.pace.wait(now) {
            Wait::Not => {
                if let Some(seats) = self.origins.get_mut(&lane.origin) {
                    lane.in_ring = true;
                    seats.ring.push_back(id);
                }
            }
            Wait::Until(at) if !lane.has_alarm => {
                lane.has_alarm = true;
                self.new_alarm = true;
                self.alarms.push(Reverse((at, id)));
            }
            Wait::ForShare if !lane.has_asked => {
                lane.has_asked = true;
                self.new_want = true;
            }
            Wait::Until(_) | Wait::ForShare => {}
        }
    }

    /// The last quarter of the seats is for lanes that have none: a few lanes whose receivers hang cannot take
    /// a shared host away from all others.
    fn fill_seats(&mut self, now: Instant, origin: &Origin, effects: &mut Effects) {
        let mut passed_over = 0;
        while let Some(seats) = self.origins.get_mut(origin) {
            if seats.taken >= self.config.per_origin || passed_over > seats.ring.len() {
                break;
            }
            let crowded = seats.taken * 4 >= self.config.per_origin * 3;
            let Some(id) = seats.ring.pop_front() else { break };
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            if crowded && lane.in_flight > 0 {
                seats.ring.push_back(id);
                passed_over += 1;
                continue;
            }
            lane.in_ring = false;
            if let Some(job) = self.start(now, id) {
                effects.starts.push(Start { lane: id, job });
                self.join_ring(now, id);
            }
        }
    }

    /// The next job of a lane takes a seat. The lane may have been paused, shut or emptied since it joined the ring,
    /// and its share of the rate may have ended.
    fn start(&mut self, now: Instant, id: LaneId) -> Option<std::sync::Arc<Job>> {
        let limit = self.gate(id).seats(self.config.concurrency);
        let lane = self.lanes.get_mut(&id)?;
        if !lane.is_ready(now, limit) {
            return None;
        }
        if lane.pace.wait(now) != Wait::Not {
            // It joins again when it may, by its alarm or its share.
            self.join_ring(now, id);
            return None;
        }
        let Queued { job, .. } = lane.queue.pop()?;
        lane.in_flight += 1;
        lane.owed_in_flight += usize::from(job.owed);
        lane.last_start = Some(now);
        lane.pace.started(now);
        lane.flow.started(now, self.config.handoff);
        if let Some(seats) = self.origins.get_mut(&lane.origin) {
            seats.taken += 1;
        }
        self.in_flight += 1;
        Some(job)
    }

    fn drop_if_idle(&mut self, now: Instant, id: LaneId) {
        let idle = |lane: &Lane| {
            let empty = lane.waiting() == 0 && lane.in_flight == 0;
            empty && lane.pause(now).is_none() && lane.pace.is_idle(now)
        };
        if !self.lanes.get(&id).is_some_and(idle) {
            return;
        }
        let Some(lane) = self.lanes.remove(&id) else { return };
        if let Some(seats) = self.origins.get_mut(&lane.origin) {
            seats.lanes -= 1;
            if seats.lanes == 0 {
                self.origins.remove(&lane.origin);
            }
        }
    }
}

impl Lane {
    /// It has something to start and may have it in flight.
    fn is_ready(&self, now: Instant, seats: usize) -> bool {
        !self.queue.is_empty() && self.in_flight < seats && self.pause(now).is_none()
    }
}
