//! One try of one job: from its start to the report of its end.

use std::sync::Arc;

use ringpost_model::{AttemptId, LaneId, Timestamp};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Finished, Inner, Report, plus};
use crate::classify::classify;
use crate::exchange::Exchange;
use crate::job::Job;
use crate::request::request;
use crate::schedule::{Next, Tried, schedule};

/// Makes the try. Where the time to drain is over before its end is told, the job is left to be owed.
pub(super) async fn fly(inner: Arc<Inner>, lane: LaneId, job: Arc<Job>) {
    let exchange = tokio::select! {
        // What has ended is told, also where the time to drain is over at the same moment.
        biased;
        exchange = inner.exchange(lane, &job) => Some(exchange),
        () = inner.stop.cancelled() => None,
    };
    let Some((exchange, overdue)) = exchange else {
        inner.untold().push(job);
        return;
    };
    let finished = inner.finished(lane, job.clone(), exchange, overdue);
    let pause = finished.outcome.pause;
    // The seat is given up after the report is taken: who takes reports slowly slows the lanes.
    if !inner.tell(Report::Finished(Box::new(finished))).await {
        inner.untold().push(job);
        return;
    }
    let effects = inner.with_core(|core| core.finished(Instant::now(), lane, &job, pause));
    inner.carry_out(effects).await;
    inner.ended.notify_one();
}

impl Inner {
    async fn exchange(&self, lane: LaneId, job: &Arc<Job>) -> (Exchange, bool) {
        let attempt = new_attempt((self.clock)());
        self.tell(Report::Started { job: job.clone(), lane, attempt }).await;
        let now = (self.clock)();
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
        if again && self.core().superseded(&job) {
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
