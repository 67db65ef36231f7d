//! How a file is opened: one writer, some readers, the tables of this version.

use std::path::Path;
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Transaction};

use crate::error::{OpenError, opening};

/// For how long a writer waits for another process (`apply` beside `serve`).
const BUSY: Duration = Duration::from_secs(5);

const BEGIN: &str = "BEGIN IMMEDIATE";

/// One database file.
#[derive(Debug)]
pub(crate) struct Database {
    /// One connection: writers wait here, in order, and not in a loop inside the database.
    writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

impl Database {
    /// Opens a file or makes it, and brings its tables up to date. `steps` are the migrations, oldest first.
    pub(crate) async fn open(path: &Path, readers: u32, steps: &[&'static str]) -> Result<Self, OpenError> {
        let file = path.display().to_string();
        let writer = pool(1).connect_with(options(path)).await;
        let writer = writer.map_err(opening(&file))?;
        migrate(&writer, &file, steps).await?;
        let reading = options(path).pragma("query_only", "ON");
        Ok(Self { writer, readers: pool(readers).connect_lazy_with(reading) })
    }

    /// Begins a write. Dropped without a commit it leaves nothing behind.
    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        match self.writer.begin_with(BEGIN).await {
            // Where the disk fails, SQLite takes a transaction back by itself; the connection counts it as open from then
            // on, and would refuse every write until the process ends.
            Err(sqlx::Error::InvalidSavePointStatement | sqlx::Error::WorkerCrashed) => {
                self.writer.acquire().await?.close().await?;
                self.writer.begin_with(BEGIN).await
            }
            begun => begun,
        }
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    // A connection to a file does not break like one to a server: no ping before each use, no renewal.
    SqlitePoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .max_lifetime(None)
        .idle_timeout(Duration::from_secs(600))
}

/// FULL: what is acknowledged is on the disk.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        // Three attempts with their bodies to a page; of 4 KB only one would fit, and nearly half be empty.
        .page_size(8_192)
        // 16 MB between checkpoints: an index page that changes often is written to the main file less often.
        .pragma("wal_autocheckpoint", "2000")
        // What a statement of many rows keeps, to undo itself, stays out of the file system.
        .pragma("temp_store", "MEMORY")
        // After a burst the log beside the file shrinks again.
        .pragma("journal_size_limit", "67108864")
        // 16 MB of pages: the inner pages of every index, with room for the hot leaves.
        .pragma("cache_size", "-16000")
        .disable_statement_logging()
}

/// Forward only, all in one transaction, so that two processes that start together do it once.
async fn migrate(writer: &SqlitePool, file: &str, steps: &[&'static str]) -> Result<(), OpenError> {
    let failed = opening(file);
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let row = sqlx::query("PRAGMA user_version").fetch_one(&mut *transaction).await.map_err(failed)?;
    let found: i64 = row.get(0);
    let known = steps.len() as i64;
    if found > known {
        return Err(OpenError::Newer { file: file.to_owned(), found, known });
    }
    for (version, step) in (1..).zip(steps).skip(found as usize) {
        sqlx::raw_sql(*step).execute(&mut *transaction).await.map_err(failed)?;
        let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {version}"));
        sqlx::query(version).execute(&mut *transaction).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}
