//! The wall clock of the world: it goes with the paused time of the runtime, and jumps where the schedule says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ringpost::pipeline::Clock;
use ringpost_model::Timestamp;
use tokio::time::Instant;

/// The clock; a clone is the same clock.
#[derive(Debug, Clone)]
pub struct SimClock {
    start: Timestamp,
    began: Instant,
    jumps: Arc<AtomicI64>,
}

impl SimClock {
    /// Begins now, at this time of the wall.
    pub fn new(start: Timestamp) -> Self {
        Self { start, began: Instant::now(), jumps: Arc::default() }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.start.plus_micros(elapsed + self.jumps.load(Ordering::Relaxed))
    }

    /// How long the world has lived, by a clock that never jumps.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The wall clock is put on, or back.
    pub fn jump(&self, micros: i64) {
        self.jumps.fetch_add(micros, Ordering::Relaxed);
    }

    /// The same as the pipeline's clock.
    pub fn wall(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}
