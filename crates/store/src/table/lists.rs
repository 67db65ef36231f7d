//! Public numbers, devices and tariffs: small tables, replaced whole in one transaction.

use ringpost_model::{Device, PriceList, PublicNumber, TenantKey, Timestamp};

use crate::change::{Kind, Written, bump};
use crate::columns::{document, undecodable};
use crate::error::{Error, doing, doing_under};
use crate::sql::{self, Row, Tx};
use crate::store::Store;

/// Numbers or devices of one tenant: they are written in one transaction, which all others wait for.
pub const MOST_ROWS: usize = 100_000;

impl Store {
    /// Replaces the public numbers of a tenant.
    ///
    /// # Errors
    /// The tenant does not exist, there are too many, or the store cannot be written; then all is as before.
    pub async fn put_numbers(&self, tenant: &TenantKey, numbers: &[PublicNumber]) -> Result<(), Error> {
        let rows = numbers.iter().map(|one| Ok((&*one.number, one.name.to_string())));
        let insert = "INSERT INTO numbers (tenant, number, name) VALUES ($1, $2, $3)
            ON CONFLICT (tenant, number) DO UPDATE SET name = excluded.name";
        self.replace(Kind::Number, tenant, "DELETE FROM numbers WHERE tenant = $1", insert, rows).await
    }

    /// Replaces the devices of a tenant.
    ///
    /// # Errors
    /// As [`Store::put_numbers`].
    pub async fn put_devices(&self, tenant: &TenantKey, devices: &[Device]) -> Result<(), Error> {
        let rows = devices
            .iter()
            .map(|one| Ok((&*one.number, document("save a device", ("device", &one.number), one)?)));
        let insert = "INSERT INTO devices (tenant, number, document) VALUES ($1, $2, $3)
            ON CONFLICT (tenant, number) DO UPDATE SET document = excluded.document";
        self.replace(Kind::Device, tenant, "DELETE FROM devices WHERE tenant = $1", insert, rows).await
    }

    async fn replace<'a>(
        &self,
        kind: Kind,
        tenant: &TenantKey,
        delete: &'static str,
        insert: &'static str,
        rows: impl ExactSizeIterator<Item = Result<(&'a str, String), Error>>,
    ) -> Result<(), Error> {
        const WHAT: &str = "replace a table";
        if rows.len() > MOST_ROWS {
            let why = "a table of numbers or devices has 100,000 rows at most";
            return Err(Error::Refused { kind: "tenant", key: tenant.to_string(), why });
        }
        let mut write = self.begin(WHAT).await?;
        let query = sql::query(delete).bind(tenant.as_str());
        query.execute(&mut write).await.map_err(doing(WHAT))?;
        for row in rows {
            let (number, value) = row?;
            let query = sql::query(insert).bind(tenant.as_str()).bind(number).bind(value);
            query.execute(&mut write).await.map_err(doing_under(WHAT, "tenant", tenant))?;
        }
        bump(&mut write, kind, Some(tenant)).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))
    }

    /// Makes or replaces a tariff, by its name.
    ///
    /// # Errors
    /// The tenant does not exist, or the store cannot be written.
    pub async fn put_tariff(
        &self,
        tenant: &TenantKey,
        tariff: &PriceList,
        now: Timestamp,
    ) -> Result<Written, Error> {
        const WHAT: &str = "save a tariff";
        let mut write = self.begin(WHAT).await?;
        let query = sql::query("SELECT document FROM tariffs WHERE tenant = $1 AND name = $2");
        let query = query.bind(tenant.as_str()).bind(&*tariff.name);
        let before = query.fetch_optional(&mut write).await.map_err(doing(WHAT))?;
        if before.as_ref().is_some_and(|row| tariff_of(row).is_ok_and(|before| before == *tariff)) {
            return Ok(Written::Same);
        }
        let document = document(WHAT, ("tariff", &tariff.name), tariff)?;
        let sql = "INSERT INTO tariffs (tenant, name, document, changed) VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant, name) DO UPDATE SET document = excluded.document, changed = excluded.changed";
        let query = sql::query(sql).bind(tenant.as_str()).bind(&*tariff.name).bind(document);
        let done = query.bind(now.micros()).execute(&mut write).await;
        done.map_err(doing_under(WHAT, "tenant", tenant))?;
        bump(&mut write, Kind::Tariff, Some(tenant)).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(if before.is_some() { Written::Changed } else { Written::Made })
    }

    /// Removes a tariff. False = there was none.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove_tariff(&self, tenant: &TenantKey, name: &str) -> Result<bool, Error> {
        const WHAT: &str = "remove a tariff";
        let mut write = self.begin(WHAT).await?;
        let query = sql::query("DELETE FROM tariffs WHERE tenant = $1 AND name = $2");
        let done = query.bind(tenant.as_str()).bind(name).execute(&mut write).await.map_err(doing(WHAT))?;
        if done == 0 {
            return Ok(false);
        }
        bump(&mut write, Kind::Tariff, Some(tenant)).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(true)
    }
}

pub(super) async fn numbers(from: &mut Tx, tenant: &TenantKey) -> sqlx::Result<Vec<PublicNumber>> {
    let query = sql::query("SELECT number, name FROM numbers WHERE tenant = $1 ORDER BY number");
    let rows = query.bind(tenant.as_str()).fetch_all(from).await?;
    let read = |row: &Row| {
        Ok(PublicNumber { number: row.try_get::<&str>(0)?.into(), name: row.try_get::<&str>(1)?.into() })
    };
    rows.iter().map(read).collect()
}

/// Those that can be read; and how many cannot.
pub(super) async fn devices(from: &mut Tx, tenant: &TenantKey) -> sqlx::Result<(Vec<Device>, u64)> {
    let query = sql::query("SELECT document FROM devices WHERE tenant = $1 ORDER BY number");
    let rows = query.bind(tenant.as_str()).fetch_all(from).await?;
    let read = |row: &Row| serde_json::from_str(row.try_get(0).ok()?).ok();
    let devices: Vec<Device> = rows.iter().filter_map(read).collect();
    let unreadable = (rows.len() - devices.len()) as u64;
    Ok((devices, unreadable))
}

/// The same for tariffs.
pub(super) async fn tariffs(from: &mut Tx, tenant: &TenantKey) -> sqlx::Result<(Vec<PriceList>, u64)> {
    let query = sql::query("SELECT document FROM tariffs WHERE tenant = $1 ORDER BY name");
    let rows = query.bind(tenant.as_str()).fetch_all(from).await?;
    let tariffs: Vec<PriceList> = rows.iter().filter_map(|row| tariff_of(row).ok()).collect();
    let unreadable = (rows.len() - tariffs.len()) as u64;
    Ok((tariffs, unreadable))
}

fn tariff_of(row: &Row) -> sqlx::Result<PriceList> {
    serde_json::from_str(row.try_get(0)?).map_err(|error| undecodable("document", error))
}
