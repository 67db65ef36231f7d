//! The log: one row for each request that was made.

use std::collections::HashSet;
use std::fmt;

use ringpost_model::{AttemptId, Delivery, DeliveryId, SessionId, TenantId, Text, Timestamp, TriggerId};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::columns::{places, undecodable};
use crate::day::{Day, first_id};
use crate::error::Error;
use crate::exchange;
use crate::log::Part;
use crate::rows::{Rows, Unreadable};
use crate::secret::Place;
use crate::sql::{self, Builder, Dialect, Query, Row, Sql, Tx, Value};
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
        for part in self.log_parts(WHAT)? {
            let missing = limit - found.len();
            if missing == 0 {
                break;
            }
            if !filter.may_hold_in(part) {
                continue;
            }
            let Some(log) = self.log_part(WHAT, part).await? else { continue };
            let query = filter.query(self.dialect(), missing);
            let rows = query.build().fetch_all(log.readers()).await.map_err(part.failed(WHAT))?;
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
        let Some(part) = self.log_part_of(id) else { return Ok(None) };
        let Some(log) = self.log_part(WHAT, part).await? else { return Ok(None) };
        let query = sql::query("SELECT * FROM attempts WHERE id = $1").bind(id.0);
        let row = query.fetch_optional(log.readers()).await.map_err(part.failed(WHAT))?;
        let Some(row) = row else { return Ok(None) };
        let attempt = read(&row).map_err(part.failed(WHAT))?;
        let sealed: &[u8] = row.try_get("sealed").map_err(part.failed(WHAT))?;
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
        for part in self.log_parts(WHAT)?.into_iter().take_while(|part| part.end() > begun) {
            let Some(log) = self.log_part(WHAT, part).await? else { continue };
            let sql =
                "SELECT count(*) FROM attempts WHERE trigger_id = $1 AND ok = 0 AND id >= $2 AND ended >= $3";
            let query = sql::query(sql).bind(trigger.0).bind(first_id(begun)).bind(since.micros());
            let row = query.fetch_one(log.readers()).await.map_err(part.failed(WHAT))?;
            failed += row.try_get::<i64>(0).map_err(part.failed(WHAT))? as u64;
        }
        Ok(failed)
    }

    /// What was delivered about the sessions of these deliveries, in the log of this time and after: these, other
    /// revisions, those of other triggers. `during`: in
    /// PostgreSQL it is asked in the same transaction, or who holds a connection would wait for another one.
    pub(crate) async fn delivered_since(
        &self,
        deliveries: &[Delivery],
        since: Timestamp,
        during: &mut Tx,
    ) -> Result<HashSet<DeliveryId>, Error> {
        const WHAT: &str = "look up which deliveries were delivered";
        let mut delivered = HashSet::new();
        for part in self.log_parts(WHAT)?.into_iter().take_while(|part| part.end() > since) {
            let Some(log) = self.log_part(WHAT, part).await? else { continue };
            for some in deliveries.chunks(500) {
                let mut query =
                    Builder::new(self.dialect(), "SELECT delivery FROM attempts WHERE ok = 1 AND ");
                query.push_in("session", some.iter().map(|delivery| delivery.session.0));
                query.push(" AND id >= ").push_bind(Day::of(since).first_id());
                let rows = match self.dialect() {
                    Dialect::Sqlite => query.build().fetch_all(log.readers()).await,
                    Dialect::Postgres => query.build().fetch_all(&mut *during).await,
                };
                for row in rows.map_err(part.failed(WHAT))? {
                    delivered.insert(DeliveryId(row.uuid("delivery").map_err(part.failed(WHAT))?));
                }
            }
        }
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
        for part in self.log_parts(WHAT)?.into_iter().take_while(|part| part.end() > since) {
            match self.over_in(WHAT, part, deliveries, since).await {
                // Dispatch could not go on: better that a delivery of that day is made twice.
                Err(Error::Corrupt { .. }) if !self.is_shared() => self.set_part_aside(WHAT, part).await?,
                found => over.extend(found?),
            }
        }
        Ok(over)
    }

    async fn over_in(
        &self,
        what: &'static str,
        part: Part,
        deliveries: &[Delivery],
        since: Timestamp,
    ) -> Result<Vec<DeliveryId>, Error> {
        let mut over = Vec::new();
        let Some(log) = self.log_part(what, part).await? else { return Ok(over) };
        let first = Day::of(since);
        for some in deliveries.chunks(500) {
            let mut query = Builder::new(self.dialect(), "SELECT delivery FROM attempts WHERE last = 1 AND ");
            // By session, which has an index; a delivery is of one session.
            query.push_in("session", some.iter().map(|delivery| delivery.session.0));
            query.push(" AND id >= ").push_bind(first.first_id());
            query.push(" UNION SELECT delivery FROM endings WHERE ");
            query.push_in("delivery", some.iter().map(|delivery| delivery.id.0));
            if self.dialect() == Dialect::Postgres {
                query.push(" AND day >= ").push_bind(first.number());
            }
            for row in &query.build().fetch_all(log.readers()).await.map_err(part.failed(what))? {
                over.push(DeliveryId(row.uuid("delivery").map_err(part.failed(what))?));
            }
        }
        Ok(over)
    }

    /// Writes attempts; in files: of one day. One that is there already stays as it is.
    pub(crate) async fn insert_attempts(
        &self,
        to: &mut Tx,
        attempts: &[&(Attempt, Exchange)],
        failed: impl Fn(sqlx::Error) -> Error,
    ) -> Result<(), Error> {
        let rows = match to.dialect() {
            Dialect::Sqlite => ROWS,
            Dialect::Postgres => attempts.len().max(1),
        };
        for some in attempts.chunks(rows) {
            let query = match to.dialect() {
                Dialect::Sqlite => self.insert_places(some)?,
                Dialect::Postgres => self.insert_lists(some)?,
            };
            query.execute(&mut *to).await.map_err(&failed)?;
        }
        Ok(())
    }

    fn insert_places(&self, attempts: &[&(Attempt, Exchange)]) -> Result<Query, Error> {
        let text =
            format!("INSERT INTO attempts VALUES {} ON CONFLICT DO NOTHING", places(attempts.len(), COLUMNS));
        // Made of constants and a count only.
        let mut query = sql::query(Sql::Both(AssertSqlSafe(text).into_sql_str()));
        for (attempt, exchange) in attempts {
            query = query
                .bind(attempt.id.0)
                .bind(attempt.delivery.0)
                .bind(attempt.owner.0)
                .bind(attempt.trigger.0)
                .bind(attempt.session.0)
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
                .bind(self.sealed(attempt, exchange)?);
        }
        Ok(query)
    }

    /// One statement for any number of rows.
    pub(crate) fn insert_lists(&self, attempts: &[&(Attempt, Exchange)]) -> Result<Query, Error> {
        let sealed = attempts.iter().map(|(attempt, exchange)| self.sealed(attempt, exchange));
        let sealed = sealed.collect::<Result<Vec<_>, _>>()?;
        let rows = || attempts.iter().map(|(attempt, _)| attempt);
        Ok(sql::query(
            "INSERT INTO attempts SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                $15, $16, $17) ON CONFLICT DO NOTHING",
        )
        .bind(Value::ids(rows().map(|row| row.id.0)))
        .bind(Value::ids(rows().map(|row| row.delivery.0)))
        .bind(Value::ids(rows().map(|row| row.owner.0)))
        .bind(Value::ids(rows().map(|row| row.trigger.0)))
        .bind(Value::ids(rows().map(|row| row.session.0)))
        .bind(Value::integers(rows().map(|row| row.rev)))
        .bind(Value::integers(rows().map(|row| row.number)))
        .bind(Value::integers(rows().map(|row| row.queued.micros())))
        .bind(Value::integers(rows().map(|row| row.started.micros())))
        .bind(Value::integers(rows().map(|row| row.ended.micros())))
        .bind(Value::texts(rows().map(|row| &*row.class)))
        .bind(Value::integers(rows().map(|row| row.ok)))
        .bind(Value::integers(rows().map(|row| row.last)))
        .bind(Value::Integers(rows().map(|row| row.status.map(i64::from)).collect()))
        .bind(Value::texts(rows().map(|row| &*row.error)))
        .bind(Value::texts(rows().map(|row| &*row.address)))
        .bind(Value::Blobs(sealed)))
    }

    fn sealed(&self, attempt: &Attempt, exchange: &Exchange) -> Result<Vec<u8>, Error> {
        self.seal("write attempts", &place(attempt), attempt.id, &exchange::write(exchange))
    }
}

impl AttemptFilter {
    fn may_hold_in(&self, part: Part) -> bool {
        let after = self.from.is_none_or(|from| part.end() > from);
        let before = self.to.is_none_or(|to| part.start() < to);
        let day = self.before.and_then(Day::of_attempt);
        let older = day.is_none_or(|last| part.start() <= last.start());
        after && before && older
    }

    /// Owners are searched apart, each with its own index and limit, and then put together: a large owner costs no
    /// more than the page that is read.
    fn query(&self, dialect: Dialect, limit: usize) -> Builder {
        let owners: Vec<Option<TenantId>> = match self.owners.len() {
            1..=ARMS => self.owners.iter().copied().map(Some).collect(),
            _ => vec![None],
        };
        let mut query = Builder::new(dialect, "");
        for (at, owner) in owners.into_iter().enumerate() {
            query.push(if at > 0 { " UNION ALL SELECT * FROM (" } else { "SELECT * FROM (" });
            self.push_arm(&mut query, owner, limit);
            query.push(") AS arm");
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit as i64);
        query
    }

    fn push_arm(&self, query: &mut Builder, owner: Option<TenantId>, limit: usize) {
        query.push(LISTED).push(" WHERE ");
        if let Some(owner) = owner {
            query.push("owner = ").push_bind(owner.0);
        } else if self.owners.is_empty() {
            // A constant, for all that follows begins with AND.
            query.push("1 = 1");
        } else {
            query.push_in("owner", self.owners.iter().map(|owner| owner.0));
        }
        if let Some(trigger) = self.trigger {
            query.push(" AND trigger_id = ").push_bind(trigger.0);
        }
        if let Some(session) = self.session {
            query.push(" AND session = ").push_bind(session.0);
        }
        if let Some(class) = &self.class {
            query.push(" AND class = ").push_bind(class.to_string());
        }
        if self.failed {
            // Written out: the index of failures is found by it.
            query.push(" AND ok = 0");
        }
        if let Some(from) = self.from {
            query.push(" AND id >= ").push_bind(first_id(from));
            query.push(" AND started >= ").push_bind(from.micros());
        }
        if let Some(to) = self.to {
            query.push(" AND id < ").push_bind(first_id(to.plus_micros(1_000)));
            query.push(" AND started < ").push_bind(to.micros());
        }
        if let Some(before) = self.before {
            query.push(" AND id < ").push_bind(before.0);
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit as i64);
    }
}

fn name(row: &Row) -> String {
    row.uuid("id").map_or_else(|_| "an attempt".to_owned(), |id| format!("attempt {id}"))
}

fn read(row: &Row) -> sqlx::Result<Attempt> {
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
        class: row.try_get::<&str>("class")?.into(),
        ok: row.try_get("ok")?,
        last: row.try_get("last")?,
        status,
        error: row.try_get::<&str>("error")?.into(),
        address: row.try_get::<&str>("address")?.into(),
    })
}

fn place(attempt: &Attempt) -> Place<'_> {
    let (tenant, row) = (attempt.owner.0.as_bytes(), attempt.id.0.as_bytes());
    Place { tenant, row, column: "attempts.sealed" }
}
