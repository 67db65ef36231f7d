//! Deliveries that are over without having been delivered: in the log of their day, to be shown and replayed.

use std::collections::BTreeMap;

use ringpost_model::{Delivery, DeliveryId, SessionId, TenantId, Text, Timestamp, TriggerId};

use crate::columns::{read_delivery, undecodable};
use crate::day::Day;
use crate::error::Error;
use crate::rows::{Rows, Unreadable};
use crate::sql::{self, Builder, Dialect, Row, Tx, Value};
use crate::store::Store;

/// A delivery that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Which one.
    pub delivery: Delivery,
    /// How.
    pub ending: Ending,
    /// Why, for people; may be empty.
    pub reason: Text,
    /// When.
    pub at: Timestamp,
}

/// How a delivery is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The receiver has it. Told by the last attempt, so not written as an ending.
    Delivered,
    /// It was given up.
    Failed,
    /// Its trigger was disabled or removed.
    Cancelled,
    /// A newer revision goes in its place.
    Superseded,
}

/// Which endings to list. Everything given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndingFilter {
    /// For triggers of these owners; empty = of all, for operators.
    pub owners: Vec<TenantId>,
    /// For this trigger.
    pub trigger: Option<TriggerId>,
    /// About this session.
    pub session: Option<SessionId>,
    /// Of this kind.
    pub ending: Option<Ending>,
    /// Over at or after.
    pub from: Option<Timestamp>,
    /// Over before.
    pub to: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
#[error("unknown ending {0:?}")]
struct UnknownEnding(String);

impl Ending {
    const ALL: [Self; 4] = [Self::Delivered, Self::Failed, Self::Cancelled, Self::Superseded];

    /// The name in log and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }
}

impl Store {
    /// Deliveries that are over without having been delivered, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn endings(&self, filter: &EndingFilter, limit: usize) -> Result<Rows<Ended>, Error> {
        const WHAT: &str = "list deliveries that are over";
        let mut found = Rows::new();
        for part in self.log_parts(WHAT)? {
            if found.len() >= limit {
                break;
            }
            let later = filter.to.is_some_and(|to| part.start() >= to);
            let earlier = filter.from.is_some_and(|from| part.end() <= from);
            if later || earlier {
                continue;
            }
            let Some(log) = self.log_part(WHAT, part).await? else { continue };
            let query = filter.query(self.dialect(), limit - found.len());
            for row in query.build().fetch_all(log.readers()).await.map_err(part.failed(WHAT))? {
                found.push(read(&row).map_err(|error| Unreadable::new(WHAT, name(&row), error)));
            }
        }
        Ok(found)
    }
}

impl EndingFilter {
    fn query(&self, dialect: Dialect, limit: usize) -> Builder {
        let mut query = Builder::new(dialect, "SELECT * FROM endings WHERE ");
        if self.owners.is_empty() {
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
        if let Some(ending) = self.ending {
            query.push(" AND how = ").push_bind(ending.name());
        }
        if let Some(from) = self.from {
            query.push(" AND at >= ").push_bind(from.micros());
            push_day(&mut query, " AND day >= ", from);
        }
        if let Some(to) = self.to {
            query.push(" AND at < ").push_bind(to.micros());
            push_day(&mut query, " AND day <= ", to);
        }
        query.push(" ORDER BY at DESC, delivery LIMIT ").push_bind(limit as i64);
        query
    }
}

/// For PostgreSQL, where the table lies by day; a file is of one.
fn push_day(query: &mut Builder, condition: &str, time: Timestamp) {
    if query.dialect() == Dialect::Postgres {
        query.push(condition).push_bind(Day::of(time).number());
    }
}

/// Writes endings, in files: of one day. A later ending of the same delivery and day (it was replayed) takes the place
/// of the former.
pub(crate) async fn insert(to: &mut Tx, endings: &[&Ended]) -> sqlx::Result<()> {
    match to.dialect() {
        Dialect::Sqlite => insert_each(to, endings).await,
        Dialect::Postgres if endings.is_empty() => Ok(()),
        Dialect::Postgres => insert_lists(to, endings).await,
    }
}

async fn insert_each(to: &mut Tx, endings: &[&Ended]) -> sqlx::Result<()> {
    let sql =
        "INSERT INTO endings (delivery, trigger_id, version, owner, tenant_id, tenant, session, rev, matches,
        how, reason, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT DO UPDATE SET how = excluded.how, reason = excluded.reason, at = excluded.at";
    for ended in endings {
        let delivery = &ended.delivery;
        let query = sql::query(sql)
            .bind(delivery.id.0)
            .bind(delivery.trigger.0)
            .bind(delivery.trigger_version as i64)
            .bind(delivery.owner.0)
            .bind(delivery.tenant_id.0)
            .bind(delivery.tenant.as_str())
            .bind(delivery.session.0)
            .bind(delivery.rev)
            .bind(delivery.matches)
            .bind(ended.ending.name())
            .bind(&*ended.reason)
            .bind(ended.at.micros());
        query.execute(&mut *to).await?;
    }
    Ok(())
}

async fn insert_lists(to: &mut Tx, endings: &[&Ended]) -> sqlx::Result<()> {
    // Of two of one delivery and day the last: one statement writes a row once.
    let each: BTreeMap<_, _> =
        endings.iter().map(|ended| ((Day::of(ended.at), ended.delivery.id), *ended)).collect();
    let rows = || each.values();
    let deliveries = || each.values().map(|ended| &ended.delivery);
    let query = sql::query(
        "INSERT INTO endings (day, delivery, trigger_id, version, owner, tenant_id, tenant, session, rev, matches,
            how, reason, at)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT (day, delivery) DO UPDATE SET how = excluded.how, reason = excluded.reason, at = excluded.at",
    )
    .bind(Value::integers(each.keys().map(|(day, _)| day.number())))
    .bind(Value::ids(deliveries().map(|delivery| delivery.id.0)))
    .bind(Value::ids(deliveries().map(|delivery| delivery.trigger.0)))
    .bind(Value::integers(deliveries().map(|delivery| delivery.trigger_version as i64)))
    .bind(Value::ids(deliveries().map(|delivery| delivery.owner.0)))
    .bind(Value::ids(deliveries().map(|delivery| delivery.tenant_id.0)))
    .bind(Value::texts(deliveries().map(|delivery| delivery.tenant.as_str())))
    .bind(Value::ids(deliveries().map(|delivery| delivery.session.0)))
    .bind(Value::integers(deliveries().map(|delivery| delivery.rev)))
    .bind(Value::integers(deliveries().map(|delivery| delivery.matches)))
    .bind(Value::texts(rows().map(|ended| ended.ending.name())))
    .bind(Value::texts(rows().map(|ended| &*ended.reason)))
    .bind(Value::integers(rows().map(|ended| ended.at.micros())));
    query.execute(to).await.map(drop)
}

fn name(row: &Row) -> String {
    row.uuid("delivery").map_or_else(|_| "an ending".to_owned(), |id| format!("the ending of {id}"))
}

/// These deliveries are owed again, or were delivered after all; each with when it had failed.
pub(crate) async fn take_back(to: &mut Tx, deliveries: &[(DeliveryId, Timestamp)]) -> sqlx::Result<()> {
    for (delivery, failed) in deliveries {
        let query = match to.dialect() {
            Dialect::Sqlite => sql::query("DELETE FROM endings WHERE delivery = $1").bind(delivery.0),
            Dialect::Postgres => sql::query("DELETE FROM endings WHERE delivery = $1 AND day = $2")
                .bind(delivery.0)
                .bind(Day::of(*failed).number()),
        };
        query.execute(&mut *to).await?;
    }
    Ok(())
}

fn read(row: &Row) -> sqlx::Result<Ended> {
    let name: &str = row.try_get("how")?;
    let ending = Ending::from_name(name);
    Ok(Ended {
        delivery: read_delivery(row)?,
        ending: ending.ok_or_else(|| undecodable("how", UnknownEnding(name.to_owned())))?,
        reason: row.try_get::<&str>("reason")?.into(),
        at: row.time("at")?,
    })
}
