//! Directories as they are listed, and single contacts.

use std::collections::BTreeMap;

use ringpost_model::{Contact, ContactField, Directory, TenantKey, Text, Timestamp};
use uuid::Uuid;

use super::{ContactEdit, StoredDirectory, StoredTables, directory_id};
use crate::change::{Kind, Written, bump};
use crate::columns::{self, undecodable};
use crate::error::{Error, doing};
use crate::postgres::locks;
use crate::sql::{self, Row, Tx};
use crate::store::Store;

impl Store {
    /// The directories of a tenant, or of all; by tenant and name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn directories(&self, tenant: Option<&TenantKey>) -> Result<Vec<StoredDirectory>, Error> {
        const WHAT: &str = "read the directories";
        let sql = "SELECT id, tenant, name, contacts, changed FROM directories
            WHERE $1 IS NULL OR tenant = $1 ORDER BY tenant, name";
        let query = sql::query(sql).bind(tenant.map(TenantKey::as_str));
        let rows = query.fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        rows.iter().map(stored).collect::<sqlx::Result<_>>().map_err(doing(WHAT))
    }

    /// Removes a directory with its contacts. False = there was none.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove_directory(&self, tenant: &TenantKey, name: &str) -> Result<bool, Error> {
        const WHAT: &str = "remove a directory";
        let mut write = self.begin(WHAT).await?;
        let id = directory_id(tenant, name);
        let query = sql::query("DELETE FROM directories WHERE id = $1").bind(id);
        if query.execute(&mut write).await.map_err(doing(WHAT))? == 0 {
            return Ok(false);
        }
        super::import::over(&mut write, id).await.map_err(doing(WHAT))?;
        bump(&mut write, Kind::Directory, Some(tenant)).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(true)
    }

    /// Makes or changes one contact of a directory that exists.
    ///
    /// # Errors
    /// There is no such directory, or the store cannot be written.
    pub async fn put_contact(
        &self,
        tenant: &TenantKey,
        directory: &str,
        contact: &Contact,
        now: Timestamp,
    ) -> Result<Written, Error> {
        const WHAT: &str = "save a contact";
        let document = document(WHAT, contact)?;
        let mut write = self.begin(WHAT).await?;
        let (id, edition) = edition(&mut write, WHAT, tenant, directory).await?;
        let before = "SELECT document FROM contacts WHERE directory = $1 AND edition = $2 AND id = $3";
        let query = sql::query(before).bind(id).bind(edition).bind(&*contact.id);
        let before = query.fetch_optional(&mut write).await.map_err(doing(WHAT))?;
        if before.as_ref().is_some_and(|row| row.try_get::<&str>(0).is_ok_and(|before| before == document)) {
            return Ok(Written::Same);
        }
        let sql = "INSERT INTO contacts (directory, edition, id, document) VALUES ($1, $2, $3, $4)
            ON CONFLICT (directory, edition, id) DO UPDATE SET document = excluded.document";
        let query = sql::query(sql).bind(id).bind(edition);
        query.bind(&*contact.id).bind(document).execute(&mut write).await.map_err(doing(WHAT))?;
        let more = i64::from(before.is_none());
        edited(&mut write, tenant, id, &contact.id, more, now).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(if before.is_some() { Written::Changed } else { Written::Made })
    }

    /// Removes one contact. False = there was none.
    ///
    /// # Errors
    /// There is no such directory, or the store cannot be written.
    pub async fn remove_contact(
        &self,
        tenant: &TenantKey,
        directory: &str,
        contact: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        const WHAT: &str = "remove a contact";
        let mut write = self.begin(WHAT).await?;
        let (id, edition) = edition(&mut write, WHAT, tenant, directory).await?;
        let sql = "DELETE FROM contacts WHERE directory = $1 AND edition = $2 AND id = $3";
        let query = sql::query(sql).bind(id).bind(edition).bind(contact);
        if query.execute(&mut write).await.map_err(doing(WHAT))? == 0 {
            return Ok(false);
        }
        edited(&mut write, tenant, id, contact, -1, now).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(true)
    }

    /// A tenant's tables without the contacts; of these only what was edited after `seq`, in order, each as it is now.
    /// All of one moment: for who has the rest of the same import loaded.
    ///
    /// # Errors
    /// The store cannot be read, or a contact is damaged.
    pub async fn table_update(
        &self,
        tenant: &TenantKey,
        seq: u64,
    ) -> Result<(StoredTables, Vec<ContactEdit>), Error> {
        const WHAT: &str = "read what was changed in the tables of a tenant";
        let mut read = self.readers().begin(WHAT).await?;
        let tables = super::read::lists_of(&mut read, tenant).await.map_err(doing(WHAT))?;
        let sql = "SELECT e.seq, e.directory, e.contact, c.document FROM contact_edits e
            JOIN directories d ON d.id = e.directory
            LEFT JOIN contacts c ON c.directory = e.directory AND c.edition = d.edition AND c.id = e.contact
            WHERE e.tenant = $1 AND e.seq > $2 ORDER BY e.seq";
        let query = sql::query(sql).bind(tenant.as_str()).bind(seq as i64);
        let rows = query.fetch_all(&mut read).await.map_err(doing(WHAT))?;
        let edit = |row: &Row| {
            let contact: &str = row.try_get(2)?;
            let document: Option<&str> = row.try_get(3)?;
            let now = document.map(|document| self::read(contact, document)).transpose()?;
            Ok(ContactEdit {
                directory: row.uuid("directory")?.to_string().into(),
                contact: contact.into(),
                now,
            })
        };
        let edits = rows.iter().map(edit).collect::<sqlx::Result<_>>().map_err(doing(WHAT))?;
        Ok((tables, edits))
    }
}

/// The directory's id, and whose contacts count.
async fn edition(
    from: &mut Tx,
    what: &'static str,
    tenant: &TenantKey,
    name: &str,
) -> Result<(Uuid, i64), Error> {
    let id = directory_id(tenant, name);
    let query = sql::query("SELECT edition FROM directories WHERE id = $1").bind(id);
    let row = query.fetch_optional(from).await.map_err(doing(what))?;
    let row = row.ok_or_else(|| Error::NotFound { kind: "directory", key: name.to_owned() })?;
    Ok((id, row.try_get(0).map_err(doing(what))?))
}

async fn edited(
    to: &mut Tx,
    tenant: &TenantKey,
    directory: Uuid,
    contact: &str,
    more: i64,
    now: Timestamp,
) -> sqlx::Result<()> {
    let id = directory;
    // Before its number is taken.
    locks::changes(to).await?;
    let sql = "UPDATE directories SET contacts = contacts + $1, changed = $2 WHERE id = $3";
    sql::query(sql).bind(more).bind(now.micros()).bind(id).execute(&mut *to).await?;
    let sql = "INSERT INTO contact_edits (tenant, directory, contact, at) VALUES ($1, $2, $3, $4)";
    let query = sql::query(sql).bind(tenant.as_str()).bind(id).bind(contact).bind(now.micros());
    query.execute(&mut *to).await?;
    bump(to, Kind::Contact, Some(tenant)).await
}

fn stored(row: &Row) -> sqlx::Result<StoredDirectory> {
    let id = row.uuid("id")?.to_string().into();
    Ok(StoredDirectory {
        tenant: row.tenant("tenant")?,
        directory: Directory { id, name: row.try_get::<&str>("name")?.into() },
        contacts: row.try_get::<i64>("contacts")? as u64,
        changed: row.time("changed")?,
    })
}

pub(super) fn document(what: &'static str, contact: &Contact) -> Result<String, Error> {
    columns::document(what, ("contact", &contact.id), &contact.fields)
}

pub(super) fn read(id: &str, document: &str) -> sqlx::Result<Contact> {
    let fields: BTreeMap<ContactField, Text> =
        serde_json::from_str(document).map_err(|error| undecodable("document", error))?;
    Ok(Contact { id: id.into(), fields })
}
