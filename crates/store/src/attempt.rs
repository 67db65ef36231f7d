//! The log: one row for each request that was made.

use std::collections::HashSet;
use std::fmt;

use ringpost_model::{AttemptId, Delivery, DeliveryId, SessionId, TenantId, Text, Timestamp, TriggerId};
use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, QueryBuilder, Row};
use uuid::Uuid;

use crate::columns::{Columns, places, undecodable};
use crate::day::Day;
use crate::error::{Error, doing_on};
use crate::exchange;
use crate::rows::{Rows, Unreadable};
use crate::secret::Place;
use crate::store::Store;

/// Rows of one statement.
const ROWS: usize = 16;
const COLUMNS: usize = 17;
/// Beyond so many owners one search over all of them is made, instead of one for each.
const ARMS: usize = 100;
/// No try takes longer, in microseconds: its deadline is some seconds.
const LONGEST_TRY: i64 = 600_000_000;
/// Everything but the exchange: lists do not read bodies.
const LISTED: &str = "SELECT id, delivery, owner, trigger_id, session, rev, number, queued, started, ended, class, \
    ok, last, status, error, address FROM attempts";

/// One request that was made, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// UUIDv7, made when the request started. The same id again is the same row.
    pub id: AttemptId,
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// Whose trigger it is: who may see it.
    pub owner: TenantId,
    /// Of which trigger.
    pub trigger: TriggerId,
    /// About which session.
    pub session: SessionId,
    /// Which revision of it.
    pub rev: u32,
    /// Number of this request within its delivery, from 1.
    pub number: u32,
    /// When it began to wait.
    pub queued: Timestamp,
    /// When the request started.
    pub started: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// Outcome class, as `deliver` names it.
    pub class: Text,
    /// It counts as delivered.
    pub ok: bool,
    /// Nothing follows: the delivery is over, delivered or not.
    pub last: bool,
    /// HTTP status, where an answer came.
    pub status: Option<u16>,
    /// What went wrong, in words and without secrets; else empty.
    pub error: Text,
    /// Address connected to; else empty.
    pub address: Text,
}

/// What went over the wire, sealed at rest.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Exchange {
    /// Method and URL.
    pub request_line: Text,
    /// In order.
    pub request_headers: Vec<(String, String)>,
    /// Of a GET: the part of the query that we appended.
    pub request_body: Vec<u8>,
    /// In order; empty without an answer.
    pub response_headers: Vec<(String, String)>,
    /// As far as it is kept.
    pub response_body: Vec<u8>,
    /// The body was longer.
    pub response_cut: bool,
}

/// Headers and bodies are not for a log.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("request_bytes", &self.request_body.len())
            .field("response_bytes", &self.response_body.len())
            .finish_non_exhaustive()
    }
}

/// An attempt with what went over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAttempt {
    /// Its row.
    pub attempt: Attempt,
    /// What went over the wire.
    pub exchange: Exchange,
}

/// Which attempts to list. Everything given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttemptFilter {
    /// Of these owners; empty = of all, for operators.
    pub owners: Vec<TenantId>,
    /// Of this trigger.
    pub trigger: Option<TriggerId>,
    /// About this session.
    pub session: Option<SessionId>,
    /// Of this outcome class.
    pub class: Option<Text>,
    /// Only those that did not deliver.
    pub failed: bool,
    /// Started at or after.
    pub from: Option<Timestamp>,
    /// Started before.
    pub to: Option<Timestamp>,
    /// Only older ones than this: the last one of the page before.
    pub before: Option<AttemptId>,
}

impl Store {
    /// Attempts, newest first, without what went over the wire.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn attempts(&self, filter: &AttemptFilter, limit: usize) -> Result<Rows<Attempt>, Error> {
        const WHAT: &str = "list attempts";
        let mut found = Rows::new();
        for day in self.inner.days.list(WHAT)?.into_iter().rev() {
            let missing = limit - found.len();
            if missing == 0 {
                break;
            }
            if !filter.may_hold_on(day) {
                continue;
            }
            let Some(database) = self.inner.days.find(WHAT, day).await? else { continue };
            let mut query = filter.query(missing);
            let rows = query.build().fetch_all(&database.readers).await.map_err(doing_on(WHAT, day))?;
            for row in &rows {
                found.push(read(row).map_err(|error| Unreadable::new(WHAT, name(row), error)));
            }
        }
        Ok(found)
    }

    /// One attempt with what went over the wire.
    ///
    /// # Errors
    /// The store cannot be read, or the exchange does not open.
    pub async fn attempt(&self, id: AttemptId) -> Result<Option<StoredAttempt>, Error> {
        const WHAT: &str = "read an attempt";
        let Some(day) = Day::of_attempt(id) else { return Ok(None) };
        let Some(database) = self.inner.days.find(WHAT, day).await? else { return Ok(None) };
        let query = sqlx::query("SELECT * FROM attempts WHERE id = ?").bind(id.0.as_bytes().as_slice());
        let row = query.fetch_optional(&database.readers).await.map_err(doing_on(WHAT, day))?;
        let Some(row) = row else { return Ok(None) };
        let attempt = read(&row).map_err(doing_on(WHAT, day))?;
        let sealed: &[u8] = row.try_get("sealed").map_err(doing_on(WHAT, day))?;
        let plain = self.unseal(WHAT, &place(&attempt), id, sealed)?;
        let exchange = exchange::read(&plain).map_err(|error| Error::Damaged {
            what: WHAT,
            row: format!("attempt {id}"),
            source: std::sync::Arc::new(error),
        })?;
        Ok(Some(StoredAttempt { attempt, exchange }))
    }

    /// How many tries of a trigger have failed (ended without having delivered) since then. To switch off triggers by:
    /// shared by all processes, and known after a restart. What is not settled yet is not counted.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn failed_tries(&self, trigger: TriggerId, since: Timestamp) -> Result<u64, Error> {
        const WHAT: &str = "count failed tries";
        // By when they started, at the earliest.
        let begun = since.plus_micros(-LONGEST_TRY);
        let mut failed = 0;
        for day in self.inner.days.list(WHAT)?.into_iter().rev().take_while(|day| day.end() > begun) {
            let Some(database) = self.inner.days.find(WHAT, day).await? else { continue };
            let sql =
                "SELECT count(*) FROM attempts WHERE trigger_id = ? AND ok = 0 AND id >= ? AND ended >= ?";
            let query = sqlx::query_scalar::<_, i64>(sql).bind(trigger.0.as_bytes().as_slice());
            let query = query.bind(first_id(begun).to_vec()).bind(since.micros());
            failed += query.fetch_one(&database.readers).await.map_err(doing_on(WHAT, day))? as u64;
        }
        Ok(failed)
    }

    /// Which of these deliveries have an attempt that delivered them, in the log of this time and after.
    pub(crate) async fn delivered_since(
        &self,
        deliveries: &[Delivery],
        since: Timestamp,
    ) -> Result<HashSet<DeliveryId>, Error> {
        const WHAT: &str = "look up which deliveries were delivered";
        let mut delivered = HashSet::new();
        for day in self.inner.days.list(WHAT)?.into_iter().rev().take_while(|day| day.end() > since) {
            let Some(database) = self.inner.days.find(WHAT, day).await? else { continue };
            for some in deliveries.chunks(500) {
                let mut query =
                    QueryBuilder::<Sqlite>::new("SELECT delivery FROM attempts WHERE ok = 1 AND ");
                push_in(&mut query, "session", some.iter().map(|delivery| delivery.session.0));
                for row in query.build().fetch_all(&database.readers).await.map_err(doing_on(WHAT, day))? {
                    delivered.insert(DeliveryId(row.uuid("delivery").map_err(doing_on(WHAT, day))?));
                }
            }
        }
        // A session is of many triggers.
        delivered.retain(|id| deliveries.iter().any(|delivery| delivery.id == *id));
        Ok(delivered)
    }

    /// Attempts and endings of days: which of these deliveries are over, as far as the log knows.
    pub(crate) async fn over_since(
        &self,
        deliveries: &[Delivery],
        since: Timestamp,
    ) -> Result<Vec<DeliveryId>, Error> {
        const WHAT: &str = "look up which deliveries are over";
        let mut over = Vec::new();
        for day in self.inner.days.list(WHAT)?.into_iter().rev().take_while(|day| day.end() > since) {
            match self.over_on(WHAT, day, deliveries).await {
                // Dispatch could not go on: better that a delivery of that day is made twice.
                Err(Error::Corrupt { .. }) => self.inner.days.set_aside(WHAT, day).await?,
                found => over.extend(found?),
            }
        }
        Ok(over)
    }

    async fn over_on(
        &self,
        what: &'static str,
        day: Day,
        deliveries: &[Delivery],
    ) -> Result<Vec<DeliveryId>, Error> {
        let mut over = Vec::new();
        if let Some(database) = self.inner.days.find(what, day).await? {
            for some in deliveries.chunks(500) {
                let mut query =
                    QueryBuilder::<Sqlite>::new("SELECT delivery FROM attempts WHERE last = 1 AND ");
                // By session, which has an index; a delivery is of one session.
                push_in(&mut query, "session", some.iter().map(|delivery| delivery.session.0));
                query.push(" UNION SELECT delivery FROM endings WHERE ");
                push_in(&mut query, "delivery", some.iter().map(|delivery| delivery.id.0));
                let rows = query.build().fetch_all(&database.readers).await.map_err(doing_on(what, day))?;
                for row in &rows {
                    over.push(DeliveryId(row.uuid("delivery").map_err(doing_on(what, day))?));
                }
            }
        }
        Ok(over)
    }

    /// Writes attempts of one day. One that is there already stays as it is.
    pub(crate) async fn insert_attempts(
        &self,
        to: &mut SqliteConnection,
        day: Day,
        attempts: &[&(Attempt, Exchange)],
    ) -> Result<(), Error> {
        const WHAT: &str = "write attempts";
        for some in attempts.chunks(ROWS) {
            let sql =
                format!("INSERT INTO attempts VALUES {} ON CONFLICT DO NOTHING", places(some.len(), COLUMNS));
            // Made of constants and a count only.
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (attempt, exchange) in some {
                let sealed = self.seal(WHAT, &place(attempt), attempt.id, &exchange::write(exchange))?;
                query = query
                    .bind(attempt.id.0.as_bytes().as_slice())
                    .bind(attempt.delivery.0.as_bytes().as_slice())
                    .bind(attempt.owner.0.as_bytes().as_slice())
                    .bind(attempt.trigger.0.as_bytes().as_slice())
                    .bind(attempt.session.0.as_bytes().as_slice())
                    .bind(attempt.rev)
                    .bind(attempt.number)
                    .bind(attempt.queued.micros())
                    .bind(attempt.started.micros())
                    .bind(attempt.ended.micros())
                    .bind(&*attempt.class)
                    .bind(attempt.ok)
                    .bind(attempt.last)
                    .bind(attempt.status)
                    .bind(&*attempt.error)
                    .bind(&*attempt.address)
                    .bind(sealed);
            }
            query.execute(&mut *to).await.map_err(doing_on(WHAT, day))?;
        }
        Ok(())
    }
}

impl AttemptFilter {
    fn may_hold_on(&self, day: Day) -> bool {
        let after = self.from.is_none_or(|from| day.end() > from);
        let before = self.to.is_none_or(|to| day.start() < to);
        let older = self.before.and_then(Day::of_attempt).is_none_or(|last| day <= last);
        after && before && older
    }

    /// Owners are searched apart, each with its own index and limit, and then put together: a large owner costs no
    /// more than the page that is read.
    fn query(&self, limit: usize) -> QueryBuilder<Sqlite> {
        let owners: Vec<Option<TenantId>> = match self.owners.len() {
            1..=ARMS => self.owners.iter().copied().map(Some).collect(),
            _ => vec![None],
        };
        let mut query = QueryBuilder::new("");
        for (at, owner) in owners.into_iter().enumerate() {
            query.push(if at > 0 { " UNION ALL SELECT * FROM (" } else { "SELECT * FROM (" });
            self.push_arm(&mut query, owner, limit);
            query.push(")");
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit as i64);
        query
    }

    fn push_arm(&self, query: &mut QueryBuilder<Sqlite>, owner: Option<TenantId>, limit: usize) {
        query.push(LISTED).push(" WHERE ");
        if let Some(owner) = owner {
            query.push("owner = ").push_bind(owner.0.as_bytes().to_vec());
        } else if self.owners.is_empty() {
            // A constant, for all that follows begins with AND.
            query.push("1");
        } else {
            push_in(query, "owner", self.owners.iter().map(|owner| owner.0));
        }
        if let Some(trigger) = self.trigger {
            query.push(" AND trigger_id = ").push_bind(trigger.0.as_bytes().to_vec());
        }
        if let Some(session) = self.session {
            query.push(" AND session = ").push_bind(session.0.as_bytes().to_vec());
        }
        if let Some(class) = &self.class {
            query.push(" AND class = ").push_bind(class.to_string());
        }
        if self.failed {
            // Written out: the index of failures is found by it.
            query.push(" AND ok = 0");
        }
        if let Some(from) = self.from {
            query.push(" AND id >= ").push_bind(first_id(from).to_vec());
            query.push(" AND started >= ").push_bind(from.micros());
        }
        if let Some(to) = self.to {
            query.push(" AND started < ").push_bind(to.micros());
        }
        if let Some(before) = self.before {
            query.push(" AND id < ").push_bind(before.0.as_bytes().to_vec());
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit as i64);
    }
}

/// The least UUIDv7 of a millisecond: an index of ids is an index of time.
fn first_id(time: Timestamp) -> [u8; 16] {
    let millis = time.micros().div_euclid(1_000).max(0) as u64;
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes
}

/// `column IN (?, ?, …)`.
pub(crate) fn push_in(query: &mut QueryBuilder<Sqlite>, column: &str, ids: impl Iterator<Item = Uuid>) {
    query.push(column).push(" IN (");
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(id.as_bytes().to_vec());
    }
    query.push(")");
}

fn name(row: &SqliteRow) -> String {
    row.uuid("id").map_or_else(|_| "an attempt".to_owned(), |id| format!("attempt {id}"))
}

fn read(row: &SqliteRow) -> sqlx::Result<Attempt> {
    let status: Option<i64> = row.try_get("status")?;
    let status = status.map(u16::try_from).transpose().map_err(|error| undecodable("status", error))?;
    Ok(Attempt {
        id: AttemptId(row.uuid("id")?),
        delivery: DeliveryId(row.uuid("delivery")?),
        owner: TenantId(row.uuid("owner")?),
        trigger: TriggerId(row.uuid("trigger_id")?),
        session: SessionId(row.uuid("session")?),
        rev: row.try_get("rev")?,
        number: row.try_get("number")?,
        queued: row.time("queued")?,
        started: row.time("started")?,
        ended: row.time("ended")?,
        class: row.try_get::<&str, _>("class")?.into(),
        ok: row.try_get("ok")?,
        last: row.try_get("last")?,
        status,
        error: row.try_get::<&str, _>("error")?.into(),
        address: row.try_get::<&str, _>("address")?.into(),
    })
}

fn place(attempt: &Attempt) -> Place<'_> {
    let (tenant, row) = (attempt.owner.0.as_bytes(), attempt.id.0.as_bytes());
    Place { tenant, row, column: "attempts.sealed" }
}
