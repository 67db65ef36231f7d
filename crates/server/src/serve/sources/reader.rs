//! Reads one source: looks, has what is new made durable, and only then goes on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ringpost_api::{Delivered, Grant, NotStored, SharedAccess};
use ringpost_bus::{Commit, Worker};
use ringpost_store::Ledger;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::decode::judge;
use super::keeper::Keeper;
use super::mark::Mark;
use super::state::SourceStates;
use super::watch::{Key, Look, Note, Watch};
use crate::config::FileSource;
use crate::data_folder::Files;
use crate::serve::intake::LogIntake;

/// Wait after legs could not be stored: at first, and at most. Each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Looking takes at most this part of the time, however many files there are.
const PART_OF_TIME: u32 = 4;
/// Files of which each new one is told; a folder of documents has more every second.
const FILES_TOLD: usize = 32;

/// What all sources share.
pub(super) struct Shared<W, L, S> {
    pub(super) keeper: Keeper<W>,
    pub(super) intake: LogIntake<L, S>,
    pub(super) access: SharedAccess,
    /// Of the data folder.
    pub(super) files: Option<Files>,
    pub(super) states: Arc<SourceStates>,
    pub(super) poll: Duration,
}

/// One source.
pub(super) struct Reader<W, L, S> {
    pub(super) shared: Arc<Shared<W, L, S>>,
    /// Its place in the configuration.
    pub(super) at: usize,
    pub(super) source: FileSource,
    pub(super) grant: Grant,
    pub(super) watch: Watch,
    /// What was in the way when it was last told.
    pub(super) told: String,
}

impl<W: Worker, L: Clone + Send + Sync + 'static, S: Ledger> Reader<W, L, S> {
    /// Until told to stop, or everything is read that is not followed.
    ///
    /// # Errors
    /// A bug: looking has panicked.
    pub(super) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            let began = Instant::now();
            let now = (self.shared.intake.clock)();
            let mut watch = self.watch;
            let looked = tokio::task::spawn_blocking(move || (watch.look(now), watch)).await;
            let look;
            (look, self.watch) = looked.context("look at files")?;
            let took = began.elapsed();
            self.tell(&look);
            let (has_more, is_done) = (look.has_more, look.is_done);
            if !self.store(&look, &stop).await {
                return Ok(());
            }
            self.watch.accept(look);
            if is_done {
                info!(source = %self.source.path.display(), "every file is read to its end; the source is done");
                return Ok(());
            }
            if !has_more {
                let pause = self.shared.poll.max(took * (PART_OF_TIME - 1));
                stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        }
        Ok(())
    }

    /// Makes it durable, however long it takes. False: it was told to stop, and nothing is.
    async fn store(&self, look: &Look, stop: &CancellationToken) -> bool {
        if look.pieces.is_empty() && look.changes.is_empty() {
            return true;
        }
        let mut pause = FIRST_PAUSE;
        let mut is_told = false;
        loop {
            let error = match self.try_store(look).await {
                Ok(()) => break,
                Err(error) => error,
            };
            if !is_told {
                warn!(source = %self.source.path.display(), %error, "what was read of files cannot be stored; it is tried until it can");
                is_told = true;
            }
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return false;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if is_told {
            info!(source = %self.source.path.display(), "what was read of files is stored");
        }
        true
    }

    async fn try_store(&self, look: &Look) -> Result<(), NotStored> {
        let shared = &self.shared;
        if let Some(files) = &shared.files {
            files.check()?;
        }
        let access = shared.access.get();
        let grant = self.grant(&access);
        let mut marks: Vec<(Key, Option<Mark>)> = look.changes.clone();
        let (mut commit, mut brought) = (Commit::default(), Vec::new());
        for new in &look.pieces {
            let delivered = judge(&access, &grant, new);
            shared.intake.prepare(&delivered, &mut commit).await?;
            marks.push((new.key.clone(), Some(new.mark.clone())));
            brought.push(delivered);
        }
        let stored = shared.keeper.commit(&self.source.path, commit, &marks).await;
        stored.map_err(|error| NotStored { reason: error.to_string(), retry_after: FIRST_PAUSE })?;
        brought.iter().for_each(|delivered| self.count(delivered));
        let metrics = &shared.intake.metrics;
        let bytes: u64 = look.pieces.iter().map(|new| new.mark.offset.saturating_sub(new.begin)).sum();
        metrics.source_bytes.with_label_values(&[self.label().as_str()]).inc_by(bytes);
        if let Some(files) = &shared.files {
            files.check()?;
        }
        Ok(())
    }

    fn grant(&self, access: &ringpost_api::Access) -> Grant {
        access.grant_input(&self.grant.pbx, self.source.tenant.as_ref(), Some(self.grant.dialect))
    }

    fn count(&self, delivered: &Delivered) {
        self.shared.intake.count(delivered);
        let (legs, rejected) = (delivered.records.len() as u64, delivered.dead_letters.len() as u64);
        let metrics = &self.shared.intake.metrics;
        metrics.source_legs.with_label_values(&[self.label().as_str()]).inc_by(legs);
        metrics.source_rejected.with_label_values(&[self.label().as_str()]).inc_by(rejected);
        self.shared.states.update(self.at, |state| {
            state.legs += legs;
            state.rejected += rejected;
        });
    }

    /// The path as configured: there are as many as sources.
    fn label(&self) -> String {
        self.source.path.display().to_string()
    }

    fn tell(&mut self, look: &Look) {
        let trouble = look.troubles.first().cloned().unwrap_or_default();
        let source = self.source.path.display();
        if trouble != self.told {
            match (trouble.is_empty(), look.troubles.len()) {
                (true, _) => info!(%source, "the source can be read again"),
                (false, 1) => warn!(%source, trouble, "a source cannot be read; it is tried until it can"),
                (false, count) => {
                    warn!(%source, trouble, count, "a source cannot be read; it is tried until it can");
                }
            }
        }
        let is_many = look.files > FILES_TOLD;
        look.notes.iter().for_each(|note| tell(&self.label(), note, is_many));
        let metrics = &self.shared.intake.metrics;
        let label = [self.label()];
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        metrics.source_behind.with_label_values(&label).set(number(look.behind));
        metrics.source_files.with_label_values(&label).set(look.files as i64);
        metrics.source_troubles.with_label_values(&label).set(look.troubles.len() as i64);
        self.shared.states.update(self.at, |state| {
            (state.files, state.behind, state.is_done) = (look.files as u64, look.behind, look.is_done);
            state.trouble.clone_from(&trouble);
        });
        self.told = trouble;
    }
}

fn tell(source: &str, note: &Note, is_many: bool) {
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    match note {
        // Of a folder of documents, one for each call.
        Note::New { .. } | Note::Gone { unread: 0, .. } | Note::Done { .. } if is_many => {}
        Note::New { path, offset } => {
            info!(source, file = %path.display(), from = offset, "file is read");
        }
        Note::Renamed { from, to } => {
            info!(source, from = %from.display(), to = %to.display(), "file was renamed; it is read on");
        }
        Note::Gone { path, unread } => {
            info!(source, file = %path.display(), unread, "file is gone");
        }
        Note::Truncated { path, unread_in: None } => {
            info!(source, file = %path.display(), "file was cut to nothing; it is read from its begin");
        }
        Note::Truncated { path, unread_in } => {
            let copy = shown(unread_in);
            info!(source, file = %path.display(), copy, "file was cut to nothing; the copy is read on, and the file from its begin");
        }
        Note::Rewritten { path, unread_in } => {
            let copy = shown(unread_in);
            warn!(source, file = %path.display(), copy, "another file is in the place of the one that was read; it is read from its begin");
        }
        Note::Done { path } => info!(source, file = %path.display(), "file is read to its end"),
        Note::Ignored { path, why } => {
            warn!(source, file = %path.display(), why, "file is not read; unpack it, or leave it out of the pattern");
        }
    }
}
