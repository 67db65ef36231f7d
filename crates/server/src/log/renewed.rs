//! A worker that is followed by a new one where it comes to its end: fenced, forgotten by its group, failed for good.
//!
//! To its user that looks like partitions that go and come back. `next` tells all of them to be revoked, and then what the
//! new worker is given. A commit that was of the former one fails, and what it would have made durable has to be forgotten:
//! the records come again, with the state of before.
//!
//! To be replaced by a process of the same name is final only when it happens again soon. A broker that is restarted
//! may have given this very process a new identity that never arrived, and then says the same of it; a second process
//! comes back at once.

use std::collections::BTreeSet;
use std::time::Duration;

use ringpost_bus::{Commit, Error, Event, Log, Partition, Subscription, Worker};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::warn;

/// Two processes of one name replace each other every few seconds. Brokers and networks do not fail so often.
const AGAIN: Duration = Duration::from_secs(10);

/// See the module.
pub struct Renewed<L: Log> {
    log: L,
    subscription: Subscription,
    worker: Option<L::Worker>,
    /// A new one on its way; kept when `next` is dropped half-way.
    joining: Option<JoinHandle<Result<L::Worker, Error>>>,
    /// When a worker was replaced.
    replaced: Option<Instant>,
    /// What the user knows to be its own.
    assigned: BTreeSet<Partition>,
}

impl<L: Log> Renewed<L> {
    /// Joins the group.
    ///
    /// # Errors
    /// As the log's own.
    pub async fn join(log: L, subscription: Subscription) -> Result<Self, Error> {
        let worker = Some(log.worker(subscription.clone()).await?);
        Ok(Self { log, subscription, worker, joining: None, replaced: None, assigned: BTreeSet::new() })
    }

    /// The present worker; a new one, where there is none.
    async fn present(&mut self) -> Result<&mut L::Worker, Error> {
        if self.worker.is_none() {
            let joining = self.joining.get_or_insert_with(|| {
                let (log, subscription) = (self.log.clone(), self.subscription.clone());
                tokio::spawn(async move { log.worker(subscription).await })
            });
            let joined = joining.await;
            self.joining = None;
            self.worker = Some(joined.map_err(|_| Error::Closed)??);
        }
        Ok(self.worker.as_mut().expect("made just now"))
    }

    /// Of a worker that was replaced for the first time for long: an error that a new one helps with.
    fn judged(&mut self, error: Error) -> Error {
        let Error::Replaced { group, instance } = error else { return error };
        let before = self.replaced.replace(Instant::now());
        match before.is_some_and(|before| before.elapsed() < AGAIN) {
            true => Error::Replaced { group, instance },
            false => {
                let reason = format!("as if another process went by the name {instance}");
                Error::Lost { group, reason }
            }
        }
    }

    fn ended(&mut self, error: &Error) {
        warn!(%error, group = self.subscription.group, "a worker has come to its end, and is followed by a new one");
        self.worker = None;
    }
}

impl<L: Log> Worker for Renewed<L> {
    async fn next(&mut self, patience: Duration) -> Result<Event, Error> {
        if self.worker.is_none() && !self.assigned.is_empty() {
            return Ok(Event::Revoked(std::mem::take(&mut self.assigned).into_iter().collect()));
        }
        let next = self.present().await?.next(patience).await;
        match next.map_err(|error| self.judged(error)) {
            Err(error) if error.wants_new_worker() => {
                self.ended(&error);
                Ok(Event::Revoked(std::mem::take(&mut self.assigned).into_iter().collect()))
            }
            Ok(Event::Assigned(assignment)) => {
                self.assigned.insert(assignment.partition);
                Ok(Event::Assigned(assignment))
            }
            Ok(Event::Revoked(partitions)) => {
                self.assigned.retain(|partition| !partitions.contains(partition));
                Ok(Event::Revoked(partitions))
            }
            other => other,
        }
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), Error> {
        if self.subscription.topics.is_empty() {
            // It reads nothing that would have to come again.
            self.present().await?;
        }
        let Some(worker) = &mut self.worker else {
            let (group, reason) =
                (self.subscription.group.clone(), "what it had read comes again".to_owned());
            return Err(Error::Lost { group, reason });
        };
        let done = worker.commit(commit).await;
        let done = done.map_err(|error| self.judged(error));
        if let Err(error) = &done
            && error.wants_new_worker()
        {
            self.ended(error);
        }
        done
    }
}
