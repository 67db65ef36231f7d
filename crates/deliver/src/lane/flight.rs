//! One try of one job: from its start to the report of its end.

use std::sync::Arc;

use ringpost_model::{AttemptId, LaneId, Timestamp};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::core::{Effects, Start};
use super::{Finished, Inner, Report, plus};
use crate::classify::classify;
use crate::exchange::Exchange;
use crate::job::Job;
use crate::request::request;
use crate::schedule::{Next, Tried, schedule};

/// Makes the try, and then one that its seat was kept for: a task is not made anew for each of them.
pub(super) async fn fly(inner: Arc<Inner>, first: Start) {
    let mut next = Some(first);
    while let Some(Start { lane, job }) = next.take() {
        let Some(Effects { starts, back }) = inner.once(lane, &job).await else {
            // The time to drain is over before its end was told: it is left to be owed.
            inner.untold().push(job);
            return;
        };
        let mut starts = starts.into_iter();
        next = starts.next();
        inner.start(starts);
        inner.give_back(back);
        inner.ended.notify_one();
    }
}

impl Inner {
    /// From the start of a try to the report of its end, and what follows from it; none where it could not be told.
    async fn once(&self, lane: LaneId, job: &Arc<Job>) -> Option<Effects> {
        let (exchange, overdue) = tokio::select! {
            // What has ended is told, also where the time to drain is over at the same moment.
            biased;
            exchange = self.exchange(lane, job) => exchange,
            () = self.stop.cancelled() => return None,
        };
        let finished = self.finished(lane, job.clone(), exchange, overdue);
        let pause = finished.outcome.pause;
        // The seat is given up after the report is taken: who takes reports slowly slows the lanes.
        if !self.tell(Report::Finished(Box::new(finished))).await {
            return None;
        }
        Some(self.with_core(|core| core.finished(Instant::now(), lane, job, pause)))
    }

    async fn exchange(&self, lane: LaneId, job: &Arc<Job>) -> (Exchange, bool) {
        let now = (self.clock)();
        let attempt = new_attempt(now);
        // Never waited for: requests whose starts a rate has spaced would begin together once reports are taken again.
        _ = self.reports.try_send(Report::Started { job: job.clone(), lane, attempt });
        let request = match request(job, attempt, now) {
            Ok(request) => request,
            Err(error) => return (Exchange::unsendable(job, attempt, now, &error), false),
        };
        let mut sending = self.transport.send(request);
        tokio::select! {
            // What has come in time is not overdue.
            biased;
            exchange = &mut sending => return (exchange, false),
            () = sleep(self.handoff) => {}
        }
        self.counters.overdue();
        let until = plus(now, self.lease);
        let overdue = self.tell(Report::Overdue { job: job.clone(), lane, attempt, until });
        // Together: the exchange goes on, and its deadline holds, while the report waits to be taken.
        let (exchange, _) = tokio::join!(sending, overdue);
        (exchange, true)
    }

    fn finished(&self, lane: LaneId, job: Arc<Job>, exchange: Exchange, overdue: bool) -> Finished {
        let outcome = classify(&job.trigger, &exchange);
        let (started, ended) = (exchange.started, exchange.ended);
        let tried = Tried { before: job.tries, started, ended, last: job.last };
        let mut next = schedule(&job.trigger, &outcome, tried, self.max_hold);
        let again = matches!(next, Next::Retry { .. } | Next::Wait { .. });
        let superseded = self.core().end(&job);
        if again && superseded {
            next = Next::Superseded;
        }
        self.counters.finished(outcome.class, exchange.took);
        Finished { job, lane, exchange, outcome, next, overdue }
    }
}

fn new_attempt(now: Timestamp) -> AttemptId {
    let micros = u64::try_from(now.micros()).unwrap_or_default();
    let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or_default();
    AttemptId(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, nanos)))
}
