//! Notices that wait to fire triggers, and to be sent as mail: an outbox, written together with what it tells.

use ringpost_model::{Notice, NoticeId, Timestamp};

use crate::columns::undecodable;
use crate::error::{Error, doing};
use crate::rows::{Rows, Unreadable};
use crate::sql::{self, Row, Tx};
use crate::store::Store;

const UNFIRED: &str =
    "SELECT id, document, at, rowid AS seq FROM notices WHERE fired = 0 AND (at, rowid) > ($1, $2)
    ORDER BY at, rowid LIMIT $3";
const UNMAILED: &str =
    "SELECT id, document, at, rowid AS seq FROM notices WHERE mailed = 0 AND (at, rowid) > ($1, $2)
    ORDER BY at, rowid LIMIT $3";

impl Store {
    /// Notices that no trigger was asked about yet, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unfired_notices(&self, limit: usize) -> Result<Rows<Notice>, Error> {
        self.waiting("list notices to fire", UNFIRED, limit).await
    }

    /// Notices that were not sent as mail yet, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unmailed_notices(&self, limit: usize) -> Result<Rows<Notice>, Error> {
        self.waiting("list notices to mail", UNMAILED, limit).await
    }

    /// These were sent as mail, or nobody wants them as such.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn mailed(&self, ids: &[NoticeId]) -> Result<(), Error> {
        const WHAT: &str = "mark notices as mailed";
        let mut write = self.begin(WHAT).await?;
        for id in ids {
            let query = sql::query("UPDATE notices SET mailed = 1 WHERE id = $1");
            let query = query.bind(id.0);
            query.execute(&mut write).await.map_err(doing(WHAT))?;
        }
        write.commit().await.map_err(doing(WHAT))
    }

    /// One notice, as long as it is kept.
    ///
    /// # Errors
    /// The store cannot be read, or this notice.
    pub async fn notice(&self, id: NoticeId) -> Result<Option<Notice>, Error> {
        const WHAT: &str = "read a notice";
        let query = sql::query("SELECT id, document FROM notices WHERE id = $1");
        let row = query.bind(id.0).fetch_optional(self.readers()).await;
        let row = row.map_err(doing(WHAT))?;
        row.as_ref().map(|row| named(WHAT, row).map_err(|unreadable| unreadable.error)).transpose()
    }

    /// Pages on until there are enough that can be read.
    async fn waiting(
        &self,
        what: &'static str,
        sql: &'static str,
        limit: usize,
    ) -> Result<Rows<Notice>, Error> {
        let mut found = Rows::new();
        let mut after = (Timestamp::from_micros(i64::MIN), i64::MIN);
        while found.len() < limit {
            let missing = (limit - found.len()) as i64;
            let query = sql::query(sql).bind(after.0.micros()).bind(after.1).bind(missing);
            let rows = query.fetch_all(self.readers()).await.map_err(doing(what))?;
            let Some(last) = rows.last() else { break };
            let place = |row: &Row| Ok((row.time("at")?, row.try_get("seq")?));
            after = place(last).map_err(doing(what))?;
            for row in &rows {
                found.push(named(what, row));
            }
        }
        Ok(found)
    }
}

/// Adds notices, each once, and marks those that have fired.
pub(crate) async fn put(to: &mut Tx, notices: &[Notice], fired: &[NoticeId]) -> sqlx::Result<()> {
    for notice in notices {
        let document = serde_json::to_string(notice).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        let sql =
            "INSERT INTO notices (id, tenant_id, at, document, fired, mailed) VALUES ($1, $2, $3, $4, 0, 0)
            ON CONFLICT DO NOTHING";
        let query = sql::query(sql).bind(notice.id.0);
        let query = query.bind(notice.tenant_id.0).bind(notice.at.micros());
        query.bind(document).execute(&mut *to).await?;
    }
    for id in fired {
        let query = sql::query("UPDATE notices SET fired = 1 WHERE id = $1");
        query.bind(id.0).execute(&mut *to).await?;
    }
    Ok(())
}

pub(crate) fn named(what: &'static str, row: &Row) -> Result<Notice, Unreadable> {
    read(row).map_err(|error| {
        let name = row.uuid("id").map_or_else(|_| "a notice".to_owned(), |id| format!("notice {id}"));
        Unreadable::new(what, name, error)
    })
}

fn read(row: &Row) -> sqlx::Result<Notice> {
    serde_json::from_str(row.try_get("document")?).map_err(|error| undecodable("document", error))
}
