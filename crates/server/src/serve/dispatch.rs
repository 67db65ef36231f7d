//! The dispatch role: records in, deliveries out. One loop owns everything: it reads records, hands deliveries to
//! lanes, takes their reports, claims what is owed, and makes it all durable in batches. Only then does the
//! consumer's offset move (architecture.md, Dispatch).

mod backlog;
mod fate;
mod fire;
mod follow;
mod look;
mod owed;
mod pending;
mod receivers;
mod records;
mod report;
mod told;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use ringpost_bus::{Commit, Event, Offset, Partition, Position, Worker};
use ringpost_deliver::{Job, Lanes, Limits, Report};
use ringpost_model::{DeliveryId, EventName, LaneId, Timestamp, TriggerId};
use ringpost_store::{LaneLedger, Store};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::admin::Readiness;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::serve::dead_letters::DeadLetters;
use crate::serve::window::Window;
use crate::topics::CDRS;
use crate::trigger_cache::TriggerSource;

use backlog::Backlog;
pub use backlog::Limits as BacklogLimits;
pub use fire::Fire;
use pending::Pending;
use receivers::Receivers;
use records::Fresh;

/// Records read and not yet settled: bounds memory, and how much a crash makes us look at again. Less than is got
/// through in `handoff`: what waits longer is owed, and that costs a busy machine more than the delivery.
const RECORDS_IN_FLIGHT: usize = 2_048;
/// So much waits at most before it is made durable; a call delivered at the first try is four items. Several hundred
/// of them share a sync where the disk is slow, and it still takes far less than a second.
const FLUSH_ITEMS: usize = 2_048;
/// So long it waits at most: a sync of the disk is worth sharing, a person is not kept waiting.
const FLUSH_AFTER: Duration = Duration::from_millis(5);
/// The position in the log follows what is durable after so long: should it be behind at a crash, what is over is
/// found in the store, and is not sent again.
const COMMIT_AFTER: Duration = Duration::from_millis(50);
/// Wait after an error of the store before the same is tried again.
const AFTER_ERROR: Duration = Duration::from_millis(500);
/// So much longer than requests may take after a stop it is tried to write down what came of them.
const AFTER_GRACE: Duration = Duration::from_secs(1);
/// The longest wait for a record of the log before the loop looks at the rest.
const PATIENCE: Duration = Duration::from_millis(500);

/// A look at the log starts anew after every report; after so long without one it is waited for, so that the
/// delivery of a backlog does not keep new records waiting.
const LOOK_AT_LOG: Duration = Duration::from_millis(10);

/// What the role needs from the process.
pub struct Dispatch<W, S = Store, T = Store> {
    /// Reads records.
    pub worker: W,
    /// What is durable.
    pub store: S,
    /// Says what time it is.
    pub clock: Clock,
    /// The ways to receivers.
    pub lanes: Lanes,
    /// What they say.
    pub reports: mpsc::Receiver<Report>,
    /// Asks triggers about records.
    pub fire: Fire<S, T>,
    /// Where records go that cannot be read.
    pub dead_letters: DeadLetters<S>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Set once partitions are assigned.
    pub readiness: Arc<Readiness>,
    /// Names this dispatcher in leases.
    pub owner: String,
    /// From the start of a try to its end at the latest, with some seconds on top.
    pub lease: Duration,
    /// How long requests in flight may take after a stop.
    pub grace: Duration,
    /// Requests in flight of a lane whose receiver is well.
    pub concurrency: usize,
    /// When a receiver counts as down.
    pub breaker: Limits,
    /// From the first try of a delivery to its last one.
    pub max_hold: Duration,
    /// How much may be owed.
    pub backlog: BacklogLimits,
    /// Notices that are sent as mail.
    pub mailed: Vec<EventName>,
    /// Several dispatchers share the rates of lanes through the store.
    pub shares_rates: bool,
}

/// What the loop knows.
struct State {
    /// The process is to stop.
    stop: CancellationToken,
    /// How long what fails is tried again after that.
    grace: Duration,
    /// When that is over.
    give_up_at: Option<Instant>,
    partitions: BTreeMap<Partition, Owned>,
    pending: Pending,
    /// When what is pending is made durable.
    flush_at: Option<Instant>,
    /// When the positions are committed.
    commit_at: Option<Instant>,
    /// Deliveries in lanes that no debt stands for: the record they are of waits for them.
    fresh: BTreeMap<DeliveryId, Fresh>,
    /// Deliveries in lanes that a debt of ours stands for.
    owed: HashSet<DeliveryId>,
    claim_at: Option<Instant>,
    /// The lane at which claims, or probes, were broken off.
    claims_from: Option<LaneId>,
    probes_from: Option<LaneId>,
    /// When the log was last heard of.
    log_seen: Option<Instant>,
    /// When debts of triggers that were switched off are looked for again.
    cancel_at: Option<Instant>,
    /// When the store is looked at again for what others changed.
    look_at: Option<Instant>,
    /// Which receivers are down is known. Before that no record is read: all of them would be sent to at once.
    has_looked: bool,
    receivers: Receivers,
    /// Since when receivers are, or were, down that are not yet well again.
    down_since: BTreeMap<LaneId, Timestamp>,
    /// Triggers that wait for receivers which are down, by lane, with the version that is known to go there.
    stays: BTreeMap<(LaneId, TriggerId), u64>,
    backlog: Backlog,
    /// The hour in which it was last told of a trigger that too much waits.
    backlog_told: BTreeMap<TriggerId, i64>,
    /// Triggers with `autoDisable` whose tries failed since the last flush, each with such a try.
    failed: BTreeMap<TriggerId, Arc<Job>>,
    /// Jobs that lanes have told as ended, to compare with how many there are.
    ends: u64,
}

#[derive(Default)]
struct Owned {
    window: Window,
    /// A position that is settled and not committed yet.
    next: Option<u64>,
    /// Records may have been dispatched before a crash: what is settled or owed already is left alone.
    recovering: bool,
}

/// What woke the loop.
enum Turn {
    Log(Result<Event, ringpost_bus::Error>),
    Report(Option<Report>),
    Claim,
    Flush,
    Commit,
    Stop,
}

impl<W: Worker, S: LaneLedger, T: TriggerSource> Dispatch<W, S, T> {
    /// Runs until it is told to stop; then requests in flight may end, and what is left is owed.
    ///
    /// # Errors
    /// The log cannot be used any more; the process should end and be started again.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let state = self.state(stop.clone());
        self.run_from(state, stop).await
    }

    async fn run_from(self, state: State, stop: CancellationToken) -> anyhow::Result<()> {
        let lanes = self.lanes.clone();
        let ended = self.turns(state, stop).await;
        if ended.is_err() {
            // Nobody writes down any more what comes of a request. What still waits here is another's from now on, and
            // would be sent twice.
            lanes.drain(Duration::ZERO).await;
        }
        ended
    }

    async fn turns(mut self, mut state: State, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let turn = self.next_turn(&state, &stop).await;
            if matches!(turn, Turn::Log(_)) {
                state.log_seen = Some(Instant::now());
            }
            match turn {
                Turn::Log(Ok(event)) => self.handle_log(&mut state, event).await?,
                Turn::Log(Err(error)) if error.is_temporary() => {
                    warn!(%error, "read of records failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
                Turn::Log(Err(error)) => return Err(error).context("read records"),
                Turn::Report(Some(report)) => self.handle_reports(&mut state, report).await,
                Turn::Report(None) => anyhow::bail!("the lanes ended by themselves"),
                Turn::Claim => self.claim(&mut state).await?,
                Turn::Flush => self.flush(&mut state).await?,
                Turn::Commit => self.commit(&mut state).await?,
                Turn::Stop => return self.stop(state).await,
            }
            self.flush_if_full(&mut state).await?;
        }
    }

    fn state(&self, stop: CancellationToken) -> State {
        State {
            stop,
            grace: self.grace,
            give_up_at: None,
            partitions: BTreeMap::new(),
            pending: Pending::default(),
            flush_at: None,
            commit_at: None,
            fresh: BTreeMap::new(),
            owed: HashSet::new(),
            claim_at: Some(Instant::now()),
            claims_from: None,
            probes_from: None,
            log_seen: None,
            cancel_at: None,
            look_at: None,
            has_looked: false,
            receivers: Receivers::new(self.breaker.clone(), self.concurrency),
            down_since: BTreeMap::new(),
            stays: BTreeMap::new(),
            backlog: Backlog::new(self.backlog),
            backlog_told: BTreeMap::new(),
            failed: BTreeMap::new(),
            ends: 0,
        }
    }

    /// Takes what has been reported until now: each look at the log starts anew after a report.
    async fn handle_reports(&mut self, state: &mut State, first: Report) {
        self.handle_report(state, first).await;
        while state.pending.len() < FLUSH_ITEMS
            && let Ok(report) = self.reports.try_recv()
        {
            self.handle_report(state, report).await;
        }
    }

    async fn next_turn(&mut self, state: &State, stop: &CancellationToken) -> Turn {
        let in_flight: usize = state.partitions.values().map(|owned| owned.window.len()).sum();
        let has_room = state.has_looked && in_flight < RECORDS_IN_FLIGHT;
        if has_room && state.log_seen.is_some_and(|at| at.elapsed() >= LOOK_AT_LOG) && !stop.is_cancelled() {
            return Turn::Log(self.worker.next(Duration::ZERO).await);
        }
        // What waits longest comes first: reports, of which there may always be more, come last but for the log,
        // which has its turn above.
        tokio::select! {
            biased;
            () = stop.cancelled() => Turn::Stop,
            () = at(state.flush_at) => Turn::Flush,
            () = at(state.commit_at) => Turn::Commit,
            () = at(state.claim_at) => Turn::Claim,
            report = self.reports.recv() => Turn::Report(report),
            event = self.worker.next(PATIENCE), if has_room => Turn::Log(event),
        }
    }

    async fn flush_if_full(&mut self, state: &mut State) -> anyhow::Result<()> {
        if state.pending.len() >= FLUSH_ITEMS {
            return self.flush(state).await;
        }
        if !state.pending.is_empty() && state.flush_at.is_none() {
            state.flush_at = Some(Instant::now() + FLUSH_AFTER);
        }
        Ok(())
    }

    /// Makes everything pending durable. The position moves past the records that are settled by it, soon.
    async fn flush(&mut self, state: &mut State) -> anyhow::Result<()> {
        state.flush_at = None;
        if state.pending.is_empty() {
            return Ok(());
        }
        let tells = state.pending.has_notices();
        let flush = state.pending.take();
        let settled = loop {
            match self.store.settle(&flush.batch, &self.owner, (self.clock)()).await {
                Ok(settled) => break settled,
                Err(error) => {
                    self.complain(&error, "write of deliveries");
                    state.wait("write of deliveries").await?;
                }
            }
        };
        state.receivers.all_kept();
        if !settled.stale.is_empty() {
            // Another dispatcher knows better of a lane.
            state.look_at = None;
        }
        for place in flush.settles {
            if let Some(owned) = state.partitions.get_mut(&place.partition) {
                owned.window.settle(place.offset);
            }
        }
        state.commit_at = state.commit_at.or(Some(Instant::now() + COMMIT_AFTER));
        if !state.failed.is_empty() {
            self.disable_failing(state).await;
        }
        if tells {
            // Whoever listens hears of it now, not at the next look.
            state.look_at = None;
            state.claim_soon();
        }
        Ok(())
    }

    /// Says that the store fails. What does not pass by itself is said louder and shown by `/readyz`; the intake goes
    /// on, and nothing is lost meanwhile.
    fn complain(&self, error: &ringpost_store::Error, what: &str) {
        if error.is_temporary() {
            warn!(%error, "{what} failed, trying again");
        } else {
            error!(%error, "{what} failed, and will until somebody mends it; dispatch waits");
            self.readiness.dispatch.store(false, Ordering::Release);
        }
    }

    /// Moves the positions past what is settled. A journal that takes none, as when its disk is full, keeps nothing
    /// else waiting: what is read again after a crash is known as settled.
    async fn commit(&mut self, state: &mut State) -> anyhow::Result<()> {
        state.commit_at = None;
        let mut commit = Commit::default();
        for (partition, owned) in &mut state.partitions {
            owned.next = owned.window.take_settled().or(owned.next);
            let position =
                |next| Position { topic: CDRS.to_owned(), partition: *partition, next: Offset(next) };
            commit.positions.extend(owned.next.map(position));
        }
        if commit.positions.is_empty() {
            return Ok(());
        }
        match self.worker.commit(commit).await {
            Ok(()) => {
                state.partitions.values_mut().for_each(|owned| owned.next = None);
                Ok(())
            }
            Err(error) if error.is_temporary() => {
                warn!(%error, "commit of positions failed, trying again");
                state.commit_at = Some(Instant::now() + AFTER_ERROR);
                Ok(())
            }
            Err(error) if error.wants_new_worker() => {
                // Deliveries are durable by themselves: whoever reads the records again finds them settled or owed.
                warn!(%error, "the partitions were given to others");
                state.partitions.clear();
                state.fresh.clear();
                Ok(())
            }
            Err(error) => Err(error).context("commit positions"),
        }
    }

    /// Requests in flight may end within the grace time; all others are owed.
    async fn stop(mut self, mut state: State) -> anyhow::Result<()> {
        info!(in_lanes = state.fresh.len() + state.owed.len(), "dispatch stops");
        state.give_up_at.get_or_insert_with(|| Instant::now() + self.grace + AFTER_GRACE);
        let lanes = self.lanes.clone();
        let drain = lanes.drain(self.grace);
        tokio::pin!(drain);
        let left = loop {
            tokio::select! {
                biased;
                () = at(state.flush_at) => self.flush(&mut state).await?,
                Some(report) = self.reports.recv() => self.handle_reports(&mut state, report).await,
                left = &mut drain => break left,
            }
            // A process that is killed meanwhile forgets nothing that has ended before.
            self.flush_if_full(&mut state).await?;
        };
        while let Ok(report) = self.reports.try_recv() {
            self.handle_report(&mut state, report).await;
        }
        let now = (self.clock)();
        for job in left {
            let lane = job.trigger.lane().id();
            state.pending.owe(report::debt(&job, lane, now, "the process was stopped"));
            state.forget(job.delivery.id);
        }
        self.flush(&mut state).await?;
        self.commit(&mut state).await
    }
}

impl State {
    /// Waits before the same write is tried again, also while the process stops: what has been delivered and is not
    /// written would be sent again.
    ///
    /// # Errors
    /// The grace time is over: what was not done is done at the next start.
    async fn wait(&mut self, what: &str) -> anyhow::Result<()> {
        if self.stop.run_until_cancelled(tokio::time::sleep(AFTER_ERROR)).await.is_some() {
            return Ok(());
        }
        let until = *self.give_up_at.get_or_insert_with(|| Instant::now() + self.grace + AFTER_GRACE);
        anyhow::ensure!(Instant::now() < until, "{what} could not be done before the stop");
        tokio::time::sleep_until(until.min(Instant::now() + AFTER_ERROR)).await;
        Ok(())
    }

    /// Waits before the same is looked up again. False = the process is to stop, and it is not needed any more.
    async fn wait_to_read(&self) -> bool {
        self.stop.run_until_cancelled(tokio::time::sleep(AFTER_ERROR)).await.is_some()
    }

    /// The delivery is in no lane any more. Once what is pending is durable, its record need not wait for it.
    fn forget(&mut self, delivery: DeliveryId) {
        self.owed.remove(&delivery);
        if let Some(fresh) = self.fresh.remove(&delivery) {
            self.pending.settle(fresh.place);
        }
    }

    /// The delivery is in a lane, or the store is about to be told of it.
    fn knows(&self, delivery: DeliveryId) -> bool {
        self.fresh.contains_key(&delivery) || self.owed.contains(&delivery) || self.pending.knows(delivery)
    }

    /// There is, or may be, something to claim.
    fn claim_soon(&mut self) {
        self.claim_at =
            Some(self.claim_at.map_or_else(Instant::now, |at| at.min(Instant::now() + FLUSH_AFTER)));
    }
}

/// Waits until then; for ever without a time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
