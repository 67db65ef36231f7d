//! What came again after crashes, and whether it may, from nothing but what the receiver saw.
//!
//! A webhook may come again in three cases:
//!
//! * it was answered with a failure, or its sender's patience was over: that is a retry;
//! * it was **in flight** when the server was killed: received, and not answered yet;
//! * it was answered with success at most a **window** before the kill: the answer was on its way through the sender, or
//!   waited for the disk. The window is 750 ms and eight times the longest write that the disk needed in that life.
//!
//! Everything else is a violation, above all a webhook that comes again within one life of the server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ringpost_tests::Fate;

use super::{Disk, Request};

/// Dispatch writes 5 ms after the first thing that waits; the rest is for a debug build, on cores that others use too,
/// that has just started and asks the store about all that its last life left.
const BASE: Duration = Duration::from_millis(750);
/// Syncs from an answer to its record: those of the write that has just begun (attempts, store, journal with what is
/// before it in the queue), then attempts and store again, and a checkpoint.
const SYNCS: u32 = 8;

/// One life of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) began: Instant,
    pub(crate) killed: Instant,
}

/// Webhooks that came again, by the reason they came again for.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// The receiver had said no, or its sender had not waited to the end.
    pub(crate) retries: usize,
    /// They were not answered when the server died.
    pub(crate) in_flight: usize,
    /// They were answered so long before it died.
    pub(crate) unwritten: Vec<Duration>,
    /// What may not be.
    pub(crate) violations: Vec<String>,
    /// Webhooks answered longer than the window before a kill: of these none may come again. Without them nothing
    /// was shown.
    pub(crate) safe: usize,
    /// The longest window of a life.
    pub(crate) window: Duration,
}

impl Repeats {
    /// Reads them out of what came, and of when the server was killed.
    pub(crate) fn of(requests: &[Request], lives: &[Life], disk: &Disk) -> Self {
        let window = |life: &Life| BASE + SYNCS * disk.longest(life.began, life.killed);
        let lives: Vec<(Instant, Duration)> = lives.iter().map(|life| (life.killed, window(life))).collect();
        let mut repeats = Self::default();
        let mut before: HashMap<&str, &Request> = HashMap::new();
        for request in requests {
            if let Some(last) = before.insert(request.header("webhook-id"), request) {
                repeats.add(last, request, &lives);
            }
        }
        repeats.safe = requests.iter().filter(|request| is_safe(request, &lives)).count();
        repeats.window = lives.iter().map(|(_, window)| *window).max().unwrap_or_default();
        repeats
    }

    fn add(&mut self, last: &Request, again: &Request, lives: &[(Instant, Duration)]) {
        // The end of the life in which it came.
        let end = lives.iter().find(|(killed, _)| (last.came..again.came).contains(killed));
        let Fate::Answered(status, answered) = last.fate() else {
            return if end.is_some() { self.in_flight += 1 } else { self.retries += 1 };
        };
        if !status.is_success() {
            self.retries += 1;
            return;
        }
        let id = last.header("webhook-id");
        let Some((killed, window)) = end else {
            self.violations.push(format!("{id} came again though nobody had died"));
            return;
        };
        match killed.checked_duration_since(answered) {
            None => self.in_flight += 1,
            Some(early) if early <= *window => self.unwritten.push(early),
            Some(early) => {
                let why =
                    format!("{id} came again, answered {early:?} before a crash, {window:?} are allowed");
                self.violations.push(why);
            }
        }
    }

    /// The longest that an answer was lost after.
    pub(crate) fn longest(&self) -> Duration {
        self.unwritten.iter().copied().max().unwrap_or_default()
    }

    /// All that came again because of a crash.
    pub(crate) fn by_crash(&self) -> usize {
        self.in_flight + self.unwritten.len()
    }
}

/// Answered longer than the window before the life ended in which it came.
fn is_safe(request: &Request, lives: &[(Instant, Duration)]) -> bool {
    let Fate::Answered(status, answered) = request.fate() else { return false };
    let end = lives.iter().find(|(killed, _)| *killed >= request.came);
    status.is_success() && end.is_some_and(|(killed, window)| *killed > answered + *window)
}
