//! When a delivery is tried again, or that it is over. Pure: due times are data, kept by the store.

use std::time::Duration;

use ringpost_model::{Timestamp, Trigger};

use crate::classify::Outcome;

/// A delivery is given up this long after its first try, unless configured otherwise (`max_hold`). A day: who finds
/// its receiver down in the morning has lost nothing of the night.
pub const MAX_HOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// Retry `n` starts this many seconds times `n` after try `n` ended.
const STEP_SECONDS: i64 = 2;

/// How often a delivery was tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// Tries used up before this one. What a receiver put off is none.
    pub used: u32,
    /// When the first request for this delivery started, if there was one before.
    pub first: Option<Timestamp>,
}

impl Tries {
    /// Of a delivery that was never tried.
    pub const NONE: Self = Self { used: 0, first: None };
}

/// What happens next with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Delivered.
    Done,
    /// Tried again, at the earliest `at`.
    Retry {
        /// Due time.
        at: Timestamp,
        /// Tries used up, this one among them.
        used: u32,
    },
    /// Put off by the receiver: no try is used up, the whole lane waits.
    Wait {
        /// Due time.
        until: Timestamp,
        /// Tries used up, as before.
        used: u32,
    },
    /// Over: tries used up, or a failure that is not retried.
    Failed,
    /// Not tried again, because a newer revision of the same record is on its way.
    Superseded,
}

/// A try that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// The tries before it.
    pub before: Tries,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// It was made as the last one.
    pub last: bool,
}

/// What follows an outcome. A try that ends `max_hold` after the first one started is the last, whatever else.
pub fn schedule(trigger: &Trigger, outcome: &Outcome, tried: Tried, max_hold: Duration) -> Next {
    if outcome.is_success() {
        return Next::Done;
    }
    let Tried { before, started, ended, last } = tried;
    let held = ended.micros().saturating_sub(before.first.unwrap_or(started).micros());
    if last || held >= micros(max_hold) {
        return Next::Failed;
    }
    // What the receiver puts off was no try, so `retryOn` is not asked.
    if let Some(pause) = outcome.pause {
        return Next::Wait { until: ended.plus_micros(micros(pause)), used: before.used };
    }
    let used = before.used.saturating_add(1);
    if outcome.may_retry && used <= u32::from(trigger.retries) {
        let distance = i64::from(used) * STEP_SECONDS * 1_000_000;
        return Next::Retry { at: ended.plus_micros(distance), used };
    }
    Next::Failed
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
