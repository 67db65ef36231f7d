//! An import of contacts: staged beside what counts, in short transactions, and put in its place by one.

use std::collections::BTreeMap;

use ringpost_model::{Contact, TenantKey, Timestamp};
use sqlx::{AssertSqlSafe, SqlSafeStr};
use uuid::Uuid;

use super::directory_id;
use crate::change::{Kind, bump};
use crate::columns::places;
use crate::error::{Error, doing, doing_under};
use crate::sql::{self, Dialect, Query, Sql, Tx, Value};
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
        let query = sql::query("SELECT 1 FROM tenants WHERE key = $1").bind(tenant.as_str());
        if query.fetch_optional(&mut write).await.map_err(doing(WHAT))?.is_none() {
            return Err(Error::NotFound { kind: "tenant", key: tenant.to_string() });
        }
        let directory = directory_id(tenant, name);
        let query = sql::query(
            "INSERT INTO editions (directory, started, state) VALUES ($1, $2, 0) RETURNING edition",
        );
        let query = query.bind(directory).bind(now.micros());
        let edition = query.fetch_one(&mut write).await.map_err(doing(WHAT))?;
        let edition = edition.try_get(0).map_err(doing(WHAT))?;
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
            self.insert_contacts(WHAT, import, rows)?.execute(&mut write).await.map_err(doing(WHAT))?;
        }
        write.commit().await.map_err(doing(WHAT))?;
        import.staged += contacts.len() as u64;
        Ok(())
    }

    fn insert_contacts(
        &self,
        what: &'static str,
        import: &ContactImport,
        contacts: &[Contact],
    ) -> Result<Query, Error> {
        // Of two with one id the later; one statement writes a row once.
        let each: BTreeMap<&str, &Contact> = contacts.iter().map(|contact| (&*contact.id, contact)).collect();
        let documents = each.values().map(|contact| super::contacts::document(what, contact));
        let documents = documents.collect::<Result<Vec<_>, _>>()?;
        if self.dialect() == Dialect::Postgres {
            let sql = "INSERT INTO contacts (directory, edition, id, document)
                SELECT $1, $2, n.id, n.document FROM unnest($3, $4) AS n (id, document)
                ON CONFLICT (directory, edition, id) DO UPDATE SET document = excluded.document";
            let query = sql::query(sql).bind(import.directory).bind(import.edition);
            let documents = documents.into_iter().map(Some).collect();
            return Ok(query.bind(Value::texts(each.into_keys())).bind(Value::Texts(documents)));
        }
        let places = places(each.len(), 4);
        let text = format!(
            "INSERT INTO contacts (directory, edition, id, document) VALUES {places}
            ON CONFLICT (directory, edition, id) DO UPDATE SET document = excluded.document"
        );
        // Made of constants and a count only.
        let mut query = sql::query(Sql::Both(AssertSqlSafe(text).into_sql_str()));
        for (id, document) in each.into_keys().zip(documents) {
            query = query.bind(import.directory).bind(import.edition).bind(id).bind(document);
        }
        Ok(query)
    }

    /// Puts what was staged in the place of what was there. How many contacts there are now.
    ///
    /// # Errors
    /// The store cannot be written, or the tenant has gone meanwhile; then all is as before.
    pub async fn finish_contacts(&self, import: ContactImport, now: Timestamp) -> Result<u64, Error> {
        const WHAT: &str = "put imported contacts in place";
        let mut write = self.begin(WHAT).await?;
        let id = import.directory;
        let query = sql::query("SELECT count(*) FROM contacts WHERE directory = $1 AND edition = $2");
        let row = query.bind(id).bind(import.edition).fetch_one(&mut write).await.map_err(doing(WHAT))?;
        let count: i64 = row.try_get(0).map_err(doing(WHAT))?;
        over(&mut write, import.directory).await.map_err(doing(WHAT))?;
        let query = sql::query("UPDATE editions SET state = 1 WHERE edition = $1").bind(import.edition);
        query.execute(&mut write).await.map_err(doing(WHAT))?;
        let sql =
            "INSERT INTO directories (id, tenant, name, edition, contacts, changed) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (id) DO UPDATE SET edition = excluded.edition, contacts = excluded.contacts,
            changed = excluded.changed";
        let query = sql::query(sql).bind(id).bind(import.tenant.as_str()).bind(import.name.as_str());
        let query = query.bind(import.edition).bind(count).bind(now.micros());
        query.execute(&mut write).await.map_err(doing_under(WHAT, "tenant", &import.tenant))?;
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
        let query = sql::query("UPDATE editions SET state = 2 WHERE edition = $1").bind(import.edition);
        query.execute(&mut write).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))
    }
}

/// The contacts of a directory that count do so no longer.
pub(super) async fn over(to: &mut Tx, directory: Uuid) -> sqlx::Result<()> {
    let query = sql::query("UPDATE editions SET state = 2 WHERE directory = $1 AND state = 1");
    query.bind(directory).execute(to).await?;
    Ok(())
}
