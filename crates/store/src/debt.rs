//! What is owed: deliveries that wait for their next try. Claimed by lane, one at a time and in order within a
//! trigger and session.
//!
//! A leased debt is due again when its lease ends, so a lost process needs no clean-up. Two flags keep what cannot
//! be claimed out of the index of claims: `held` (its trigger is paused or off) and `behind` (an earlier delivery
//! of the same trigger and session is owed). A newer revision takes the place of an owed older one that is not in
//! flight.

mod aside;
mod claim;
mod prepare;
mod strand;

use std::collections::HashSet;

use ringpost_model::{Delivery, DeliveryId, LaneId, SessionId, TenantId, Text, Timestamp, TriggerId};

use crate::columns::read_delivery;
use crate::error::{Error, doing};
use crate::postgres::locks;
use crate::rows::{Rows, Unreadable};
use crate::sql::{self, Builder, Row, Sql};
use crate::store::Store;

pub use aside::Damaged;
pub use prepare::{Content, Prepared};

pub(crate) use strand::{delete, put, put_run};

/// A delivery that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    /// What is delivered.
    pub delivery: Delivery,
    /// The way it goes.
    pub lane: LaneId,
    /// When it is tried next, at the earliest. While it is leased: not read.
    pub due: Timestamp,
    /// Requests made so far.
    pub attempts: u32,
    /// Tries used up so far.
    pub tries: u32,
    /// When it fired.
    pub queued: Timestamp,
    /// When its first request started.
    pub first_try: Option<Timestamp>,
    /// Why it is owed, for people.
    pub reason: Text,
    /// It is in flight, and nobody else's, until then.
    pub leased_until: Option<Timestamp>,
}

/// How much is owed for one trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwedCount {
    /// Which trigger.
    pub trigger: TriggerId,
    /// Whose it is.
    pub owner: TenantId,
    /// Deliveries owed.
    pub debts: u64,
}

/// Which debts to list. Everything given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DebtFilter {
    /// For triggers of these owners; empty = of all, for operators.
    pub owners: Vec<TenantId>,
    /// For this trigger.
    pub trigger: Option<TriggerId>,
    /// About this session.
    pub session: Option<SessionId>,
}

/// So many parts are read without anybody noticing.
const MANY_PARTS: i64 = 1_000;
const COUNTS: Sql = sql::each(
    "SELECT trigger_id, owner, sum(count) AS count, 0 AS parts FROM owed GROUP BY trigger_id, owner
        ORDER BY trigger_id",
    "SELECT trigger_id, owner, CAST(sum(count) AS BIGINT) AS count, count(*) AS parts FROM owed_parts
        GROUP BY trigger_id, owner ORDER BY trigger_id",
);
/// One statement: nobody sees them gone and not yet back.
const ADD_UP: &str = "WITH gone AS (DELETE FROM owed_parts RETURNING *)
    INSERT INTO owed_parts SELECT trigger_id, lane, owner, sum(count) FROM gone GROUP BY trigger_id, lane, owner
    HAVING sum(count) <> 0";

impl Store {
    /// Debts, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn debts(&self, filter: &DebtFilter, limit: usize) -> Result<Rows<Debt>, Error> {
        const WHAT: &str = "list debts";
        let mut query = Builder::new(self.dialect(), "SELECT * FROM debts WHERE ");
        if filter.owners.is_empty() {
            query.push("1 = 1");
        } else {
            query.push_in("owner", filter.owners.iter().map(|owner| owner.0));
        }
        if let Some(trigger) = filter.trigger {
            query.push(" AND trigger_id = ").push_bind(trigger.0);
        }
        if let Some(session) = filter.session {
            query.push(" AND session = ").push_bind(session.0);
        }
        query.push(" ORDER BY seq LIMIT ").push_bind(limit as i64);
        let rows = query.build().fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let name = |row: &Row| format!("debt {}", row.try_get::<i64>("seq").unwrap_or_default());
        Ok(rows.iter().map(|row| read(row).map_err(|e| Unreadable::new(WHAT, name(row), e))).collect())
    }

    /// How much is owed, by trigger: for limits and pages. Counted as it comes and goes, so cheap.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn owed_counts(&self) -> Result<Vec<OwedCount>, Error> {
        const WHAT: &str = "count debts";
        let rows = sql::query(COUNTS).fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let read = |row: &Row| {
            let (trigger, owner) = (TriggerId(row.uuid("trigger_id")?), TenantId(row.uuid("owner")?));
            let parts: i64 = row.try_get("parts")?;
            Ok::<_, sqlx::Error>((
                parts,
                OwedCount { trigger, owner, debts: row.try_get::<i64>("count")? as u64 },
            ))
        };
        // Counts of a trigger that cannot be read limit nobody else's.
        let counts: Vec<_> = rows.iter().filter_map(|row| read(row).ok()).collect();
        let parts: i64 = counts.iter().map(|(parts, _)| parts).sum();
        if self.is_shared() && parts > MANY_PARTS + 2 * counts.len() as i64 {
            self.add_up_parts(WHAT).await?;
        }
        Ok(counts.into_iter().filter(|(_, count)| count.debts > 0).map(|(_, count)| count).collect())
    }

    /// In PostgreSQL counts are written in parts, which grow in number.
    async fn add_up_parts(&self, what: &'static str) -> Result<(), Error> {
        let mut write = self.begin(what).await?;
        if locks::try_fold(&mut write).await.map_err(doing(what))? {
            sql::query(ADD_UP).execute(&mut write).await.map_err(doing(what))?;
        }
        write.commit().await.map_err(doing(what))
    }

    /// Which of these deliveries need nothing more: they are over, or owed. For a start after a crash. `since` is
    /// not later than the oldest of them fired: older days of the log are not looked at.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn settled_or_owed(
        &self,
        deliveries: &[Delivery],
        since: Timestamp,
    ) -> Result<HashSet<DeliveryId>, Error> {
        const WHAT: &str = "look up which deliveries are owed";
        let asked: HashSet<_> = deliveries.iter().map(|delivery| delivery.id).collect();
        let mut known: HashSet<_> = self.over_since(deliveries, since).await?.into_iter().collect();
        for some in deliveries.chunks(500) {
            let mut query = Builder::new(self.dialect(), "SELECT delivery FROM debts WHERE ");
            query.push_in("delivery", some.iter().map(|delivery| delivery.id.0));
            query.push(" UNION ALL SELECT delivery FROM spent WHERE ");
            query.push_in("delivery", some.iter().map(|delivery| delivery.id.0));
            for row in query.build().fetch_all(self.readers()).await.map_err(doing(WHAT))? {
                known.insert(DeliveryId(row.uuid("delivery").map_err(doing(WHAT))?));
            }
        }
        known.retain(|id| asked.contains(id));
        Ok(known)
    }
}

/// A row of `debts`.
fn read(row: &Row) -> sqlx::Result<Debt> {
    let leased: Option<&str> = row.try_get("lease_owner")?;
    let debt = read_unleased(row)?;
    let leased_until = leased.map(|_| debt.due);
    Ok(Debt { leased_until, ..debt })
}

/// What `debts` and `spent` have in common.
pub(crate) fn read_unleased(row: &Row) -> sqlx::Result<Debt> {
    Ok(Debt {
        delivery: read_delivery(row)?,
        lane: LaneId(row.uuid("lane")?),
        due: row.time("due")?,
        attempts: row.try_get("attempts")?,
        tries: row.try_get("tries")?,
        queued: row.time("queued")?,
        first_try: row.time_if_any("first_try")?,
        reason: row.try_get::<&str>("reason")?.into(),
        leased_until: None,
    })
}
