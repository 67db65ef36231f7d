//! What a lane is told from outside: how far it is open, and its part of a rate that several processes share.

use tokio::time::Instant;

use crate::job::Job;

/// How far a lane is open, as its breaker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gate {
    /// As far as it is configured.
    #[default]
    Free,
    /// Its receiver is down: what waits for it goes back, and only probes, last tries and what is not held pass.
    Shut,
    /// Its receiver is back: at most so many requests in flight.
    Few(u32),
}

impl Gate {
    /// Whether a job may wait in the lane for its turn.
    pub(super) fn admits(self, job: &Job) -> bool {
        self != Self::Shut || job.probe || job.last || !job.trigger.holds()
    }

    /// How many requests may be in flight, of so many without it.
    pub(super) fn seats(self, concurrency: usize) -> usize {
        match self {
            Self::Free | Self::Shut => concurrency,
            Self::Few(limit) => concurrency.min(usize::try_from(limit).unwrap_or(usize::MAX)),
        }
    }
}

/// This process's part of a lane's rate, for a short time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Requests in a thousand seconds.
    pub milli_per_second: u64,
    /// It ends then.
    pub until: Instant,
}
