//! Deliveries that are over without having been delivered: in the log of their day, to be shown and replayed.

use ringpost_model::{Delivery, DeliveryId, SessionId, TenantId, Text, Timestamp, TriggerId};
use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row};

use crate::attempt::push_in;
use crate::columns::{Columns, read_delivery, undecodable};
use crate::error::{Error, doing_on};
use crate::rows::{Rows, Unreadable};
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
        for day in self.inner.days.list(WHAT)?.into_iter().rev() {
            if found.len() >= limit {
                break;
            }
            let later = filter.to.is_some_and(|to| day.start() >= to);
            let earlier = filter.from.is_some_and(|from| day.end() <= from);
            if later || earlier {
                continue;
            }
            let Some(database) = self.inner.days.find(WHAT, day).await? else { continue };
            let mut query = filter.query(limit - found.len());
            for row in query.build().fetch_all(&database.readers).await.map_err(doing_on(WHAT, day))? {
                found.push(read(&row).map_err(|error| Unreadable::new(WHAT, name(&row), error)));
            }
        }
        Ok(found)
    }
}

impl EndingFilter {
    fn query(&self, limit: usize) -> QueryBuilder<Sqlite> {
        let mut query = QueryBuilder::new("SELECT * FROM endings WHERE ");
        if self.owners.is_empty() {
            query.push("1");
        } else {
            push_in(&mut query, "owner", self.owners.iter().map(|owner| owner.0));
        }
        if let Some(trigger) = self.trigger {
            query.push(" AND trigger_id = ").push_bind(trigger.0.as_bytes().to_vec());
        }
        if let Some(session) = self.session {
            query.push(" AND session = ").push_bind(session.0.as_bytes().to_vec());
        }
        if let Some(ending) = self.ending {
            query.push(" AND how = ").push_bind(ending.name());
        }
        if let Some(from) = self.from {
            query.push(" AND at >= ").push_bind(from.micros());
        }
        if let Some(to) = self.to {
            query.push(" AND at < ").push_bind(to.micros());
        }
        query.push(" ORDER BY at DESC, delivery LIMIT ").push_bind(limit as i64);
        query
    }
}

/// Writes endings of one day. A later ending of the same delivery (it was replayed) takes the place of the former.
pub(crate) async fn insert(to: &mut SqliteConnection, endings: &[&Ended]) -> sqlx::Result<()> {
    let sql =
        "INSERT INTO endings (delivery, trigger_id, version, owner, tenant_id, tenant, session, rev, matches,
        how, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET how = excluded.how, reason = excluded.reason, at = excluded.at";
    for ended in endings {
        let delivery = &ended.delivery;
        let query = sqlx::query(sql)
            .bind(delivery.id.0.as_bytes().as_slice())
            .bind(delivery.trigger.0.as_bytes().as_slice())
            .bind(delivery.trigger_version as i64)
            .bind(delivery.owner.0.as_bytes().as_slice())
            .bind(delivery.tenant_id.0.as_bytes().as_slice())
            .bind(delivery.tenant.as_str())
            .bind(delivery.session.0.as_bytes().as_slice())
            .bind(delivery.rev)
            .bind(delivery.matches)
            .bind(ended.ending.name())
            .bind(&*ended.reason)
            .bind(ended.at.micros());
        query.execute(&mut *to).await?;
    }
    Ok(())
}

fn name(row: &SqliteRow) -> String {
    row.uuid("delivery").map_or_else(|_| "an ending".to_owned(), |id| format!("the ending of {id}"))
}

/// These deliveries are owed again, or were delivered after all.
pub(crate) async fn take_back(to: &mut SqliteConnection, deliveries: &[DeliveryId]) -> sqlx::Result<()> {
    for delivery in deliveries {
        let query = sqlx::query("DELETE FROM endings WHERE delivery = ?");
        query.bind(delivery.0.as_bytes().as_slice()).execute(&mut *to).await?;
    }
    Ok(())
}

fn read(row: &SqliteRow) -> sqlx::Result<Ended> {
    let name: &str = row.try_get("how")?;
    let ending = Ending::from_name(name);
    Ok(Ended {
        delivery: read_delivery(row)?,
        ending: ending.ok_or_else(|| undecodable("how", UnknownEnding(name.to_owned())))?,
        reason: row.try_get::<&str, _>("reason")?.into(),
        at: row.time("at")?,
    })
}
