//! `ringpost backup`: a copy of everything, also while the server runs.
//!
//! The journal is copied first, the store after it, so that no position in the copy is ahead of what the store
//! has: a crash leaves the same, and the same start puts it right (docs/storage.md, Backup). It reads the files itself
//! and does not ask the server: a copy can be made of one that does not run, and nobody who reaches a port can have
//! files written.

pub(crate) mod manifest;
pub(crate) mod progress;

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use ringpost_store::{Key, Store};
use serde::Serialize;

use crate::cli::{Failure, Io, Outcome, harmless};
use crate::clock;
use crate::config::{Backend, Config};
use crate::log;
use crate::open_store::{load_for_store, open_store};

use manifest::{At, Entry, KEY_FILE, Manifest, OnKafka};
use progress::Progress;

/// Arguments of `backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
The server goes on meanwhile, and waits for nothing. Everything that was accepted before the backup \
began is in it. The copy is checked, and its manifest holds size and SHA-256 of every file; a folder \
without manifest.json is no backup.

The key of the secrets is NOT in it: keep secret.key elsewhere. Without the key the triggers of a \
backup have to be entered anew. With --with-key whoever gets the backup can read every secret in it.

With the log on Kafka the store is copied, and where groups are is noted; topics are backed up with
Kafka's own means (docs/kafka.md).

Calls are in it as they are, with numbers and names: guard it like the data folder.

Examples:
  ringpost backup /backup/ringpost-2026-03-10 --data /var/lib/ringpost
  ringpost backup /backup/ringpost-2026-03-10 --config /etc/ringpost.toml --json")]
pub struct Backup {
    /// Folder to be made, or empty
    #[arg(value_name = "DIR")]
    pub into: PathBuf,
    /// Configuration file; without it the defaults hold. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data folder to copy (data.dir)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Put the key of the secrets into the copy as well
    #[arg(long)]
    pub with_key: bool,
    /// Say what was done as one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    into: String,
    bytes: u64,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

/// Copies, checks, and writes the manifest last.
///
/// # Errors
/// There is nothing to copy, it cannot be read, or the copy cannot be written.
pub fn run(args: &Backup, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let config = load_for_store(args.config.as_deref(), args.data.as_deref(), io)?;
    check_source(&config)?;
    make_folder(&args.into)?;
    let progress = Progress::new(io.stderr_is_terminal && !args.json);
    let manifest = io.runtime()?.block_on(copy(args, &config, &progress))?;
    progress.done();
    let bytes = manifest.files.iter().map(|file| file.bytes).sum();
    let into = args.into.display();
    if args.json {
        let summary = Summary { into: into.to_string(), bytes, manifest: &manifest };
        writeln!(io.stdout, "{}", serde_json::to_string(&summary).context("write the summary")?)?;
        return Ok(Outcome::Fine);
    }
    let count = manifest.files.len();
    writeln!(io.stdout, "{count} files, {bytes} bytes, checked: {into}")?;
    if let Some(kafka) = &manifest.kafka {
        writeln!(
            io.stdout,
            "The log is on Kafka, and not in it: topics are backed up with Kafka's own means"
        )?;
        match &kafka.unknown {
            None => writeln!(io.stdout, "{} positions of groups are noted", kafka.positions.len())?,
            Some(why) => writeln!(io.stdout, "Positions of groups are not noted: {}", harmless(why))?,
        }
    }
    if manifest.with_key {
        writeln!(io.stdout, "The key of the secrets is in it: whoever gets it can read them")?;
    } else {
        let key = &manifest.key;
        writeln!(io.stdout, "The key of the secrets ({key}) is not in it: keep a copy of it elsewhere")?;
    }
    Ok(Outcome::Fine)
}

/// Looking makes nothing: neither a folder nor a key.
fn check_source(config: &Config) -> anyhow::Result<()> {
    if config.store.postgres.url.is_some() {
        bail!(
            "the store is in PostgreSQL: copy it with pg_dump, and the data folder with what your system has \
             (docs/postgresql.md, Backup)"
        );
    }
    let names = match config.bus.backend {
        Backend::Embedded => &["journal.db", "store.db"][..],
        Backend::Kafka => &["store.db"],
    };
    for name in names {
        let path = config.data.dir.join(name);
        if !path.exists() {
            let folder = config.data.dir.display();
            bail!(
                "{} is missing: name the data folder with --data ({folder} is no data folder)",
                path.display()
            );
        }
    }
    Ok(())
}

/// For its owner only: calls are in it.
fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let is_empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.with_context(|| format!("make the folder {}", folder.display()))?;
            true
        }
    };
    if !is_empty {
        bail!("{} is not empty: a backup never writes over anything", folder.display());
    }
    Ok(())
}

async fn copy(args: &Backup, config: &Config, progress: &Progress) -> anyhow::Result<Manifest> {
    let (from, into) = (&config.data.dir, &args.into);
    let began = clock::now();
    let key = key(config)?;
    let store = open_store(config).await?;
    // First: see above.
    let kafka = match config.bus.backend {
        Backend::Kafka => Some(positions(config).await),
        Backend::Embedded => {
            let copied = ringpost_bus::copy_journal(from, into);
            let journal = progress.copying("journal", into, size(&from.join("journal.db")), copied).await;
            journal.context("copy the journal")?;
            None
        }
    };
    let copied = copy_store(&store, into);
    let names = progress.copying("store", into, sizes(from), copied).await;
    store.close().await;
    let mut names = names?;
    if kafka.is_none() {
        names.insert(0, "journal.db".to_owned());
    }
    if args.with_key {
        write_key(config, &into.join(KEY_FILE))?;
        names.push(KEY_FILE.to_owned());
    }
    let mut files = Vec::new();
    for name in names {
        files.push(Entry::of(into, &name, &mut |bytes| progress.read("hashing", bytes))?);
    }
    let manifest = Manifest {
        v: manifest::FORMAT,
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        began: began.to_string(),
        ended: clock::now().to_string(),
        key: key.id().to_string(),
        with_key: args.with_key,
        files,
        kafka,
    };
    manifest.write(into)?;
    Ok(manifest)
}

/// Where the groups are; brokers that do not answer keep nobody from a backup of what is ours.
async fn positions(config: &Config) -> OnKafka {
    let kafka = &config.bus.kafka;
    let mut noted = OnKafka {
        bootstrap: kafka.bootstrap.clone(),
        prefix: kafka.prefix.clone(),
        positions: Vec::new(),
        unknown: None,
    };
    let seen = match log::kafka(config) {
        Ok(settings) => ringpost_bus::inspect(&settings, &log::GROUPS).await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    let groups = match seen {
        Ok(seen) => seen.groups,
        Err(error) => {
            noted.unknown = Some(format!("{error:#}"));
            return noted;
        }
    };
    for seen in groups {
        if let Some(trouble) = seen.trouble {
            noted.unknown = Some(format!("group {}: {trouble}", seen.group));
        }
        let group = &seen.group;
        noted.positions.extend(seen.positions.into_iter().map(|position| At {
            group: group.clone(),
            topic: position.topic,
            partition: position.partition.0,
            next: position.next.0,
        }));
    }
    noted
}

async fn copy_store(store: &Store, into: &Path) -> anyhow::Result<Vec<String>> {
    let files = store.backup(into).await.context("copy the store")?;
    // A day that is left out would be missed only when it is too late.
    let files = files.all().context("copy a day of requests")?;
    Ok(files.into_iter().map(|file| file.name).collect())
}

/// The key that is there; none is made.
fn key(config: &Config) -> anyhow::Result<Key> {
    if let Some(secret) = &config.data.key {
        return Ok(Key::parse(&secret.0)?);
    }
    let path = config.data.key_path();
    anyhow::ensure!(path.exists(), "{} is missing: the key of the secrets", path.display());
    Ok(Key::read_or_make(&path)?)
}

fn write_key(config: &Config, to: &Path) -> anyhow::Result<()> {
    use std::io::Write;
    let text = match &config.data.key {
        Some(secret) => secret.0.clone(),
        None => std::fs::read_to_string(config.data.key_path()).context("read the key")?,
    };
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut file = file.context("write the key into the copy")?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context("write the key into the copy")
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// Of all databases; the copies are not larger.
fn sizes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let databases =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "db"));
    databases.map(|path| size(&path)).sum()
}
