//! A copy of the journal while it is written, and what a copy needs before it is written on. What else belongs to
//! a backup is not known here.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::OpenError;

use super::file::{FORMAT, end, user_version};

const NAME: &str = "journal.db";
/// Offsets left out by a restored journal: more than any journal writes while a backup is made.
const GAP: u64 = 1 << 32;
/// A chunk without a record: its format only.
const EMPTY_CHUNK: &[u8] = &[1];

/// Whether a process writes the journal of this folder.
pub fn is_in_use(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join("journal.lock")) else { return false };
    matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}

/// Copies the journal of a folder into another, as it is at one moment, checks the copy and syncs it. Also while
/// another process writes: nobody waits for it. Returns the size.
///
/// # Errors
/// There is no journal, it is damaged or of a later version, or the copy cannot be written.
pub async fn copy_journal(folder: &Path, into: &Path) -> Result<u64, OpenError> {
    let (from, to) = (folder.join(NAME), into.join(NAME));
    let partial = into.join(format!("{NAME}.partial"));
    let io_failed = |source| OpenError::Folder { folder: into.display().to_string(), source };
    if to.exists() {
        return Err(io_failed(io::Error::from(io::ErrorKind::AlreadyExists)));
    }
    // Left by one that was broken off.
    if partial.exists() {
        std::fs::remove_file(&partial).map_err(io_failed)?;
    }
    let mut connection = open(&from, folder).await?;
    let target = partial.display().to_string();
    let copied = sqlx::query("VACUUM INTO ?").bind(target).execute(&mut connection).await;
    let copied = copied.map(drop).map_err(reading(folder));
    // Nothing was written: how it closes says nothing.
    let _ = connection.close().await;
    let checked = match copied {
        Ok(()) => check(&partial, into).await,
        Err(error) => Err(error),
    };
    if let Err(error) = checked {
        // Not kept: it may be what fills the disk.
        let _ = std::fs::remove_file(&partial);
        return Err(error);
    }
    publish(&partial, &to, into).map_err(io_failed)
}

/// Makes a copy fit to be written on: it gives out no offset that the journal it was copied from may have given out
/// since. Whoever has kept such an offset as a place (dead letters do) would take a new record for a known one.
///
/// # Errors
/// It is damaged or of a later version, or cannot be written.
pub async fn prepare_restored(folder: &Path, now: i64) -> Result<(), OpenError> {
    let failed = reading(folder);
    let path = folder.join(NAME);
    check(&path, folder).await?;
    let mut connection = open(&path, folder).await?;
    leave_gaps(&mut connection, now).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    let synced = File::open(&path).and_then(|file| file.sync_all());
    synced.map_err(|source| OpenError::Folder { folder: folder.display().to_string(), source })
}

async fn leave_gaps(connection: &mut SqliteConnection, now: i64) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let topics = sqlx::query_as::<_, (i64, u32)>("SELECT id, partitions FROM topics");
    for (topic, partitions) in topics.fetch_all(&mut *transaction).await? {
        for partition in 0..partitions {
            let start = sqlx::query_scalar::<_, i64>(
                "SELECT coalesce(max(start), 0) FROM starts WHERE topic = ? AND partition = ?",
            );
            let start = start.bind(topic).bind(partition).fetch_one(&mut *transaction).await?;
            let end = end(&mut transaction, topic, partition, "").await?.unwrap_or_default();
            let insert = sqlx::query(
                "INSERT INTO chunks (topic, partition, base, count, newest, body) VALUES (?, ?, ?, 1, ?, ?)",
            );
            let insert = insert.bind(topic).bind(partition).bind((end.max(start as u64) + GAP) as i64);
            insert.bind(now).bind(EMPTY_CHUNK).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await
}

/// Reads every page of a journal, also of one that is written.
///
/// # Errors
/// It is damaged, or of a later version.
pub async fn check_journal(folder: &Path) -> Result<(), OpenError> {
    check(&folder.join(NAME), folder).await
}

async fn check(path: &Path, folder: &Path) -> Result<(), OpenError> {
    let failed = reading(folder);
    let mut connection = open(path, folder).await?;
    let found = user_version(&mut connection).await.map_err(failed)?;
    if found != FORMAT {
        return Err(OpenError::Format { found, known: FORMAT });
    }
    let said = sqlx::query_scalar::<_, String>("PRAGMA integrity_check(1)").fetch_one(&mut connection).await;
    let said = said.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    if said == "ok" {
        return Ok(());
    }
    let (folder, source) = (folder.display().to_string(), Arc::new(io::Error::other(said)));
    Err(OpenError::Read { folder, source })
}

async fn open(path: &Path, folder: &Path) -> Result<SqliteConnection, OpenError> {
    let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
    options.connect().await.map_err(reading(folder))
}

/// On the disk first, then under its name.
fn publish(partial: &Path, to: &Path, folder: &Path) -> io::Result<u64> {
    let file = File::open(partial)?;
    file.sync_all()?;
    std::fs::rename(partial, to)?;
    File::open(folder)?.sync_all()?;
    Ok(file.metadata()?.len())
}

fn reading(folder: &Path) -> impl Fn(sqlx::Error) -> OpenError + Copy + '_ {
    move |source| OpenError::Read { folder: folder.display().to_string(), source: Arc::new(source) }
}
