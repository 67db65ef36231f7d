//! Dead letters on their way into the store, before anything moves past what they were refused from. A letter
//! from a place that is known already is the same letter, so reading again adds nothing.

use std::sync::Arc;
use std::time::Duration;

use ringpost_ingest::Reject;
use ringpost_model::{Dialect, LegRecord, Timestamp};
use ringpost_store::{DeadLetter, Ledger, Store};
use tracing::warn;

use crate::metrics::Metrics;

/// Wait after a disk error before the same letters are written again.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// Where dead letters go.
#[derive(Clone)]
pub struct DeadLetters<S = Store> {
    store: S,
    metrics: Arc<Metrics>,
}

impl<S: Ledger> DeadLetters<S> {
    /// Writes into this store.
    pub fn new(store: S, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    /// Writes letters, once.
    ///
    /// # Errors
    /// The store cannot be written.
    pub(crate) async fn add(&self, letters: &[DeadLetter]) -> Result<(), ringpost_store::Error> {
        if letters.is_empty() {
            return Ok(());
        }
        let new = self.store.add_dead_letters(letters).await?;
        self.metrics.dead_letters.inc_by(new);
        self.metrics.dead_letters_repeated.inc_by(letters.len() as u64 - new);
        Ok(())
    }

    /// Writes letters, however long it takes: what they were refused from waits.
    pub(crate) async fn keep(&self, letters: &[DeadLetter]) {
        while let Err(error) = self.add(letters).await {
            warn!(%error, letters = letters.len(), "write of dead letters failed, trying again");
            tokio::time::sleep(AFTER_ERROR).await;
        }
    }
}

/// The letter of bytes that cannot be read.
pub(crate) fn unreadable(place: &str, dialect: Dialect, reject: &Reject, now: Timestamp) -> DeadLetter {
    DeadLetter::new(place, now, &reject.reason.to_string(), dialect.name(), &reject.bytes)
}

/// The letter of a leg record that `session` refuses; kept in format 1, so that it can be replayed.
pub(crate) fn refused(place: &str, record: &LegRecord, reason: &str, now: Timestamp) -> DeadLetter {
    let bytes = serde_json::to_vec(record).unwrap_or_default();
    let mut letter = DeadLetter::new(place, now, reason, Dialect::Native.name(), &bytes);
    letter.tenant = Some(record.tenant.clone());
    letter.pbx = Some(record.pbx.clone());
    letter
}
