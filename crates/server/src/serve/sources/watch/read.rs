//! What is new in each file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use ringpost_model::{Dialect, Timestamp};
use serde::de::IgnoredAny;

use super::tracked::Tracked;
use super::{Key, Look, NewPiece, Note, Watch};
use crate::serve::sources::cut::{PIECE_BYTES, cut};
use crate::serve::sources::listing::{Stat, trouble};
use crate::serve::sources::mark::{Likeness, Mark};

/// Bytes of one look: what is made durable at once.
const LOOK_BYTES: usize = 4 << 20;
/// Files of one look.
const LOOK_FILES: usize = 256;
/// Files of a source that are kept open. More are small ones, written whole: they are opened to be read.
const HANDLES: usize = 128;
/// A line that names the columns of a table is shorter.
const HEADER_BYTES: u64 = 4_096;
/// A last line without its end, that is whole, is taken when nothing was added to it for so long.
const REST: i64 = 5_000_000;
/// A last line without its end, whatever it is, of a file that is gone.
const REST_OF_GONE: i64 = 30_000_000;

impl Watch {
    /// Oldest first, and before all others what has lost its name.
    pub(super) fn read(&mut self, now: Timestamp, look: &mut Look) {
        let worth = self.files.iter().filter(|(_, file)| file.is_worth_a_look(now));
        let mut keys: Vec<_> =
            worth.map(|(key, file)| (file.gone.is_none(), file.stat.modified, key.clone())).collect();
        keys.sort_unstable();
        let mut bytes = 0;
        for (.., key) in keys {
            if bytes >= LOOK_BYTES || look.pieces.len() >= LOOK_FILES {
                look.has_more = true;
                break;
            }
            let Some(mut file) = self.files.remove(&key) else { continue };
            let before = look.pieces.len();
            if let Err(error) = self.read_one(&key, &mut file, now, look) {
                look.troubles.push(trouble(&file.mark.path, &error));
            }
            bytes += look.pieces[before..].iter().map(|piece| piece.piece.body.len()).sum::<usize>();
            if self.files.len() >= HANDLES && file.gone.is_none() {
                file.file = None;
            }
            self.files.insert(key, file);
        }
    }

    fn read_one(&mut self, key: &Key, file: &mut Tracked, now: Timestamp, look: &mut Look) -> io::Result<()> {
        file.looked_at = now;
        file.open()?;
        let Some(handle) = &file.file else { return Ok(()) };
        let stat = Stat::of(&handle.metadata()?);
        let likeness = file.mark.likeness(handle, stat.size);
        // Cut shorter since it was asked for its size.
        let likeness = likeness.or_else(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(Likeness::Shorter),
            _ => Err(error),
        })?;
        file.see(stat, now);
        if likeness != Likeness::Same {
            self.begin_anew(file, now, look);
            look.changes.push((key.clone(), Some(file.mark.clone())));
        }
        if stat.size == file.mark.offset {
            self.settle(key, file, stat, look);
            return Ok(());
        }
        self.read_on(key, file, stat, now, look)
    }

    /// There is nothing more to be read.
    fn settle(&self, key: &Key, file: &mut Tracked, stat: Stat, look: &mut Look) {
        file.settled = Some(stat);
        if !self.what.follow {
            file.mark.done = true;
            look.notes.push(Note::Done { path: file.mark.path.clone() });
            look.changes.push((key.clone(), Some(file.mark.clone())));
        }
    }

    fn read_on(
        &self,
        key: &Key,
        file: &mut Tracked,
        stat: Stat,
        now: Timestamp,
        look: &mut Look,
    ) -> io::Result<()> {
        let to_end = self.is_last(file, now);
        let Some(handle) = &file.file else { return Ok(()) };
        let from = file.mark.resume();
        let piece = cut(handle, from, stat.size, self.what.dialect, to_end)?;
        if piece.next == from {
            file.settled = Some(stat);
            return Ok(());
        }
        let mut mark = file.mark.clone();
        let advanced = mark.advance(handle, piece.next);
        // What was read has to be what comes after what was read before: the file may be another one since.
        let is_same = file.mark.likeness(handle, stat.size).is_ok_and(|likeness| likeness == Likeness::Same);
        if advanced.is_err() || !is_same {
            return Ok(());
        }
        look.has_more |= stat.size - from.position.offset > PIECE_BYTES as u64;
        let (path, begin) = (file.mark.path.clone(), from.position.offset);
        let first_line = first_line(handle, begin, self.what.dialect)?;
        look.pieces.push(NewPiece { key: key.clone(), path, piece, begin, first_line, mark });
        Ok(())
    }

    /// Whether what stands last in the file is all of it.
    fn is_last(&self, file: &Tracked, now: Timestamp) -> bool {
        let quiet = file.quiet(now);
        if !self.what.follow || (file.gone.is_some() && quiet >= REST_OF_GONE) {
            return true;
        }
        let (at, length) = (file.mark.offset, file.unread());
        let Some(handle) = file.file.as_ref().filter(|_| quiet >= REST && length <= PIECE_BYTES as u64)
        else {
            return false;
        };
        let mut rest = vec![0; length as usize];
        let is_read = handle.read_exact_at(&mut rest, at).is_ok();
        is_read && rest.trim_ascii().ends_with(b"}") && serde_json::from_slice::<IgnoredAny>(&rest).is_ok()
    }

    /// The file is not what was read: it was cut to nothing, or another one was written in its place. What was not read
    /// may be in a copy, which is then read from there on.
    fn begin_anew(&mut self, file: &mut Tracked, now: Timestamp, look: &mut Look) {
        let path = file.mark.path.clone();
        let is_truncated = file.stat.size < file.mark.offset;
        // By the clock of the file system, which need not be ours.
        let since = file.settled.map_or(i128::MIN, |stat| stat.changed);
        let unread_in = self.read_copy_of(&file.mark, since, now, look);
        file.mark = Mark::new(&path, file.stat.id);
        file.settled = None;
        look.notes.push(match is_truncated {
            true => Note::Truncated { path, unread_in },
            false => Note::Rewritten { path, unread_in },
        });
    }
}

/// The line that a table begins with, where it is read on behind it.
fn first_line(file: &File, begin: u64, dialect: Dialect) -> io::Result<Vec<u8>> {
    let is_table = matches!(dialect, Dialect::AsteriskCel | Dialect::AsteriskCdr);
    let most = if is_table { begin.min(HEADER_BYTES) } else { 0 };
    let mut bytes = vec![0; most as usize];
    file.read_exact_at(&mut bytes, 0)?;
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    bytes.truncate(end);
    Ok(bytes)
}
