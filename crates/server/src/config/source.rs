//! `[source]` and its `[[source.file]]` and `[[source.kafka]]`: what legs are read from beside HTTP.

pub(crate) mod kafka;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ringpost_model::{Dialect, PbxKey, TenantKey};

use super::document::{Given, Place};
use super::mistake::Wrong;
use super::reader::Reader;
use super::setting::{Setting, quoted, shown, text};

pub use kafka::KafkaSource;

/// As often as a disk is asked for nothing, at most.
const OFTEN: Duration = Duration::from_millis(10);
/// A reader that looks more rarely has lost what was rotated away twice.
const RARELY: Duration = Duration::from_secs(60);
/// What a path holds that is a pattern, and no name.
const WILD: [char; 3] = ['*', '?', '['];

/// Inputs beside HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// How often files are looked at.
    pub poll: Duration,
    /// `[[source.file]]`
    pub files: Vec<FileSource>,
    /// `[[source.kafka]]`
    pub kafka: Vec<KafkaSource>,
}

impl Default for Sources {
    fn default() -> Self {
        Self { poll: Duration::from_millis(250), files: Vec::new(), kafka: Vec::new() }
    }
}

/// Files that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource {
    /// A file, a folder, or a pattern. It names the source.
    pub path: PathBuf,
    /// Which platform writes them.
    pub pbx: Option<PbxKey>,
    /// Whose calls they are; none = the pbx's tenant, else the messages say.
    pub tenant: Option<TenantKey>,
    /// In what they are written; none = what the pbx is declared to speak.
    pub dialect: Option<Dialect>,
    /// Whether what is written later is read too.
    pub follow: bool,
}

impl Default for FileSource {
    fn default() -> Self {
        Self { path: PathBuf::new(), pbx: None, tenant: None, dialect: None, follow: true }
    }
}

impl FileSource {
    /// Whether the path is a pattern, and no name.
    pub fn is_pattern(path: &Path) -> bool {
        path.to_string_lossy().contains(WILD)
    }
}

pub(crate) fn resolve(reader: &mut Reader, sources: &mut Sources) {
    reader.set_within("source.poll", &mut sources.poll, OFTEN..=RARELY);
    reader.single("source.file");
    for (index, place) in reader.sections("source.file").into_iter().enumerate() {
        let source = file(reader, &format!("source.file[{index}]"), &place);
        let path = source.path.clone();
        let same = sources.files.iter().position(|other| other.path == path);
        if let Some(same) = same.filter(|_| !path.as_os_str().is_empty()) {
            let wrong = format!("{} is the path of source.file[{same}] too", quoted(&path.to_string_lossy()));
            let instead = "each line would be read twice: name it once";
            reader.contradiction(&format!("source.file[{index}].path"), wrong, instead);
        }
        sources.files.push(source);
    }
}

fn file(reader: &mut Reader, section: &str, place: &Place) -> FileSource {
    let mut source = FileSource::default();
    let key = |name: &str| format!("{section}.{name}");
    reader.set_checked(&key("path"), &mut source.path, |path| pattern(path));
    reader.requires(
        &key("path"),
        place,
        "write the path of a file, a folder, or a pattern such as \"/var/log/cdr/*.json\"",
    );
    reader.set(&key("pbx"), &mut source.pbx);
    reader.requires(&key("pbx"), place, "write the key of the platform that writes these files");
    reader.set(&key("tenant"), &mut source.tenant);
    reader.set(&key("dialect"), &mut source.dialect);
    reader.set(&key("follow"), &mut source.follow);
    source
}

fn pattern(path: &Path) -> Result<(), Wrong> {
    if !path.is_absolute() {
        let instead = "write it from the root, with a / first: where a service is started is nobody's choice";
        return Err(Wrong::new(format!("{} is no absolute path", quoted(&path.to_string_lossy())), instead));
    }
    let Err(error) = glob::Pattern::new(&path.to_string_lossy()) else { return Ok(()) };
    let wrong = format!("{} is no pattern: {}", quoted(&path.to_string_lossy()), error.msg);
    Err(Wrong::new(wrong, "write * and ? for any characters, ** for any folders, [[] for a bracket"))
}

macro_rules! parsed {
    ($type:ty, $instead:expr) => {
        impl Setting for $type {
            fn read(given: &Given) -> Result<Self, Wrong> {
                let read = text(given, $instead)?.parse();
                read.map_err(|_| Wrong::new(format!("{} is no key", shown(given)), $instead))
            }

            fn show(&self) -> String {
                quoted(&self.to_string())
            }
        }
    };
}

parsed!(PbxKey, "a key is 1 to 64 of A-Z a-z 0-9 . _ -, in quotes");
parsed!(TenantKey, "a key is 1 to 64 of A-Z a-z 0-9 . _ -, in quotes");

impl Setting for Dialect {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let known: Vec<String> = Self::ALL.iter().map(|dialect| quoted(dialect.name())).collect();
        let instead = format!("write one of {}", known.join(", "));
        let read = text(given, &instead)?.parse();
        read.map_err(|_| Wrong::new(format!("{} is no dialect", shown(given)), instead))
    }

    fn show(&self) -> String {
        quoted(self.name())
    }
}

#[cfg(test)]
mod tests;
