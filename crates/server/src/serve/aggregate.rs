//! The aggregate role: legs in, records out, durable together with the state and the position. One pure machine
//! per partition; this file is its clock, its reader and its writer.

mod core;
mod enriching;
pub(crate) mod held;
mod stray;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use ringpost_bus::{Commit, Event, Worker};
use ringpost_session::{Config, Settings};
use ringpost_store::{Ledger, Store};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::core::{Core, Effects};
use self::stray::Stray;
use crate::admin::Readiness;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::serve::dead_letters::DeadLetters;
use crate::serve::tables::TableReader;

/// Records of one commit, beyond which no further batch is added to it: what is read first waits for the last.
const GATHERED: usize = 2_000;
/// The same, where a commit is a transaction on brokers: it costs them the same however much is in it.
const GATHERED_LONG: usize = 50_000;
/// Bytes of their records: the same bound where these are large.
const GATHERED_BYTES: usize = 8 << 20;
/// Wait after a disk error before the same commit is tried again.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// What the role needs from the process.
pub struct Aggregate<W, S = Store> {
    /// Reads legs, writes records.
    pub worker: W,
    /// Says what time it is.
    pub clock: Clock,
    /// Times and caps of sessions.
    pub config: Config,
    /// Of tenants and pbxs, always as of now.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// What records are enriched from.
    pub tables: TableReader,
    /// Where refused records go.
    pub dead_letters: DeadLetters<S>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Set once partitions are assigned and restored.
    pub readiness: Arc<Readiness>,
    /// How many partitions legs have, where others may write them to the wrong one; none = only we write them.
    pub partitions: Option<u32>,
    /// What is read for so long is made durable together; zero = what is there already.
    pub interval: Duration,
}

impl<W: Worker, S: Ledger> Aggregate<W, S> {
    /// Runs until it is told to stop, and leaves nothing half-done: what is not committed is read again.
    ///
    /// # Errors
    /// The log cannot be used any more; the process should end and be started again.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut core = self.core();
        loop {
            if core.is_full() {
                // Too much waits for tables: nothing more is read until some are there.
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    () = core.tables_changed() => {}
                    () = tokio::time::sleep(AFTER_ERROR) => {}
                }
                let mut effects = Effects::default();
                core.release(&mut effects)?;
                let Effects { mut commit, dead_letters } = effects;
                let before = self.dead_letters.enclose(dead_letters, &mut commit);
                self.dead_letters.keep(&before).await;
                if !self.commit(commit).await? {
                    core = self.core();
                }
                core.count(&self.metrics);
                continue;
            }
            let patience = core.patience((self.clock)());
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                event = self.worker.next(patience) => event,
            };
            if self.settings.has_changed().unwrap_or(false) {
                core.set_settings(&self.settings.borrow_and_update().clone());
            }
            let event = match event {
                Ok(event) => event,
                Err(error) if error.is_temporary() => {
                    warn!(%error, "read of legs failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                    continue;
                }
                Err(error) => return Err(error).context("read legs"),
            };
            // The group has let us in, and there was nothing left to be given: a spare one is as ready as can be.
            let is_spare = matches!(event, Event::Idle(_)) && !core.is_assigned();
            let Effects { mut commit, dead_letters } = self.gather(&mut core, event).await?;
            let before = self.dead_letters.enclose(dead_letters, &mut commit);
            self.dead_letters.keep(&before).await;
            if !self.commit(commit).await? {
                core = self.core();
            }
            core.count(&self.metrics);
            self.readiness.aggregate.store(core.is_assigned() || is_spare, Ordering::Release);
        }
    }

    /// One that knows of nothing yet.
    fn core(&mut self) -> Core {
        let settings = self.settings.borrow_and_update().clone();
        let stray = Stray::new(self.partitions, Arc::clone(&self.metrics));
        Core::new(self.config.clone(), settings, self.tables.clone(), stray, self.dead_letters.prefix())
    }

    /// Handles an event, and what can be read without waiting, or within the interval: all partitions share a commit, and
    /// so a sync of the disk or a transaction.
    async fn gather(&mut self, core: &mut Core, first: Event) -> anyhow::Result<Effects> {
        let mut effects = Effects::default();
        let (mut event, mut records, mut bytes) = (first, 0, 0);
        let until = Instant::now() + self.interval;
        loop {
            // There is nothing more to read; or what is to be given up has to be committed before the next look.
            let is_last = match &event {
                Event::Idle(_) => self.interval.is_zero() || effects.commit.is_empty(),
                Event::Revoked(_) => true,
                _ => false,
            };
            if let Event::Records(batch) = &event {
                records += batch.messages.len();
                bytes += batch.messages.iter().map(|message| message.value.len()).sum::<usize>();
            }
            core.handle_event(event, (self.clock)(), &mut effects)?;
            let is_full = bytes >= GATHERED_BYTES || records >= self.most();
            if is_last || is_full {
                break;
            }
            // An error comes again at the next look, when what is here is safe.
            let Some(Ok(next)) = self.next_of_gathering(core, until).await else { break };
            event = next;
        }
        core.release(&mut effects)?;
        Ok(effects)
    }

    /// What is there to be handled with the rest; none = it is time to commit.
    async fn next_of_gathering(
        &mut self,
        core: &Core,
        until: Instant,
    ) -> Option<Result<Event, ringpost_bus::Error>> {
        if self.interval.is_zero() {
            return Some(self.worker.next(Duration::ZERO).await);
        }
        // Where there is always more at hand, no time-out would ever end it.
        if Instant::now() >= until {
            return None;
        }
        let patience = core.patience((self.clock)());
        tokio::time::timeout_at(until, self.worker.next(patience)).await.ok()
    }

    fn most(&self) -> usize {
        if self.interval.is_zero() { GATHERED } else { GATHERED_LONG }
    }

    /// Makes it durable. False = the partitions were given to others: nothing that was worked out counts.
    async fn commit(&mut self, commit: Commit) -> anyhow::Result<bool> {
        loop {
            match self.worker.commit(commit.clone()).await {
                Ok(()) => return Ok(true),
                Err(error) if error.wants_new_worker() => {
                    warn!(%error, "what was worked out is dropped, its legs are read again");
                    return Ok(false);
                }
                Err(error) if error.is_temporary() => {
                    warn!(%error, "commit of records failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
                Err(error) => return Err(error).context("commit records"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
