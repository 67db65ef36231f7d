//! The data folder as a whole: files that belong together are there before any is opened, and stay where they are.
//!
//! SQLite makes a file that is missing, and takes an empty one for a new one: a folder that lost a file would start as
//! if nothing had ever been. And who deletes a file of a running server hears nothing of it: the server writes on, into
//! a file without a name. What is inside the files is the business of `bus` and `store`.

mod wal;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringpost_api::{Delivered, Intake, NotStored};
use ringpost_model::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::{Backend, Config};

/// Between two looks at the files. Legs look by themselves.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// When a sender should try again: a person has to do something first.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The files that hold everything.
const FILES: [&str; 2] = [JOURNAL, "store.db"];
/// The log, where it is embedded.
const JOURNAL: &str = "journal.db";

/// Looks for files that ought to be there, before any is made.
///
/// # Errors
/// Which one is missing, and what to do.
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    if config.store.postgres.url.is_some() {
        return Ok(());
    }
    let folder = config.data.dir.display();
    let has = |name: &str| holds_something(&config.data.dir.join(name));
    if has("journal.db") && !has("store.db") {
        anyhow::bail!(
            "{folder}/store.db is missing or empty, and there is a journal.db: restore the folder from a backup; \
             to begin anew, move journal.db away too"
        );
    }
    let key = config.data.key_path();
    if config.data.key.is_none() && has("store.db") && !key.exists() {
        anyhow::bail!(
            "{} is missing, and there is a store.db: copy the key back from where it is kept; \
             no other opens the secrets in the store",
            key.display()
        );
    }
    Ok(())
}

/// Looks into the logs that SQLite keeps beside its files, before it reads them.
///
/// # Errors
/// One is damaged in its middle, where SQLite would see its end, and drop what was acknowledged after it.
pub(crate) fn check_logs(folder: &Path) -> anyhow::Result<()> {
    for name in FILES {
        let path = folder.join(format!("{name}-wal"));
        let look = || std::fs::read(&path).ok().and_then(|log| wal::damage(&log));
        // Twice: another process may write a log while it is read.
        if let Some(at) = look()
            && look() == Some(at)
        {
            let path = path.display();
            anyhow::bail!(
                "{path} is damaged at byte {at}, and more was written after that: keep a copy of the folder, and \
                 restore it from a backup; to go on without what came after, run truncate -s {at} {path}"
            );
        }
    }
    Ok(())
}

/// Whether a journal was here, and is gone. `has_calls`: the store knows of calls, which only a journal can have brought.
///
/// # Errors
/// What to do.
pub(crate) fn check_journal(config: &Config, has_calls: bool) -> anyhow::Result<()> {
    let folder = &config.data.dir;
    if has_calls && folder.join("journal.lock").exists() && !holds_something(&folder.join("journal.db")) {
        anyhow::bail!(
            "{0}/journal.db is missing or empty, and was there before: put it back, or restore the folder from a \
             backup; to begin with an empty journal, delete {0}/journal.lock (calls in the old one are not told)",
            folder.display()
        );
    }
    Ok(())
}

fn holds_something(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.len() > 0)
}

/// The files that were opened.
#[derive(Debug, Clone)]
pub(crate) struct Files(Arc<[File]>);

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// What SQLite has not moved into the file yet. It comes and goes with the last one who has the file open.
    log: PathBuf,
    /// Device and number: another file may have taken the name.
    identity: (u64, u64),
}

impl Files {
    /// As they are now. With the log on brokers there is no journal, with the store in PostgreSQL no store.
    ///
    /// # Errors
    /// One is missing already.
    pub(crate) fn of(config: &Config) -> std::io::Result<Self> {
        let folder = &config.data.dir;
        let file = |name| {
            let path = folder.join(name);
            let log = folder.join(format!("{name}-wal"));
            Ok(File { identity: identity(&path)?, path, log })
        };
        let has_journal = config.bus.backend == Backend::Embedded;
        let has_store = config.store.postgres.url.is_none();
        let names = FILES.into_iter().filter(|name| if *name == JOURNAL { has_journal } else { has_store });
        Ok(Self(names.map(file).collect::<std::io::Result<_>>()?))
    }

    /// One that is not where it was.
    pub(crate) fn missing(&self) -> Option<&Path> {
        let is_there = |file: &File| identity(&file.path).is_ok_and(|found| found == file.identity);
        self.0.iter().find_map(|file| {
            if is_there(file) { (!file.log.exists()).then_some(&*file.log) } else { Some(&*file.path) }
        })
    }

    /// Says when one is gone, and when it is back.
    ///
    /// # Errors
    /// None; the shape of all parts.
    pub(crate) async fn watch(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut was_gone = false;
        let mut known = BTreeSet::new();
        loop {
            self.tell_set_aside(&mut known);
            match self.missing() {
                Some(path) if !was_gone => {
                    error!(file = %path.display(), "a file of the data folder is gone; legs are refused until it is put back");
                    was_gone = true;
                }
                None if was_gone => {
                    info!("the files of the data folder are where they were; legs are taken again");
                    was_gone = false;
                }
                _ => {}
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Days of the log of attempts that the store could not use any more, once each.
    fn tell_set_aside(&self, known: &mut BTreeSet<PathBuf>) {
        let Some(folder) = self.0.first().and_then(|file| file.path.parent()) else { return };
        let Ok(entries) = folder.read_dir() else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_aside = path.extension().is_some_and(|last| last.to_string_lossy().starts_with("damaged"));
            if is_aside && known.insert(path.clone()) {
                error!(file = %path.display(), "a day of the log of attempts is damaged and was set aside; what it held is listed no more");
            }
        }
    }

    /// Whether what is written now can be found again.
    ///
    /// # Errors
    /// A file is gone.
    pub(crate) fn check(&self) -> Result<(), NotStored> {
        let Some(path) = self.missing() else { return Ok(()) };
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let reason = format!("not stored, {name} is gone from the data folder; put it back and try again");
        Err(NotStored { reason, retry_after: RETRY_AFTER })
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    path.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// An intake that takes nothing in while a file is gone.
#[derive(Clone)]
pub(crate) struct Guarded<I> {
    pub(crate) intake: I,
    pub(crate) files: Files,
}

impl<I: Intake> Intake for Guarded<I> {
    async fn store(&self, delivered: Delivered) -> Result<(), NotStored> {
        self.files.check()?;
        self.intake.store(delivered).await?;
        // Deleted meanwhile: what was written is in a file that nobody will find again.
        self.files.check()
    }

    fn now(&self) -> Timestamp {
        self.intake.now()
    }
}
