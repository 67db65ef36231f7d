//! Rejected input, with its reason, to look at and to send in again.
//!
//! Written before anything moves past what was rejected. The key is the place the input came from, so what is read
//! again adds nothing.

use std::fmt;

use ringpost_model::{PbxKey, TenantKey, Text, Timestamp};
use sha2::{Digest, Sha256};

use crate::error::{Error, doing};
use crate::sql::{self, Builder, Dialect, Row};
use crate::store::Store;

/// Up to this size the input is kept whole.
pub const WHOLE_BYTES: usize = 256 << 10;
/// Of a larger one so much is kept.
pub const KEPT_BYTES: usize = 64 << 10;

/// Number of a dead letter, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(pub u64);

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Rejected input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it came from: names one input, e.g. topic, partition and offset, or request and element.
    pub position: Text,
    /// When it came.
    pub received: Timestamp,
    /// Why it was rejected.
    pub reason: Text,
    /// In which dialect it was read.
    pub dialect: Text,
    /// Whose it is, as far as known.
    pub tenant: Option<TenantKey>,
    /// From which pbx, as far as known.
    pub pbx: Option<PbxKey>,
    /// Length of the input.
    pub length: u64,
    /// Hash of the whole input.
    pub sha256: [u8; 32],
    /// The input, or its beginning.
    pub body: Vec<u8>,
}

/// A dead letter as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// Its number.
    pub id: DeadLetterId,
    /// When it was last sent in again.
    pub replayed: Option<Timestamp>,
    /// The letter. In lists without its body.
    pub letter: DeadLetter,
}

/// Which dead letters to list. Everything given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadLetterFilter {
    /// Of this tenant.
    pub tenant: Option<TenantKey>,
    /// From this pbx.
    pub pbx: Option<PbxKey>,
    /// For this reason.
    pub reason: Option<Text>,
    /// Received at or after.
    pub from: Option<Timestamp>,
    /// Received before.
    pub to: Option<Timestamp>,
    /// Also those that were sent in again.
    pub replayed: bool,
    /// Only those before this number: the last of the page before.
    pub before: Option<DeadLetterId>,
}

impl DeadLetter {
    /// A dead letter of an input, which is cut where it is too large.
    pub fn new(position: &str, received: Timestamp, reason: &str, dialect: &str, input: &[u8]) -> Self {
        let kept = if input.len() > WHOLE_BYTES { &input[..KEPT_BYTES] } else { input };
        Self {
            position: position.into(),
            received,
            reason: reason.into(),
            dialect: dialect.into(),
            tenant: None,
            pbx: None,
            length: input.len() as u64,
            sha256: Sha256::digest(input).into(),
            body: kept.to_vec(),
        }
    }

    /// The body is all of the input: it can be sent in again.
    pub fn is_whole(&self) -> bool {
        self.body.len() as u64 == self.length
    }
}

impl Store {
    /// Writes dead letters. One from a position that is known already is the same one. Returns how many were new.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn add_dead_letters(&self, letters: &[DeadLetter]) -> Result<u64, Error> {
        const WHAT: &str = "write dead letters";
        let mut write = self.begin(WHAT).await?;
        let sql = "INSERT INTO dead_letters
            (position, received, reason, dialect, tenant, pbx, length, sha256, body)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
        let mut added = 0;
        for letter in letters {
            let query = sql::query(sql)
                .bind(&*letter.position)
                .bind(letter.received.micros())
                .bind(&*letter.reason)
                .bind(&*letter.dialect)
                .bind(letter.tenant.as_ref().map(TenantKey::as_str))
                .bind(letter.pbx.as_ref().map(PbxKey::as_str))
                .bind(letter.length as i64)
                .bind(letter.sha256.as_slice())
                .bind(letter.body.as_slice());
            added += query.execute(&mut write).await.map_err(doing(WHAT))?;
        }
        write.commit().await.map_err(doing(WHAT))?;
        self.inner.metrics.count("dead_letters", added as usize);
        Ok(added)
    }

    /// Dead letters, newest first, without their bodies.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        limit: usize,
    ) -> Result<Vec<StoredDeadLetter>, Error> {
        const WHAT: &str = "list dead letters";
        let query = filter.query(self.dialect(), limit);
        let rows = query.build().fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(doing(WHAT))
    }

    /// One dead letter with its body.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<StoredDeadLetter>, Error> {
        const WHAT: &str = "read a dead letter";
        let query = sql::query("SELECT * FROM dead_letters WHERE id = $1").bind(id.0 as i64);
        let row = query.fetch_optional(self.readers()).await.map_err(doing(WHAT))?;
        row.as_ref().map(read).transpose().map_err(doing(WHAT))
    }

    /// Notes that dead letters were sent in again. Returns how many there were.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn mark_replayed(&self, ids: &[DeadLetterId], now: Timestamp) -> Result<u64, Error> {
        const WHAT: &str = "mark dead letters as replayed";
        let mut write = self.begin(WHAT).await?;
        let mut marked = 0;
        for id in ids {
            let query = sql::query("UPDATE dead_letters SET replayed = $1 WHERE id = $2");
            let query = query.bind(now.micros()).bind(id.0 as i64);
            marked += query.execute(&mut write).await.map_err(doing(WHAT))?;
        }
        write.commit().await.map_err(doing(WHAT))?;
        Ok(marked)
    }
}

impl DeadLetterFilter {
    fn query(&self, dialect: Dialect, limit: usize) -> Builder {
        let mut query = Builder::new(
            dialect,
            "SELECT id, position, received, reason, dialect, tenant, pbx, length, sha256, substr(body, 1, 0) AS body, replayed
            FROM dead_letters WHERE 1 = 1",
        );
        if let Some(tenant) = &self.tenant {
            query.push(" AND tenant = ").push_bind(tenant.to_string());
        }
        if let Some(pbx) = &self.pbx {
            query.push(" AND pbx = ").push_bind(pbx.to_string());
        }
        if let Some(reason) = &self.reason {
            query.push(" AND reason = ").push_bind(reason.to_string());
        }
        if let Some(from) = self.from {
            query.push(" AND received >= ").push_bind(from.micros());
        }
        if let Some(to) = self.to {
            query.push(" AND received < ").push_bind(to.micros());
        }
        if !self.replayed {
            query.push(" AND replayed IS NULL");
        }
        if let Some(before) = self.before {
            query.push(" AND id < ").push_bind(before.0 as i64);
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit as i64);
        query
    }
}

fn read(row: &Row) -> sqlx::Result<StoredDeadLetter> {
    let text = |at| Ok::<Text, sqlx::Error>(row.try_get::<&str>(at)?.into());
    let is_there = |at| Ok::<bool, sqlx::Error>(row.try_get::<Option<&str>>(at)?.is_some());
    let sha256: &[u8] = row.try_get("sha256")?;
    let letter = DeadLetter {
        position: text("position")?,
        received: row.time("received")?,
        reason: text("reason")?,
        dialect: text("dialect")?,
        tenant: is_there("tenant")?.then(|| row.tenant("tenant")).transpose()?,
        pbx: is_there("pbx")?.then(|| row.parsed("pbx")).transpose()?,
        length: row.try_get::<i64>("length")? as u64,
        sha256: sha256.try_into().map_err(|error| crate::columns::undecodable("sha256", error))?,
        body: row.try_get("body")?,
    };
    let id = DeadLetterId(row.try_get::<i64>("id")? as u64);
    Ok(StoredDeadLetter { id, replayed: row.time_if_any("replayed")?, letter })
}
