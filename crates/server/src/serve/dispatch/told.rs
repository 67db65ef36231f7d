//! What lanes say about the jobs that they were given: not taken, under way, given back, over.

use ringpost_bus::Worker;
use ringpost_deliver::{Finished, Job, Next, Refusal, Refused, Report, Told};
use ringpost_model::{LaneId, Timestamp};
use ringpost_store::{Debt, Ending, LaneLedger, LaneWord};
use tracing::{debug, warn};

use super::fate::{Fate, Tried, fate};
use super::receivers::Try;
use super::{Dispatch, State, report};
use crate::trigger_cache::TriggerSource;

/// A lane that was full is asked again after this, in microseconds.
const WHILE_FULL: i64 = 250_000;
/// Why a delivery fails for which there is no room among what is owed.
const BACKLOG_FULL: &str = "backlog full: too many deliveries wait for this trigger or tenant";

impl<W: Worker, S: LaneLedger, T: TriggerSource> Dispatch<W, S, T> {
    /// A lane does not take a job: it is owed.
    pub(super) async fn handle_refused(&mut self, state: &mut State, refused: Refused, now: Timestamp) {
        let Refused { job, lane, why } = refused;
        let debt = |due, why| report::debt(&job, lane, due, why);
        let debt = match why {
            // It is on its way already, and the report of that will tell.
            Refusal::Duplicate => return,
            Refusal::Superseded => {
                if job.probe {
                    self.probe_again(state, lane, now);
                }
                state.pending.end(report::outrun(job.delivery.clone(), now));
                state.forget(job.delivery.id);
                return;
            }
            Refusal::Paused(until) => debt(until, "the lane is paused"),
            // Nothing is claimed for an open lane, so it waits there whatever its due time.
            Refusal::Open => debt(now, "its receiver is down"),
            // Tried again as soon as what was not known is written.
            Refusal::Untold => debt(now, "an earlier one comes first"),
            Refusal::Full | Refusal::Closed => debt(now.plus_micros(WHILE_FULL), "the lane is full"),
        };
        // Where one is in the lane already its end is waited for.
        if job.probe && why != Refusal::Open {
            self.probe_again(state, lane, debt.due);
        }
        self.owe(state, &job, debt, now).await;
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
                state.lease_fresh(&job, lane, until);
            }
            Report::Back { job, lane, next } => {
                state.ends += 1;
                self.handle_back(state, &job, lane, next).await;
            }
            Report::Finished(finished) => {
                state.ends += 1;
                self.handle_finished(state, &finished).await;
            }
        }
    }

    async fn handle_back(&mut self, state: &mut State, job: &Job, lane: LaneId, next: Next) {
        let now = (self.clock)();
        if job.probe {
            self.probe_again(state, lane, now);
        }
        match next {
            Next::Wait { until, .. } | Next::Retry { at: until, .. } => {
                let debt = report::debt(job, lane, until, "waited for its turn");
                self.owe(state, job, debt, now).await;
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
        let reason = report::words(finished);
        let (receiver, step) = state.receivers.tell(&Try {
            lane: *lane,
            owner: job.delivery.owner,
            trigger: job.delivery.trigger,
            holds: job.trigger.holds(),
            url: &job.trigger.url,
            told: Told {
                now: exchange.ended,
                delivery: job.delivery.id,
                sign: outcome.sign(),
                probe: job.probe,
                counts: job.trigger.auto_disable.is_none(),
                reason: &reason,
            },
        });
        let fate = fate(&Tried {
            next: *next,
            sign: outcome.sign(),
            may_retry: outcome.may_retry,
            holds: job.trigger.holds(),
            is_last: job.last || self.is_held_long(finished),
            is_overtaken: *next == Next::Failed && state.has_later(job),
            used: job.tries.used,
            ended: exchange.ended,
            breaker: &receiver.breaker,
        });
        if let Next::Wait { until, .. } = *next {
            state.pending.lane(LaneWord::Pause {
                lane: *lane,
                owner: job.delivery.owner,
                shown: ringpost_deliver::shown_text(&job.trigger.url).into(),
                until,
                reason: ringpost_store::ASKED_FOR_PAUSE.into(),
            });
        }
        let was_owed = state.owed.contains(&job.delivery.id);
        self.keep_fate(state, finished, fate, &reason).await;
        self.follow(state, (*lane, &receiver), step, exchange.ended).await;
        state.forget(job.delivery.id);
        // A first try that succeeds has nothing to do with debts.
        if was_owed || matches!(fate, Fate::Owed { .. }) {
            state.claim_soon();
        }
        if outcome.disables_trigger() {
            self.disable(state, job, "the receiver answered 410 Gone").await;
        } else if !outcome.is_success() && job.trigger.auto_disable.is_some() {
            state.failed.insert(job.delivery.trigger, job.clone());
        }
    }

    /// The attempt's row, and what becomes of its delivery.
    async fn keep_fate(&mut self, state: &mut State, finished: &Finished, fate: Fate, reason: &str) {
        let Finished { job, exchange, .. } = finished;
        let was_owed = state.owed.contains(&job.delivery.id);
        let ended = |ending| report::ended(job, ending, reason, exchange.ended);
        let is_over = match fate {
            Fate::Owed { due, used } => {
                let debt = report::debt_after(finished, due, used);
                !self.owe(state, job, debt, exchange.ended).await
            }
            Fate::Done | Fate::Failed | Fate::Spent | Fate::Superseded => true,
        };
        let (attempt, wire) = report::attempt(finished, is_over);
        debug!(delivery = %job.delivery.id, attempt = attempt.number, class = %attempt.class, "request ended");
        state.pending.attempt(attempt, wire);
        match fate {
            Fate::Done if was_owed => state.pending.end(ended(Ending::Delivered)),
            Fate::Failed | Fate::Spent if was_owed => state.pending.end(ended(Ending::Failed)),
            Fate::Superseded => state.pending.end(ended(Ending::Superseded)),
            // Its last attempt says so.
            Fate::Done | Fate::Failed | Fate::Spent | Fate::Owed { .. } => {}
        }
        if fate == Fate::Spent {
            let debt = report::debt_after(finished, exchange.ended, job.tries.used);
            state.receivers.spent(debt.lane, job.delivery.trigger);
            state.pending.lane(LaneWord::Spent { debt: Box::new(debt), at: exchange.ended });
        }
        if matches!(fate, Fate::Failed | Fate::Spent) {
            warn!(delivery = %job.delivery.id, trigger = %job.delivery.trigger, reason, "delivery failed");
            self.tell_exhausted(state, job, reason, exchange.ended).await;
        }
    }

    /// Makes a delivery owed, if there is room for it. Where there is none it is over: the disk is for all tenants,
    /// and its record is kept, so that it can be replayed. Says which.
    pub(super) async fn owe(&mut self, state: &mut State, job: &Job, debt: Debt, now: Timestamp) -> bool {
        let id = job.delivery.id;
        let is_counted = job.owed || state.owed.contains(&id);
        if is_counted || state.backlog.add(job.delivery.trigger, job.delivery.owner) {
            state.pending.owe(debt);
            return true;
        }
        self.metrics.backlog_full.inc();
        state.pending.end(report::ended(job, Ending::Failed, BACKLOG_FULL, now));
        self.tell_backlog_full(state, job, BACKLOG_FULL, now).await;
        false
    }

    fn is_held_long(&self, finished: &Finished) -> bool {
        let first = finished.job.tries.first.unwrap_or(finished.exchange.started);
        let held = finished.exchange.ended.micros().saturating_sub(first.micros());
        u128::try_from(held).is_ok_and(|held| held >= self.max_hold.as_micros())
    }

    fn count(&self, finished: &Finished) {
        let class = finished.outcome.class.name();
        self.metrics.attempts.with_label_values(&[class]).inc();
        let seconds = finished.exchange.took.as_secs_f64();
        self.metrics.request_seconds.with_label_values(&[class]).observe(seconds);
    }
}
