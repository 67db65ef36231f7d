//! All tables of a tenant as of one moment.

use ringpost_model::{Contact, Directory, TenantKey};
use uuid::Uuid;

use super::{StoredTables, TableVersions, contacts, lists};
use crate::change::Kind;
use crate::error::{Error, doing};
use crate::sql::{self, Row, Tx};
use crate::store::Store;

/// Contacts read at once: what a step of it holds in memory.
const PAGE: i64 = 2_000;

impl Store {
    /// Reads a tenant's tables as of one moment. The contacts go to `each` with the place of their directory in the
    /// result, by directory and then by id; there may be a million.
    ///
    /// # Errors
    /// The store cannot be read, or what `each` says.
    pub async fn read_tables<E: From<Error>>(
        &self,
        tenant: &TenantKey,
        mut each: impl FnMut(&[Directory], usize, Contact) -> Result<(), E>,
    ) -> Result<StoredTables, E> {
        const WHAT: &str = "read the tables of a tenant";
        let failed = |error| E::from(Error::database(WHAT, error));
        let mut read = self.readers().begin(WHAT).await.map_err(E::from)?;
        let mut tables = lists_of(&mut read, tenant).await.map_err(failed)?;
        let editions = editions(&mut read, tenant).await.map_err(failed)?;
        for (at, (id, edition)) in editions.iter().enumerate() {
            let mut after = String::new();
            loop {
                let sql =
                    "SELECT id, document FROM contacts WHERE directory = $1 AND edition = $2 AND id > $3
                    ORDER BY id LIMIT $4";
                let query = sql::query(sql).bind(*id).bind(*edition).bind(after.as_str()).bind(PAGE);
                let rows = query.fetch_all(&mut read).await.map_err(failed)?;
                for row in &rows {
                    match contact(row) {
                        Ok(contact) => each(&tables.directories, at, contact)?,
                        Err(_) => tables.unreadable += 1,
                    }
                }
                let Some(last) = rows.last() else { break };
                after = last.try_get(0).map_err(failed)?;
            }
        }
        Ok(tables)
    }

    /// A tenant's tables without the contacts.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn table_lists(&self, tenant: &TenantKey) -> Result<StoredTables, Error> {
        const WHAT: &str = "read the tables of a tenant";
        let mut read = self.readers().begin(WHAT).await?;
        lists_of(&mut read, tenant).await.map_err(doing(WHAT))
    }

    /// Which state a tenant's tables are in.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn table_versions(&self, tenant: &TenantKey) -> Result<TableVersions, Error> {
        const WHAT: &str = "read the versions of a tenant's tables";
        let mut read = self.readers().begin(WHAT).await?;
        versions(&mut read, tenant).await.map_err(doing(WHAT))
    }
}

async fn versions(from: &mut Tx, tenant: &TenantKey) -> sqlx::Result<TableVersions> {
    let query = sql::query("SELECT kind, seq FROM changes WHERE tenant = $1").bind(tenant.as_str());
    let rows = query.fetch_all(&mut *from).await?;
    let seq = |kind: Kind| {
        let row = rows.iter().find(|row| row.try_get::<&str>(0).is_ok_and(|name| name == kind.name()));
        row.and_then(|row| row.try_get::<i64>(1).ok()).unwrap_or_default() as u64
    };
    let query = sql::query("SELECT coalesce(max(seq), 0) FROM contact_edits WHERE tenant = $1");
    let edits: i64 = query.bind(tenant.as_str()).fetch_one(from).await?.try_get(0)?;
    Ok(TableVersions {
        directories: seq(Kind::Directory),
        contacts: seq(Kind::Contact),
        edits: edits as u64,
        numbers: seq(Kind::Number),
        devices: seq(Kind::Device),
        tariffs: seq(Kind::Tariff),
    })
}

pub(super) async fn lists_of(from: &mut Tx, tenant: &TenantKey) -> sqlx::Result<StoredTables> {
    let versions = versions(&mut *from, tenant).await?;
    let sql = "SELECT id, name FROM directories WHERE tenant = $1 ORDER BY name, id";
    let rows = sql::query(sql).bind(tenant.as_str()).fetch_all(&mut *from).await?;
    let directory = |row: &Row| {
        let id = row.uuid("id")?.to_string().into();
        Ok(Directory { id, name: row.try_get::<&str>("name")?.into() })
    };
    let directories = rows.iter().map(directory).collect::<sqlx::Result<_>>()?;
    let (devices, lost_devices) = lists::devices(&mut *from, tenant).await?;
    let (tariffs, lost_tariffs) = lists::tariffs(&mut *from, tenant).await?;
    let numbers = lists::numbers(from, tenant).await?;
    let unreadable = lost_devices + lost_tariffs;
    Ok(StoredTables { versions, directories, numbers, devices, tariffs, unreadable })
}

/// Id of each directory, in the order of the table, and which of its contacts count.
async fn editions(from: &mut Tx, tenant: &TenantKey) -> sqlx::Result<Vec<(Uuid, i64)>> {
    let sql = "SELECT id, edition FROM directories WHERE tenant = $1 ORDER BY name, id";
    let rows = sql::query(sql).bind(tenant.as_str()).fetch_all(from).await?;
    rows.iter().map(|row| Ok((row.uuid("id")?, row.try_get("edition")?))).collect()
}

fn contact(row: &Row) -> sqlx::Result<Contact> {
    contacts::read(row.try_get(0)?, row.try_get(1)?)
}
