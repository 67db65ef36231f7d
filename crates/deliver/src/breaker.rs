//! When a receiver counts as down, when it is asked again, and how it is trusted again. Pure.
//!
//! The state is [`ringpost_model::Breaker`], kept by the store and shared by all processes, so times are those of
//! the wall clock. What is done about it (gates, probes, debts) is not here.

use std::time::Duration;

use ringpost_model::{Breaker, DeliveryId, Run, Timestamp};

/// What a try says about its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It lives: it answered, if only to refuse.
    Up,
    /// It does not answer, or says that it cannot.
    Down,
    /// Nothing: the try ended before it could reach the receiver.
    Neutral,
}

/// From when on a receiver counts as down, and how often it is asked then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// So many failures in a row … 20: more than the requests of one lane that are in flight when a receiver
    /// restarts.
    pub many: u32,
    /// … over so long open a lane. 30 s: a restart or a failover is over by then.
    pub many_over: Duration,
    /// So few failures in a row, of two deliveries at least … 4: two deliveries with their one retry each. One
    /// delivery alone may be what the receiver stumbles over.
    pub few: u32,
    /// … over so long open a lane. 60 s: for receivers that are told little.
    pub few_over: Duration,
    /// The first probe after opening. 5 s.
    pub first_probe: Duration,
    /// The longest distance of two probes, which doubles. 5 min: how long a receiver that is back waits at most.
    pub longest_probe: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            many: 20,
            many_over: Duration::from_secs(30),
            few: 4,
            few_over: Duration::from_secs(60),
            first_probe: Duration::from_secs(5),
            longest_probe: Duration::from_secs(5 * 60),
        }
    }
}

/// A try that is over, as far as the breaker asks.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// When it ended.
    pub now: Timestamp,
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// What it says about the receiver.
    pub sign: Sign,
    /// It was the probe of an open lane.
    pub probe: bool,
    /// Its failures count; those of a trigger with `autoDisable` do not. A success counts in any case.
    pub counts: bool,
    /// What came of it, for people.
    pub reason: &'a str,
}

/// What a try changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing, nor is there anything new to keep.
    Nothing,
    /// Nothing to act on, but what is kept has changed.
    Noted,
    /// A success after failures: the receiver lives, and what failed for good stays failed.
    RunBroken,
    /// The receiver counts as down from now on.
    Opened,
    /// It is still down; the next probe has a new time.
    StillOpen,
    /// It answers again, and may be sent so many more in flight as the state says.
    Ramps,
    /// All is well again.
    Recovered,
}

/// What follows from a try. `concurrency` is how many requests a healthy lane has in flight.
pub fn tell(breaker: &Breaker, told: &Told<'_>, concurrency: usize, limits: &Limits) -> (Breaker, Step) {
    let counts_down = told.sign == Sign::Down && told.counts;
    match (breaker, told.sign) {
        (Breaker::Open { since, .. }, Sign::Up) => ramp(*since, 1, wait_of(breaker, limits), concurrency),
        (Breaker::Open { .. }, Sign::Down | Sign::Neutral) if told.probe => probed(breaker, told, limits),
        (Breaker::Ramping { .. }, Sign::Up) => succeeded(breaker, concurrency, limits),
        (Breaker::Ramping { since, .. }, _) if counts_down => {
            (open(*since, doubled(breaker, limits), told), Step::Opened)
        }
        (Breaker::Failing { .. }, Sign::Up) => (Breaker::Healthy, Step::RunBroken),
        (Breaker::Healthy | Breaker::Failing { .. }, _) if counts_down => failed(breaker, told, limits),
        _ => (breaker.clone(), Step::Nothing),
    }
}

/// A failure more in a row.
fn failed(breaker: &Breaker, told: &Told<'_>, limits: &Limits) -> (Breaker, Step) {
    let run = match breaker {
        Breaker::Failing { run } => Run {
            failures: run.failures.saturating_add(1),
            // Several processes tell of tries out of order, and a clock can be set back.
            since: run.since.min(told.now),
            several: run.several || run.first != told.delivery,
            ..*run
        },
        _ => Run { failures: 1, since: told.now, first: told.delivery, several: false },
    };
    let lasted = told.now.micros().saturating_sub(run.since.micros());
    let is_many = run.failures >= limits.many && lasted >= micros(limits.many_over);
    let is_few = run.failures >= limits.few && run.several && lasted >= micros(limits.few_over);
    if is_many || is_few {
        (open(run.since, micros(limits.first_probe), told), Step::Opened)
    } else {
        (Breaker::Failing { run }, Step::Noted)
    }
}

/// A probe did not succeed. Where it did not reach the receiver, the next one follows after the same wait.
fn probed(breaker: &Breaker, told: &Told<'_>, limits: &Limits) -> (Breaker, Step) {
    let Breaker::Open { since, reason, .. } = breaker else { return (breaker.clone(), Step::Nothing) };
    let next = match told.sign {
        Sign::Down => open(*since, doubled(breaker, limits), told),
        Sign::Up | Sign::Neutral => open(*since, wait_of(breaker, limits), &Told { reason, ..*told }),
    };
    (next, Step::StillOpen)
}

/// So many successes as may be in flight double their number, and halve the wait that follows if the receiver
/// is down again: one that fails now and then is not kept waiting like one that is gone.
fn succeeded(breaker: &Breaker, concurrency: usize, limits: &Limits) -> (Breaker, Step) {
    let Breaker::Ramping { since, limit, done, wait } = breaker else {
        return (breaker.clone(), Step::Nothing);
    };
    let done = done.saturating_add(1);
    if done < *limit {
        let (since, limit, wait) = (*since, *limit, *wait);
        return (Breaker::Ramping { since, limit, done, wait }, Step::Noted);
    }
    let wait = (wait_of(breaker, limits) / 2).max(micros(limits.first_probe));
    ramp(*since, limit.saturating_mul(2), wait, concurrency)
}

fn ramp(since: Timestamp, limit: u32, wait: i64, concurrency: usize) -> (Breaker, Step) {
    if usize::try_from(limit).is_ok_and(|limit| limit < concurrency) {
        (Breaker::Ramping { since, limit, done: 0, wait }, Step::Ramps)
    } else {
        (Breaker::Healthy, Step::Recovered)
    }
}

fn open(since: Timestamp, wait: i64, told: &Told<'_>) -> Breaker {
    Breaker::Open { since, probe_at: told.now.plus_micros(wait), wait, reason: told.reason.into() }
}

/// The distance of probes as kept, within what the limits of today allow.
fn wait_of(breaker: &Breaker, limits: &Limits) -> i64 {
    let kept = match breaker {
        Breaker::Open { wait, .. } | Breaker::Ramping { wait, .. } => *wait,
        Breaker::Healthy | Breaker::Failing { .. } => 0,
    };
    kept.min(micros(limits.longest_probe)).max(micros(limits.first_probe))
}

fn doubled(breaker: &Breaker, limits: &Limits) -> i64 {
    let first = micros(limits.first_probe);
    wait_of(breaker, limits).saturating_mul(2).min(micros(limits.longest_probe)).max(first)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
