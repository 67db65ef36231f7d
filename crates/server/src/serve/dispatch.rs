//! The dispatch role: records in, deliveries out. One loop owns everything: it reads records, hands deliveries to
//! lanes, takes their reports, claims what is owed, and makes it all durable in batches. Only then does the
//! consumer's offset move (architecture.md, Dispatch).

mod fire;
mod owed;
mod pending;
mod report;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use ringpost_bus::{Batch, Commit, Event, Message, Offset, Partition, Position, Worker};
use ringpost_deliver::{Finished, Job, LaneId, Lanes, Next, Refusal, Refused, Report, Tries};
use ringpost_model::{DeliveryId, Dialect, Envelope, Timestamp};
use ringpost_store::{Ending, NewSession, Store};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::admin::Readiness;
use crate::clock;
use crate::metrics::Metrics;
use crate::serve::dead_letters::DeadLetters;
use crate::serve::window::Window;
use crate::topics::CDRS;

pub(crate) use fire::Fire;
use fire::Shot;
use pending::{Pending, Place};

/// Records read and not yet settled: bounds memory, and how much a crash makes us look at again.
const RECORDS_IN_FLIGHT: usize = 4_096;
/// So much waits at most before it is made durable.
const FLUSH_ITEMS: usize = 512;
/// So long it waits at most: a sync of the disk is worth sharing, a person is not kept waiting.
const FLUSH_AFTER: Duration = Duration::from_millis(5);
/// Wait after an error of the store before the same is tried again.
const AFTER_ERROR: Duration = Duration::from_millis(500);
/// A lane that was full is asked again after this, in microseconds.
const WHILE_FULL: i64 = 250_000;
/// The longest wait for a record of the log before the loop looks at the rest.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the role needs from the process.
pub(crate) struct Dispatch<W> {
    pub(crate) worker: W,
    pub(crate) store: Store,
    pub(crate) lanes: Lanes,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) fire: Fire,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    /// Names this dispatcher in leases.
    pub(crate) owner: String,
    /// From the start of a try to its end at the latest, with some seconds on top.
    pub(crate) lease: Duration,
    /// How long requests in flight may take after a stop.
    pub(crate) grace: Duration,
}

/// What the loop knows.
#[derive(Default)]
struct State {
    partitions: HashMap<Partition, Owned>,
    pending: Pending,
    /// When what is pending is made durable.
    flush_at: Option<Instant>,
    /// Deliveries in lanes that no debt stands for: the record they are of waits for them.
    fresh: HashMap<DeliveryId, Place>,
    /// Deliveries in lanes that a debt of ours stands for.
    owed: HashSet<DeliveryId>,
    claim_at: Option<Instant>,
    /// When debts of triggers that were switched off are looked for again.
    cancel_at: Option<Instant>,
}

#[derive(Default)]
struct Owned {
    window: Window,
    /// Records may have been dispatched before a crash: what is settled or owed already is left alone.
    recovering: bool,
}

/// What woke the loop.
enum Turn {
    Log(Result<Event, ringpost_bus::Error>),
    Report(Option<Report>),
    Claim,
    Flush,
    Stop,
}

impl<W: Worker> Dispatch<W> {
    /// Runs until it is told to stop; then requests in flight may end, and what is left is owed.
    ///
    /// # Errors
    /// The log cannot be used any more; the process should end and be started again.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut state = State { claim_at: Some(Instant::now()), ..State::default() };
        loop {
            let turn = self.next_turn(&state, &stop).await;
            match turn {
                Turn::Log(Ok(event)) => self.handle_log(&mut state, event).await?,
                Turn::Log(Err(error)) if error.is_temporary() => {
                    warn!(%error, "read of records failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
                Turn::Log(Err(error)) => return Err(error).context("read records"),
                Turn::Report(Some(report)) => self.handle_report(&mut state, report).await,
                Turn::Report(None) => anyhow::bail!("the lanes ended by themselves"),
                Turn::Claim => self.claim(&mut state).await,
                Turn::Flush => self.flush(&mut state).await?,
                Turn::Stop => return self.stop(state).await,
            }
            if state.pending.len() >= FLUSH_ITEMS {
                self.flush(&mut state).await?;
            } else if !state.pending.is_empty() && state.flush_at.is_none() {
                state.flush_at = Some(Instant::now() + FLUSH_AFTER);
            }
        }
    }

    async fn next_turn(&mut self, state: &State, stop: &CancellationToken) -> Turn {
        let in_flight: usize = state.partitions.values().map(|owned| owned.window.len()).sum();
        let has_room = in_flight < RECORDS_IN_FLIGHT;
        tokio::select! {
            () = stop.cancelled() => Turn::Stop,
            report = self.reports.recv() => Turn::Report(report),
            () = at(state.flush_at) => Turn::Flush,
            () = at(state.claim_at) => Turn::Claim,
            event = self.worker.next(PATIENCE), if has_room => Turn::Log(event),
        }
    }

    async fn handle_log(&mut self, state: &mut State, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Assigned(assignment) => {
                let owned = Owned { window: Window::default(), recovering: true };
                state.partitions.insert(assignment.partition, owned);
            }
            Event::Records(batch) => self.handle_records(state, batch).await?,
            Event::Idle(_) => {
                for owned in state.partitions.values_mut() {
                    owned.recovering = false;
                }
                self.readiness.dispatch.store(!state.partitions.is_empty(), Ordering::Release);
            }
            Event::Revoked(partitions) => {
                self.flush(state).await?;
                for partition in partitions {
                    state.partitions.remove(&partition);
                    state.fresh.retain(|_, place| place.partition != partition);
                }
            }
        }
        Ok(())
    }

    async fn handle_records(&mut self, state: &mut State, batch: Batch) -> anyhow::Result<()> {
        let arrived = clock::now();
        let recovering = state.partitions.get(&batch.partition).is_some_and(|owned| owned.recovering);
        let mut shots = Vec::new();
        for message in &batch.messages {
            let place = Place { partition: batch.partition, offset: message.offset.0 };
            let fired = self.read_record(state, &batch, message, arrived).await;
            let effects = 1 + fired.len();
            if let Some(owned) = state.partitions.get_mut(&batch.partition) {
                owned.window.push(place.offset, effects);
            }
            // The session's row, or the dead letter.
            state.pending.settle(place);
            shots.extend(fired.into_iter().map(|shot| (place, shot)));
        }
        let known = if recovering { self.known(&shots, arrived).await } else { HashSet::new() };
        for (place, shot) in shots {
            if known.contains(&shot.delivery.id) {
                state.pending.settle(place);
            } else {
                self.submit_fresh(state, place, shot, arrived);
            }
        }
        Ok(())
    }

    /// What a record fires. A record that cannot be read is a dead letter, and fires nothing.
    async fn read_record(
        &mut self,
        state: &mut State,
        batch: &Batch,
        message: &Message,
        now: Timestamp,
    ) -> Vec<Shot> {
        let envelope = match Envelope::from_bytes(&message.value) {
            Ok(envelope) => envelope,
            Err(error) => {
                let place = format!("{}/{}@{}", batch.topic, batch.partition, message.offset);
                let reason = format!("{error:#}");
                let dialect = Dialect::Native.name();
                let letter = ringpost_store::DeadLetter::new(&place, now, &reason, dialect, &message.value);
                self.dead_letters.keep(&[letter]).await;
                return Vec::new();
            }
        };
        state.pending.session(NewSession::of(&envelope, message.value.to_vec()));
        loop {
            match self.fire.at(&envelope).await {
                Ok(shots) => return shots,
                Err(error) => {
                    // Triggers older than the limit are not used: the record waits until the store is back.
                    let error = format!("{error:#}");
                    warn!(error, tenant = %envelope.tenant, "triggers cannot be read, dispatch waits");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            }
        }
    }

    /// Which deliveries need nothing more, as the store knows them.
    async fn known(&self, shots: &[(Place, Shot)], now: Timestamp) -> HashSet<DeliveryId> {
        let deliveries: Vec<_> = shots.iter().map(|(_, shot)| shot.delivery.clone()).collect();
        let since = shots.iter().map(|(_, shot)| shot.emitted).min().unwrap_or(now);
        loop {
            match self.store.settled_or_owed(&deliveries, since).await {
                Ok(known) => return known,
                Err(error) => {
                    warn!(%error, "look-up of earlier deliveries failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            }
        }
    }

    /// The first try of a delivery. A correction goes by way of a debt, so that it takes the place of an owed
    /// earlier revision and never overtakes one.
    fn submit_fresh(&mut self, state: &mut State, place: Place, shot: Shot, queued: Timestamp) {
        let Shot { delivery, trigger, cdr, .. } = shot;
        let is_correction = delivery.rev > 1;
        let id = delivery.id;
        let job = Job {
            delivery,
            version: Arc::clone(&trigger),
            trigger,
            cdr,
            attempt: 1,
            tries: Tries::NONE,
            queued,
        };
        if is_correction {
            let lane = ringpost_deliver::LaneKey::of(job.delivery.owner, &job.trigger.url).id();
            state.pending.owe(report::debt(&job, lane, queued, "a correction"));
            state.pending.settle(place);
            state.claim_soon();
            return;
        }
        state.fresh.insert(id, place);
        if let Err(refused) = self.lanes.submit(job) {
            self.handle_refused(state, *refused, queued);
        }
    }

    /// A lane does not take a job: it is owed.
    fn handle_refused(&mut self, state: &mut State, refused: Refused, now: Timestamp) {
        let Refused { job, lane, why } = refused;
        match why {
            // It is on its way already, and the report of that will tell.
            Refusal::Duplicate => return,
            Refusal::Superseded => {
                state.pending.end(report::ended(&job, Ending::Superseded, "a newer revision", now));
            }
            Refusal::Paused(until) => {
                state.pending.owe(report::debt(&job, lane, until, "the lane is paused"))
            }
            Refusal::Full | Refusal::Closed => {
                state.pending.owe(report::debt(&job, lane, now.plus_micros(WHILE_FULL), "the lane is full"));
            }
        }
        state.forget(job.delivery.id);
        state.claim_soon();
    }

    async fn handle_report(&mut self, state: &mut State, report: Report) {
        match report {
            Report::Started { job, .. } => {
                if job.attempt == 1 {
                    let waited = clock::now().micros() - job.queued.micros();
                    self.metrics.first_request_delay_seconds.observe(waited as f64 / 1e6);
                }
            }
            Report::Overdue { job, lane, until, .. } => {
                if let Some(place) = state.fresh.remove(&job.delivery.id) {
                    state.pending.owe(report::leased(&job, lane, until));
                    state.pending.settle(place);
                    state.owed.insert(job.delivery.id);
                }
            }
            Report::Back { job, lane, next } => self.handle_back(state, &job, lane, next),
            Report::Finished(finished) => self.handle_finished(state, &finished).await,
        }
    }

    fn handle_back(&mut self, state: &mut State, job: &Job, lane: LaneId, next: Next) {
        let now = clock::now();
        match next {
            Next::Wait { until, .. } | Next::Retry { at: until, .. } => {
                state.pending.owe(report::debt(job, lane, until, "waited for its turn"));
                state.claim_soon();
            }
            Next::Superseded | Next::Done | Next::Failed => {
                state.pending.end(report::ended(job, Ending::Superseded, "a newer revision", now));
            }
        }
        state.forget(job.delivery.id);
    }

    async fn handle_finished(&mut self, state: &mut State, finished: &Finished) {
        let Finished { job, lane, exchange, outcome, next, .. } = finished;
        self.count(finished);
        let (attempt, wire) = report::attempt(finished);
        debug!(delivery = %job.delivery.id, attempt = attempt.number, class = %attempt.class, "request ended");
        state.pending.attempt(attempt, wire);
        let was_owed = state.owed.contains(&job.delivery.id);
        let over = |ending| report::ended(job, ending, &report::words(finished), exchange.ended);
        match *next {
            Next::Done if was_owed => state.pending.end(over(Ending::Delivered)),
            Next::Failed if was_owed => state.pending.end(over(Ending::Failed)),
            // Its last attempt says so.
            Next::Done | Next::Failed => {}
            Next::Superseded => state.pending.end(over(Ending::Superseded)),
            Next::Retry { at, used } => state.pending.owe(report::debt_after(finished, at, used)),
            Next::Wait { until, used } => {
                state.pending.owe(report::debt_after(finished, until, used));
                self.pause_lane(*lane, until).await;
            }
        }
        state.forget(job.delivery.id);
        // A first try that succeeds has nothing to do with debts.
        if was_owed || matches!(next, Next::Retry { .. } | Next::Wait { .. }) {
            state.claim_soon();
        }
        if matches!(next, Next::Failed) {
            let reason = report::words(finished);
            warn!(delivery = %job.delivery.id, trigger = %job.delivery.trigger, reason, "delivery failed");
        }
        if outcome.disables_trigger() {
            owed::disable(&self.store, job, "the receiver answered 410 Gone").await;
        }
    }

    fn count(&self, finished: &Finished) {
        let class = finished.outcome.class.name();
        self.metrics.attempts.with_label_values(&[class]).inc();
        let seconds = finished.exchange.took.as_secs_f64();
        self.metrics.request_seconds.with_label_values(&[class]).observe(seconds);
    }

    /// Nothing is claimed for the lane until then, by nobody. That this is forgotten costs the receiver one early
    /// request, which it puts off again.
    async fn pause_lane(&self, lane: LaneId, until: Timestamp) {
        let lane = ringpost_store::LaneId(lane.0);
        if let Err(error) = self.store.pause_lane(lane, until, "the receiver asked for it").await {
            warn!(%error, %lane, "the pause of a lane could not be kept");
        }
    }

    /// Makes everything pending durable, then moves past the records that are settled by it.
    async fn flush(&mut self, state: &mut State) -> anyhow::Result<()> {
        state.flush_at = None;
        if state.pending.is_empty() {
            return Ok(());
        }
        let flush = state.pending.take();
        while let Err(error) = self.store.settle(&flush.batch, &self.owner, clock::now()).await {
            warn!(%error, "write of deliveries failed, trying again");
            tokio::time::sleep(AFTER_ERROR).await;
        }
        for place in flush.settles {
            if let Some(owned) = state.partitions.get_mut(&place.partition) {
                owned.window.settle(place.offset);
            }
        }
        self.commit(state).await
    }

    async fn commit(&mut self, state: &mut State) -> anyhow::Result<()> {
        let mut commit = Commit::default();
        for (partition, owned) in &mut state.partitions {
            if let Some(next) = owned.window.take_settled() {
                let position = Position { topic: CDRS.to_owned(), partition: *partition, next: Offset(next) };
                commit.positions.push(position);
            }
        }
        loop {
            match self.worker.commit(commit.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_temporary() => {
                    warn!(%error, "commit of positions failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
                Err(error) => return Err(error).context("commit positions"),
            }
        }
    }

    /// Requests in flight may end within the grace time; all others are owed.
    async fn stop(mut self, mut state: State) -> anyhow::Result<()> {
        info!(in_lanes = state.fresh.len() + state.owed.len(), "dispatch stops");
        let lanes = self.lanes.clone();
        let drain = lanes.drain(self.grace);
        tokio::pin!(drain);
        let left = loop {
            tokio::select! {
                left = &mut drain => break left,
                report = self.reports.recv() => {
                    if let Some(report) = report {
                        self.handle_report(&mut state, report).await;
                    }
                }
            }
        };
        while let Ok(report) = self.reports.try_recv() {
            self.handle_report(&mut state, report).await;
        }
        let now = clock::now();
        for job in left {
            let lane = ringpost_deliver::LaneKey::of(job.delivery.owner, &job.trigger.url).id();
            state.pending.owe(report::debt(&job, lane, now, "the process was stopped"));
            state.forget(job.delivery.id);
        }
        self.flush(&mut state).await
    }
}

impl State {
    /// The delivery is in no lane any more. Once what is pending is durable, its record need not wait for it.
    fn forget(&mut self, delivery: DeliveryId) {
        self.owed.remove(&delivery);
        if let Some(place) = self.fresh.remove(&delivery) {
            self.pending.settle(place);
        }
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
