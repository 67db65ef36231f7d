//! Triggers, every version of them, with their secrets sealed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringpost_model::{Auth, TenantKey, Text, Timestamp, Trigger, TriggerId};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::change::{Kind, bump};
use crate::columns::{Columns, undecodable};
use crate::error::{Error, doing};
use crate::secret::Place;
use crate::store::Store;

/// A trigger as stored.
#[derive(Debug, Clone)]
pub struct StoredTrigger {
    /// Whose it is.
    pub tenant: TenantKey,
    /// Which version of it, from 1; every change makes a new one.
    pub version: u64,
    /// The trigger, secrets included.
    pub trigger: Trigger,
    /// When its first version was made.
    pub created: Timestamp,
    /// When this version was made.
    pub changed: Timestamp,
}

/// What the writer believes is there: two editors never overwrite each other unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever it is: for a declared configuration, which is right by definition.
    Anything,
    /// Nothing.
    Nothing,
    /// This version.
    Version(u64),
}

/// What of a trigger is sealed: all that can be, or hold, a secret. Additions to the payload too: receivers ask
/// for API keys there.
#[derive(Default, Serialize, Deserialize)]
struct Sealed {
    url: Text,
    headers: BTreeMap<Text, Text>,
    auth: Auth,
    secrets: Vec<Text>,
    custom_data: BTreeMap<Text, Text>,
}

const COLUMNS: &str = "SELECT t.id, t.tenant, v.version, t.created, v.made, v.document, v.sealed
    FROM triggers t JOIN trigger_versions v ON v.trigger_id = t.id";

impl Store {
    /// Makes or changes a trigger, and returns its version, which stays the same where nothing differs. What is
    /// owed for a paused or disabled one is held from now on; see [`Store::cancel_debts`] for the latter.
    ///
    /// # Errors
    /// Another version is there than expected, it is another tenant's, the tenant does not exist, or the store
    /// cannot be written.
    pub async fn put_trigger(
        &self,
        tenant: &TenantKey,
        trigger: &Trigger,
        expect: Expect,
        now: Timestamp,
    ) -> Result<u64, Error> {
        const WHAT: &str = "save a trigger";
        let id = trigger.id;
        let mut write = self.begin(WHAT).await?;
        let before = self.current(&mut write, id).await?;
        let found = before.as_ref().map_or(0, |(stored, removed)| if *removed { 0 } else { stored.version });
        let conflict = Error::Conflict { kind: "trigger", key: id.to_string(), found };
        match expect {
            Expect::Nothing if found != 0 => return Err(conflict),
            Expect::Version(version) if version != found => return Err(conflict),
            _ => {}
        }
        if let Some((stored, removed)) = &before {
            if stored.tenant != *tenant {
                let why = "it is another tenant's";
                return Err(Error::Refused { kind: "trigger", key: id.to_string(), why });
            }
            if !removed && same(&stored.trigger, trigger) {
                return Ok(stored.version);
            }
        }
        // A removed one comes back with its next version: what was owed by an old one is not mistaken for it.
        let version = before.map_or(1, |(stored, _)| stored.version + 1);
        self.insert_version(&mut write, tenant, trigger, version, now).await?;
        hold_debts(&mut write, trigger).await.map_err(doing(WHAT))?;
        bump(&mut write, Kind::Trigger, Some(tenant)).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(version)
    }

    /// Removes a trigger. Its versions stay as long as something refers to them. False = there was none.
    ///
    /// # Errors
    /// Another version is there than expected, or the store cannot be written.
    pub async fn remove_trigger(&self, id: TriggerId, expect: Expect, now: Timestamp) -> Result<bool, Error> {
        const WHAT: &str = "remove a trigger";
        let mut write = self.begin(WHAT).await?;
        let Some((stored, false)) = self.current(&mut write, id).await? else { return Ok(false) };
        if matches!(expect, Expect::Version(version) if version != stored.version) {
            let found = stored.version;
            return Err(Error::Conflict { kind: "trigger", key: id.to_string(), found });
        }
        let sql = "UPDATE triggers SET removed = ?, held = 1, off = 1 WHERE id = ?";
        let query = sqlx::query(sql).bind(now.micros()).bind(id.0.as_bytes().as_slice());
        query.execute(&mut *write).await.map_err(doing(WHAT))?;
        replace_version(&mut write, id, now).await.map_err(doing(WHAT))?;
        let held = sqlx::query("UPDATE debts SET held = 1 WHERE trigger_id = ? AND held = 0");
        held.bind(id.0.as_bytes().as_slice()).execute(&mut *write).await.map_err(doing(WHAT))?;
        bump(&mut write, Kind::Trigger, Some(&stored.tenant)).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(true)
    }

    /// The current version of a trigger that is not removed.
    ///
    /// # Errors
    /// The store cannot be read, or a secret does not open.
    pub async fn trigger(&self, id: TriggerId) -> Result<Option<StoredTrigger>, Error> {
        let sql = format!("{COLUMNS} AND v.version = t.version WHERE t.id = ? AND t.removed IS NULL");
        self.read_one("read a trigger", sql, id, None).await
    }

    /// One version of a trigger, whether current, former or removed: what is owed is rendered by it.
    ///
    /// # Errors
    /// The store cannot be read, or a secret does not open.
    pub async fn trigger_version(&self, id: TriggerId, version: u64) -> Result<Option<StoredTrigger>, Error> {
        let sql = format!("{COLUMNS} WHERE t.id = ? AND v.version = ?");
        self.read_one("read a version of a trigger", sql, id, Some(version)).await
    }

    /// The triggers of a tenant, by name.
    ///
    /// # Errors
    /// The store cannot be read, or a secret does not open.
    pub async fn triggers(&self, tenant: &TenantKey) -> Result<Vec<StoredTrigger>, Error> {
        const WHAT: &str = "read the triggers of a tenant";
        let sql = format!("{COLUMNS} AND v.version = t.version WHERE t.tenant = ? AND t.removed IS NULL");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(tenant.as_str());
        let rows = query.fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let mut triggers =
            rows.iter().map(|row| self.read_trigger(WHAT, row)).collect::<Result<Vec<_>, _>>()?;
        triggers.sort_by(|a, b| (&a.trigger.name, a.trigger.id).cmp(&(&b.trigger.name, b.trigger.id)));
        Ok(triggers)
    }

    async fn read_one(
        &self,
        what: &'static str,
        sql: String,
        id: TriggerId,
        version: Option<u64>,
    ) -> Result<Option<StoredTrigger>, Error> {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.0.as_bytes().as_slice());
        if let Some(version) = version {
            query = query.bind(version as i64);
        }
        let row = query.fetch_optional(self.readers()).await.map_err(doing(what))?;
        row.as_ref().map(|row| self.read_trigger(what, row)).transpose()
    }

    /// The current version, and whether it is removed.
    async fn current(
        &self,
        from: &mut SqliteConnection,
        id: TriggerId,
    ) -> Result<Option<(StoredTrigger, bool)>, Error> {
        const WHAT: &str = "read a trigger";
        let sql = "SELECT t.id, t.tenant, v.version, t.created, v.made, v.document, v.sealed, t.removed
            FROM triggers t JOIN trigger_versions v ON v.trigger_id = t.id AND v.version = t.version
            WHERE t.id = ?";
        let row = sqlx::query(sql).bind(id.0.as_bytes().as_slice()).fetch_optional(from).await;
        let Some(row) = row.map_err(doing(WHAT))? else { return Ok(None) };
        let removed: Option<i64> = row.try_get("removed").map_err(doing(WHAT))?;
        Ok(Some((self.read_trigger(WHAT, &row)?, removed.is_some())))
    }

    async fn insert_version(
        &self,
        to: &mut SqliteConnection,
        tenant: &TenantKey,
        trigger: &Trigger,
        version: u64,
        now: Timestamp,
    ) -> Result<(), Error> {
        const WHAT: &str = "save a trigger";
        let damaged = |source| damaged(WHAT, trigger.id, source);
        let (open, secret) = split(trigger);
        let document = serde_json::to_string(&open).map_err(damaged)?;
        let secret = serde_json::to_vec(&secret).map_err(damaged)?;
        let row = row_name(trigger.id, version);
        let sealed = self.seal(WHAT, &place(tenant, &row), trigger.id, &secret)?;
        let id = trigger.id.0.as_bytes().as_slice();
        let (off, held) = (!trigger.enabled, !trigger.enabled || trigger.paused);
        let sql = "INSERT INTO triggers (id, tenant, version, held, off, created, changed)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (id) DO UPDATE SET version = excluded.version,
            held = excluded.held, off = excluded.off, changed = excluded.changed, removed = NULL";
        let query = sqlx::query(sql).bind(id).bind(tenant.as_str()).bind(version as i64);
        let query = query.bind(held).bind(off).bind(now.micros());
        query.execute(&mut *to).await.map_err(|error| match error.as_database_error() {
            Some(database) if database.is_foreign_key_violation() => {
                Error::NotFound { kind: "tenant", key: tenant.to_string() }
            }
            _ => Error::database(WHAT, error),
        })?;
        replace_version(to, trigger.id, now).await.map_err(doing(WHAT))?;
        let sql = "INSERT INTO trigger_versions (trigger_id, version, document, sealed, made)
            VALUES (?, ?, ?, ?, ?)";
        let query = sqlx::query(sql).bind(id).bind(version as i64).bind(document).bind(sealed);
        query.bind(now.micros()).execute(to).await.map_err(doing(WHAT))?;
        Ok(())
    }

    fn read_trigger(&self, what: &'static str, row: &SqliteRow) -> Result<StoredTrigger, Error> {
        let failed = doing(what);
        let id = TriggerId(row.uuid("id").map_err(failed)?);
        let tenant = row.tenant("tenant").map_err(failed)?;
        let version = row.try_get::<i64, _>("version").map_err(failed)? as u64;
        let document: &str = row.try_get("document").map_err(failed)?;
        let mut trigger: Trigger =
            serde_json::from_str(document).map_err(|error| failed(undecodable("document", error)))?;
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

/// The version that was current is no longer.
async fn replace_version(to: &mut SqliteConnection, id: TriggerId, now: Timestamp) -> sqlx::Result<()> {
    let sql = "UPDATE trigger_versions SET replaced = ? WHERE trigger_id = ? AND replaced IS NULL";
    sqlx::query(sql).bind(now.micros()).bind(id.0.as_bytes().as_slice()).execute(to).await?;
    Ok(())
}

/// Debts of a paused or disabled trigger are not claimed.
async fn hold_debts(to: &mut SqliteConnection, trigger: &Trigger) -> sqlx::Result<()> {
    let held = !trigger.enabled || trigger.paused;
    let query = sqlx::query("UPDATE debts SET held = ?1 WHERE trigger_id = ?2 AND held <> ?1");
    query.bind(held).bind(trigger.id.0.as_bytes().as_slice()).execute(to).await?;
    Ok(())
}

fn split(trigger: &Trigger) -> (Trigger, Sealed) {
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

/// Compared as written: the model has no equality for filters, whose values are kept as text.
fn same(one: &Trigger, other: &Trigger) -> bool {
    match (serde_json::to_string(one), serde_json::to_string(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn row_name(id: TriggerId, version: u64) -> Vec<u8> {
    let mut name = id.0.as_bytes().to_vec();
    name.extend_from_slice(&version.to_be_bytes());
    name
}

fn place<'a>(tenant: &'a TenantKey, row: &'a [u8]) -> Place<'a> {
    Place { tenant: tenant.as_str().as_bytes(), row, column: "trigger_versions.sealed" }
}

fn damaged(what: &'static str, id: TriggerId, source: serde_json::Error) -> Error {
    Error::Damaged { what, row: format!("trigger {id}"), source: Arc::new(source) }
}
