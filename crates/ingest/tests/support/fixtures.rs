//! What a dialect's fixtures hold, and how a record is shown beside the name of one.

use std::path::{Path, PathBuf};

use ringpost_model::Dialect;
use serde_json::{Map, Value};

/// All that differs from call to call, as text.
pub(crate) fn told(record: &Map<String, Value>) -> String {
    let of_interest = |key: &str| !["id", "dType", "sVer", "pbxId", "tz"].contains(&key);
    let entries = record.iter().filter(|(key, _)| of_interest(key));
    let entries = entries.map(|(key, value)| format!("{key}={}", value.to_string().trim_matches('"')));
    entries.collect::<Vec<_>>().join(" ")
}

/// The files of a folder by name; none where there is no such folder.
pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

/// Those of a dialect.
pub(crate) fn fixtures(dialect: Dialect) -> Vec<(String, Vec<u8>)> {
    let fixtures = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(dialect.name()));
    assert!(!fixtures.is_empty());
    fixtures
}

/// One of them.
pub(crate) fn fixture(dialect: Dialect, name: &str) -> Vec<u8> {
    fixtures(dialect).into_iter().find(|(file, _)| file == name).unwrap().1
}
