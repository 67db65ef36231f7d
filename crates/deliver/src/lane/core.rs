//! Whose turn it is: queues, seats, order, gates and pauses of all lanes. Pure: instants are arguments, effects are
//! returned, and nothing is awaited. The same inputs give the same effects in the same order.
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
use super::gate::Gate;
use super::key::{LaneKey, Origin};
use super::pace::Pace;
use crate::job::Job;

mod control;
mod queue;
mod turns;

use self::queue::{Flow, Queue, Queued};

/// Why a lane does not take a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum No {
    Full,
    Paused(Duration),
    Open,
    Duplicate,
    Superseded,
    Closed,
    Untold,
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

/// All lanes. What is iterated over is sorted: the order of maps with random keys decides nothing.
#[derive(Debug)]
pub(super) struct Core {
    config: Config,
    lanes: BTreeMap<LaneId, Lane>,
    /// Of lanes that are not as open as they are configured; they are kept while the lane itself is idle.
    gates: BTreeMap<LaneId, Gate>,
    origins: HashMap<Arc<Origin>, Seats>,
    strands: HashMap<Strand, Line>,
    /// When a lane that waits for its pace may go on.
    alarms: BinaryHeap<Reverse<(Instant, LaneId)>>,
    /// One was set since it was last asked.
    new_alarm: bool,
    /// A lane came to wait for a share of its rate since it was last asked.
    new_want: bool,
    jobs: usize,
    in_flight: usize,
    /// Jobs that have ended since the beginning, told or about to be.
    ends: u64,
    closed: bool,
}

/// One lane. How far its breaker lets it be open stands in [`Core::gates`].
#[derive(Debug)]
struct Lane {
    origin: Arc<Origin>,
    queue: Queue,
    /// Jobs of this lane that wait in a [`Line`].
    in_line: usize,
    in_flight: usize,
    /// How many of those in flight are of debts.
    owed_in_flight: usize,
    /// A probe is in it.
    has_probe: bool,
    /// It stands in its origin's ring.
    in_ring: bool,
    /// An alarm is set for it.
    has_alarm: bool,
    /// It was told that it waits for a share of its rate.
    has_asked: bool,
    /// When it last started a request.
    last_start: Option<Instant>,
    paused_until: Option<Instant>,
    pace: Pace,
    flow: Flow,
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
            gates: BTreeMap::new(),
            origins: HashMap::new(),
            strands: HashMap::new(),
            alarms: BinaryHeap::new(),
            new_alarm: false,
            new_want: false,
            jobs: 0,
            in_flight: 0,
            ends: 0,
            closed: false,
        }
    }

    /// Takes a job in, or says why not.
    pub(super) fn submit(&mut self, now: Instant, job: Arc<Job>) -> Result<Effects, No> {
        let LaneKey { origin, id, .. } = job.trigger.lane();
        let id = *id;
        self.may_enter(now, id, &job)?;
        self.jobs += 1;
        let lane = match self.lanes.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let known = self.origins.get_key_value(origin).map(|(origin, _)| origin.clone());
                let origin = known.unwrap_or_else(|| Arc::new(origin.clone()));
                self.origins.entry(origin.clone()).or_default().lanes += 1;
                entry.insert(Lane::new(origin, self.config.shared_rates))
            }
        };
        lane.pace.limit(job.trigger.id, job.trigger.rate_limit);
        lane.has_probe |= job.probe;
        if let Some(line) = self.strands.get_mut(&strand(&job)) {
            line.newest = line.newest.max(job.delivery.rev);
            line.waiting.push_back((id, job));
            lane.in_line += 1;
            return Ok(Effects::default());
        }
        self.strands.insert(strand(&job), Line { newest: job.delivery.rev, waiting: VecDeque::new() });
        lane.queue.push(Queued { job, since: now });
        let mut effects = Effects::default();
        self.go_on(now, id, &mut effects);
        Ok(effects)
    }

    /// The same for who knows of so many ends.
    pub(super) fn submit_knowing(&mut self, now: Instant, job: Arc<Job>, ends: u64) -> Result<Effects, No> {
        if ends < self.ends { Err(No::Untold) } else { self.submit(now, job) }
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
        // One probe at a time, whoever asks for another.
        let is_second_probe = job.probe && lane.is_some_and(|lane| lane.has_probe);
        if is_second_probe || !self.gate(id).admits(job) {
            return Err(No::Open);
        }
        if let Some(pause) = lane.and_then(|lane| lane.pause(now)) {
            return Err(No::Paused(pause));
        }
        let waiting = lane.map_or(0, Lane::waiting);
        let full = waiting >= self.config.queue || self.jobs >= self.config.jobs;
        // What has just fired would only wait, and be owed then; the records behind it would wait with it.
        let hangs = !job.owed && lane.is_some_and(|lane| self.hangs(now, id, lane));
        if full || hangs { Err(No::Full) } else { Ok(()) }
    }

    /// All its seats are taken, by requests that have been under way for longer than `handoff`.
    fn hangs(&self, now: Instant, id: LaneId, lane: &Lane) -> bool {
        let is_long = |start: Instant| start + self.config.handoff <= now;
        lane.in_flight >= self.gate(id).seats(self.config.concurrency) && lane.last_start.is_some_and(is_long)
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
        self.in_flight -= 1;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.in_flight -= 1;
            lane.owed_in_flight -= usize::from(job.owed);
            lane.has_probe &= !job.probe;
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

    /// Lanes go on whose pace allows it.
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
        effects
    }

    /// What waited for longer than `handoff` goes back, to be owed.
    pub(super) fn sweep(&mut self, now: Instant) -> Effects {
        let mut effects = Effects::default();
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

    /// Whether a lane has come to wait for a share since this was last asked.
    pub(super) fn take_new_want(&mut self) -> bool {
        std::mem::take(&mut self.new_want)
    }

    /// How many jobs have ended since the beginning.
    pub(super) fn ends(&self) -> u64 {
        self.ends
    }

    /// A job is about to be told as ended. Says whether a newer revision waits for it: from now on none is taken in
    /// by who does not know of this end.
    pub(super) fn end(&mut self, job: &Job) -> bool {
        self.ends += 1;
        self.superseded(job)
    }

    /// When [`Core::tick`] has something to do.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes nothing in any more and gives back all that has not started, lane by lane, then what waits in lines.
    pub(super) fn close(&mut self) -> Vec<Arc<Job>> {
        self.closed = true;
        let mut jobs: Vec<Arc<Job>> = Vec::new();
        for lane in self.lanes.values_mut() {
            jobs.extend(lane.queue.drain());
            lane.in_line = 0;
        }
        let mut lines: Vec<_> =
            self.strands.iter_mut().filter(|(_, line)| !line.waiting.is_empty()).collect();
        lines.sort_unstable_by_key(|(strand, _)| **strand);
        for (_, line) in lines {
            jobs.extend(line.waiting.drain(..).map(|(_, job)| job));
        }
        self.jobs -= jobs.len();
        jobs
    }

    /// Lanes, jobs in flight, jobs that wait.
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.lanes.len(), self.in_flight, self.jobs - self.in_flight]
    }

    /// For how long the job that waits longest has been waiting.
    pub(super) fn oldest(&self, now: Instant) -> Duration {
        let fronts = self.lanes.values().filter_map(|lane| lane.queue.oldest());
        fronts.map(|since| now.duration_since(since)).max().unwrap_or_default()
    }
}

impl Lane {
    fn new(origin: Arc<Origin>, shared_rates: bool) -> Self {
        Self {
            origin,
            queue: Queue::default(),
            in_line: 0,
            in_flight: 0,
            owed_in_flight: 0,
            has_probe: false,
            in_ring: false,
            has_alarm: false,
            has_asked: false,
            last_start: None,
            paused_until: None,
            pace: Pace::new(shared_rates),
            flow: Flow::default(),
        }
    }

    fn waiting(&self) -> usize {
        self.queue.len() + self.in_line
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
