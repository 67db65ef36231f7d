//! Brings the tables up to date. Forward only, all in one transaction under a lock: processes that start together do
//! it once.

use sqlx::SqlSafeStr;

use super::locks;
use super::pool::Pool;
use super::problem::opening;
use crate::error::OpenError;
use crate::sql::{self, Tx};

/// Oldest first. A released one is never changed.
const STEPS: [&str; 1] = [include_str!("../schema/postgres_1.sql")];
/// What the suite runs on.
const OLDEST_SERVER: i64 = 15;

pub(super) async fn migrate(pool: &Pool, server: &str) -> Result<(), OpenError> {
    let failed = |error| opening(server, error);
    pool.look().await.map_err(failed)?;
    check_server(pool, server).await?;
    let mut write = Tx::Postgres(pool.begin().await.map_err(failed)?);
    locks::migration(&mut write).await.map_err(failed)?;
    let found = version(&mut write).await.map_err(failed)?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(OpenError::Newer { file: server.to_owned(), found, known });
    }
    if found == known {
        return Ok(());
    }
    for step in STEPS.into_iter().skip(found as usize) {
        raw(&mut write, step).await.map_err(failed)?;
    }
    let write_version = sql::query("UPDATE ringpost_schema SET version = $1").bind(known);
    write_version.execute(&mut write).await.map_err(failed)?;
    write.commit().await.map_err(failed)
}

/// 0 = there are no tables yet.
async fn version(from: &mut Tx) -> sqlx::Result<i64> {
    let row = sql::query("SELECT to_regclass('ringpost_schema') IS NOT NULL").fetch_one(&mut *from).await?;
    if !row.try_get::<bool>(0)? {
        return Ok(0);
    }
    sql::query("SELECT version FROM ringpost_schema").fetch_one(from).await?.try_get(0)
}

/// One that is too old, or may forget what it has said to be stored, is not begun with.
async fn check_server(pool: &Pool, server: &str) -> Result<(), OpenError> {
    let failed = |error| opening(server, error);
    let sql =
        "SELECT current_setting('server_version_num')::int8 / 10000, current_setting('synchronous_commit'),
        current_setting('server_encoding')";
    let row = sql::query(sql).fetch_one(pool).await.map_err(failed)?;
    let unfit = |why| Err(OpenError::Unfit { server: server.to_owned(), why });
    if row.try_get::<i64>(0).map_err(failed)? < OLDEST_SERVER {
        return unfit("it is older than PostgreSQL 15");
    }
    if row.try_get::<&str>(1).map_err(failed)? == "off" {
        return unfit(
            "synchronous_commit is off, so that a crash would lose what was acknowledged; set it on for this user: \
            ALTER ROLE … SET synchronous_commit = on",
        );
    }
    if row.try_get::<&str>(2).map_err(failed)? != "UTF8" {
        return unfit("its encoding is not UTF8; make the database with ENCODING 'UTF8'");
    }
    Ok(())
}

async fn raw(to: &mut Tx, sql: impl SqlSafeStr) -> sqlx::Result<()> {
    match to {
        Tx::Postgres(transaction) => transaction.raw(sql).await,
        Tx::Sqlite(_) => Ok(()),
    }
}
