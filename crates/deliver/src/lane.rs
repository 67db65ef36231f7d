//! Lanes: each receiver of each tenant has its own queue, its own requests in flight and its own pauses, so a
//! slow one delays nobody else.
//!
//! [`Lanes`] keep nothing durable. A job that waits longer than `handoff`, or whose lane pauses, is given back
//! to be owed; one in flight for longer is reported as overdue, so that the store has it before a crash could
//! lose it. Whose turn it is decides `core`, which is pure; this file runs what it says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringpost_model::{LaneId, Timestamp};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::{Clock, Transport};
use crate::job::Job;
use crate::schedule::Next;
use crate::stats::{Counters, Stats};

mod config;
mod core;
mod flight;
mod gate;
mod key;
mod pace;
mod report;

pub use self::config::Config;
use self::core::{Back, Core, Effects, No, Start};
pub use self::gate::{Gate, Share};
pub use self::key::{LaneKey, Origin};
pub use self::report::{Finished, Refusal, Refused, Report};

/// All lanes of a process. A clone is the same lanes.
#[derive(Clone)]
pub struct Lanes(Arc<Inner>);

struct Inner {
    core: Mutex<Core>,
    transport: Arc<dyn Transport>,
    clock: Clock,
    reports: mpsc::Sender<Report>,
    handoff: Duration,
    lease: Duration,
    max_hold: Duration,
    counters: Counters,
    /// The next alarm may be earlier.
    new_alarm: Notify,
    /// A lane waits for a share of its rate.
    new_want: Notify,
    /// A request is over: `drain` may be too.
    ended: Notify,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Jobs whose end was not told when the time to drain was over.
    untold: Mutex<Vec<Arc<Job>>>,
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lanes")
    }
}

impl Lanes {
    /// Lanes without a job, and where they report. Must be called inside a runtime.
    pub fn new(
        config: Config,
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> (Self, mpsc::Receiver<Report>) {
        let (reports, receiver) = mpsc::channel(config.reports);
        let inner = Inner {
            transport,
            clock,
            reports,
            handoff: config.handoff,
            lease: config.lease,
            max_hold: config.max_hold,
            counters: Counters::default(),
            new_alarm: Notify::new(),
            new_want: Notify::new(),
            ended: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            untold: Mutex::default(),
            core: Mutex::new(Core::new(config)),
        };
        let lanes = Self(Arc::new(inner));
        lanes.0.tasks.spawn(keep_time(lanes.0.clone()));
        (lanes, receiver)
    }

    /// Takes a job in, without waiting.
    ///
    /// # Errors
    /// The job, when it has to be owed instead; see [`Refusal`].
    pub fn submit(&self, job: impl Into<Arc<Job>>) -> Result<(), Box<Refused>> {
        self.submit_by(job.into(), Core::submit)
    }

    /// The same for a correction, of which an earlier revision may be here: only if no more jobs than these have ended
    /// ([`Self::ends`]). Otherwise it could start before it is known that the earlier one is to be tried again.
    ///
    /// # Errors
    /// The job, when it has to be owed instead; with [`Refusal::Untold`] when there are reports to be taken first.
    pub fn submit_knowing(&self, job: impl Into<Arc<Job>>, ends: u64) -> Result<(), Box<Refused>> {
        self.submit_by(job.into(), |core, now, job| core.submit_knowing(now, job, ends))
    }

    fn submit_by(
        &self,
        job: Arc<Job>,
        submit: impl FnOnce(&mut Core, Instant, Arc<Job>) -> Result<Effects, No>,
    ) -> Result<(), Box<Refused>> {
        let lane = job.trigger.lane().id();
        match self.0.with_core(|core| submit(core, Instant::now(), job.clone())) {
            Ok(effects) => {
                self.0.counters.submitted();
                self.0.carry_out(effects);
                Ok(())
            }
            Err(no) => {
                self.0.counters.refused();
                Err(Box::new(Refused { job, lane, why: self.0.refusal(no) }))
            }
        }
    }

    /// How far a lane is open from now on, as its breaker says. A lane that is shut gives back what waits in it and
    /// is held.
    ///
    /// It does not wait for the reports of what goes back: who takes reports may be the one that calls.
    pub fn gate(&self, lane: LaneId, gate: Gate) {
        let effects = self.0.with_core(|core| core.set_gate(Instant::now(), lane, gate));
        self.0.carry_out(effects);
    }

    /// This process's part of a lane's rate from now on; none = it got none. Only where rates are shared.
    pub fn share(&self, lane: LaneId, share: Option<Share>) {
        let effects = self.0.with_core(|core| core.share(Instant::now(), lane, share));
        self.0.carry_out(effects);
    }

    /// Lanes with a rate that have something to do, and no share of it or one that ends soon; and the whole rate in
    /// requests per second.
    pub fn wants_share(&self) -> Vec<(LaneId, u32)> {
        self.0.core().wants_share(Instant::now())
    }

    /// Until a lane that had none comes to want a share.
    pub async fn share_wanted(&self) {
        self.0.new_want.notified().await;
    }

    /// How many more jobs of what is owed a lane could soon start. More would wait, and be given back.
    pub fn room(&self, lane: LaneId) -> usize {
        self.0.core().room(Instant::now(), lane)
    }

    /// How many jobs have ended since the beginning: they went back, or their request is over. Each of them is told by
    /// one [`Report::Back`] or [`Report::Finished`], and counted before: who has taken fewer does not know yet of a
    /// job that is in no lane any more, or is about to leave it. The report comes without anything else having to
    /// happen.
    pub fn ends(&self) -> u64 {
        self.0.core().ends()
    }

    /// What was counted so far, and how much is in the lanes now.
    pub fn stats(&self) -> Stats {
        let core = self.0.core();
        let ([lanes, in_flight, waiting], oldest) = (core.sizes(), core.oldest(Instant::now()));
        drop(core);
        self.0.counters.snapshot(lanes, in_flight, waiting, oldest)
    }

    /// Takes nothing in any more, lets requests in flight end for as long as `grace`, and gives back every job
    /// without a report of its end. Reports have to be taken meanwhile.
    pub async fn drain(&self, grace: Duration) -> Vec<Arc<Job>> {
        let inner = &*self.0;
        let mut jobs = inner.core().close();
        inner.tasks.close();
        // In time or not makes no difference: what was not told is given back.
        let _ = timeout(grace, inner.idle()).await;
        inner.stop.cancel();
        inner.tasks.wait().await;
        jobs.append(&mut inner.untold());
        jobs
    }
}

impl Inner {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the core an input, and has the time keeper look again where that set an alarm.
    fn with_core<T>(&self, input: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.core();
        let output = input(&mut core);
        let (new_alarm, new_want) = (core.take_new_alarm(), core.take_new_want());
        drop(core);
        if new_alarm {
            self.new_alarm.notify_one();
        }
        if new_want {
            self.new_want.notify_one();
        }
        output
    }

    fn refusal(&self, no: No) -> Refusal {
        match no {
            No::Full => Refusal::Full,
            No::Paused(left) => Refusal::Paused(plus((self.clock)(), left)),
            No::Open => Refusal::Open,
            No::Duplicate => Refusal::Duplicate,
            No::Superseded => Refusal::Superseded,
            No::Closed => Refusal::Closed,
            No::Untold => Refusal::Untold,
        }
    }

    fn start(self: &Arc<Self>, starts: impl IntoIterator<Item = Start>) {
        for start in starts {
            self.tasks.spawn(flight::fly(self.clone(), start));
        }
    }

    fn carry_out(self: &Arc<Self>, effects: Effects) {
        self.start(effects.starts);
        self.give_back(effects.back);
    }

    /// Does not wait until it is told: who takes reports may be the one that calls.
    fn give_back(self: &Arc<Self>, back: Vec<Back>) {
        if back.is_empty() {
            return;
        }
        let inner = self.clone();
        self.tasks.spawn(async move {
            for Back { lane, job, pause, superseded } in back {
                let due = plus((inner.clock)(), pause);
                let wait = Next::Wait { until: due, used: job.tries.used };
                let next = if superseded { Next::Superseded } else { wait };
                inner.counters.back();
                if !inner.tell(Report::Back { job: job.clone(), lane, next }).await {
                    inner.untold().push(job);
                }
            }
        });
    }

    /// Whether it was told before the time to drain was over. Nobody taking reports any more is the end of the
    /// process, not of a delivery: it was not reported, so it is still owed.
    async fn tell(&self, report: Report) -> bool {
        let report = match self.reports.try_send(report) {
            Ok(()) | Err(TrySendError::Closed(_)) => return true,
            Err(TrySendError::Full(report)) => report,
        };
        tokio::select! {
            // What can be told is told, also when the time is over at the same moment.
            biased;
            _ = self.reports.send(report) => true,
            () = self.stop.cancelled() => false,
        }
    }

    fn untold(&self) -> MutexGuard<'_, Vec<Arc<Job>>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until nothing is in flight.
    async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            let [_, in_flight, _] = self.core().sizes();
            if in_flight == 0 {
                return;
            }
            ended.await;
        }
    }
}

/// Lanes go on when their pace allows it; what waits too long goes back.
async fn keep_time(inner: Arc<Inner>) {
    let regular = (inner.handoff / 4).max(Duration::from_millis(1));
    let mut sweep = Instant::now() + regular;
    loop {
        let next = inner.core().next_alarm().map_or(sweep, |alarm| alarm.min(sweep));
        tokio::select! {
            // A stop is not to be missed; and what is slept for may be later than the next alarm by now.
            biased;
            () = inner.stop.cancelled() => return,
            () = inner.new_alarm.notified() => continue,
            () = sleep_until(next) => {}
        }
        let now = Instant::now();
        let effects = inner.with_core(|core| core.tick(now));
        inner.carry_out(effects);
        if now >= sweep {
            let effects = inner.with_core(|core| core.sweep(now));
            inner.carry_out(effects);
            sweep = now + regular;
        }
    }
}

fn plus(time: Timestamp, duration: Duration) -> Timestamp {
    time.plus_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
