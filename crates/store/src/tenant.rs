//! Tenants: a tree of resellers and their customers.

use ringpost_model::{Tenant, TenantKey, Timestamp};

use crate::change::{Kind, Written, bump};
use crate::columns::{document, undecodable};
use crate::error::{Error, doing};
use crate::rows::{Rows, Unreadable};
use crate::sql::{self, Row, Tx};
use crate::store::Store;

/// Deeper trees are mistakes: dispatch walks up at every call.
const DEPTH: usize = 16;

impl Store {
    /// Makes or changes a tenant. Its id and key stay: whoever has one has the other.
    ///
    /// # Errors
    /// The parent does not exist or is below it, the id is another tenant's, or the store cannot be written.
    pub async fn put_tenant(&self, tenant: &Tenant, now: Timestamp) -> Result<Written, Error> {
        const WHAT: &str = "save a tenant";
        let mut write = self.begin(WHAT).await?;
        let document = document(WHAT, ("tenant", &tenant.key), tenant)?;
        let query = sql::query("SELECT document, id FROM tenants WHERE key = $1").bind(tenant.key.as_str());
        let before = query.fetch_optional(&mut write).await.map_err(doing(WHAT))?;
        if let Some(before) = &before {
            if before.uuid("id").map_err(doing(WHAT))? != tenant.id.0 {
                return Err(refused(&tenant.key, "its id cannot be changed"));
            }
            // One that cannot be read is another: saved anew it is whole again.
            if read(before).is_ok_and(|before| before == *tenant) {
                return Ok(Written::Same);
            }
        }
        if let Some(parent) = &tenant.parent {
            check_parent(&mut write, &tenant.key, parent).await?;
        }
        let sql = "INSERT INTO tenants (key, id, parent, document, changed) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (key) DO UPDATE SET parent = excluded.parent, document = excluded.document,
            changed = excluded.changed";
        let query = sql::query(sql).bind(tenant.key.as_str()).bind(tenant.id.0);
        let query =
            query.bind(tenant.parent.as_ref().map(TenantKey::as_str)).bind(document).bind(now.micros());
        query.execute(&mut write).await.map_err(|error| match error.as_database_error() {
            Some(database) if database.is_unique_violation() => {
                refused(&tenant.key, "another tenant has its id")
            }
            _ => Error::database(WHAT, error),
        })?;
        bump(&mut write, Kind::Tenant, Some(&tenant.key)).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(if before.is_some() { Written::Changed } else { Written::Made })
    }

    /// Removes a tenant that has no tenant below it, no pbx, token, trigger or table. Its calls and log stay until their
    /// time. False = there was none.
    ///
    /// # Errors
    /// Something belongs to it, or the store cannot be written.
    pub async fn remove_tenant(&self, key: &TenantKey) -> Result<bool, Error> {
        const WHAT: &str = "remove a tenant";
        let mut write = self.begin(WHAT).await?;
        // Removed triggers are kept for what is owed; they go with their tenant.
        forget_removed_triggers(&mut write, key).await.map_err(doing(WHAT))?;
        let query = sql::query("DELETE FROM tenants WHERE key = $1").bind(key.as_str());
        let done = query.execute(&mut write).await.map_err(|error| match error.as_database_error() {
            Some(database) if database.is_foreign_key_violation() => {
                refused(key, "it has tenants below it, pbxs, tokens, triggers or tables: remove them first")
            }
            _ => Error::database(WHAT, error),
        })?;
        if done == 0 {
            return Ok(false);
        }
        bump(&mut write, Kind::Tenant, Some(key)).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(true)
    }

    /// A tenant.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn tenant(&self, key: &TenantKey) -> Result<Option<Tenant>, Error> {
        const WHAT: &str = "read a tenant";
        let query = sql::query("SELECT document FROM tenants WHERE key = $1").bind(key.as_str());
        let row = query.fetch_optional(self.readers()).await.map_err(doing(WHAT))?;
        row.as_ref().map(read).transpose().map_err(doing(WHAT))
    }

    /// Every tenant, by key: the tree is small, and read whole. One that cannot be read keeps no other back.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn tenants(&self) -> Result<Rows<Tenant>, Error> {
        const WHAT: &str = "read the tenants";
        let query = sql::query("SELECT document, key FROM tenants ORDER BY key");
        let rows = query.fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let name = |row: &Row| format!("tenant {}", row.try_get::<&str>("key").unwrap_or_default());
        let read = |row| read(row).map_err(|error| Unreadable::new(WHAT, name(row), error));
        Ok(rows.iter().map(read).collect())
    }
}

async fn find(from: &mut Tx, key: &TenantKey) -> sqlx::Result<Option<Tenant>> {
    let query = sql::query("SELECT document FROM tenants WHERE key = $1").bind(key.as_str());
    query.fetch_optional(from).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> sqlx::Result<Tenant> {
    serde_json::from_str(row.try_get(0)?).map_err(|error| undecodable("document", error))
}

/// Walks up from the parent: it must exist, and the tenant must not be met on the way.
async fn check_parent(from: &mut Tx, key: &TenantKey, parent: &TenantKey) -> Result<(), Error> {
    let mut above = Some(parent.clone());
    for _ in 0..DEPTH {
        let Some(here) = above else { return Ok(()) };
        if here == *key {
            return Err(refused(key, "it cannot be below itself"));
        }
        let found = find(&mut *from, &here).await.map_err(doing("read the parent of a tenant"))?;
        let found = found.ok_or_else(|| Error::NotFound { kind: "tenant", key: here.to_string() })?;
        above = found.parent;
    }
    Err(refused(key, "the tree of tenants is too deep"))
}

async fn forget_removed_triggers(to: &mut Tx, key: &TenantKey) -> sqlx::Result<()> {
    let versions = "DELETE FROM trigger_versions WHERE trigger_id IN
        (SELECT id FROM triggers WHERE tenant = $1 AND removed IS NOT NULL)";
    sql::query(versions).bind(key.as_str()).execute(&mut *to).await?;
    let triggers = "DELETE FROM triggers WHERE tenant = $1 AND removed IS NOT NULL";
    sql::query(triggers).bind(key.as_str()).execute(to).await?;
    Ok(())
}

fn refused(key: &TenantKey, why: &'static str) -> Error {
    Error::Refused { kind: "tenant", key: key.to_string(), why }
}
