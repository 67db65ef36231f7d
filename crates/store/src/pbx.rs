//! Platforms that calls come from.

use ringpost_model::{Pbx, PbxKey, TenantKey, Timestamp};

use crate::change::{Kind, Written, bump};
use crate::columns::{document, undecodable};
use crate::error::{Error, doing, doing_under};
use crate::rows::{Rows, Unreadable};
use crate::sql::{self, Row, Tx};
use crate::store::Store;

impl Store {
    /// Makes or changes a pbx.
    ///
    /// # Errors
    /// Its tenant does not exist, or the store cannot be written.
    pub async fn put_pbx(&self, pbx: &Pbx, now: Timestamp) -> Result<Written, Error> {
        const WHAT: &str = "save a pbx";
        let mut write = self.begin(WHAT).await?;
        let before = find(&mut write, &pbx.key).await.map_err(doing(WHAT))?;
        // One that cannot be read is another: saved anew it is whole again.
        if before.as_ref().is_some_and(|before| before.pbx.as_ref() == Some(pbx)) {
            return Ok(Written::Same);
        }
        let document = document(WHAT, ("pbx", &pbx.key), pbx)?;
        let sql = "INSERT INTO pbxs (key, tenant, document, changed) VALUES ($1, $2, $3, $4)
            ON CONFLICT (key) DO UPDATE SET tenant = excluded.tenant, document = excluded.document,
            changed = excluded.changed";
        let tenant = pbx.tenant.as_ref();
        let query = sql::query(sql).bind(pbx.key.as_str()).bind(tenant.map(TenantKey::as_str));
        let done = query.bind(document).bind(now.micros()).execute(&mut write).await;
        done.map_err(doing_under(WHAT, "tenant", tenant.map_or("", TenantKey::as_str)))?;
        bump(&mut write, Kind::Pbx, tenant).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(if before.is_some() { Written::Changed } else { Written::Made })
    }

    /// Removes a pbx and its tokens. False = there was none.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove_pbx(&self, key: &PbxKey) -> Result<bool, Error> {
        const WHAT: &str = "remove a pbx";
        let mut write = self.begin(WHAT).await?;
        let Some(before) = find(&mut write, key).await.map_err(doing(WHAT))? else { return Ok(false) };
        for sql in ["DELETE FROM ingest_tokens WHERE pbx = $1", "DELETE FROM pbxs WHERE key = $1"] {
            let query = sql::query(sql).bind(key.as_str());
            query.execute(&mut write).await.map_err(doing(WHAT))?;
        }
        for kind in [Kind::IngestToken, Kind::Pbx] {
            bump(&mut write, kind, before.tenant.as_ref()).await.map_err(doing(WHAT))?;
        }
        write.commit().await.map_err(doing(WHAT))?;
        Ok(true)
    }

    /// A pbx.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pbx(&self, key: &PbxKey) -> Result<Option<Pbx>, Error> {
        const WHAT: &str = "read a pbx";
        let query = sql::query("SELECT document FROM pbxs WHERE key = $1").bind(key.as_str());
        let row = query.fetch_optional(self.readers()).await.map_err(doing(WHAT))?;
        row.as_ref().map(read).transpose().map_err(doing(WHAT))
    }

    /// Every pbx, by key. One that cannot be read keeps no other back.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pbxs(&self) -> Result<Rows<Pbx>, Error> {
        const WHAT: &str = "read the pbxs";
        let query = sql::query("SELECT document, key FROM pbxs ORDER BY key");
        let rows = query.fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let name = |row: &Row| format!("pbx {}", row.try_get::<&str>("key").unwrap_or_default());
        let read = |row| read(row).map_err(|error| Unreadable::new(WHAT, name(row), error));
        Ok(rows.iter().map(read).collect())
    }
}

/// What is there when a pbx is to be changed.
struct Before {
    tenant: Option<TenantKey>,
    /// None = it cannot be read.
    pbx: Option<Pbx>,
}

async fn find(from: &mut Tx, key: &PbxKey) -> sqlx::Result<Option<Before>> {
    let query = sql::query("SELECT document, tenant FROM pbxs WHERE key = $1").bind(key.as_str());
    let Some(row) = query.fetch_optional(from).await? else { return Ok(None) };
    let tenant: Option<&str> = row.try_get("tenant")?;
    let tenant = tenant.map(|_| row.tenant("tenant")).transpose()?;
    Ok(Some(Before { tenant, pbx: read(&row).ok() }))
}

fn read(row: &Row) -> sqlx::Result<Pbx> {
    serde_json::from_str(row.try_get(0)?).map_err(|error| undecodable("document", error))
}
