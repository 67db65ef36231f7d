//! What a backup says of itself: which files belong to it, and how to see that they are whole.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the manifest.
pub(crate) const FORMAT: u32 = 1;
/// Written last: without it a folder is no backup.
pub(crate) const NAME: &str = "manifest.json";
/// The key of the secrets, where it was asked for.
pub(crate) const KEY_FILE: &str = "secret.key";
const PIECE: usize = 1 << 20;

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) v: u32,
    /// Version of the program.
    pub(crate) made_by: String,
    /// What was accepted before is in it.
    pub(crate) began: String,
    pub(crate) ended: String,
    /// Id of the key that the secrets are sealed with.
    pub(crate) key: String,
    pub(crate) with_key: bool,
    pub(crate) files: Vec<Entry>,
    /// Where the log was, if that is on Kafka: then no journal belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kafka: Option<OnKafka>,
}

/// A log that is not in the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OnKafka {
    pub(crate) bootstrap: String,
    pub(crate) prefix: String,
    /// Where the groups were before the store was copied.
    pub(crate) positions: Vec<At>,
    /// Why they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unknown: Option<String>,
}

/// Where a group was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct At {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partition: u32,
    /// The first record that it had not dealt with.
    pub(crate) next: u64,
}

impl OnKafka {
    /// Has dispatch look again at what came after the backup.
    pub(crate) fn commands(&self) -> Vec<String> {
        let Self { bootstrap, prefix, positions, .. } = self;
        let of_dispatch = positions.iter().filter(|at| at.group == "dispatch");
        let command = |at: &At| {
            let At { group, topic, partition, next } = at;
            format!(
                "kafka-consumer-groups.sh --bootstrap-server {bootstrap} --group {prefix}{group} --reset-offsets \
                 --topic {prefix}{topic}:{partition} --to-offset {next} --execute"
            )
        };
        of_dispatch.map(command).collect()
    }
}

/// One of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// Hexadecimal.
    pub(crate) sha256: String,
}

/// As it lies on the disk: with a hash of itself.
#[derive(Serialize, Deserialize)]
struct Sealed {
    manifest: Manifest,
    sha256: String,
}

impl Manifest {
    /// Writes it into the folder of the backup: whole, or not at all.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let sealed = Sealed { manifest: self.clone(), sha256: self.sum()? };
        let text = serde_json::to_string_pretty(&sealed).context("write the manifest")? + "\n";
        let (path, partial) = (folder.join(NAME), folder.join(format!("{NAME}.partial")));
        let written = (|| {
            let mut file = File::create(&partial)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&partial, &path)?;
            File::open(folder)?.sync_all()
        })();
        written.with_context(|| format!("write {}", path.display()))
    }

    /// Reads it, and checks that it is as it was written and names nothing outside its folder.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(NAME);
        let shown = path.display();
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("read {shown}: a folder without it is no backup, or one that was broken off")
        })?;
        let sealed: Sealed = serde_json::from_str(&text).with_context(|| format!("{shown} is damaged"))?;
        let manifest = sealed.manifest;
        ensure!(manifest.v == FORMAT, "{shown} has format {}, this version knows {FORMAT}", manifest.v);
        ensure!(manifest.sum()? == sealed.sha256, "{shown} is damaged: it is not as it was written");
        let needed = if manifest.kafka.is_some() { &["store.db"][..] } else { &["journal.db", "store.db"] };
        for needed in needed {
            let needed = *needed;
            ensure!(manifest.files.iter().any(|file| file.name == needed), "{shown} names no {needed}");
        }
        if let Some(file) = manifest.files.iter().find(|file| !is_ours(&file.name)) {
            bail!("{shown} names a file that no backup has: {:?}", file.name);
        }
        Ok(manifest)
    }

    fn sum(&self) -> anyhow::Result<String> {
        Ok(hexadecimal(&Sha256::digest(serde_json::to_vec(self).context("write the manifest")?)))
    }
}

impl Entry {
    /// Reads a file of the folder.
    pub(crate) fn of(folder: &Path, name: &str, progress: &mut dyn FnMut(u64)) -> anyhow::Result<Self> {
        copy_or_hash(&folder.join(name), name, None, progress)
    }

    /// Copies it into another folder, synced, and checks on the way that it is what was backed up.
    pub(crate) fn copy(&self, from: &Path, into: &Path, progress: &mut dyn FnMut(u64)) -> anyhow::Result<()> {
        let to = into.join(&self.name);
        let mut file = File::create_new(&to).with_context(|| format!("write {}", to.display()))?;
        let found = copy_or_hash(&from.join(&self.name), &self.name, Some(&mut file), progress)?;
        self.same(&found)?;
        file.sync_all().with_context(|| format!("write {}", to.display()))
    }

    /// Checks that a file is what was backed up.
    pub(crate) fn check(&self, folder: &Path, progress: &mut dyn FnMut(u64)) -> anyhow::Result<()> {
        self.same(&Self::of(folder, &self.name, progress)?)
    }

    fn same(&self, found: &Self) -> anyhow::Result<()> {
        let name = &self.name;
        ensure!(
            found.bytes == self.bytes,
            "{name} is damaged: {} bytes, the manifest says {}",
            found.bytes,
            self.bytes
        );
        ensure!(found.sha256 == self.sha256, "{name} is damaged: its SHA-256 is not that of the manifest");
        Ok(())
    }
}

fn copy_or_hash(
    from: &Path,
    name: &str,
    mut to: Option<&mut File>,
    progress: &mut dyn FnMut(u64),
) -> anyhow::Result<Entry> {
    let reading = || format!("read {}", from.display());
    let mut file = File::open(from).with_context(reading)?;
    let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
    loop {
        let count = file.read(&mut piece).with_context(reading)?;
        if count == 0 {
            break;
        }
        hash.update(&piece[..count]);
        if let Some(to) = &mut to {
            to.write_all(&piece[..count]).with_context(|| format!("copy {name}"))?;
        }
        bytes += count as u64;
        progress(count as u64);
    }
    Ok(Entry { name: name.to_owned(), bytes, sha256: hexadecimal(&hash.finalize()) })
}

/// A manifest comes from outside: it must not lead out of the folder.
fn is_ours(name: &str) -> bool {
    let is_day = name
        .strip_prefix("attempts-")
        .and_then(|rest| rest.strip_suffix(".db"))
        .is_some_and(|day| day.len() == 10 && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
    is_day || ["journal.db", "store.db", KEY_FILE].contains(&name)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &Path) -> Manifest {
        for name in ["journal.db", "store.db"] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        let files = ["journal.db", "store.db"].map(|name| Entry::of(folder, name, &mut |_| {}).unwrap());
        let manifest = Manifest {
            v: FORMAT,
            made_by: "0.1.0".to_owned(),
            began: "2026-03-10T09:00:00Z".to_owned(),
            ended: "2026-03-10T09:00:01Z".to_owned(),
            key: "00".to_owned(),
            with_key: false,
            files: files.to_vec(),
            kafka: None,
        };
        manifest.write(folder).unwrap();
        manifest
    }

    #[test]
    fn whatever_byte_of_a_manifest_is_flipped_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = made(folder.path());
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
        let path = folder.path().join(NAME);
        let good = std::fs::read(&path).unwrap();
        for at in (0..good.len()).filter(|at| good[*at].is_ascii_alphanumeric()) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert!(Manifest::read(folder.path()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_file_that_is_longer_or_other_than_it_was_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = made(folder.path());
        let check = || manifest.files[1].check(folder.path(), &mut |_| {}).unwrap_err().to_string();
        std::fs::write(folder.path().join("store.db"), "store.dc").unwrap();
        assert_eq!(check(), "store.db is damaged: its SHA-256 is not that of the manifest");
        std::fs::write(folder.path().join("store.db"), "store").unwrap();
        assert_eq!(check(), "store.db is damaged: 5 bytes, the manifest says 8");
    }

    #[test]
    fn a_manifest_leads_nowhere_else() {
        for name in
            ["../etc/passwd", "/etc/passwd", "attempts-../x.db", "store.db-wal", "attempts-2026-03-1x.db"]
        {
            assert!(!is_ours(name), "{name}");
        }
        assert!(is_ours("attempts-2026-03-10.db") && is_ours("store.db"));
    }
}
