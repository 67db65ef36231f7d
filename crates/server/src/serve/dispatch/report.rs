//! What the lanes report, turned into what the store keeps. Pure.

use ringpost_deliver::{Exchange, Finished, Job};
use ringpost_model::{Delivery, LaneId, Timestamp};
use ringpost_store as store;
use ringpost_store::{Attempt, Debt, Ended, Ending};

/// The row of a debt.
pub(super) fn debt(job: &Job, lane: LaneId, due: Timestamp, reason: &str) -> Debt {
    Debt {
        delivery: job.delivery.clone(),
        lane,
        due,
        // The job's attempt is the one that was to be made.
        attempts: job.attempt.saturating_sub(1),
        tries: job.tries.used,
        queued: job.queued,
        first_try: job.tries.first,
        reason: reason.into(),
        leased_until: None,
    }
}

/// The debt of a try in flight, leased to this process.
pub(super) fn leased(job: &Job, lane: LaneId, until: Timestamp) -> Debt {
    Debt { leased_until: Some(until), ..debt(job, lane, until, "in flight") }
}

/// The debt after a try that did not deliver.
pub(super) fn debt_after(finished: &Finished, due: Timestamp, used: u32) -> Debt {
    let Finished { job, lane, exchange, .. } = finished;
    Debt {
        attempts: job.attempt,
        tries: used,
        first_try: Some(job.tries.first.unwrap_or(exchange.started)),
        ..debt(job, *lane, due, &words(finished))
    }
}

/// The end of a delivery that a later revision has overtaken while it was in flight.
pub(super) fn outrun(delivery: Delivery, at: Timestamp) -> Ended {
    Ended { delivery, ending: Ending::Superseded, reason: "a newer revision".into(), at }
}

/// How a delivery is over.
pub(super) fn ended(job: &Job, ending: Ending, reason: &str, at: Timestamp) -> Ended {
    Ended { delivery: job.delivery.clone(), ending, reason: reason.into(), at }
}

/// The row of an attempt, and what went over the wire. After the last one the delivery is over.
pub(super) fn attempt(finished: &Finished, last: bool) -> (Attempt, store::Exchange) {
    let Finished { job, exchange, outcome, .. } = finished;
    let failure = exchange.failure.as_ref();
    let attempt = Attempt {
        id: exchange.attempt,
        delivery: job.delivery.id,
        owner: job.delivery.owner,
        trigger: job.delivery.trigger,
        session: job.delivery.session,
        rev: job.delivery.rev,
        number: job.attempt,
        queued: job.queued,
        started: exchange.started,
        ended: exchange.ended,
        class: outcome.class.name().into(),
        ok: outcome.is_success(),
        last,
        status: outcome.status,
        error: failure.map(|failure| failure.text.clone().into()).unwrap_or_default(),
        address: exchange.address.map(|address| address.to_string().into()).unwrap_or_default(),
    };
    (attempt, wire(exchange))
}

fn wire(exchange: &Exchange) -> store::Exchange {
    let answer = exchange.answer.as_ref();
    store::Exchange {
        request_line: exchange.request_line().into(),
        request_headers: exchange
            .shown_headers()
            .map(|(name, value)| (name.to_owned(), value.into_owned()))
            .collect(),
        request_body: exchange.request_body.to_vec(),
        response_headers: answer.map(|answer| answer.headers.clone()).unwrap_or_default(),
        response_body: answer.map(|answer| answer.body.clone().into_bytes()).unwrap_or_default(),
        response_cut: answer.is_some_and(|answer| answer.body_cut),
    }
}

/// What came of a try, for people.
pub(super) fn words(finished: &Finished) -> String {
    match (&finished.exchange.failure, finished.outcome.status) {
        (Some(failure), _) => failure.text.clone(),
        (None, Some(status)) => format!("answered {status}"),
        (None, None) => finished.outcome.class.name().to_owned(),
    }
}
