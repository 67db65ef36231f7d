//! What lanes say about the jobs that they were given: not taken, under way, given back, over.

use ringpost_bus::Worker;
use ringpost_deliver::{Finished, Job, Next, Refusal, Refused, Report};
use ringpost_model::{LaneId, Timestamp};
use ringpost_store::{Ending, Ledger};
use tracing::{debug, warn};

use super::{Dispatch, State, owed, report};
use crate::trigger_cache::TriggerSource;

/// A lane that was full is asked again after this, in microseconds.
const WHILE_FULL: i64 = 250_000;

impl<W: Worker, S: Ledger, T: TriggerSource> Dispatch<W, S, T> {
    /// A lane does not take a job: it is owed.
    pub(super) fn handle_refused(&mut self, state: &mut State, refused: Refused, now: Timestamp) {
        let Refused { job, lane, why } = refused;
        match why {
            // It is on its way already, and the report of that will tell.
            Refusal::Duplicate => return,
            Refusal::Superseded => state.pending.end(report::outrun(job.delivery.clone(), now)),
            Refusal::Paused(until) => {
                state.pending.owe(report::debt(&job, lane, until, "the lane is paused"))
            }
            // Nothing is claimed for an open lane, so it waits there whatever its due time.
            Refusal::Open => state.pending.owe(report::debt(&job, lane, now, "its receiver is down")),
            Refusal::Full | Refusal::Closed => {
                state.pending.owe(report::debt(&job, lane, now.plus_micros(WHILE_FULL), "the lane is full"));
            }
        }
        state.forget(job.delivery.id);
        state.claim_soon();
    }

    pub(super) async fn handle_report(&mut self, state: &mut State, report: Report) {
        match report {
            Report::Started { job, .. } => {
                if job.attempt == 1 {
                    let waited = (self.clock)().micros() - job.queued.micros();
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
        let now = (self.clock)();
        match next {
            Next::Wait { until, .. } | Next::Retry { at: until, .. } => {
                state.pending.owe(report::debt(job, lane, until, "waited for its turn"));
                state.claim_soon();
            }
            Next::Superseded | Next::Done | Next::Failed => {
                state.pending.end(report::outrun(job.delivery.clone(), now));
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
            let now = (self.clock)();
            owed::disable(&self.store, job, "the receiver answered 410 Gone", now).await;
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
        if let Err(error) = self.store.pause_lane(lane, until, "the receiver asked for it").await {
            warn!(%error, %lane, "the pause of a lane could not be kept");
        }
    }
}
