//! Triggers, every version of them: how they are made, changed and removed.

mod read;

use ringpost_model::{TenantKey, Timestamp, Trigger, TriggerId};

use crate::change::{Kind, bump};
use crate::error::{Error, doing, doing_under};
use crate::postgres::locks;
use crate::sql::{self, Tx};
use crate::store::Store;

use read::{damaged, place, row_name, split};

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

/// What is there when a trigger is to be changed.
struct Current {
    tenant: TenantKey,
    version: u64,
    /// None = it cannot be read.
    trigger: Option<Trigger>,
    is_removed: bool,
}

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
        // What is owed meanwhile would miss whether it is held.
        locks::configuration(&mut write).await.map_err(doing(WHAT))?;
        let before = self.current(&mut write, id).await?;
        let found = before.as_ref().map_or(0, |before| if before.is_removed { 0 } else { before.version });
        let conflict = Error::Conflict { kind: "trigger", key: id.to_string(), found };
        match expect {
            Expect::Nothing if found != 0 => return Err(conflict),
            Expect::Version(version) if version != found => return Err(conflict),
            _ => {}
        }
        if let Some(before) = &before {
            if before.tenant != *tenant {
                let why = "it is another tenant's";
                return Err(Error::Refused { kind: "trigger", key: id.to_string(), why });
            }
            // One that cannot be read is another: saved anew it is whole again.
            if !before.is_removed && before.trigger.as_ref().is_some_and(|before| same(before, trigger)) {
                return Ok(before.version);
            }
        }
        // A removed one comes back with its next version: what was owed by an old one is not mistaken for it.
        let version = before.map_or(1, |before| before.version + 1);
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
        locks::configuration(&mut write).await.map_err(doing(WHAT))?;
        let before = self.current(&mut write, id).await?;
        let Some(before) = before.filter(|before| !before.is_removed) else { return Ok(false) };
        if matches!(expect, Expect::Version(version) if version != before.version) {
            let found = before.version;
            return Err(Error::Conflict { kind: "trigger", key: id.to_string(), found });
        }
        let sql = "UPDATE triggers SET removed = $1, held = 1, off = 1 WHERE id = $2";
        let query = sql::query(sql).bind(now.micros()).bind(id.0);
        query.execute(&mut write).await.map_err(doing(WHAT))?;
        replace_version(&mut write, id, now).await.map_err(doing(WHAT))?;
        let held = sql::query("UPDATE debts SET held = 1 WHERE trigger_id = $1 AND held = 0");
        held.bind(id.0).execute(&mut write).await.map_err(doing(WHAT))?;
        bump(&mut write, Kind::Trigger, Some(&before.tenant)).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(true)
    }

    async fn current(&self, from: &mut Tx, id: TriggerId) -> Result<Option<Current>, Error> {
        const WHAT: &str = "read a trigger";
        let failed = doing(WHAT);
        let sql = "SELECT t.id, t.tenant, t.version, t.created, v.made, v.document, v.sealed, t.removed
            FROM triggers t LEFT JOIN trigger_versions v ON v.trigger_id = t.id AND v.version = t.version
            WHERE t.id = $1";
        let row = sql::query(sql).bind(id.0).fetch_optional(from).await;
        let Some(row) = row.map_err(failed)? else { return Ok(None) };
        Ok(Some(Current {
            tenant: row.tenant("tenant").map_err(failed)?,
            version: row.try_get::<i64>("version").map_err(failed)? as u64,
            trigger: self.read_trigger(WHAT, &row).ok().map(|stored| stored.trigger),
            is_removed: row.time_if_any("removed").map_err(failed)?.is_some(),
        }))
    }

    async fn insert_version(
        &self,
        to: &mut Tx,
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
        let id = trigger.id.0;
        let (off, held) = (!trigger.enabled, !trigger.enabled || trigger.paused);
        let sql = "INSERT INTO triggers (id, tenant, version, held, off, created, changed, holds)
            VALUES ($1, $2, $3, $4, $5, $6, $6, $7) ON CONFLICT (id) DO UPDATE SET version = excluded.version,
            held = excluded.held, off = excluded.off, changed = excluded.changed, removed = NULL,
            holds = excluded.holds";
        let query = sql::query(sql).bind(id).bind(tenant.as_str()).bind(version as i64);
        let query = query.bind(held).bind(off).bind(now.micros()).bind(trigger.holds());
        query.execute(&mut *to).await.map_err(doing_under(WHAT, "tenant", tenant))?;
        replace_version(to, trigger.id, now).await.map_err(doing(WHAT))?;
        let sql = "INSERT INTO trigger_versions (trigger_id, version, document, sealed, made)
            VALUES ($1, $2, $3, $4, $5)";
        let query = sql::query(sql).bind(id).bind(version as i64).bind(document).bind(sealed);
        query.bind(now.micros()).execute(to).await.map_err(doing(WHAT))?;
        Ok(())
    }
}

/// The version that was current is no longer.
async fn replace_version(to: &mut Tx, id: TriggerId, now: Timestamp) -> sqlx::Result<()> {
    let sql = "UPDATE trigger_versions SET replaced = $1 WHERE trigger_id = $2 AND replaced IS NULL";
    sql::query(sql).bind(now.micros()).bind(id.0).execute(to).await?;
    Ok(())
}

/// Debts of a paused or disabled trigger are not claimed; whether they wait for a receiver that is down is as the
/// trigger says now.
async fn hold_debts(to: &mut Tx, trigger: &Trigger) -> sqlx::Result<()> {
    let held = !trigger.enabled || trigger.paused;
    let sql = "UPDATE debts SET held = $1, holds = $2 WHERE trigger_id = $3 AND (held <> $1 OR holds <> $2)";
    let query = sql::query(sql).bind(held).bind(trigger.holds());
    query.bind(trigger.id.0).execute(to).await?;
    Ok(())
}

/// Compared as written: the model has no equality for filters, whose values are kept as text.
fn same(one: &Trigger, other: &Trigger) -> bool {
    match (serde_json::to_string(one), serde_json::to_string(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
