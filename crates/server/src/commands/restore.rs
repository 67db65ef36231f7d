//! `ringpost restore`: a data folder from a backup. Everything is checked before anything of the folder is touched;
//! the new files are made beside and get their names last, `store.db` as the very last one, since no server starts
//! on a journal without it.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use ringpost_store::{Config as StoreConfig, Key, Keyring, Store};
use serde_json::json;

use super::backup::manifest::{KEY_FILE, Manifest};
use super::backup::progress::Progress;
use crate::cli::{Failure, Io, Outcome, harmless};
use crate::clock;
use crate::config::{Backend, Config};
use crate::open_store::load_for_store;

/// Where the files are made, inside the data folder: that may be a file system of its own.
const STAGING: &str = ".restoring";

/// Arguments of `restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Stop the server first. Then start it on the restored folder: calls in progress go on, what was owed \
is delivered, nothing else has to be done. Deliveries that were made after the backup may come again, \
with the same webhook-id. What was accepted after the backup is not in it.

The key of the secrets is needed: in the data folder already, or named by data.key_file, or in the \
backup (if it was made with --with-key). Without it nothing is restored.

A data folder that is not empty is refused. With --force what is in it moves into a folder beside \
the new files, before-restore-TIME; delete that when all is well.

Examples:
  ringpost restore /backup/ringpost-2026-03-10 --data /var/lib/ringpost
  ringpost restore /backup/ringpost-2026-03-10 --data /var/lib/ringpost --force")]
pub struct Restore {
    /// Folder that `ringpost backup` has made
    #[arg(value_name = "DIR")]
    pub from: PathBuf,
    /// Configuration file; without it the defaults hold. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data folder to fill (data.dir)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Move what is in the data folder aside
    #[arg(long)]
    pub force: bool,
    /// Say what was done as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Checks, copies, checks again, and puts the files in their place.
///
/// # Errors
/// The backup is damaged, the key is another one, or the folder cannot be used.
pub fn run(args: &Restore, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let config = load_for_store(args.config.as_deref(), args.data.as_deref(), io)?;
    let progress = Progress::new(io.stderr_is_terminal && !args.json);
    let (manifest, aside) = io.runtime()?.block_on(restore(args, &config, &progress))?;
    progress.done();
    let folder = config.data.dir.display();
    if args.json {
        let aside = aside.as_deref().map(Path::display).map(|path| path.to_string());
        let summary = json!({ "data": folder.to_string(), "movedAside": aside, "manifest": manifest });
        writeln!(io.stdout, "{summary}")?;
        return Ok(Outcome::Fine);
    }
    writeln!(io.stdout, "{} files of {}, checked: {folder}", manifest.files.len(), manifest.began)?;
    if let Some(kafka) = &manifest.kafka {
        let text = "Dispatch goes on where its group is. What came since the backup is on Kafka, but not in the store:";
        writeln!(
            io.stdout,
            "{text}\nbefore the start, this has it told again (receivers know repeats by webhook-id):"
        )?;
        for command in kafka.commands() {
            writeln!(io.stdout, "  {}", harmless(&command))?;
        }
    }
    if let Some(aside) = aside {
        writeln!(io.stdout, "What was there before is in {}", aside.display())?;
    }
    Ok(Outcome::Fine)
}

async fn restore(
    args: &Restore,
    config: &Config,
    progress: &Progress,
) -> anyhow::Result<(Manifest, Option<PathBuf>)> {
    let (from, folder) = (&args.from, &config.data.dir);
    let manifest = Manifest::read(from)?;
    check_backend(&manifest, config)?;
    let key = key(config, from, &manifest)?;
    check_target(folder, args.force)?;
    progress.expect(manifest.files.iter().map(|file| file.bytes).sum::<u64>() * 2);
    for file in &manifest.files {
        file.check(from, &mut |bytes| progress.read("checking", bytes))?;
    }
    let staging = folder.join(STAGING);
    let fresh = stage(&staging);
    fresh.with_context(|| format!("make {}", staging.display()))?;
    for file in manifest.files.iter().filter(|file| file.name != KEY_FILE) {
        file.copy(from, &staging, &mut |bytes| progress.read("copying", bytes))?;
    }
    let now = clock::now();
    if manifest.kafka.is_none() {
        let prepared = ringpost_bus::prepare_restored(&staging, now.micros()).await;
        prepared.context("check the copy of the journal")?;
    }
    check_store(&staging, key.clone()).await?;
    let unwritten = manifest.files.iter().map(|file| staging.join(format!("{}-wal", file.name)));
    let is_left = |path: &PathBuf| path.metadata().is_ok_and(|metadata| metadata.len() > 0);
    if let Some(path) = unwritten.into_iter().find(is_left) {
        bail!("{} was not taken over into its file: restore again", path.display());
    }
    let aside = move_aside(folder, &now.to_string()).context("move the old files aside")?;
    publish(&manifest, &staging, folder).context("put the files in their place")?;
    put_key(config, &manifest, from).context("put the key in its place")?;
    Ok((manifest, aside))
}

/// A store without its journal, or beside another log, would start as if nothing were missing.
fn check_backend(manifest: &Manifest, config: &Config) -> anyhow::Result<()> {
    match (&manifest.kafka, config.bus.backend) {
        (None, Backend::Embedded) | (Some(_), Backend::Kafka) => Ok(()),
        (Some(kafka), Backend::Embedded) => bail!(
            "the backup is of an installation with its log on Kafka ({}): set bus.backend = \"kafka\"",
            kafka.bootstrap
        ),
        (None, Backend::Kafka) => bail!(
            "the backup has a journal, and bus.backend is \"kafka\", where nothing reads it: restore it with \
             bus.backend = \"embedded\""
        ),
    }
}

fn stage(staging: &Path) -> std::io::Result<()> {
    if staging.exists() {
        // Left by one that was broken off.
        fs::remove_dir_all(staging)?;
    }
    fs::create_dir_all(staging)
}

/// The key that the restored folder will be opened with.
fn key(config: &Config, from: &Path, manifest: &Manifest) -> anyhow::Result<Key> {
    let path = config.data.key_path();
    let key = match &config.data.key {
        Some(secret) => Key::parse(&secret.0)?,
        None if path.exists() => Key::read_or_make(&path)?,
        None if manifest.with_key => Key::read_or_make(&from.join(KEY_FILE))?,
        None => bail!(
            "the key of the secrets is missing: put the one with the id {} into {} first",
            manifest.key,
            path.display()
        ),
    };
    let id = key.id().to_string();
    ensure!(
        id == manifest.key,
        "the secrets are sealed with the key {}, the one that is here is {id}: put the right one into {}",
        manifest.key,
        path.display()
    );
    Ok(key)
}

fn check_target(folder: &Path, force: bool) -> anyhow::Result<()> {
    let shown = folder.display();
    ensure!(!ringpost_bus::is_in_use(folder), "a server runs on {shown}: stop it first");
    let old = entries(folder).with_context(|| format!("look into {shown}"))?;
    ensure!(
        old.is_empty() || force,
        "{shown} is not empty: name another folder, or move what is in it aside with --force"
    );
    Ok(())
}

/// What is in the folder, but for the key, which stays, and what was moved aside before.
fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let found = match fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let stays = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        [KEY_FILE, STAGING, "lost+found"].contains(&&*name) || name.starts_with("before-restore-")
    };
    let paths = found.map(|entry| entry.map(|entry| entry.path()));
    Ok(paths.collect::<std::io::Result<Vec<_>>>()?.into_iter().filter(|path| !stays(path)).collect())
}

/// Opens it with its key, as the next start will: other versions and keys are found out before anything moves.
async fn check_store(staging: &Path, key: Key) -> anyhow::Result<()> {
    let config = StoreConfig { folder: staging.to_owned(), keyring: Keyring::new(key) };
    let store = Store::open(config).await.context("check the copy of the store")?;
    store.stats().await.context("check the copy of the store")?;
    store.close().await;
    Ok(())
}

fn move_aside(folder: &Path, now: &str) -> std::io::Result<Option<PathBuf>> {
    let old = entries(folder)?;
    if old.is_empty() {
        return Ok(None);
    }
    let aside = folder.join(format!("before-restore-{}", now.replace(':', "")));
    fs::create_dir(&aside)?;
    // The store goes first: no server starts on a journal without it.
    let mut old = old;
    old.sort_by_key(|path| path.file_name().is_none_or(|name| name != "store.db"));
    for path in old {
        fs::rename(&path, aside.join(path.file_name().unwrap_or_default()))?;
    }
    fs::File::open(folder)?.sync_all()?;
    Ok(Some(aside))
}

fn publish(manifest: &Manifest, staging: &Path, folder: &Path) -> std::io::Result<()> {
    let mut names: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    names.retain(|name| *name != KEY_FILE);
    names.sort_by_key(|name| (*name == "store.db", *name != "journal.db"));
    for name in names {
        fs::rename(staging.join(name), folder.join(name))?;
    }
    fs::File::open(folder)?.sync_all()?;
    fs::remove_dir_all(staging)
}

/// The key of the backup, where there is none yet.
fn put_key(config: &Config, manifest: &Manifest, from: &Path) -> std::io::Result<()> {
    use std::io::Write;
    let path = config.data.key_path();
    if config.data.key.is_some() || path.exists() || !manifest.with_key {
        return Ok(());
    }
    let text = fs::read(from.join(KEY_FILE))?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&text)?;
    file.sync_all()
}
