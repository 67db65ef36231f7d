//! A copy of the store's files while it runs, each of them whole and checked. The journal is not the store's: it is
//! copied before, so that its positions are never ahead of what is here (docs/storage.md, Backup).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row};

use crate::error::{Error, doing};
use crate::rows::{Rows, Unreadable};
use crate::store::{Backend, Store};

const WHAT: &str = "back up the store";

/// A file that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    /// Its name, in the store's folder and in the copy's.
    pub name: String,
    /// Size of the copy; the original may be larger.
    pub bytes: u64,
}

impl Store {
    /// Copies the store's files into a folder, which is made, and must not hold a copy already. Each file is as it
    /// was at one moment, and checked; a file has its name only once it is whole, and on the disk. `store.db` comes
    /// first, the days of attempts after it: what is over in the copy is in its log too. A day that cannot be copied
    /// keeps the others from nothing.
    ///
    /// # Errors
    /// The folder cannot be written or has a file of that name, or `store.db` cannot be copied.
    pub async fn backup(&self, into: &Path) -> Result<Rows<BackupFile>, Error> {
        let Backend::Files(store) = &self.inner.backend else {
            let why = "it is in PostgreSQL: copy it with pg_dump, see docs/postgresql.md";
            return Err(Error::Refused { kind: "backup of", key: "the store".to_owned(), why });
        };
        fs::create_dir_all(into).map_err(|error| Error::io(WHAT, error))?;
        let main = copy(&store.folder.join("store.db"), into).await?;
        let mut files = Rows::new();
        files.push(Ok(main));
        // Listed after the store was copied: a day that began meanwhile is among them.
        for day in store.days.list(WHAT)? {
            let path = store.folder.join(day.file());
            match copy(&path, into).await {
                // Dropped meanwhile, for its age.
                Err(_) if !path.exists() => {}
                copied => files.push(copied.map_err(|error| Unreadable { row: day.file(), error })),
            }
        }
        Ok(files)
    }
}

impl Store {
    /// Reads every page of every file, also while they are written. PostgreSQL sees to its own.
    ///
    /// # Errors
    /// The first file that is damaged or cannot be read.
    pub async fn check_files(&self) -> Result<(), Error> {
        let Backend::Files(store) = &self.inner.backend else { return Ok(()) };
        check(&store.folder.join("store.db")).await?;
        for day in store.days.list(WHAT)? {
            let path = store.folder.join(day.file());
            match check(&path).await {
                // Dropped meanwhile, for its age.
                Err(_) if !path.exists() => {}
                checked => checked?,
            }
        }
        Ok(())
    }
}

async fn copy(from: &Path, into: &Path) -> Result<BackupFile, Error> {
    let name = from.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let (to, partial) = (into.join(&name), into.join(format!("{name}.partial")));
    if to.exists() {
        let why = "the folder has one already; give an empty one";
        return Err(Error::Refused { kind: "copy of", key: name, why });
    }
    let failed = |error| Error::io(WHAT, error);
    // Left by one that was broken off.
    remove_if_there(&partial).map_err(failed)?;
    let copied = match vacuum_into(from, &partial).await {
        Ok(()) => check(&partial).await,
        error => error,
    };
    if let Err(error) = copied {
        // Not kept: it may be what fills the disk.
        let _ = remove_if_there(&partial);
        return Err(error.in_file(&name));
    }
    let bytes = publish(&partial, &to, into).map_err(failed)?;
    Ok(BackupFile { name, bytes })
}

/// Reads one snapshot and waits for no writer, nor keeps one waiting.
async fn vacuum_into(from: &Path, to: &Path) -> Result<(), Error> {
    let mut connection = open(from).await?;
    let to = to.display().to_string();
    let done = sqlx::query("VACUUM INTO ?").bind(to).execute(&mut connection).await.map_err(doing(WHAT));
    connection.close().await.map_err(doing(WHAT))?;
    done.map(drop)
}

async fn check(copy: &Path) -> Result<(), Error> {
    let mut connection = open(copy).await?;
    let rows = sqlx::query("PRAGMA integrity_check(1)").fetch_all(&mut connection).await;
    let rows = rows.map_err(doing(WHAT))?;
    connection.close().await.map_err(doing(WHAT))?;
    let said = rows.first().and_then(|row| row.try_get::<String, _>(0).ok()).unwrap_or_default();
    if said == "ok" {
        return Ok(());
    }
    let source = Arc::new(io::Error::other(said));
    Err(Error::Corrupt { what: WHAT, file: copy.display().to_string(), source })
}

/// On the disk first, then under its name.
fn publish(partial: &Path, to: &Path, folder: &Path) -> io::Result<u64> {
    let file = File::open(partial)?;
    file.sync_all()?;
    fs::rename(partial, to)?;
    File::open(folder)?.sync_all()?;
    Ok(file.metadata()?.len())
}

async fn open(path: &Path) -> Result<SqliteConnection, Error> {
    let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
    options.connect().await.map_err(doing(WHAT))
}

fn remove_if_there(path: &PathBuf) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
