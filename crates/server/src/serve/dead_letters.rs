//! Dead letters on their way to where they are kept, before anything moves past what they were refused from, or together
//! with that. A letter from a place that is known already is the same letter, so reading again adds nothing.
//!
//! With an embedded log they go into the store. On Kafka they go to a topic, keyed by the place they came from, in the
//! transaction that moves past it where there is one; the role api takes them from there into the store ([`copy`]). So
//! who looks at them looks into the store in both cases.

mod copy;
mod wire;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ringpost_bus::{Batch, Commit, Message, Output, Record};
use ringpost_ingest::Reject;
use ringpost_model::{Dialect, LegRecord, Timestamp};
use ringpost_store::{DeadLetter, Ledger, Store};
use tracing::warn;

use crate::metrics::Metrics;
use crate::topics::DEAD_LETTERS;

pub(super) use copy::Copy;

/// Wait after a disk error before the same letters are written again.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// Appends records to the topic of dead letters; durable when it is done.
pub(crate) type Append = Arc<dyn Fn(Vec<Record>) -> Appended + Send + Sync>;
/// What [`Append`] gives.
pub(crate) type Appended = Pin<Box<dyn Future<Output = Result<(), ringpost_bus::Error>> + Send>>;

/// Where dead letters go.
#[derive(Clone)]
pub struct DeadLetters<S = Store> {
    to: To<S>,
    metrics: Arc<Metrics>,
    /// Before the names of our own topics in places: topics that were moved to have the offsets of the old ones again, and
    /// what was refused there is another letter.
    prefix: Arc<str>,
}

#[derive(Clone)]
enum To<S> {
    Store(S),
    Topic(Append),
}

/// Why letters are not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotKept {
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] ringpost_store::Error),
    /// The topic cannot be written.
    #[error(transparent)]
    Log(#[from] ringpost_bus::Error),
}

impl<S: Ledger> DeadLetters<S> {
    /// Writes into this store.
    pub fn new(store: S, metrics: Arc<Metrics>) -> Self {
        Self { to: To::Store(store), metrics, prefix: Arc::default() }
    }

    /// Writes to the topic. They are counted where they get into the store.
    pub(crate) fn on_topic(append: Append, prefix: &str, metrics: Arc<Metrics>) -> Self {
        Self { to: To::Topic(append), metrics, prefix: prefix.into() }
    }

    /// What stands before the names of our own topics on the brokers.
    pub(crate) fn prefix(&self) -> Arc<str> {
        Arc::clone(&self.prefix)
    }

    /// Writes letters, once.
    ///
    /// # Errors
    /// Store or topic cannot be written.
    pub(crate) async fn add(&self, letters: &[DeadLetter]) -> Result<(), NotKept> {
        if letters.is_empty() {
            return Ok(());
        }
        match &self.to {
            To::Store(store) => add(store, &self.metrics, letters).await?,
            To::Topic(append) => append(letters.iter().map(wire::record).collect()).await?,
        }
        Ok(())
    }

    /// Writes letters, however long it takes: what they were refused from waits.
    pub(crate) async fn keep(&self, letters: &[DeadLetter]) {
        while let Err(error) = self.add(letters).await {
            warn!(%error, letters = letters.len(), "write of dead letters failed, trying again");
            tokio::time::sleep(AFTER_ERROR).await;
        }
    }

    /// Puts letters into a commit, so that they are durable together with the position behind what they were refused
    /// from. What it gives back has to be kept before.
    #[must_use]
    pub(crate) fn enclose(&self, letters: Vec<DeadLetter>, commit: &mut Commit) -> Vec<DeadLetter> {
        match &self.to {
            To::Topic(_) if !letters.is_empty() => {
                let records = letters.iter().map(wire::record).collect();
                commit.outputs.push(Output { topic: DEAD_LETTERS.to_owned(), records });
                Vec::new()
            }
            _ => letters,
        }
    }
}

/// Into the store, and counted.
async fn add<S: Ledger>(
    store: &S,
    metrics: &Metrics,
    letters: &[DeadLetter],
) -> Result<(), ringpost_store::Error> {
    let new = store.add_dead_letters(letters).await?;
    metrics.dead_letters.inc_by(new);
    metrics.dead_letters_repeated.inc_by(letters.len() as u64 - new);
    Ok(())
}

/// Where a record of one of our own topics stands, which is what its letters go by.
pub(crate) fn place(prefix: &str, batch: &Batch, message: &Message) -> String {
    format!("{prefix}{}/{}@{}", batch.topic, batch.partition, message.offset)
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
