//! A debt that cannot be read stops none of its neighbours: its row is taken out of the way, and kept with what is
//! wrong with it.

use ringpost_model::{Text, Timestamp};

use super::Debt;
use crate::error::{Error, doing};
use crate::rows::{Rows, Unreadable};
use crate::sql::{self, Row, Tx};
use crate::store::Store;

/// A row that could not be read, as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// When that was found out.
    pub found: Timestamp,
    /// Its table.
    pub place: Text,
    /// What is wrong with it.
    pub error: Text,
    /// Its columns as JSON, bytes and texts in hexadecimal digits.
    pub content: Text,
}

/// Debts of rows; what cannot be read goes to `damaged`.
pub(super) async fn readable(to: &mut Tx, rows: &[Row], now: Timestamp) -> sqlx::Result<Vec<Debt>> {
    let mut debts = Vec::with_capacity(rows.len());
    for row in rows {
        match super::read(row) {
            Ok(debt) => debts.push(debt),
            Err(error) => set_aside(to, row.try_get("seq")?, &error.to_string(), now).await?,
        }
    }
    Ok(debts)
}

/// Takes one row out of the way; who stood behind it is next.
pub(super) async fn set_aside(to: &mut Tx, seq: i64, error: &str, now: Timestamp) -> sqlx::Result<()> {
    let set_aside = sql::each(
        "INSERT INTO damaged (found, place, error, content) SELECT $1, 'debts', $2, json_object(
            'seq', seq, 'delivery', hex(delivery), 'trigger', hex(trigger_id), 'version', version,
            'owner', hex(owner), 'tenantId', hex(tenant_id), 'tenant', hex(tenant), 'session', hex(session),
            'rev', rev, 'matches', matches, 'lane', hex(lane), 'due', due, 'attempts', attempts, 'tries', tries,
            'queued', queued, 'firstTry', first_try, 'reason', hex(reason))
        FROM debts WHERE seq = $3",
        "INSERT INTO damaged (found, place, error, content)
            SELECT $1, 'debts', $2, row_to_json(debts)::text FROM debts WHERE seq = $3",
    );
    sql::query(set_aside).bind(now.micros()).bind(error).bind(seq).execute(&mut *to).await?;
    // Who stood behind it is next; its own columns say who, whatever is wrong with them.
    let sql = "UPDATE debts SET behind = 0 WHERE behind = 1 AND seq = (SELECT d.seq FROM debts d, debts gone
        WHERE gone.seq = $1 AND d.trigger_id = gone.trigger_id AND d.session = gone.session AND d.seq <> $1
        ORDER BY d.rev LIMIT 1)";
    sql::query(sql).bind(seq).execute(&mut *to).await?;
    sql::query("DELETE FROM debts WHERE seq = $1").bind(seq).execute(to).await?;
    Ok(())
}

impl Store {
    /// Rows that could not be read and were taken out of the way, newest first. [`crate::Stats`] counts them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn damaged(&self, limit: usize) -> Result<Rows<Damaged>, Error> {
        const WHAT: &str = "list damaged rows";
        let sql = "SELECT id, found, place, error, content FROM damaged ORDER BY id DESC LIMIT $1";
        let rows = sql::query(sql).bind(limit as i64).fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let name = |row: &Row| format!("damaged row {}", row.try_get::<i64>("id").unwrap_or_default());
        Ok(rows
            .iter()
            .map(|row| read(row).map_err(|error| Unreadable::new(WHAT, name(row), error)))
            .collect())
    }
}

fn read(row: &Row) -> sqlx::Result<Damaged> {
    let text = |at| Ok::<Text, sqlx::Error>(row.try_get::<&str>(at)?.into());
    Ok(Damaged {
        found: row.time("found")?,
        place: text("place")?,
        error: text("error")?,
        content: text("content")?,
    })
}
