//! What happened, step by step: as a fingerprint always, as lines where somebody wants to read it. Two runs of one
//! seed have the same fingerprint, or the world is not deterministic.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::SimClock;

/// The trace of one run; a clone is the same trace.
#[derive(Debug, Clone)]
pub struct Trace {
    clock: SimClock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    fingerprint: u64,
    steps: u64,
    line: String,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// An empty trace; `keep` = its lines are wanted.
    pub fn new(clock: SimClock, keep: bool) -> Self {
        let lines = keep.then(Vec::new);
        let inner = Inner { fingerprint: 0xcbf2_9ce4_8422_2325, steps: 0, line: String::new(), lines };
        Self { clock, inner: Arc::new(Mutex::new(inner)) }
    }

    /// One step. Nothing in it may be random: no attempt's id.
    pub fn note(&self, what: fmt::Arguments<'_>) {
        let elapsed = self.clock.elapsed().as_micros();
        let mut inner = self.inner();
        let inner = &mut *inner;
        inner.line.clear();
        // Writing into a text cannot fail.
        _ = write!(inner.line, "{}.{:06} {what}", elapsed / 1_000_000, elapsed % 1_000_000);
        for byte in inner.line.bytes() {
            inner.fingerprint = (inner.fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        inner.steps += 1;
        if let Some(lines) = &mut inner.lines {
            lines.push(inner.line.clone());
        }
    }

    /// How long the world has lived.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Fingerprint and number of steps.
    pub fn fingerprint(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.fingerprint, inner.steps)
    }

    /// More for who reads the lines; no part of the fingerprint.
    pub fn add(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.inner().lines {
            lines.push(line());
        }
    }

    /// The lines, if they were wanted.
    pub fn lines(&self) -> Vec<String> {
        self.inner().lines.clone().unwrap_or_default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
