//! Follows the files of one source: which there are, what became of those that were read, what is new in each.
//!
//! A file is known by device and inode, and by its first and last bytes that were read: a name says little where logs
//! are rotated. It reads, and remembers only what it is told is durable ([`Watch::accept`]). No log, no metrics, no
//! clock: what is to be told is in [`Look`].

mod known;
mod meet;
mod read;
mod tracked;

use std::collections::HashMap;
use std::path::PathBuf;

use ringpost_model::{Dialect, Timestamp};

use super::cut::Piece;
use super::listing::list;
use super::mark::{Id, Mark};
use tracked::Tracked;

/// A file that is gone is forgotten after this, where its folder is there: then it was deleted.
const FORGET_AFTER: i64 = 3_600_000_000;
/// Where the folder is not, or is on another device: it may be a disk that is not mounted today.
const FORGET_AWAY_AFTER: i64 = 7 * 24 * FORGET_AFTER;

/// What is looked at, and how.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    /// File, folder or pattern.
    pub(super) path: PathBuf,
    pub(super) follow: bool,
    /// Says where an element ends.
    pub(super) dialect: Dialect,
}

/// Key of a mark in the log.
pub(super) type Key = String;

/// The files of a source.
#[derive(Debug)]
pub(super) struct Watch {
    what: Watched,
    files: HashMap<Key, Tracked>,
    /// Marks of files that are not looked at: gone, or not met yet.
    marks: HashMap<Key, Mark>,
    /// Files that seem to be copies in the making, since when.
    copies: HashMap<Id, Timestamp>,
    /// Files taken up in this look.
    adopted: HashMap<Id, Key>,
    /// Files that are not read.
    ignored: HashMap<Id, PathBuf>,
    /// The first look is different: what was known before may have moved meanwhile.
    has_looked: bool,
}

/// What there is to be read and told.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) pieces: Vec<NewPiece>,
    /// Marks that change although nothing is read; none = forgotten.
    pub(super) changes: Vec<(Key, Option<Mark>)>,
    pub(super) notes: Vec<Note>,
    /// What cannot be looked at, and what to do.
    pub(super) troubles: Vec<String>,
    /// Files that are looked at.
    pub(super) files: usize,
    /// Bytes of them that are not read, these pieces among them.
    pub(super) behind: u64,
    /// There is more than these pieces.
    pub(super) has_more: bool,
    /// Every file is read to its end and is not followed.
    pub(super) is_done: bool,
}

/// Elements of a file, and its mark once they are durable.
#[derive(Debug)]
pub(super) struct NewPiece {
    pub(super) key: Key,
    pub(super) path: PathBuf,
    pub(super) piece: Piece,
    /// The byte that it begins at.
    pub(super) begin: u64,
    /// Of a table that is read on: the line it begins with, which may name its columns.
    pub(super) first_line: Vec<u8>,
    /// Once it is durable.
    pub(super) mark: Mark,
}

/// What happened to files: told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// Is read from now on.
    New { path: PathBuf, offset: u64 },
    /// Has another name.
    Renamed { from: PathBuf, to: PathBuf },
    /// Has no name any more, as far as can be seen.
    Gone { path: PathBuf, unread: u64 },
    /// Is shorter than what was read of it.
    Truncated { path: PathBuf, unread_in: Option<PathBuf> },
    /// Is another file now, in place of the one that was read.
    Rewritten { path: PathBuf, unread_in: Option<PathBuf> },
    /// Is read no further.
    Done { path: PathBuf },
    /// Cannot be read by its kind.
    Ignored { path: PathBuf, why: &'static str },
}

impl Watch {
    /// With what was kept of the files of this source.
    pub(super) fn new(what: Watched, marks: HashMap<Key, Mark>) -> Self {
        Self {
            what,
            files: HashMap::new(),
            marks,
            copies: HashMap::new(),
            adopted: HashMap::new(),
            ignored: HashMap::new(),
            has_looked: false,
        }
    }

    /// Looks at every file, and reads on in those that have something new.
    pub(super) fn look(&mut self, now: Timestamp) -> Look {
        let mut look = Look::default();
        let listing = list(&self.what.path);
        look.troubles = listing.troubles;
        self.meet(listing.found, now, &mut look);
        self.forget(now, &mut look);
        self.read(now, &mut look);
        look.files = self.files.len();
        look.behind = self.files.values().map(Tracked::unread).sum();
        look.is_done = !self.what.follow
            && !self.files.is_empty()
            && look.troubles.is_empty()
            && self.files.values().all(|file| file.mark.done);
        self.has_looked = true;
        look
    }

    /// These are durable now.
    pub(super) fn accept(&mut self, look: Look) {
        for NewPiece { key, mut mark, .. } in look.pieces {
            if let Some(file) = self.files.get_mut(&key) {
                // It may have got another name in the same look.
                mark.path.clone_from(&file.mark.path);
                file.mark = mark;
            }
        }
    }

    fn forget(&mut self, now: Timestamp, look: &mut Look) {
        let is_over = |mark: &Mark| {
            let age = now.micros() - mark.gone?;
            let folder = mark.path.parent().and_then(|folder| folder.metadata().ok());
            let is_here =
                folder.is_some_and(|folder| super::listing::Stat::of(&folder).id.device == mark.id.device);
            Some(age >= if is_here { FORGET_AFTER } else { FORGET_AWAY_AFTER })
        };
        let old: Vec<Key> = self
            .marks
            .iter()
            .filter(|(_, mark)| is_over(mark) == Some(true))
            .map(|(key, _)| key.clone())
            .collect();
        for key in old {
            self.marks.remove(&key);
            look.changes.push((key, None));
        }
    }
}

#[cfg(test)]
mod tests;
