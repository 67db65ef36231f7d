//! Up to where a file has been read, kept in the log together with the legs that came of it; and by what it is known
//! again, whatever its name is by then.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ringpost_ingest::{Position, Resume};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the kept value.
const FORMAT: u32 = 1;
/// Bytes that a file is known by: its first ones, and the last ones that were read. Lines of switches differ within
/// them, in times and ids.
const KNOWN_BY: u64 = 1_024;

/// Device and inode: which file it is as long as it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Id {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// Some bytes of a file, as their hash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Print {
    length: u64,
    /// The first 16 bytes of their SHA-256, as hexadecimal digits.
    hash: String,
}

/// Up to where a file has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    v: u32,
    /// Its last known name.
    pub(super) path: PathBuf,
    pub(super) id: Id,
    /// The first byte not read.
    pub(super) offset: u64,
    line: u64,
    in_array: bool,
    head: Print,
    tail: Print,
    /// Read to its end, and not to be followed.
    pub(super) done: bool,
    /// Since when no name of it is known; microseconds since 1970-01-01 UTC.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) gone: Option<i64>,
}

/// How a file looks beside a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It holds what was read, up to the mark.
    Same,
    /// It begins alike and is shorter: a copy that is being made, perhaps.
    Shorter,
    Other,
}

impl Mark {
    /// Nothing was read.
    pub(super) fn new(path: &Path, id: Id) -> Self {
        Self {
            v: FORMAT,
            path: path.to_owned(),
            id,
            offset: 0,
            line: 1,
            in_array: false,
            head: Print::default(),
            tail: Print::default(),
            done: false,
            gone: None,
        }
    }

    /// As kept; none for what is damaged, or of a newer version: the file is then read from its begin, which repeats
    /// legs and loses none.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|mark: &Self| mark.v == FORMAT)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("paths are text: others are not taken into a source")
    }

    /// Where to go on.
    pub(super) fn resume(&self) -> Resume {
        let position = Position { element: 1, line: self.line, offset: self.offset };
        Resume { position, in_array: self.in_array }
    }

    /// Everything before a place has been read.
    ///
    /// # Errors
    /// The file cannot be read any more, or is shorter: what was read is not there to be known by.
    pub(super) fn advance(&mut self, file: &File, to: Resume) -> io::Result<()> {
        (self.offset, self.line, self.in_array) = (to.position.offset, to.position.line, to.in_array);
        if self.head.length < KNOWN_BY {
            self.head = Print::read(file, 0, KNOWN_BY.min(self.offset))?;
        }
        let tail = KNOWN_BY.min(self.offset);
        self.tail = Print::read(file, self.offset - tail, tail)?;
        Ok(())
    }

    /// Whether a file of this size holds what was read.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn likeness(&self, file: &File, size: u64) -> io::Result<Likeness> {
        if size < self.head.length || Print::read(file, 0, self.head.length)? != self.head {
            return Ok(Likeness::Other);
        }
        if size < self.offset {
            return Ok(Likeness::Shorter);
        }
        let tail = Print::read(file, self.offset - self.tail.length, self.tail.length)?;
        Ok(if tail == self.tail { Likeness::Same } else { Likeness::Other })
    }
}

impl Print {
    fn read(file: &File, at: u64, length: u64) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self::default());
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact_at(&mut bytes, at)?;
        let hash = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { length, hash })
    }
}
