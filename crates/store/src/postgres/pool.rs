//! Connections, and transactions on them. Every statement has a time limit: a peer that is gone without a word would
//! otherwise be waited for until the kernel gives up, which is a quarter of an hour.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow, Postgres};
use sqlx::{ConnectOptions, Connection};

use super::Config;
use super::problem::{Away, away};
use crate::sql::PostgresQuery;

/// Read committed, whatever the server's default: what is waited for is seen as it is then.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// No server restarts in less.
const FRESH: Duration = Duration::from_millis(500);
const BEGIN_READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Connections to one database.
#[derive(Debug)]
pub(crate) struct Pool {
    pool: PgPool,
    timeout: Duration,
    /// The server may keep statements under a name. Behind a pooler that gives a connection away after each transaction
    /// it must not; and there every statement is in a transaction, because it is prepared and run in two steps.
    is_direct: bool,
}

/// A transaction on a connection. Dropped without a commit it is taken back.
#[derive(Debug)]
pub(crate) struct PostgresTx {
    /// None = it is over.
    connection: Option<PoolConnection<Postgres>>,
    timeout: Duration,
    is_direct: bool,
}

impl Pool {
    /// Connects to nothing yet.
    pub(super) fn new(options: PgConnectOptions, config: &Config) -> Self {
        let options = options
            .application_name("ringpost")
            // PgBouncer refuses it at the start of a connection; no floating point number is ever asked for.
            .extra_float_digits(None)
            .disable_statement_logging();
        let options = if config.transaction_pooler { options.statement_cache_capacity(0) } else { options };
        let pool = PgPoolOptions::new()
            .max_connections(config.connections)
            .acquire_timeout(config.wait)
            // A connection that broke while it was idle is found here, and not by the statement that gets it. One that
            // was used a moment ago is not asked: that is a message for each statement.
            .test_before_acquire(false)
            .before_acquire(|connection, metadata| {
                Box::pin(async move {
                    if metadata.idle_for > FRESH {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .idle_timeout(Duration::from_secs(300))
            // Now and then a new one: after a failover, or a change of address, the others follow.
            .max_lifetime(Duration::from_secs(1_800))
            .connect_lazy_with(options);
        Self { pool, timeout: config.timeout, is_direct: !config.transaction_pooler }
    }

    pub(crate) async fn begin(&self) -> sqlx::Result<PostgresTx> {
        self.begin_with(BEGIN).await
    }

    /// A transaction that sees one moment, and writes nothing.
    pub(crate) async fn begin_reading(&self) -> sqlx::Result<PostgresTx> {
        self.begin_with(BEGIN_READING).await
    }

    async fn begin_with(&self, begin: &'static str) -> sqlx::Result<PostgresTx> {
        let connection = self.acquire().await?;
        let (timeout, is_direct) = (self.timeout, self.is_direct);
        let mut transaction = PostgresTx { connection: Some(connection), timeout, is_direct };
        transaction.raw(begin).await?;
        Ok(transaction)
    }

    pub(crate) async fn execute(&self, query: PostgresQuery) -> sqlx::Result<u64> {
        if !self.is_direct {
            let mut transaction = self.begin().await?;
            let done = transaction.execute(query).await?;
            transaction.commit().await?;
            return Ok(done);
        }
        let mut connection = self.acquire().await?;
        let done = limited(self.timeout, query.execute(&mut *connection)).await;
        Ok(given_up(&mut connection, done)?.rows_affected())
    }

    pub(crate) async fn fetch_all(&self, query: PostgresQuery) -> sqlx::Result<Vec<PgRow>> {
        if !self.is_direct {
            let mut transaction = self.begin().await?;
            let rows = transaction.fetch_all(query).await?;
            transaction.commit().await?;
            return Ok(rows);
        }
        let mut connection = self.acquire().await?;
        let rows = limited(self.timeout, query.fetch_all(&mut *connection)).await;
        given_up(&mut connection, rows)
    }

    /// How many are in use, and how many are not.
    pub(crate) fn connections(&self) -> (i64, i64) {
        let idle = self.pool.num_idle() as i64;
        ((i64::from(self.pool.size()) - idle).max(0), idle)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// Why no connection can be made, if so.
    pub(super) async fn look(&self) -> sqlx::Result<()> {
        match self.acquire().await {
            // It has tried again and again; one more time for the reason.
            Err(_) => limited(self.timeout, self.pool.connect_options().connect()).await.map(drop),
            Ok(_) => Ok(()),
        }
    }

    async fn acquire(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        self.pool.acquire().await.map_err(away)
    }
}

impl PostgresTx {
    pub(crate) async fn execute(&mut self, query: PostgresQuery) -> sqlx::Result<u64> {
        let (timeout, is_direct) = (self.timeout, self.is_direct);
        let connection = self.connection()?;
        let done = limited(timeout, query.persistent(is_direct).execute(&mut **connection)).await;
        Ok(given_up(connection, done)?.rows_affected())
    }

    pub(crate) async fn fetch_all(&mut self, query: PostgresQuery) -> sqlx::Result<Vec<PgRow>> {
        let (timeout, is_direct) = (self.timeout, self.is_direct);
        let connection = self.connection()?;
        let rows = limited(timeout, query.persistent(is_direct).fetch_all(&mut **connection)).await;
        given_up(connection, rows)
    }

    /// Statements without values, as many as there are in the text.
    pub(crate) async fn raw(&mut self, sql: impl sqlx::SqlSafeStr) -> sqlx::Result<()> {
        let timeout = self.timeout;
        let connection = self.connection()?;
        let done = limited(timeout, sqlx::raw_sql(sql).execute(&mut **connection)).await;
        given_up(connection, done).map(drop)
    }

    pub(crate) async fn commit(mut self) -> sqlx::Result<()> {
        self.raw("COMMIT").await?;
        // The connection goes back as it is.
        self.connection = None;
        Ok(())
    }

    fn connection(&mut self) -> sqlx::Result<&mut PoolConnection<Postgres>> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }
}

impl Drop for PostgresTx {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let timeout = self.timeout;
        let rollback = async move {
            let done = limited(timeout, roll_back(&mut connection)).await;
            if done.is_err() {
                connection.close_on_drop();
            }
        };
        // Without a runtime the process is at its end, and so is the connection.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(rollback);
        }
    }
}

async fn roll_back(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("ROLLBACK").execute(connection).await.map(drop)
}

async fn limited<T>(timeout: Duration, statement: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match tokio::time::timeout(timeout, statement).await {
        Ok(done) => done.map_err(away),
        Err(_) => Err(away(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
    }
}

/// A connection that broke, or does not answer, is not used again.
fn given_up<T>(connection: &mut PoolConnection<Postgres>, done: sqlx::Result<T>) -> sqlx::Result<T> {
    if let Err(error) = &done
        && Away::is(error)
    {
        connection.close_on_drop();
    }
    done
}
