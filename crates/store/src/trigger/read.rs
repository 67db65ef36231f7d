//! How a trigger lies in its row, with its secrets sealed, and how it is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ringpost_model::{Auth, TenantKey, Text, Trigger, TriggerId};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::StoredTrigger;
use crate::error::{Error, doing};
use crate::rows::{Rows, Unreadable};
use crate::secret::Place;
use crate::sql::{self, Builder, Dialect, Query, Row, Sql, Value};
use crate::store::Store;

/// What of a trigger is sealed: all that can be, or hold, a secret. Additions to the payload too: receivers ask
/// for API keys there.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Sealed {
    url: Text,
    headers: BTreeMap<Text, Text>,
    auth: Auth,
    secrets: Vec<Text>,
    custom_data: BTreeMap<Text, Text>,
}

const COLUMNS: &str = "SELECT t.id, t.tenant, v.version, t.created, v.made, v.document, v.sealed
    FROM triggers t JOIN trigger_versions v ON v.trigger_id = t.id";

impl Store {
    /// The current version of a trigger that is not removed.
    ///
    /// # Errors
    /// The store cannot be read, or a secret does not open.
    pub async fn trigger(&self, id: TriggerId) -> Result<Option<StoredTrigger>, Error> {
        let sql = format!("{COLUMNS} AND v.version = t.version WHERE t.id = $1 AND t.removed IS NULL");
        self.read_one("read a trigger", sql, id, None).await
    }

    /// One version of a trigger, whether current, former or removed: what is owed is rendered by it.
    ///
    /// # Errors
    /// The store cannot be read, or a secret does not open.
    pub async fn trigger_version(&self, id: TriggerId, version: u64) -> Result<Option<StoredTrigger>, Error> {
        let sql = format!("{COLUMNS} WHERE t.id = $1 AND v.version = $2");
        self.read_one("read a version of a trigger", sql, id, Some(version)).await
    }

    /// The triggers of a tenant, by name. One that cannot be read keeps no other back.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn triggers(&self, tenant: &TenantKey) -> Result<Rows<StoredTrigger>, Error> {
        const WHAT: &str = "read the triggers of a tenant";
        let sql = format!("{COLUMNS} AND v.version = t.version WHERE t.tenant = $1 AND t.removed IS NULL");
        let query = sql::query(Sql::Both(AssertSqlSafe(sql).into_sql_str())).bind(tenant.as_str());
        let rows = query.fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let name =
            |row: &Row| row.uuid("id").map_or_else(|_| "a trigger".to_owned(), |id| format!("trigger {id}"));
        let read = |row| self.read_trigger(WHAT, row).map_err(|error| Unreadable { row: name(row), error });
        let mut triggers: Rows<_> = rows.iter().map(read).collect();
        triggers.found.sort_by(|a, b| (&a.trigger.name, a.trigger.id).cmp(&(&b.trigger.name, b.trigger.id)));
        Ok(triggers)
    }

    async fn read_one(
        &self,
        what: &'static str,
        sql: String,
        id: TriggerId,
        version: Option<u64>,
    ) -> Result<Option<StoredTrigger>, Error> {
        let mut query = sql::query(Sql::Both(AssertSqlSafe(sql).into_sql_str())).bind(id.0);
        if let Some(version) = version {
            query = query.bind(version as i64);
        }
        let row = query.fetch_optional(self.readers()).await.map_err(doing(what))?;
        row.as_ref().map(|row| self.read_trigger(what, row)).transpose()
    }

    /// These versions, as far as they are kept. Each is opened once.
    pub(crate) async fn trigger_versions(
        &self,
        what: &'static str,
        wanted: &HashSet<(TriggerId, u64)>,
    ) -> Result<HashMap<(TriggerId, u64), Result<Arc<StoredTrigger>, Error>>, Error> {
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = self.wanted(wanted).fetch_all(self.readers()).await.map_err(doing(what))?;
        let mut versions = HashMap::with_capacity(rows.len());
        for row in &rows {
            let id = TriggerId(row.uuid("id").map_err(doing(what))?);
            let version = row.try_get::<i64>("version").map_err(doing(what))? as u64;
            versions.insert((id, version), self.read_trigger(what, row).map(Arc::new));
        }
        Ok(versions)
    }

    /// From the few that are wanted to their rows.
    fn wanted(&self, wanted: &HashSet<(TriggerId, u64)>) -> Query {
        const FOUND: &str =
            "SELECT t.id, t.tenant, v.version, t.created, v.made, v.document, v.sealed FROM wanted w
            CROSS JOIN trigger_versions v JOIN triggers t ON t.id = w.id
            WHERE v.trigger_id = w.id AND v.version = w.version";
        let mut query = Builder::new(self.dialect(), "WITH wanted (id, version) AS (");
        match self.dialect() {
            Dialect::Postgres => {
                let ids = Value::ids(wanted.iter().map(|(id, _)| id.0));
                let versions = Value::integers(wanted.iter().map(|(_, version)| *version as i64));
                query.push("SELECT * FROM unnest(").push_bind(ids).push(", ").push_bind(versions).push(")");
            }
            Dialect::Sqlite => {
                for (at, (id, version)) in wanted.iter().enumerate() {
                    query.push(if at > 0 { ", (" } else { "VALUES (" }).push_bind(id.0);
                    query.push(", ").push_bind(*version as i64).push(")");
                }
            }
        }
        query.push(") ").push(FOUND);
        query.build()
    }

    pub(super) fn read_trigger(&self, what: &'static str, row: &Row) -> Result<StoredTrigger, Error> {
        let failed = doing(what);
        let id = TriggerId(row.uuid("id").map_err(failed)?);
        let tenant = row.tenant("tenant").map_err(failed)?;
        let version = row.try_get::<i64>("version").map_err(failed)? as u64;
        let document: &str = row.try_get("document").map_err(failed)?;
        let mut trigger: Trigger =
            serde_json::from_str(document).map_err(|source| damaged(what, id, source))?;
        let sealed: &[u8] = row.try_get("sealed").map_err(failed)?;
        let plain = self.unseal(what, &place(&tenant, &row_name(id, version)), id, sealed)?;
        let secret: Sealed = serde_json::from_slice(&plain).map_err(|source| damaged(what, id, source))?;
        trigger.url = secret.url;
        trigger.headers = secret.headers;
        trigger.auth = secret.auth;
        trigger.secrets = secret.secrets;
        trigger.custom_data = secret.custom_data;
        let created = row.time("created").map_err(failed)?;
        let changed = row.time("made").map_err(failed)?;
        Ok(StoredTrigger { tenant, version, trigger, created, changed })
    }
}

pub(super) fn split(trigger: &Trigger) -> (Trigger, Sealed) {
    let mut open = trigger.clone();
    let secret = Sealed {
        url: std::mem::take(&mut open.url),
        headers: std::mem::take(&mut open.headers),
        auth: std::mem::take(&mut open.auth),
        secrets: std::mem::take(&mut open.secrets),
        custom_data: std::mem::take(&mut open.custom_data),
    };
    (open, secret)
}

pub(super) fn row_name(id: TriggerId, version: u64) -> Vec<u8> {
    let mut name = id.0.as_bytes().to_vec();
    name.extend_from_slice(&version.to_be_bytes());
    name
}

pub(super) fn place<'a>(tenant: &'a TenantKey, row: &'a [u8]) -> Place<'a> {
    Place { tenant: tenant.as_str().as_bytes(), row, column: "trigger_versions.sealed" }
}

pub(super) fn damaged(what: &'static str, id: TriggerId, source: serde_json::Error) -> Error {
    Error::Damaged { what, row: format!("trigger {id}"), source: Arc::new(source) }
}
