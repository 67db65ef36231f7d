//! Columns to values of the model, and back.

use ringpost_model::{Delivery, DeliveryId, SessionId, TenantId, TenantKey, Timestamp, TriggerId};
use sqlx::Row as _;
use uuid::Uuid;

use crate::error::Error;
use crate::sql::Row;

/// Reading of columns whose content we wrote: anything else is a decoding error of the row.
impl Row {
    pub(crate) fn uuid(&self, at: &str) -> sqlx::Result<Uuid> {
        match self {
            Self::Sqlite(row) => {
                Uuid::from_slice(row.try_get::<&[u8], _>(at)?).map_err(|error| undecodable(at, error))
            }
            Self::Postgres(row) => row.try_get(at),
        }
    }

    pub(crate) fn uuid_if_any(&self, at: &str) -> sqlx::Result<Option<Uuid>> {
        if self.is_null(at)? { Ok(None) } else { self.uuid(at).map(Some) }
    }

    pub(crate) fn time(&self, at: &str) -> sqlx::Result<Timestamp> {
        self.try_get(at).map(Timestamp::from_micros)
    }

    pub(crate) fn time_if_any(&self, at: &str) -> sqlx::Result<Option<Timestamp>> {
        Ok(self.try_get::<Option<i64>>(at)?.map(Timestamp::from_micros))
    }

    pub(crate) fn tenant(&self, at: &str) -> sqlx::Result<TenantKey> {
        self.parsed(at)
    }

    pub(crate) fn parsed<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
        &self,
        at: &str,
    ) -> sqlx::Result<T> {
        self.try_get::<&str>(at)?.parse().map_err(|error| undecodable(at, error))
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

/// `($1, $2), ($3, $4)`: so many rows of so many columns.
pub(crate) fn places(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let places: Vec<_> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// A delivery, wherever it is stored.
pub(crate) fn read_delivery(row: &Row) -> sqlx::Result<Delivery> {
    Ok(Delivery {
        id: DeliveryId(row.uuid("delivery")?),
        owner: TenantId(row.uuid("owner")?),
        tenant_id: TenantId(row.uuid("tenant_id")?),
        tenant: row.tenant("tenant")?,
        trigger: TriggerId(row.uuid("trigger_id")?),
        trigger_version: row.try_get::<i64>("version")? as u64,
        session: SessionId(row.uuid("session")?),
        rev: row.try_get("rev")?,
        matches: row.try_get("matches")?,
    })
}
