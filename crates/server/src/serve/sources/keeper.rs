//! Keeps how far files have been read, in the log: durable together with what came of it, or not at all.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use ringpost_bus::{Commit, Error, Event, Log, Partition, StateChange, Subscription, Worker};
use tokio::sync::Mutex;
use tracing::warn;

use super::mark::Mark;
use super::watch::Key;
use crate::topics::SOURCES;

/// Between the name of a source and the key of its file.
const SEPARATOR: char = '\u{1f}';
/// All of them: one process has the files of a machine.
const PARTITION: Partition = Partition(0);
/// At the start the log says at once which partitions there are.
const PATIENCE: Duration = Duration::from_millis(1);

/// Writes what was read, and marks.
pub(super) struct Keeper<W>(Mutex<W>);

/// What was kept, by source.
pub(super) type Kept = HashMap<PathBuf, HashMap<Key, Mark>>;

impl<W: Worker> Keeper<W> {
    /// Joins the log, and reads what was kept.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) async fn open<L: Log<Worker = W>>(log: &L) -> anyhow::Result<(Self, Kept)> {
        let subscription =
            Subscription { group: "sources".to_owned(), topics: Vec::new(), state: Some(SOURCES.to_owned()) };
        let mut worker =
            log.worker(subscription).await.context("join the log to keep how far files are read")?;
        let mut kept = Kept::new();
        loop {
            match worker.next(PATIENCE).await.context("read how far files were read")? {
                Event::Assigned(assignment) => {
                    assignment.state.iter().for_each(|entry| put(&mut kept, &entry.key, &entry.value));
                }
                Event::Idle(_) => return Ok((Self(Mutex::new(worker)), kept)),
                _ => {}
            }
        }
    }

    /// Makes what was read and marks durable together.
    ///
    /// # Errors
    /// Nothing of it is stored.
    pub(super) async fn commit(
        &self,
        source: &Path,
        mut commit: Commit,
        marks: &[(Key, Option<Mark>)],
    ) -> Result<(), Error> {
        let key = |key: &Key| format!("{}{SEPARATOR}{key}", source.display()).into_bytes().into();
        let change = |(of, mark): &(Key, Option<Mark>)| StateChange {
            partition: PARTITION,
            key: key(of),
            value: mark.as_ref().map(|mark| mark.to_bytes().into()),
        };
        commit.changes = marks.iter().map(change).collect();
        self.0.lock().await.commit(commit).await
    }
}

fn put(kept: &mut Kept, key: &[u8], value: &[u8]) {
    let key = String::from_utf8_lossy(key);
    let Some((source, of)) = key.split_once(SEPARATOR) else { return };
    match Mark::from_bytes(value) {
        Some(mark) => drop(kept.entry(source.into()).or_default().insert(of.to_owned(), mark)),
        None => warn!(source, "how far a file was read cannot be read: it is read from its begin"),
    }
}
