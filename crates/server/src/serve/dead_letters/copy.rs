//! Takes dead letters from their topic into the store, where people look at them, mark and replay them. A letter that is
//! there already is the same one: what is read again adds nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ringpost_bus::{Batch, Commit, Event, Worker};
use ringpost_model::{Dialect, Timestamp};
use ringpost_store::{DeadLetter, Ledger, Store};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{add, place, wire};
use crate::metrics::Metrics;

/// The longest wait for a letter.
const PATIENCE: Duration = Duration::from_secs(1);
/// Wait after an error before the same is tried again.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) struct Copy<W, S = Store> {
    pub(crate) worker: W,
    pub(crate) store: S,
    /// Before the names of topics.
    pub(crate) prefix: Arc<str>,
    pub(crate) metrics: Arc<Metrics>,
}

impl<W: Worker, S: Ledger> Copy<W, S> {
    /// Until told to stop; what is not committed is read again.
    ///
    /// # Errors
    /// The log cannot be used any more.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                event = self.worker.next(PATIENCE) => event,
            };
            match event {
                Ok(Event::Records(batch)) => {
                    if stop.run_until_cancelled(self.copy(&batch)).await.is_none() {
                        return Ok(());
                    }
                    self.commit(&batch).await?;
                }
                Ok(_) => {}
                Err(error) if error.is_temporary() => {
                    warn!(%error, "read of dead letters failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
                Err(error) => return Err(error).context("read dead letters"),
            }
        }
    }

    async fn copy(&self, batch: &Batch) {
        let letter = |message| {
            wire::letter(message).unwrap_or_else(|error| {
                let place = place(&self.prefix, batch, message);
                let now = Timestamp::from_micros(message.timestamp);
                DeadLetter::new(&place, now, &error.to_string(), Dialect::Native.name(), &message.value)
            })
        };
        let letters: Vec<DeadLetter> = batch.messages.iter().map(letter).collect();
        while let Err(error) = add(&self.store, &self.metrics, &letters).await {
            warn!(%error, letters = letters.len(), "write of dead letters failed, trying again");
            tokio::time::sleep(AFTER_ERROR).await;
        }
    }

    async fn commit(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let commit = Commit { positions: vec![batch.position()], ..Commit::default() };
        while let Err(error) = self.worker.commit(commit.clone()).await {
            if error.wants_new_worker() {
                // They are in the store; whoever reads them again finds them there.
                return Ok(());
            }
            if !error.is_temporary() {
                return Err(error).context("commit positions of dead letters");
            }
            warn!(%error, "commit of positions failed, trying again");
            tokio::time::sleep(AFTER_ERROR).await;
        }
        Ok(())
    }
}
