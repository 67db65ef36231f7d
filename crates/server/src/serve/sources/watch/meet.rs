//! Which file is which: known ones under other names, copies, new ones, and those that are gone.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirEntryExt, FileExt};
use std::path::{Path, PathBuf};

use ringpost_model::Timestamp;

use super::known::{Known, new_key};
use super::tracked::{Tracked, open};
use super::{Key, Look, Note, Watch};
use crate::serve::sources::listing::{Found, Stat, trouble};
use crate::serve::sources::mark::{Id, Likeness, Mark};

/// A file without a name of the source is read on until it was quiet for so long: who writes it may need a while to
/// notice that it was renamed.
const LINGER: i64 = 600_000_000;
/// One without any name takes room that somebody wanted back.
const LINGER_DELETED: i64 = 60_000_000;
/// What cannot be read as text begins with these.
const COMPRESSED: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh"];

impl Watch {
    pub(super) fn meet(&mut self, found: Vec<Found>, now: Timestamp, look: &mut Look) {
        let tracked: HashMap<Id, Key> =
            self.files.iter().map(|(key, file)| (file.stat.id, key.clone())).collect();
        let ids: HashSet<Id> = found.iter().map(|found| found.stat.id).collect();
        self.adopted.clear();
        self.ignored.retain(|id, _| ids.contains(id));
        self.copies.retain(|id, _| ids.contains(id));
        let mut new = Vec::new();
        for one in found {
            match tracked.get(&one.stat.id) {
                Some(key) => self.meet_again(key, one, now, look),
                None if self.ignored.contains_key(&one.stat.id) => {}
                None => new.push(one),
            }
        }
        for (id, key) in &tracked {
            if !ids.contains(id) {
                self.miss(key, now, look);
            }
        }
        if !new.is_empty() {
            let mut known = self.known();
            for one in new {
                let path = one.path.clone();
                if let Err(error) = self.meet_new(one, &mut known, now, look) {
                    look.troubles.push(trouble(&path, &error));
                }
            }
        }
        // Where something cannot be looked at, what is missed may be there.
        if !self.has_looked && look.troubles.is_empty() {
            self.find_moved(now, look);
        }
    }

    fn meet_again(&mut self, key: &Key, found: Found, now: Timestamp, look: &mut Look) {
        let Some(file) = self.files.get_mut(key) else { return };
        file.see(found.stat, now);
        file.gone = None;
        if file.mark.path != found.path {
            rename(key, file, found.path, look);
        }
    }

    /// It has no name of the source any more.
    fn miss(&mut self, key: &Key, now: Timestamp, look: &mut Look) {
        let Some(file) = self.files.get_mut(key) else { return };
        if file.gone.is_none() {
            file.gone = Some(now);
            match beside(&file.mark, file.stat.id) {
                Some(path) if path == file.mark.path => {}
                Some(path) => rename(key, file, path, look),
                None => {
                    look.notes.push(Note::Gone { path: file.mark.path.clone(), unread: file.unread() });
                }
            }
        }
        let is_over = match file.look_behind() {
            None => true,
            Some(stat) => {
                file.see(stat, now);
                let patience = if stat.names == 0 { LINGER_DELETED } else { LINGER };
                file.quiet(now) >= patience && file.settled == Some(file.stat)
            }
        };
        if is_over && let Some(file) = self.files.remove(key) {
            self.put_aside(key.clone(), file.mark, now, look);
        }
    }

    fn put_aside(&mut self, key: Key, mut mark: Mark, now: Timestamp, look: &mut Look) {
        mark.gone = Some(now.micros());
        look.changes.push((key.clone(), Some(mark.clone())));
        self.marks.insert(key, mark);
    }

    fn meet_new(
        &mut self,
        found: Found,
        known: &mut Known,
        now: Timestamp,
        look: &mut Look,
    ) -> io::Result<()> {
        if let Some(key) = self.adopted.get(&found.stat.id).cloned() {
            // In this very look, as the copy of another one.
            self.meet_again(&key, found, now, look);
            return Ok(());
        }
        let Some((file, stat)) = open(&found.path)?.filter(|(_, stat)| stat.id == found.stat.id) else {
            return Ok(());
        };
        if is_compressed(&file)? {
            look.notes.push(Note::Ignored { path: found.path.clone(), why: "compressed" });
            self.ignored.insert(stat.id, found.path);
            return Ok(());
        }
        if let Some(key) = known.by_id.remove(&stat.id)
            && let Some(mark) = self.marks.remove(&key)
        {
            if mark.likeness(&file, stat.size)? == Likeness::Same {
                self.adopt(key, mark, file, &found.path, stat, now);
                return Ok(());
            }
            match mark.gone {
                // Another file has its inode, as happens to those that were deleted.
                Some(_) => drop(self.marks.insert(key, mark)),
                None => self.replaced(key, mark, &found.path, stat, now, look),
            }
        }
        let (key, mark) = match self.likeness_of_known(&file, &found.path, stat, known)? {
            Some((key, mark, Likeness::Same)) => {
                // Still there where it was read: this is a copy. Else it is the same one, on another device.
                let is_copy = self.marks.remove(&key).is_none();
                (if is_copy { new_key(stat.id, now) } else { key }, mark)
            }
            Some(_) if self.is_being_copied(stat.id, now) => return Ok(()),
            _ => (new_key(stat.id, now), Mark::new(&found.path, stat.id)),
        };
        known.by_path.entry(found.path.clone()).or_default().push(key.clone());
        look.notes.push(Note::New { path: found.path.clone(), offset: mark.offset });
        self.adopt(key, mark, file, &found.path, stat, now);
        Ok(())
    }

    pub(super) fn adopt(
        &mut self,
        key: Key,
        mut mark: Mark,
        file: File,
        path: &Path,
        stat: Stat,
        now: Timestamp,
    ) {
        (mark.id, mark.gone) = (stat.id, None);
        path.clone_into(&mut mark.path);
        mark.done &= !self.what.follow;
        self.copies.remove(&stat.id);
        self.adopted.insert(stat.id, key.clone());
        self.files.insert(key, Tracked::new(mark, file, stat, now));
    }

    /// While nobody looked, another file was written in the place of one that was read.
    fn replaced(&mut self, key: Key, mark: Mark, path: &Path, stat: Stat, now: Timestamp, look: &mut Look) {
        let unread_in = self.read_copy_of(&mark, i128::MIN, now, look);
        let path = path.to_owned();
        look.notes.push(match stat.size < mark.offset {
            true => Note::Truncated { path, unread_in },
            false => Note::Rewritten { path, unread_in },
        });
        self.put_aside(key, mark, now, look);
    }

    /// Files that were read, and have had no name of the source since the process began: renamed, or gone.
    fn find_moved(&mut self, now: Timestamp, look: &mut Look) {
        let missed: Vec<Key> =
            self.marks.iter().filter(|(_, mark)| mark.gone.is_none()).map(|(key, _)| key.clone()).collect();
        for key in missed {
            let Some(mark) = self.marks.remove(&key) else { continue };
            let moved = beside(&mark, mark.id).and_then(|path| Some((open(&path).ok()??, path)));
            let moved = moved.filter(|((file, stat), _)| {
                mark.likeness(file, stat.size).is_ok_and(|likeness| likeness == Likeness::Same)
            });
            let Some(((file, stat), path)) = moved else {
                look.notes.push(Note::Gone { path: mark.path.clone(), unread: 0 });
                self.put_aside(key, mark, now, look);
                continue;
            };
            if mark.path != path {
                look.notes.push(Note::Renamed { from: mark.path.clone(), to: path.clone() });
            }
            self.adopt(key.clone(), mark, file, &path, stat, now);
            if let Some(file) = self.files.get_mut(&key) {
                file.gone = Some(now);
            }
        }
    }
}

fn rename(key: &Key, file: &mut Tracked, to: PathBuf, look: &mut Look) {
    let from = std::mem::replace(&mut file.mark.path, to.clone());
    look.notes.push(Note::Renamed { from, to });
    look.changes.push((key.clone(), Some(file.mark.clone())));
}

/// The name that a file has now in the folder where it was.
fn beside(mark: &Mark, id: Id) -> Option<PathBuf> {
    let entries = mark.path.parent()?.read_dir().ok()?.flatten();
    let mut same = entries.filter(|entry| entry.ino() == id.inode).map(|entry| entry.path());
    same.find(|path| path.metadata().is_ok_and(|metadata| Stat::of(&metadata).id == id))
}

fn is_compressed(file: &File) -> io::Result<bool> {
    let mut begin = [0; 6];
    let read = file.read_at(&mut begin, 0)?;
    Ok(COMPRESSED.iter().any(|magic| begin[..read].starts_with(magic)))
}
