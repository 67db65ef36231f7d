//! What lanes tell of the jobs that they were given. `Started` and `Overdue` may come before the end.

use std::sync::Arc;

use ringpost_model::{AttemptId, LaneId, Timestamp};

use crate::classify::Outcome;
use crate::exchange::Exchange;
use crate::job::Job;
use crate::schedule::Next;

/// What lanes tell. For each job taken in exactly one of `Back` and `Finished`, last.
#[derive(Debug)]
pub enum Report {
    /// The request starts.
    Started {
        /// Of this job.
        job: Arc<Job>,
        /// In this lane.
        lane: LaneId,
        /// As this attempt.
        attempt: AttemptId,
    },
    /// In flight for longer than `handoff`: to be written as a debt, leased to this process.
    Overdue {
        /// This job.
        job: Arc<Job>,
        /// In this lane.
        lane: LaneId,
        /// The attempt in flight.
        attempt: AttemptId,
        /// The lease ends.
        until: Timestamp,
    },
    /// Not started and given back, to be owed: it waited for longer than `handoff`, or its lane pauses or is shut.
    Back {
        /// This job.
        job: Arc<Job>,
        /// In this lane.
        lane: LaneId,
        /// [`Next::Wait`], or [`Next::Superseded`] where a newer revision is here.
        next: Next,
    },
    /// The request is over.
    Finished(Box<Finished>),
}

/// A request that is over.
#[derive(Debug)]
pub struct Finished {
    /// Of this job.
    pub job: Arc<Job>,
    /// In this lane.
    pub lane: LaneId,
    /// What was sent and what came of it.
    pub exchange: Exchange,
    /// What that means.
    pub outcome: Outcome,
    /// What follows.
    pub next: Next,
    /// It was reported as overdue: there is a debt to settle.
    pub overdue: bool,
}

/// A job that was not taken in, to be owed.
#[derive(Debug, thiserror::Error)]
#[error("take delivery {} into its lane: {why}", job.delivery.id)]
pub struct Refused {
    /// The job, unchanged.
    pub job: Arc<Job>,
    /// Its lane.
    pub lane: LaneId,
    /// Why.
    pub why: Refusal,
}

/// Why a job is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The lane, or all lanes together, hold as many jobs as they may.
    #[error("it is full")]
    Full,
    /// The receiver asked for a pause.
    #[error("it is paused until {0}")]
    Paused(Timestamp),
    /// The receiver counts as down, or a probe is on its way already.
    #[error("its receiver is down")]
    Open,
    /// The same revision for the same trigger is here already.
    #[error("the same delivery is in it")]
    Duplicate,
    /// A newer revision for the same trigger is here.
    #[error("a newer revision is in it")]
    Superseded,
    /// The lanes are being drained.
    #[error("lanes are closed")]
    Closed,
    /// Jobs have ended of which it was not known; see [`crate::Lanes::submit_knowing`].
    #[error("it is not known yet what came of others")]
    Untold,
}
