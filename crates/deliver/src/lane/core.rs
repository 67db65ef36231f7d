//! Whose turn it is: queues, seats, order and pauses of all lanes. Pure: instants are arguments, effects are
//! returned, and nothing is awaited.
//!
//! A lane has a bounded queue and a number of requests in flight. The lanes of one origin share its seats,
//! taking turns. Deliveries of one (trigger, session) go one at a time, whatever lanes they are of.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ringpost_model::{LaneId, SessionId, TriggerId};
use tokio::time::Instant;

use super::Config;
use super::key::{LaneKey, Origin};
use super::pace::Pace;
use crate::job::Job;

/// Why a lane does not take a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum No {
    Full,
    Paused(Duration),
    Duplicate,
    Superseded,
    Closed,
}

/// A request that starts now.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) lane: LaneId,
    pub(super) job: Arc<Job>,
}

/// A job that goes back, to be owed.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) lane: LaneId,
    pub(super) job: Arc<Job>,
    /// How long the lane is paused.
    pub(super) pause: Duration,
    /// A newer revision is here, which goes in its place.
    pub(super) superseded: bool,
}

/// What an input leads to.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) starts: Vec<Start>,
    pub(super) back: Vec<Back>,
}

/// Deliveries of one record to one trigger.
type Strand = (TriggerId, SessionId);

/// All lanes.
#[derive(Debug)]
pub(super) struct Core {
    config: Config,
    /// In order of their ids, so that the same inputs have the same effects.
    lanes: BTreeMap<LaneId, Lane>,
    origins: HashMap<Arc<Origin>, Seats>,
    strands: HashMap<Strand, Line>,
    /// When a lane that waits for its pace may go on.
    alarms: BinaryHeap<Reverse<(Instant, LaneId)>>,
    /// One was set since it was last asked.
    new_alarm: bool,
    jobs: usize,
    closed: bool,
}

/// One lane. Its breaker will stand beside its pace.
#[derive(Debug)]
struct Lane {
    origin: Arc<Origin>,
    queue: VecDeque<Queued>,
    /// Jobs of this lane that wait in a [`Line`].
    in_line: usize,
    in_flight: usize,
    /// It stands in its origin's ring.
    in_ring: bool,
    /// An alarm is set for it.
    has_alarm: bool,
    paused_until: Option<Instant>,
    pace: Pace,
}

#[derive(Debug)]
struct Queued {
    job: Arc<Job>,
    since: Instant,
}

/// The seats of one origin and the lanes that want one, in turn.
#[derive(Debug, Default)]
struct Seats {
    taken: usize,
    ring: VecDeque<LaneId>,
    lanes: usize,
}

/// A strand: one job of it is queued or in flight, these wait for it.
#[derive(Debug)]
struct Line {
    newest: u32,
    waiting: VecDeque<(LaneId, Arc<Job>)>,
}

impl Core {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            lanes: BTreeMap::new(),
            origins: HashMap::new(),
            strands: HashMap::new(),
            alarms: BinaryHeap::new(),
            new_alarm: false,
            jobs: 0,
            closed: false,
        }
    }

    /// Takes a job in, or says why not.
    pub(super) fn submit(&mut self, now: Instant, key: LaneKey, job: Arc<Job>) -> Result<Effects, No> {
        let id = key.id();
        self.may_enter(now, id, &job)?;
        self.jobs += 1;
        let lane = match self.lanes.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let known = self.origins.get_key_value(&key.origin).map(|(origin, _)| origin.clone());
                let origin = known.unwrap_or_else(|| Arc::new(key.origin));
                self.origins.entry(origin.clone()).or_default().lanes += 1;
                entry.insert(Lane::new(origin))
            }
        };
        lane.pace.limit(job.trigger.id, job.trigger.rate_limit);
        if let Some(line) = self.strands.get_mut(&strand(&job)) {
            line.newest = line.newest.max(job.delivery.rev);
            line.waiting.push_back((id, job));
            lane.in_line += 1;
            return Ok(Effects::default());
        }
        self.strands.insert(strand(&job), Line { newest: job.delivery.rev, waiting: VecDeque::new() });
        lane.queue.push_back(Queued { job, since: now });
        let mut effects = Effects::default();
        self.go_on(now, id, &mut effects);
        Ok(effects)
    }

    fn may_enter(&self, now: Instant, id: LaneId, job: &Job) -> Result<(), No> {
        if self.closed {
            return Err(No::Closed);
        }
        if let Some(line) = self.strands.get(&strand(job)) {
            match job.delivery.rev.cmp(&line.newest) {
                std::cmp::Ordering::Less => return Err(No::Superseded),
                std::cmp::Ordering::Equal => return Err(No::Duplicate),
                std::cmp::Ordering::Greater => {}
            }
        }
        let lane = self.lanes.get(&id);
        if let Some(pause) = lane.and_then(|lane| lane.pause(now)) {
            return Err(No::Paused(pause));
        }
        let waiting = lane.map_or(0, |lane| lane.queue.len() + lane.in_line);
        let full = waiting >= self.config.queue || self.jobs >= self.config.jobs;
        if full { Err(No::Full) } else { Ok(()) }
    }

    /// How many more jobs the lane could soon start: for who takes them from a store. It fills up below its number
    /// of requests in flight, so that a lane whose receiver hangs is given nothing that it would only give back.
    pub(super) fn room(&self, now: Instant, id: LaneId) -> usize {
        let all = self.config.jobs.saturating_sub(self.jobs);
        let Some(lane) = self.lanes.get(&id) else { return all.min(self.config.concurrency * 2) };
        let waiting = lane.queue.len() + lane.in_line;
        let is_busy = lane.in_flight + waiting >= self.config.concurrency;
        if self.closed || is_busy || lane.pause(now).is_some() {
            return 0;
        }
        let free = self.config.concurrency * 2 - lane.in_flight - waiting;
        let in_time = lane.pace.fits(self.config.handoff).map(|fits| fits.saturating_sub(waiting));
        all.min(free).min(in_time.unwrap_or(free))
    }

    /// Whether a newer revision waits for this job to end.
    pub(super) fn superseded(&self, job: &Job) -> bool {
        self.strands.get(&strand(job)).is_some_and(|line| line.newest > job.delivery.rev)
    }

    /// A request is over; `pause` is what the receiver asked for. Frees its seat.
    pub(super) fn finished(
        &mut self,
        now: Instant,
        id: LaneId,
        job: &Job,
        pause: Option<Duration>,
    ) -> Effects {
        let mut effects = Effects::default();
        self.jobs -= 1;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.in_flight -= 1;
            if let Some(seats) = self.origins.get_mut(&lane.origin) {
                seats.taken -= 1;
            }
            if let Some(pause) = pause {
                lane.paused_until = lane.paused_until.max(Some(now + pause));
            }
        }
        let next = self.leave_strand(now, job);
        if pause.is_some() {
            self.give_back(now, id, |_| true, &mut effects);
        }
        self.go_on(now, id, &mut effects);
        if let Some(next) = next.filter(|next| *next != id) {
            self.go_on(now, next, &mut effects);
        }
        effects
    }

    /// Time has passed: lanes go on whose pace allows it, and what waited for longer than `handoff` goes back,
    /// to be owed.
    pub(super) fn tick(&mut self, now: Instant) -> Effects {
        let mut effects = Effects::default();
        while let Some(Reverse((at, id))) = self.alarms.peek().copied() {
            if at > now {
                break;
            }
            self.alarms.pop();
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.has_alarm = false;
            }
            self.go_on(now, id, &mut effects);
        }
        let handoff = self.config.handoff;
        let late = |queued: &Queued| queued.since + handoff <= now;
        let ids: Vec<LaneId> = self.lanes.keys().copied().collect();
        for id in ids {
            self.give_back(now, id, late, &mut effects);
            // A pause may have ended, and an idle lane may be dropped, without any other input.
            self.go_on(now, id, &mut effects);
        }
        effects
    }

    /// Whether [`Core::next_alarm`] may be earlier than when this was last asked.
    pub(super) fn take_new_alarm(&mut self) -> bool {
        std::mem::take(&mut self.new_alarm)
    }

    /// When [`Core::tick`] has something to do before its regular time.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes nothing in any more and gives back all that has not started.
    pub(super) fn close(&mut self) -> Vec<Arc<Job>> {
        self.closed = true;
        let mut jobs: Vec<Arc<Job>> = Vec::new();
        for lane in self.lanes.values_mut() {
            jobs.extend(lane.queue.drain(..).map(|queued| queued.job));
            lane.in_line = 0;
        }
        let mut strands: Vec<(&Strand, &mut Line)> = self.strands.iter_mut().collect();
        strands.sort_unstable_by_key(|(strand, _)| **strand);
        for (_, line) in strands {
            jobs.extend(line.waiting.drain(..).map(|(_, job)| job));
        }
        self.jobs -= jobs.len();
        jobs
    }

    /// Lanes, jobs in flight, jobs that wait.
    pub(super) fn sizes(&self) -> [usize; 3] {
        let in_flight = self.lanes.values().map(|lane| lane.in_flight).sum();
        [self.lanes.len(), in_flight, self.jobs - in_flight]
    }

    /// For how long the job that waits longest has been waiting.
    pub(super) fn oldest(&self, now: Instant) -> Duration {
        let fronts = self.lanes.values().filter_map(|lane| lane.queue.front());
        fronts.map(|queued| now.duration_since(queued.since)).max().unwrap_or_default()
    }

    /// The next job of the strand joins the queue of its lane, which is returned.
    fn leave_strand(&mut self, now: Instant, job: &Job) -> Option<LaneId> {
        let line = self.strands.get_mut(&strand(job))?;
        let Some((id, next)) = line.waiting.pop_front() else {
            self.strands.remove(&strand(job));
            return None;
        };
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.in_line -= 1;
            lane.queue.push_back(Queued { job: next, since: now });
        }
        Some(id)
    }

    /// Gives back the jobs at the front of the queue for which `which` holds.
    fn give_back(
        &mut self,
        now: Instant,
        id: LaneId,
        which: impl Fn(&Queued) -> bool,
        effects: &mut Effects,
    ) {
        while let Some(lane) = self.lanes.get_mut(&id) {
            if !lane.queue.front().is_some_and(&which) {
                break;
            }
            let Some(Queued { job, .. }) = lane.queue.pop_front() else { break };
            let pause = lane.pause(now).unwrap_or_default();
            self.jobs -= 1;
            let superseded = self.superseded(&job);
            let next = self.leave_strand(now, &job);
            if let Some(next) = next.filter(|next| *next != id) {
                self.go_on(now, next, effects);
            }
            effects.back.push(Back { lane: id, job, pause, superseded });
        }
    }

    /// The lane, and then its origin, go on as far as they can.
    fn go_on(&mut self, now: Instant, id: LaneId, effects: &mut Effects) {
        let Some(lane) = self.lanes.get(&id) else { return };
        let origin = lane.origin.clone();
        self.join_ring(now, id);
        self.fill_seats(now, &origin, effects);
        self.drop_if_idle(now, id);
    }

    /// A lane that could start a request stands in its origin's ring, once.
    fn join_ring(&mut self, now: Instant, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let waits = lane.queue.is_empty() || lane.in_flight >= self.config.concurrency;
        if lane.in_ring || waits || lane.pause(now).is_some() {
            return;
        }
        if let Some(at) = lane.pace.wait(now) {
            if !lane.has_alarm {
                lane.has_alarm = true;
                self.new_alarm = true;
                self.alarms.push(Reverse((at, id)));
            }
            return;
        }
        if let Some(seats) = self.origins.get_mut(&lane.origin) {
            lane.in_ring = true;
            seats.ring.push_back(id);
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
            // It may have been paused, or emptied, while it stood in the ring.
            let ready = lane.pause(now).is_none() && lane.in_flight < self.config.concurrency;
            let Some(queued) = ready.then(|| lane.queue.pop_front()).flatten() else { continue };
            seats.taken += 1;
            lane.in_flight += 1;
            lane.pace.started(now);
            effects.starts.push(Start { lane: id, job: queued.job });
            self.join_ring(now, id);
        }
    }

    fn drop_if_idle(&mut self, now: Instant, id: LaneId) {
        let idle = |lane: &Lane| {
            let empty = lane.queue.is_empty() && lane.in_line == 0 && lane.in_flight == 0;
            empty && lane.pause(now).is_none() && lane.pace.wait(now).is_none()
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
    fn new(origin: Arc<Origin>) -> Self {
        Self {
            origin,
            queue: VecDeque::new(),
            in_line: 0,
            in_flight: 0,
            in_ring: false,
            has_alarm: false,
            paused_until: None,
            pace: Pace::default(),
        }
    }

    /// For how long it is still paused.
    fn pause(&self, now: Instant) -> Option<Duration> {
        let left = self.paused_until?.checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }
}

fn strand(job: &Job) -> Strand {
    (job.delivery.trigger, job.delivery.session)
}

#[cfg(test)]
mod tests;
