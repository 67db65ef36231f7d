//! The aggregate role: legs in, records out, durable together with the state and the position. One pure machine
//! per partition; this file is its clock, its reader and its writer.

mod core;
mod held;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use ringpost_bus::{Commit, Event, Worker};
use ringpost_session::{Config, Settings};
use ringpost_store::{Ledger, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::core::{Core, Effects};
use crate::admin::Readiness;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::serve::dead_letters::DeadLetters;
use crate::serve::tables::TableReader;

/// Records of one commit, beyond which no further batch is added to it: what is read first waits for the last.
const GATHERED: usize = 2_000;
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
}

impl<W: Worker, S: Ledger> Aggregate<W, S> {
    /// Runs until it is told to stop, and leaves nothing half-done: what is not committed is read again.
    ///
    /// # Errors
    /// The log cannot be used any more; the process should end and be started again.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let settings = self.settings.borrow_and_update().clone();
        let mut core = Core::new(self.config.clone(), settings, self.tables.clone());
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
                self.commit(effects.commit).await?;
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
            let Effects { commit, dead_letters } = self.gather(&mut core, event).await?;
            self.dead_letters.keep(&dead_letters).await;
            self.commit(commit).await?;
            core.count(&self.metrics);
            self.readiness.aggregate.store(core.is_assigned(), Ordering::Release);
        }
    }

    /// Handles an event, and what can be read without waiting: all partitions share a commit, and so a sync of the
    /// disk.
    async fn gather(&mut self, core: &mut Core, first: Event) -> anyhow::Result<Effects> {
        let mut effects = Effects::default();
        let (mut event, mut records, mut bytes) = (first, 0, 0);
        loop {
            // There is nothing more to read; or what is to be given up has to be committed before the next look.
            let is_last = matches!(event, Event::Idle(_) | Event::Revoked(_));
            if let Event::Records(batch) = &event {
                records += batch.messages.len();
                bytes += batch.messages.iter().map(|message| message.value.len()).sum::<usize>();
            }
            core.handle_event(event, (self.clock)(), &mut effects)?;
            if is_last || records >= GATHERED || bytes >= GATHERED_BYTES {
                break;
            }
            // An error comes again at the next look, when what is here is safe.
            let Ok(next) = self.worker.next(Duration::ZERO).await else { break };
            event = next;
        }
        core.release(&mut effects)?;
        Ok(effects)
    }

    async fn commit(&mut self, commit: Commit) -> anyhow::Result<()> {
        loop {
            match self.worker.commit(commit.clone()).await {
                Ok(()) => return Ok(()),
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
