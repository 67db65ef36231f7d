//! One file that is looked at.

use std::fs::File;
use std::io;
use std::path::Path;

use ringpost_model::Timestamp;

use crate::serve::sources::listing::Stat;
use crate::serve::sources::mark::Mark;

/// A change within this time of the last look may not show in the times of the file, which tick coarsely on some file
/// systems.
const COARSE: i128 = 2_000_000_000;
/// Between two looks at an element that has no end yet, and nothing is added.
const REST_EVERY: i64 = 5_000_000;

#[derive(Debug)]
pub(super) struct Tracked {
    /// As is durable.
    pub(super) mark: Mark,
    /// Open, so that it can be read when it has lost its name.
    pub(super) file: Option<File>,
    /// As last seen.
    pub(super) stat: Stat,
    /// As it was when there was nothing more to be read.
    pub(super) settled: Option<Stat>,
    /// When it was last seen to change.
    changed_at: Timestamp,
    pub(super) looked_at: Timestamp,
    /// Since when it has no name of the source.
    pub(super) gone: Option<Timestamp>,
}

impl Tracked {
    pub(super) fn new(mark: Mark, file: File, stat: Stat, now: Timestamp) -> Self {
        let looked_at = Timestamp::from_micros(0);
        Self { mark, file: Some(file), stat, settled: None, changed_at: now, looked_at, gone: None }
    }

    /// The file system says so.
    pub(super) fn see(&mut self, stat: Stat, now: Timestamp) {
        if self.stat != stat {
            (self.stat, self.changed_at) = (stat, now);
        }
    }

    /// For so long nothing was seen to change, in microseconds.
    pub(super) fn quiet(&self, now: Timestamp) -> i64 {
        now.micros() - self.changed_at.micros()
    }

    pub(super) fn unread(&self) -> u64 {
        if self.mark.done { 0 } else { self.stat.size.saturating_sub(self.mark.offset) }
    }

    pub(super) fn is_worth_a_look(&self, now: Timestamp) -> bool {
        if self.mark.done {
            return false;
        }
        let is_fresh = i128::from(now.micros()) * 1_000 - self.stat.modified < COARSE;
        let is_due = self.unread() > 0 && now.micros() - self.looked_at.micros() >= REST_EVERY;
        self.settled != Some(self.stat) || is_fresh || is_due
    }

    /// Opens the file where it is not. Whether it is; not where another one has its name.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(&mut self) -> io::Result<bool> {
        if self.file.is_none() {
            let found = open(&self.mark.path)?.filter(|(_, stat)| stat.id == self.stat.id);
            self.file = found.map(|(file, _)| file);
        }
        Ok(self.file.is_some())
    }

    /// What the file system says now of one that has no name of the source; none = nobody can read it any more.
    pub(super) fn look_behind(&self) -> Option<Stat> {
        let metadata = match &self.file {
            Some(file) => file.metadata(),
            None => self.mark.path.metadata(),
        };
        let stat = Stat::of(&metadata.ok()?);
        (stat.id == self.stat.id).then_some(stat)
    }
}

/// Opens a file. None = there is none of this name.
///
/// # Errors
/// It cannot be opened.
pub(super) fn open(path: &Path) -> io::Result<Option<(File, Stat)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = Stat::of(&file.metadata()?);
    Ok(Some((file, stat)))
}
