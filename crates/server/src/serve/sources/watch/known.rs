//! Files by what is known of them: the same under another name or on another device, and copies.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ringpost_model::Timestamp;

use super::tracked::open;
use super::{Key, Look, Watch};
use crate::serve::sources::listing::Stat;
use crate::serve::sources::mark::{Id, Likeness, Mark};

/// A copy that is being made is waited for.
const COPYING: i64 = 10_000_000;

/// Known files by where they are.
pub(super) struct Known {
    pub(super) by_id: HashMap<Id, Key>,
    pub(super) by_path: HashMap<PathBuf, Vec<Key>>,
}

impl Watch {
    pub(super) fn known(&self) -> Known {
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

    /// A known file of which this one has the begin: one with the same name, or with the begin of its name, as
    /// `x.log` is of its copy `x.log.1`.
    pub(super) fn likeness_of_known(
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

    pub(super) fn is_being_copied(&mut self, id: Id, now: Timestamp) -> bool {
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
}

/// Unlike any other one of this source.
pub(super) fn new_key(id: Id, now: Timestamp) -> Key {
    format!("{}:{}:{}", id.device, id.inode, now.micros())
}
