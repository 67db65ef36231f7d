//! The journal's file: how it is opened, its tables, and what is read from it at start.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use crate::{Config, OpenError};

use super::heads::Heads;

/// Version of the tables, kept in the file.
pub(super) const FORMAT: i64 = 1;
/// Readers at a time: the workers of a process are few, and wait for each other only while reading.
const READERS: u32 = 4;
const PAGE_BYTES: u64 = 4_096;

const TABLES: &str = "
    CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL) STRICT;
    -- The oldest offset kept, once something was dropped.
    CREATE TABLE starts (
        topic INTEGER NOT NULL, partition INTEGER NOT NULL, start INTEGER NOT NULL,
        PRIMARY KEY (topic, partition)
    ) STRICT, WITHOUT ROWID;
    -- Not WITHOUT ROWID: bodies are large, and new ones go to the end of the table whatever their partition.
    CREATE TABLE chunks (
        topic INTEGER NOT NULL, partition INTEGER NOT NULL, base INTEGER NOT NULL, count INTEGER NOT NULL,
        newest INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (topic, partition, base)
    ) STRICT;
    CREATE TABLE positions (
        consumer TEXT NOT NULL, topic INTEGER NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
        PRIMARY KEY (consumer, topic, partition)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE state (
        topic INTEGER NOT NULL, partition INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (topic, partition, key)
    ) STRICT;
    PRAGMA user_version = 1;
";

/// How the one writer opens the file. FULL: a transaction is on the disk when it is acknowledged.
pub(super) fn writer_options(config: &Config) -> SqliteConnectOptions {
    let pages = config.file_bytes.map_or(i64::from(u32::MAX) - 1, |bytes| (bytes / PAGE_BYTES) as i64);
    SqliteConnectOptions::new()
        .filename(config.folder.join("journal.db"))
        .create_if_missing(true)
        .page_size(PAGE_BYTES as u32)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        // 16 MB between checkpoints: a page that changes often is written to the main file less often.
        .pragma("wal_autocheckpoint", "4000")
        // What a statement of many rows keeps, to undo itself, stays out of the file system.
        .pragma("temp_store", "MEMORY")
        // After a burst the log beside the file shrinks again.
        .pragma("journal_size_limit", "67108864")
        .pragma("max_page_count", pages.to_string())
        .disable_statement_logging()
}

/// The readers. They see the last transaction that succeeded, and never wait for the writer.
pub(super) fn readers(config: &Config) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(config.folder.join("journal.db"))
        .pragma("query_only", "ON")
        .busy_timeout(Duration::from_secs(5))
        // Rows are read ahead; each may be a chunk, and large.
        .row_buffer_size(2)
        .disable_statement_logging();
    SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false).connect_lazy_with(options)
}

/// An open journal.
pub(super) struct Opened {
    /// The writer's connection.
    pub(super) connection: SqliteConnection,
    /// Numbers of the configured topics in the file, in the order of the configuration.
    pub(super) ids: Vec<i64>,
    pub(super) heads: Heads,
}

/// Opens the file for writing, makes or checks its tables, and reads where everything stands.
pub(super) async fn open(config: &Config) -> Result<Opened, OpenError> {
    let failed = |source: sqlx::Error| OpenError::Read {
        folder: config.folder.display().to_string(),
        source: Arc::new(source),
    };
    let mut connection = writer_options(config).connect().await.map_err(failed)?;
    let found = user_version(&mut connection).await.map_err(failed)?;
    if found == 0 {
        create(&mut connection).await.map_err(failed)?;
    } else if found != FORMAT {
        return Err(OpenError::Format { found, known: FORMAT });
    }
    let stored = topics(&mut connection).await.map_err(failed)?;
    for topic in &config.topics {
        match stored.get(&topic.name) {
            None => add_topic(&mut connection, &topic.name, topic.partitions).await.map_err(failed)?,
            Some((_, partitions)) if *partitions == topic.partitions => {}
            Some((_, partitions)) => {
                let (stored, configured) = (*partitions, topic.partitions);
                return Err(OpenError::Partitions { topic: topic.name.clone(), stored, configured });
            }
        }
    }
    let ids = topic_ids(&mut connection, config).await.map_err(failed)?;
    let heads = load(&mut connection, config, &ids).await.map_err(failed)?;
    Ok(Opened { connection, ids, heads })
}

pub(super) async fn user_version(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await
}

async fn create(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
    transaction.commit().await
}

async fn topics(connection: &mut SqliteConnection) -> sqlx::Result<HashMap<String, (i64, u32)>> {
    let rows = sqlx::query("SELECT name, id, partitions FROM topics").fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))).collect()
}

async fn add_topic(connection: &mut SqliteConnection, name: &str, partitions: u32) -> sqlx::Result<()> {
    let query = sqlx::query("INSERT INTO topics (name, partitions) VALUES (?, ?)");
    query.bind(name).bind(partitions).execute(connection).await?;
    Ok(())
}

async fn topic_ids(connection: &mut SqliteConnection, config: &Config) -> sqlx::Result<Vec<i64>> {
    let stored = topics(connection).await?;
    let id = |name: &String| stored.get(name).map(|(id, _)| *id).ok_or(sqlx::Error::RowNotFound);
    config.topics.iter().map(|topic| id(&topic.name)).collect()
}

/// Offset after the last chunk of a partition. A chunk without a record, whose body is its format only, is a gap.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    topic: i64,
    partition: u32,
    such: &'static str,
) -> sqlx::Result<Option<u64>> {
    let sql = format!(
        "SELECT base + count FROM chunks WHERE topic = ? AND partition = ? {such} ORDER BY base DESC LIMIT 1"
    );
    // Made of constants only.
    let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).bind(topic).bind(partition);
    Ok(query.fetch_optional(connection).await?.map(|end| end as u64))
}

/// Where everything stands, from the file.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    config: &Config,
    ids: &[i64],
) -> sqlx::Result<Heads> {
    let index: HashMap<i64, usize> = ids.iter().enumerate().map(|(index, id)| (*id, index)).collect();
    let mut heads = Heads::new(config.topics.iter().map(|topic| topic.partitions));
    let starts = sqlx::query_as::<_, (i64, u32, i64)>("SELECT topic, partition, start FROM starts");
    for (topic, partition, start) in starts.fetch_all(&mut *connection).await? {
        if let Some(topic) = index.get(&topic) {
            heads.set_start(*topic, partition, start as u64);
        }
    }
    for (topic, id) in ids.iter().enumerate() {
        for partition in 0..config.topics[topic].partitions {
            let end = end(connection, *id, partition, "AND length(body) > 1").await?;
            if let Some(end) = end {
                heads.set_end(topic, partition, end);
            }
            let reserved = self::end(connection, *id, partition, "").await?;
            heads.set_reserved(topic, partition, reserved.unwrap_or_default());
        }
    }
    let positions = "SELECT consumer, topic, partition, next FROM positions";
    for (group, topic, partition, next) in
        sqlx::query_as::<_, (String, i64, u32, i64)>(positions).fetch_all(connection).await?
    {
        if let Some(topic) = index.get(&topic) {
            heads.set_position((group.into(), *topic, partition), next as u64);
        }
    }
    Ok(heads)
}
