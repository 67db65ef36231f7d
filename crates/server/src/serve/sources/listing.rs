//! Which files a source has at this moment.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use super::mark::Id;
use crate::config::FileSource;

/// Files of the kind that shells list: no hidden ones.
const AS_SHELLS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// What the file system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) id: Id,
    pub(super) size: u64,
    /// Of the content, in nanoseconds since 1970-01-01 UTC.
    pub(super) modified: i128,
    /// Of anything, its name too.
    pub(super) changed: i128,
    /// How many names it has.
    pub(super) names: u64,
}

/// A file with a name of the source.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
}

/// All of them, and what cannot be looked at.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) found: Vec<Found>,
    pub(super) troubles: Vec<String>,
}

impl Stat {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            id: Id { device: metadata.dev(), inode: metadata.ino() },
            size: metadata.len(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
            names: metadata.nlink(),
        }
    }
}

/// Looks.
pub(super) fn list(path: &Path) -> Listing {
    let mut listing = Listing::default();
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => folder(path, &mut listing),
        Ok(metadata) => listing.add(path.to_owned(), &metadata),
        Err(_) if FileSource::is_pattern(path) => pattern(path, &mut listing),
        // It may appear later.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => listing.trouble(path, &error),
    }
    // One file under two names is one file.
    let mut known = HashSet::new();
    listing.found.retain(|found| known.insert(found.stat.id));
    listing
}

fn folder(path: &Path, listing: &mut Listing) {
    let entries = match path.read_dir() {
        Ok(entries) => entries,
        Err(error) => return listing.trouble(path, &error),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")));
    paths.sort_unstable();
    paths.into_iter().for_each(|path| listing.look_at(path));
}

fn pattern(path: &Path, listing: &mut Listing) {
    // Checked with the configuration.
    let Ok(paths) = glob::glob_with(&path.to_string_lossy(), AS_SHELLS) else { return };
    for path in paths {
        match path {
            Ok(path) => listing.look_at(path),
            Err(error) => listing.trouble(error.path(), error.error()),
        }
    }
}

impl Listing {
    fn look_at(&mut self, path: PathBuf) {
        match path.metadata() {
            Ok(metadata) => self.add(path, &metadata),
            // Gone since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.trouble(&path, &error),
        }
    }

    fn add(&mut self, path: PathBuf, metadata: &Metadata) {
        if path.to_str().is_none() {
            let told = path.to_string_lossy().into_owned();
            return self.troubles.push(format!("{told}: the name is no UTF-8; rename it"));
        }
        // A pipe or a device would block whoever reads it.
        if metadata.is_file() {
            self.found.push(Found { path, stat: Stat::of(metadata) });
        }
    }

    fn trouble(&mut self, path: &Path, error: &io::Error) {
        self.troubles.push(trouble(path, error));
    }
}

/// What is wrong with a path, and what to do.
pub(super) fn trouble(path: &Path, error: &io::Error) -> String {
    let what = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "no permission; let the user of this process read it, and pass through its folders".to_owned()
        }
        _ => error.to_string(),
    };
    format!("{}: {what}", path.display())
}
