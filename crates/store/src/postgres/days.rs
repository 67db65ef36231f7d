//! The partitions of the log, one for each day (UTC): made ahead, or when a day is first written to, and dropped
//! whole.

use std::collections::BTreeSet;
use std::sync::Mutex;

use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::locks;
use super::pool::Pool;
use crate::day::Day;
use crate::sql::{self, Tx};

/// So much of a row stays in its page, instead of going to a table of its own in pieces of 2 KB: an attempt with its
/// bodies is one write.
const IN_PAGE: u32 = 8_160;
/// Who waits for a day to be dropped keeps all readers and writers of the log waiting too.
const PATIENCE: &str = "SET LOCAL lock_timeout = '1s'";

/// Days that are known to be there.
#[derive(Debug, Default)]
pub(crate) struct Days {
    known: Mutex<BTreeSet<Day>>,
}

impl Days {
    /// Makes days that are not there.
    pub(crate) async fn make(&self, pool: &Pool, days: impl IntoIterator<Item = Day>) -> sqlx::Result<()> {
        let missing: Vec<Day> = days.into_iter().filter(|day| !self.knows(*day)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut write = Tx::Postgres(pool.begin().await?);
        locks::days(&mut write).await?;
        for day in &missing {
            make(&mut write, *day).await?;
        }
        write.commit().await?;
        self.lock().extend(missing);
        Ok(())
    }

    /// Every day that is there, oldest first.
    pub(crate) async fn list(&self, pool: &Pool) -> sqlx::Result<Vec<Day>> {
        let sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'attempts'::regclass";
        let rows = sql::query(sql).fetch_all(pool).await?;
        let days = rows.iter().map(|row| row.try_get::<&str>(0).map(Day::of_partition));
        let days = days.collect::<sqlx::Result<BTreeSet<_>>>()?;
        Ok(days.into_iter().flatten().collect())
    }

    /// Drops a day.
    pub(crate) async fn drop(&self, pool: &Pool, day: Day) -> sqlx::Result<()> {
        self.lock().remove(&day);
        let mut write = Tx::Postgres(pool.begin().await?);
        locks::days(&mut write).await?;
        raw(&mut write, PATIENCE).await?;
        let suffix = day.partition();
        let sql = format!("DROP TABLE IF EXISTS attempts_{suffix}, endings_{suffix}");
        raw(&mut write, AssertSqlSafe(sql)).await?;
        write.commit().await
    }

    /// Another process has dropped one that was believed to be there.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn knows(&self, day: Day) -> bool {
        self.lock().contains(&day)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Day>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Made beside its table and attached then: writers of other days go on meanwhile.
async fn make(to: &mut Tx, day: Day) -> sqlx::Result<()> {
    let suffix = day.partition();
    let there = sql::query("SELECT to_regclass($1) IS NOT NULL").bind(format!("attempts_{suffix}"));
    if there.fetch_one(&mut *to).await?.try_get(0)? {
        return Ok(());
    }
    let (from, until) = (day.first_id(), day.next().first_id());
    let (number, next) = (day.number(), day.next().number());
    let sql = format!(
        "CREATE TABLE attempts_{suffix} (LIKE attempts INCLUDING STORAGE) WITH (toast_tuple_target = {IN_PAGE});
        ALTER TABLE attempts ATTACH PARTITION attempts_{suffix} FOR VALUES FROM ('{from}') TO ('{until}');
        CREATE TABLE endings_{suffix} (LIKE endings);
        ALTER TABLE endings ATTACH PARTITION endings_{suffix} FOR VALUES FROM ({number}) TO ({next})"
    );
    raw(to, AssertSqlSafe(sql)).await
}

async fn raw(to: &mut Tx, sql: impl SqlSafeStr) -> sqlx::Result<()> {
    match to {
        Tx::Postgres(transaction) => transaction.raw(sql).await,
        Tx::Sqlite(_) => Ok(()),
    }
}
