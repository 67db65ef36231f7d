//! One way to say a statement to either backend: text, values, rows. What both understand is written once; where they
//! differ, both texts stand side by side in an [`Sql`].
//!
//! Placeholders are `$1`, `$2`, … everywhere: SQLite takes them too. Flags are integers in both. An id is a BLOB of 16
//! bytes in SQLite and a UUID in PostgreSQL; here it is a [`uuid::Uuid`].

mod builder;
mod row;
mod value;

use sqlx::postgres::{PgArguments, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqlitePool};
use sqlx::{SqlStr, Transaction};

pub(crate) use builder::Builder;
pub(crate) use row::Row;
pub(crate) use value::{Bind, Value};

use crate::error::{Error, doing};
use crate::postgres::{Pool, PostgresTx};

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// A statement: one text for both, or one for each.
#[derive(Debug, Clone)]
pub(crate) enum Sql {
    Both(SqlStr),
    Each { sqlite: &'static str, postgres: &'static str },
}

/// Where a statement is run.
pub(crate) enum On<'a> {
    Sqlite(&'a mut SqliteConnection),
    SqlitePool(&'a SqlitePool),
    Postgres(&'a mut PostgresTx),
    PostgresPool(&'a Pool),
}

/// Connections for reading.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Readers<'a> {
    Sqlite(&'a SqlitePool),
    Postgres(&'a Pool),
}

/// A transaction. Dropped without a commit it leaves nothing behind.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(PostgresTx),
}

/// A statement with its values.
pub(crate) struct Query {
    sql: Sql,
    values: Vec<Value>,
}

/// A statement of PostgreSQL, ready to be run.
pub(crate) type PostgresQuery = sqlx::query::Query<'static, Postgres, PgArguments>;

/// A statement, without values so far.
pub(crate) fn query(sql: impl Into<Sql>) -> Query {
    Query { sql: sql.into(), values: Vec::new() }
}

/// The two texts of a statement that differs.
pub(crate) const fn each(sqlite: &'static str, postgres: &'static str) -> Sql {
    Sql::Each { sqlite, postgres }
}

impl Sql {
    fn text(self, dialect: Dialect) -> SqlStr {
        match (self, dialect) {
            (Self::Both(text), _) => text,
            (Self::Each { sqlite, .. }, Dialect::Sqlite) => SqlStr::from_static(sqlite),
            (Self::Each { postgres, .. }, Dialect::Postgres) => SqlStr::from_static(postgres),
        }
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Both(SqlStr::from_static(text))
    }
}

impl Query {
    /// Adds the next value.
    pub(crate) fn bind(mut self, value: impl Bind) -> Self {
        self.values.push(value.value());
        self
    }

    /// Runs it; how many rows it wrote.
    pub(crate) async fn execute<'a>(self, on: impl Into<On<'a>>) -> sqlx::Result<u64> {
        match on.into() {
            On::Sqlite(connection) => Ok(self.sqlite()?.execute(connection).await?.rows_affected()),
            On::SqlitePool(pool) => Ok(self.sqlite()?.execute(pool).await?.rows_affected()),
            On::Postgres(transaction) => transaction.execute(self.postgres()?).await,
            On::PostgresPool(pool) => pool.execute(self.postgres()?).await,
        }
    }

    /// All rows.
    pub(crate) async fn fetch_all<'a>(self, on: impl Into<On<'a>>) -> sqlx::Result<Vec<Row>> {
        let rows = match on.into() {
            On::Sqlite(connection) => self.sqlite()?.fetch_all(connection).await?,
            On::SqlitePool(pool) => self.sqlite()?.fetch_all(pool).await?,
            On::Postgres(transaction) => {
                let rows = transaction.fetch_all(self.postgres()?).await?;
                return Ok(rows.into_iter().map(Row::Postgres).collect());
            }
            On::PostgresPool(pool) => {
                let rows = pool.fetch_all(self.postgres()?).await?;
                return Ok(rows.into_iter().map(Row::Postgres).collect());
            }
        };
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    /// The row, if there is one. For statements that give one at most.
    pub(crate) async fn fetch_optional<'a>(self, on: impl Into<On<'a>>) -> sqlx::Result<Option<Row>> {
        Ok(self.fetch_all(on).await?.into_iter().next())
    }

    /// The row. For statements that give exactly one.
    pub(crate) async fn fetch_one<'a>(self, on: impl Into<On<'a>>) -> sqlx::Result<Row> {
        self.fetch_optional(on).await?.ok_or(sqlx::Error::RowNotFound)
    }

    fn sqlite(self) -> sqlx::Result<sqlx::query::Query<'static, Sqlite, SqliteArguments>> {
        let arguments = value::sqlite(self.values)?;
        Ok(sqlx::query_with(self.sql.text(Dialect::Sqlite), arguments))
    }

    fn postgres(self) -> sqlx::Result<PostgresQuery> {
        let arguments = value::postgres(self.values)?;
        Ok(sqlx::query_with(self.sql.text(Dialect::Postgres), arguments))
    }
}

impl Tx {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}

impl Readers<'_> {
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A transaction that sees one moment.
    pub(crate) async fn begin(self, what: &'static str) -> Result<Tx, Error> {
        match self {
            Self::Sqlite(pool) => pool.begin().await.map(Tx::Sqlite).map_err(doing(what)),
            Self::Postgres(pool) => pool.begin_reading().await.map(Tx::Postgres).map_err(doing(what)),
        }
    }
}

impl<'a> From<Readers<'a>> for On<'a> {
    fn from(readers: Readers<'a>) -> Self {
        match readers {
            Readers::Sqlite(pool) => Self::SqlitePool(pool),
            Readers::Postgres(pool) => Self::PostgresPool(pool),
        }
    }
}

impl<'a> From<&'a Pool> for On<'a> {
    fn from(pool: &'a Pool) -> Self {
        Self::PostgresPool(pool)
    }
}

impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(transaction: &'a mut Tx) -> Self {
        match transaction {
            Tx::Sqlite(transaction) => Self::Sqlite(transaction),
            Tx::Postgres(transaction) => Self::Postgres(transaction),
        }
    }
}
