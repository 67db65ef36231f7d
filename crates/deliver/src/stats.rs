//! What lanes count. `server` exports it; labels are classes, never a lane or a tenant.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::classify::Class;

/// Upper borders of the histogram of durations, in seconds; the last bucket is open.
pub const DURATION_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];

const CLASSES: usize = Class::ALL.len();

/// A snapshot. Counters only grow; sizes are of now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Jobs taken in.
    pub submitted: u64,
    /// Jobs not taken in.
    pub refused: u64,
    /// Jobs given back unsent.
    pub back: u64,
    /// Requests in flight for longer than `handoff`.
    pub overdue: u64,
    /// Requests that are over, by class, in the order of [`Class::ALL`].
    pub finished: [u64; CLASSES],
    /// Requests that are over, by duration: one count per bucket, not cumulative, and one for all above.
    pub durations: [u64; DURATION_BUCKETS.len() + 1],
    /// Sum of their durations, in seconds.
    pub seconds: f64,
    /// Lanes that are not idle.
    pub lanes: usize,
    /// Requests in flight.
    pub in_flight: usize,
    /// Jobs that wait for their turn.
    pub waiting: usize,
    /// For how long the one that waits longest has been waiting.
    pub oldest: Duration,
}

impl Stats {
    /// Requests of a class that are over.
    pub fn finished_as(&self, class: Class) -> u64 {
        self.finished[class.index()]
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    submitted: AtomicU64,
    refused: AtomicU64,
    back: AtomicU64,
    overdue: AtomicU64,
    finished: [AtomicU64; CLASSES],
    durations: [AtomicU64; DURATION_BUCKETS.len() + 1],
    micros: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Counters {
    pub(crate) fn submitted(&self) {
        count(&self.submitted);
    }

    pub(crate) fn refused(&self) {
        count(&self.refused);
    }

    pub(crate) fn back(&self) {
        count(&self.back);
    }

    pub(crate) fn overdue(&self) {
        count(&self.overdue);
    }

    pub(crate) fn finished(&self, class: Class, took: Duration) {
        count(&self.finished[class.index()]);
        let seconds = took.as_secs_f64();
        let bucket = DURATION_BUCKETS.iter().position(|border| seconds <= *border);
        count(&self.durations[bucket.unwrap_or(DURATION_BUCKETS.len())]);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self, lanes: usize, in_flight: usize, waiting: usize, oldest: Duration) -> Stats {
        Stats {
            submitted: read(&self.submitted),
            refused: read(&self.refused),
            back: read(&self.back),
            overdue: read(&self.overdue),
            finished: std::array::from_fn(|at| read(&self.finished[at])),
            durations: std::array::from_fn(|at| read(&self.durations[at])),
            seconds: Duration::from_micros(read(&self.micros)).as_secs_f64(),
            lanes,
            in_flight,
            waiting,
            oldest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_one_bucket_and_in_the_sum() {
        let counters = Counters::default();
        counters.finished(Class::Success, Duration::from_millis(5));
        counters.finished(Class::Success, Duration::from_millis(300));
        counters.finished(Class::Gone, Duration::from_secs(60));
        let stats = counters.snapshot(0, 0, 0, Duration::ZERO);
        assert_eq!(stats.durations, [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!((stats.finished_as(Class::Success), stats.finished_as(Class::Gone)), (2, 1));
        assert!((stats.seconds - 60.305).abs() < 1e-9);
    }
}
