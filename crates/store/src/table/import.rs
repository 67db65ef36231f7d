//! An import of contacts: staged beside what counts, in short transactions, and put in its place by one.

use ringpost_model::{Contact, TenantKey, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::directory_id;
use crate::change::{Kind, bump};
use crate::columns::places;
use crate::error::{Error, doing, doing_under};
use crate::store::Store;

/// Rows of one statement: within what SQLite takes as parameters.
const ROWS: usize = 500;

/// An import that is under way. Dropped it leaves rows that nobody sees, until they are dropped with what is old.
#[derive(Debug)]
pub struct ContactImport {
    tenant: TenantKey,
    name: String,
    directory: Uuid,
    edition: i64,
    staged: u64,
}

impl Store {
    /// Begins to replace a directory, or to make it.
    ///
    /// # Errors
    /// The tenant does not exist, or the store cannot be written.
    pub async fn begin_contacts(
        &self,
        tenant: &TenantKey,
        name: &str,
        now: Timestamp,
    ) -> Result<ContactImport, Error> {
        const WHAT: &str = "begin an import of contacts";
        let mut write = self.begin(WHAT).await?;
        let query = sqlx::query("SELECT 1 FROM tenants WHERE key = ?").bind(tenant.as_str());
        if query.fetch_optional(&mut *write).await.map_err(doing(WHAT))?.is_none() {
            return Err(Error::NotFound { kind: "tenant", key: tenant.to_string() });
        }
        let directory = directory_id(tenant, name);
        let query = sqlx::query(
            "INSERT INTO editions (directory, started, state) VALUES (?, ?, 0) RETURNING edition",
        );
        let query = query.bind(directory.as_bytes().as_slice()).bind(now.micros());
        let edition = query.fetch_one(&mut *write).await.map_err(doing(WHAT))?.get(0);
        write.commit().await.map_err(doing(WHAT))?;
        Ok(ContactImport { tenant: tenant.clone(), name: name.to_owned(), directory, edition, staged: 0 })
    }

    /// Adds contacts to an import; of two with one id the later counts.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn stage_contacts(
        &self,
        import: &mut ContactImport,
        contacts: &[Contact],
    ) -> Result<(), Error> {
        const WHAT: &str = "import contacts";
        let mut write = self.begin(WHAT).await?;
        for rows in contacts.chunks(ROWS) {
            let sql = format!(
                "INSERT OR REPLACE INTO contacts (directory, edition, id, document) VALUES {}",
                places(rows.len(), 4)
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            for contact in rows {
                let document = super::contacts::document(WHAT, contact)?;
                query = query.bind(import.directory.as_bytes().as_slice()).bind(import.edition);
                query = query.bind(&*contact.id).bind(document);
            }
            query.execute(&mut *write).await.map_err(doing(WHAT))?;
        }
        write.commit().await.map_err(doing(WHAT))?;
        import.staged += contacts.len() as u64;
        Ok(())
    }

    /// Puts what was staged in the place of what was there. How many contacts there are now.
    ///
    /// # Errors
    /// The store cannot be written, or the tenant has gone meanwhile; then all is as before.
    pub async fn finish_contacts(&self, import: ContactImport, now: Timestamp) -> Result<u64, Error> {
        const WHAT: &str = "put imported contacts in place";
        let mut write = self.begin(WHAT).await?;
        let id = import.directory.as_bytes().as_slice();
        let query = sqlx::query("SELECT count(*) FROM contacts WHERE directory = ? AND edition = ?");
        let row = query.bind(id).bind(import.edition).fetch_one(&mut *write).await.map_err(doing(WHAT))?;
        let count: i64 = row.get(0);
        over(&mut write, import.directory).await.map_err(doing(WHAT))?;
        let query = sqlx::query("UPDATE editions SET state = 1 WHERE edition = ?").bind(import.edition);
        query.execute(&mut *write).await.map_err(doing(WHAT))?;
        let sql =
            "INSERT INTO directories (id, tenant, name, edition, contacts, changed) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET edition = excluded.edition, contacts = excluded.contacts,
            changed = excluded.changed";
        let query = sqlx::query(sql).bind(id).bind(import.tenant.as_str()).bind(&import.name);
        let query = query.bind(import.edition).bind(count).bind(now.micros());
        query.execute(&mut *write).await.map_err(doing_under(WHAT, "tenant", &import.tenant))?;
        bump(&mut write, Kind::Directory, Some(&import.tenant)).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(count as u64)
    }

    /// Forgets an import: what it staged goes with what is old.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn abandon_contacts(&self, import: ContactImport) -> Result<(), Error> {
        const WHAT: &str = "give an import up";
        let mut write = self.begin(WHAT).await?;
        let query = sqlx::query("UPDATE editions SET state = 2 WHERE edition = ?").bind(import.edition);
        query.execute(&mut *write).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))
    }
}

/// The contacts of a directory that count do so no longer.
pub(super) async fn over(to: &mut SqliteConnection, directory: Uuid) -> sqlx::Result<()> {
    let query = sqlx::query("UPDATE editions SET state = 2 WHERE directory = ? AND state = 1");
    query.bind(directory.as_bytes().as_slice()).execute(to).await?;
    Ok(())
}
