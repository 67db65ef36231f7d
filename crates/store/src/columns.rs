//! Columns to values of the model, and back.

use ringpost_model::{Delivery, DeliveryId, SessionId, TenantId, TenantKey, Timestamp, TriggerId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::error::Error;

/// Reading of columns whose content we wrote: anything else is a decoding error of the row.
pub(crate) trait Columns {
    fn uuid(&self, at: &str) -> sqlx::Result<Uuid>;
    fn time(&self, at: &str) -> sqlx::Result<Timestamp>;
    fn time_if_any(&self, at: &str) -> sqlx::Result<Option<Timestamp>>;
    fn tenant(&self, at: &str) -> sqlx::Result<TenantKey>;
    fn parsed<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
        &self,
        at: &str,
    ) -> sqlx::Result<T>;
}

impl Columns for SqliteRow {
    fn uuid(&self, at: &str) -> sqlx::Result<Uuid> {
        Uuid::from_slice(self.try_get::<&[u8], _>(at)?).map_err(|error| undecodable(at, error))
    }

    fn time(&self, at: &str) -> sqlx::Result<Timestamp> {
        self.try_get(at).map(Timestamp::from_micros)
    }

    fn time_if_any(&self, at: &str) -> sqlx::Result<Option<Timestamp>> {
        Ok(self.try_get::<Option<i64>, _>(at)?.map(Timestamp::from_micros))
    }

    fn tenant(&self, at: &str) -> sqlx::Result<TenantKey> {
        self.parsed(at)
    }

    fn parsed<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
        &self,
        at: &str,
    ) -> sqlx::Result<T> {
        self.try_get::<&str, _>(at)?.parse().map_err(|error| undecodable(at, error))
    }
}

pub(crate) fn undecodable<E: std::error::Error + Send + Sync + 'static>(at: &str, error: E) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: at.to_owned(), source: Box::new(error) }
}

/// A value as the document of its row.
pub(crate) fn document(
    what: &'static str,
    (kind, key): (&str, impl std::fmt::Display),
    value: &impl serde::Serialize,
) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|source| Error::Damaged {
        what,
        row: format!("{kind} {key}"),
        source: std::sync::Arc::new(source),
    })
}

/// `(?, ?, ?), (?, ?, ?)`: so many rows of so many columns.
pub(crate) fn places(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}

/// A delivery, wherever it is stored.
pub(crate) fn read_delivery(row: &SqliteRow) -> sqlx::Result<Delivery> {
    Ok(Delivery {
        id: DeliveryId(row.uuid("delivery")?),
        owner: TenantId(row.uuid("owner")?),
        tenant_id: TenantId(row.uuid("tenant_id")?),
        tenant: row.tenant("tenant")?,
        trigger: TriggerId(row.uuid("trigger_id")?),
        trigger_version: row.try_get::<i64, _>("version")? as u64,
        session: SessionId(row.uuid("session")?),
        rev: row.try_get("rev")?,
        matches: row.try_get("matches")?,
    })
}
