//! The worker that a process reads with: the log's own, or one that is followed by another, as on Kafka.

use std::time::Duration;

use ringpost::pipeline::Renewed;
use ringpost_bus::{Commit, Error, Event, Log, Subscription, Worker};

use crate::log::{SimLog, SimWorker};

pub(super) enum Served {
    Plain(SimWorker),
    Renewed(Box<Renewed<SimLog>>),
}

impl Served {
    /// Joins the group; `is_one_of_several` = as processes on Kafka do.
    pub(super) async fn join(
        log: &SimLog,
        subscription: Subscription,
        is_one_of_several: bool,
    ) -> Result<Self, Error> {
        if is_one_of_several {
            return Ok(Self::Renewed(Box::new(Renewed::join(log.clone(), subscription).await?)));
        }
        log.worker(subscription).await.map(Self::Plain)
    }
}

impl Worker for Served {
    async fn next(&mut self, patience: Duration) -> Result<Event, Error> {
        match self {
            Self::Plain(worker) => worker.next(patience).await,
            Self::Renewed(worker) => worker.next(patience).await,
        }
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), Error> {
        match self {
            Self::Plain(worker) => worker.commit(commit).await,
            Self::Renewed(worker) => worker.commit(commit).await,
        }
    }
}
