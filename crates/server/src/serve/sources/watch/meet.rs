//! Which file is which: known ones under other names, copies, new ones, and those that are gone.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirEntryExt, FileExt};
use std::path::{Path, PathBuf};

use ringpost_model::Timestamp;

use super::tracked::{Tracked, open};
use super::{Key, Look, Note, Watch};
use crate::serve::sources::listing::{Found, Stat, trouble};
use crate::serve::sources::mark::{Id, Likeness, Mark};

/// A file without a name of the source is read on until it was quiet for so long: who writes it may need a while to
/// notice that it was renamed.
const LINGER: i64 = 600_000_000;
/// One without any name takes room that somebody wanted back.
const LINGER_DELETED: i64 = 60_000_000;
/// A copy that is being made is waited for.
const COPYING: i64 = 10_000_000;

/// What cannot be read as text begins with these.
const COMPRESSED: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh"];

/// Known files by where they are.
struct Known {
    by_id: HashMap<Id, Key>,
    by_path: HashMap<PathBuf, Vec<Key>>,
}

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

    fn known(&self) -> Known {
        // An inode is used again: what is not gone comes last, and counts.
        let mut marks: Vec<_> = self.marks.iter().collect();
        marks.sort_unstable_by_key(|(_, mark)| (mark.gone.is_none(), mark.gone));
        let by_id = marks.into_iter().map(|(key, mark)| (mark.id, key.clone())).collect();
        let mut by_path: HashMap<PathBuf, Vec<Key>> = HashMap::new();
        let tracked = self.files.iter().map(|(key, file)| (key, &file.mark));
        for (key, mark) in self.marks.iter().chain(tracked) {
            by_path.entry(mark.path.clone()).or_default().push(key.clone());
        }
        Known { by_id, by_path }
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

    fn adopt(&mut self, key: Key, mut mark: Mark, file: File, path: &Path, stat: Stat, now: Timestamp) {
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

    /// A known file of which this one has the begin: one with the same name, or with the begin of its name, as
    /// `x.log` is of its copy `x.log.1`.
    fn likeness_of_known(
        &self,
        file: &File,
        path: &Path,
        stat: Stat,
        known: &Known,
    ) -> io::Result<Option<(Key, Mark, Likeness)>> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
        for (end, _) in name.char_indices().map(|(at, char)| (at + char.len_utf8(), char)).rev() {
            for key in known.by_path.get(&path.with_file_name(&name[..end])).into_iter().flatten() {
                let tracked = self.files.get(key);
                let Some(mark) = self.marks.get(key).or(tracked.map(|file| &file.mark)) else { continue };
                if mark.offset == 0 {
                    continue;
                }
                let likeness = mark.likeness(file, stat.size)?;
                let is_copying = likeness == Likeness::Shorter
                    && end < name.len()
                    && tracked.is_some_and(|file| file.gone.is_none());
                if likeness == Likeness::Same || is_copying {
                    return Ok(Some((key.clone(), mark.clone(), likeness)));
                }
            }
        }
        Ok(None)
    }

    fn is_being_copied(&mut self, id: Id, now: Timestamp) -> bool {
        let since = *self.copies.entry(id).or_insert(now);
        now.micros() - since.micros() < COPYING
    }

    /// Has what was not read of a file be read from its copy, if there is one beside it that was made since. Says which.
    pub(super) fn read_copy_of(
        &mut self,
        mark: &Mark,
        since: i128,
        now: Timestamp,
        look: &mut Look,
    ) -> Option<PathBuf> {
        if mark.offset == 0 {
            return None;
        }
        let (folder, name) = (mark.path.parent()?, mark.path.file_name()?.to_str()?);
        for entry in folder.read_dir().ok()?.flatten() {
            let path = entry.path();
            let is_named_alike = path
                .file_name()
                .and_then(|other| other.to_str())
                .is_some_and(|other| other.starts_with(name) && other != name);
            if !is_named_alike || !path.is_file() {
                continue;
            }
            let Ok(Some((file, stat))) = open(&path) else { continue };
            let is_known = self.files.values().any(|file| file.stat.id == stat.id);
            let is_copy = !is_known
                && stat.size > mark.offset
                && stat.changed >= since
                && mark.likeness(&file, stat.size).is_ok_and(|likeness| likeness == Likeness::Same);
            if is_copy {
                let key = new_key(stat.id, now);
                self.adopt(key.clone(), mark.clone(), file, &path, stat, now);
                let file = self.files.get_mut(&key)?;
                // Until it turns out to have a name of the source.
                file.gone = Some(now);
                // Together with what the other one begins anew: after a crash in between nobody would look for it.
                look.changes.push((key, Some(file.mark.clone())));
                look.has_more = true;
                return Some(path);
            }
        }
        None
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

/// Unlike any other one of this source.
fn new_key(id: Id, now: Timestamp) -> Key {
    format!("{}:{}:{}", id.device, id.inode, now.micros())
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
