//! What is owed: deliveries that wait for their next try. Claimed by lane, one at a time and in order within a
//! trigger and session.
//!
//! A leased debt is due again when its lease ends, so a lost process needs no clean-up. Two flags keep what cannot
//! be claimed out of the index of claims: `held` (its trigger is paused or off) and `behind` (an earlier delivery
//! of the same trigger and session is owed). A newer revision takes the place of an owed older one that is not in
//! flight.

mod strand;

use std::collections::HashSet;

use ringpost_model::{Delivery, DeliveryId, LaneId, SessionId, TenantId, Text, Timestamp, TriggerId};
use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row};

use crate::attempt::push_in;
use crate::columns::{Columns, read_delivery};
use crate::ending::{Ended, Ending};
use crate::error::{Error, doing};
use crate::store::Store;

pub(crate) use strand::{delete, put};

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

impl Store {
    /// Leases the oldest due debts of a lane to `owner` until `until`: nobody else gets them before. None of a lane
    /// that is paused.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim(
        &self,
        lane: LaneId,
        owner: &str,
        now: Timestamp,
        limit: usize,
        until: Timestamp,
    ) -> Result<Vec<Debt>, Error> {
        const WHAT: &str = "claim debts";
        let timer = self.inner.metrics.write_seconds.with_label_values(&["claim"]).start_timer();
        let mut write = self.begin(WHAT).await?;
        let found = due(&mut write, lane, now, limit).await.map_err(doing(WHAT))?;
        let (mut claimed, mut superseded) = (Vec::new(), Vec::new());
        for mut debt in found {
            if strand::has_newer(&mut write, &debt.delivery).await.map_err(doing(WHAT))? {
                superseded.push(strand::superseded(debt.delivery, now));
                continue;
            }
            let sql = "UPDATE debts SET lease_owner = ?, due = ? WHERE delivery = ?";
            let query = sqlx::query(sql).bind(owner).bind(until.micros());
            let query = query.bind(debt.delivery.id.0.as_bytes().as_slice());
            query.execute(&mut *write).await.map_err(doing(WHAT))?;
            debt.leased_until = Some(until);
            claimed.push(debt);
        }
        self.write_log(WHAT, &[], &superseded).await?;
        for ended in &superseded {
            delete(&mut write, &ended.delivery, owner, now).await.map_err(doing(WHAT))?;
        }
        write.commit().await.map_err(doing(WHAT))?;
        timer.observe_duration();
        Ok(claimed)
    }

    /// Makes leases of `owner` last until then. Returns how many were still its own.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn renew(
        &self,
        owner: &str,
        deliveries: &[DeliveryId],
        until: Timestamp,
    ) -> Result<u64, Error> {
        const WHAT: &str = "renew leases";
        let mut write = self.begin(WHAT).await?;
        let mut renewed = 0;
        for delivery in deliveries {
            let query = sqlx::query("UPDATE debts SET due = ? WHERE delivery = ? AND lease_owner = ?");
            let query = query.bind(until.micros()).bind(delivery.0.as_bytes().as_slice()).bind(owner);
            renewed += query.execute(&mut *write).await.map_err(doing(WHAT))?.rows_affected();
        }
        write.commit().await.map_err(doing(WHAT))?;
        Ok(renewed)
    }

    /// Ends up to `limit` debts of triggers that are disabled or removed, but for those in flight. To be called
    /// after such a change, and now and then, for what was in flight then. Returns what has ended.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn cancel_debts(&self, now: Timestamp, limit: usize) -> Result<Vec<Ended>, Error> {
        const WHAT: &str = "cancel debts";
        let mut write = self.begin(WHAT).await?;
        // CROSS JOIN keeps the order written: from the few triggers that are off to their debts.
        let sql =
            "SELECT d.* FROM (SELECT o.trigger_id FROM owed o LEFT JOIN triggers t ON t.id = o.trigger_id
                WHERE coalesce(t.off, 1) = 1) gone
            CROSS JOIN debts d ON d.trigger_id = gone.trigger_id
            WHERE d.lease_owner IS NULL OR d.due <= ? LIMIT ?";
        let query = sqlx::query(sql).bind(now.micros()).bind(limit as i64);
        let rows = query.fetch_all(&mut *write).await.map_err(doing(WHAT))?;
        let mut ended = Vec::with_capacity(rows.len());
        for row in &rows {
            let delivery = read(row).map_err(doing(WHAT))?.delivery;
            let reason = "the trigger was disabled or removed".into();
            ended.push(Ended { delivery, ending: Ending::Cancelled, reason, at: now });
        }
        self.write_log(WHAT, &[], &ended).await?;
        for one in &ended {
            delete(&mut write, &one.delivery, "", now).await.map_err(doing(WHAT))?;
        }
        write.commit().await.map_err(doing(WHAT))?;
        Ok(ended)
    }

    /// Debts, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn debts(&self, filter: &DebtFilter, limit: usize) -> Result<Vec<Debt>, Error> {
        const WHAT: &str = "list debts";
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM debts WHERE ");
        if filter.owners.is_empty() {
            query.push("1");
        } else {
            push_in(&mut query, "owner", filter.owners.iter().map(|owner| owner.0));
        }
        if let Some(trigger) = filter.trigger {
            query.push(" AND trigger_id = ").push_bind(trigger.0.as_bytes().to_vec());
        }
        if let Some(session) = filter.session {
            query.push(" AND session = ").push_bind(session.0.as_bytes().to_vec());
        }
        query.push(" ORDER BY seq LIMIT ").push_bind(limit as i64);
        let rows = query.build().fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(doing(WHAT))
    }

    /// How much is owed, by trigger: for limits and pages. Counted as it comes and goes, so cheap.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn owed_counts(&self) -> Result<Vec<OwedCount>, Error> {
        const WHAT: &str = "count debts";
        let query = sqlx::query("SELECT trigger_id, owner, count FROM owed ORDER BY trigger_id");
        let rows = query.fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let read = |row: &SqliteRow| {
            let (trigger, owner) = (TriggerId(row.uuid("trigger_id")?), TenantId(row.uuid("owner")?));
            Ok(OwedCount { trigger, owner, debts: row.try_get::<i64, _>("count")? as u64 })
        };
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(doing(WHAT))
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
            let mut query = QueryBuilder::<Sqlite>::new("SELECT delivery FROM debts WHERE ");
            push_in(&mut query, "delivery", some.iter().map(|delivery| delivery.id.0));
            for row in query.build().fetch_all(self.readers()).await.map_err(doing(WHAT))? {
                known.insert(DeliveryId(row.uuid("delivery").map_err(doing(WHAT))?));
            }
        }
        known.retain(|id| asked.contains(id));
        Ok(known)
    }
}

async fn due(
    from: &mut SqliteConnection,
    lane: LaneId,
    now: Timestamp,
    limit: usize,
) -> sqlx::Result<Vec<Debt>> {
    let sql = "SELECT * FROM debts WHERE lane = ?1 AND held = 0 AND behind = 0 AND due <= ?2
        AND NOT EXISTS (SELECT 1 FROM lanes WHERE lane = ?1 AND paused_until > ?2) ORDER BY due, seq LIMIT ?3";
    let query = sqlx::query(sql).bind(lane.0.as_bytes().as_slice()).bind(now.micros()).bind(limit as i64);
    query.fetch_all(from).await?.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> sqlx::Result<Debt> {
    let leased: Option<&str> = row.try_get("lease_owner")?;
    let due = row.time("due")?;
    Ok(Debt {
        delivery: read_delivery(row)?,
        lane: LaneId(row.uuid("lane")?),
        due,
        attempts: row.try_get("attempts")?,
        tries: row.try_get("tries")?,
        queued: row.time("queued")?,
        first_try: row.time_if_any("first_try")?,
        reason: row.try_get::<&str, _>("reason")?.into(),
        leased_until: leased.map(|_| due),
    })
}
