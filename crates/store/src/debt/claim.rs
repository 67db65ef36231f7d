//! Who gets what is owed: claims of a lane, the probe of one whose receiver is down, a last try after too long a
//! wait. A claim is a lease.

use std::collections::HashSet;

use ringpost_model::{DeliveryId, LaneId, Timestamp};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row};

use super::{Debt, aside, delete, strand};
use crate::ending::{Ended, Ending};
use crate::error::{Error, doing};
use crate::store::Store;

/// Debts looked at for one probe: more than stand in a row that a newer revision has overtaken.
const PROBED: i64 = 16;

/// A lease is a try and some seconds; an hour is longer than any, in microseconds.
const LONGEST_LEASE: i64 = 3_600_000_000;

/// What can be claimed of a lane. Whether a newer revision is owed is asked along with it.
macro_rules! claimable {
    ($more:literal) => {
        concat!(
            "SELECT d.*, EXISTS (SELECT 1 FROM debts n WHERE n.trigger_id = d.trigger_id AND n.session = d.session
                AND n.rev > d.rev) AS overtaken FROM debts d WHERE d.lane = ?1 AND d.held = 0 AND d.behind = 0 ",
            $more
        )
    };
}

/// Of a lane whose receiver is not known to be down.
const DUE: &str = claimable!("AND d.due <= ?2 ORDER BY d.due, d.seq LIMIT ?3");
/// Of one that is down: only what does not wait for it.
const DUE_HASTY: &str = claimable!("AND d.holds = 0 AND d.due <= ?2 ORDER BY d.due, d.seq LIMIT ?3");
/// Whatever its due time, the oldest first.
const OLDEST: &str = claimable!(
    "AND (d.lease_owner IS NULL OR d.due <= ?2) ORDER BY coalesce(d.first_try, d.queued), d.seq LIMIT ?3"
);
/// Whether a probe is due, and there is something for it.
const MAY_PROBE: &str = "SELECT EXISTS (SELECT 1 FROM lanes WHERE lane = ?1 AND open = 1 AND probe_at <= ?2
        AND probe_until <= ?2 AND paused_until <= ?2)
    AND EXISTS (SELECT 1 FROM debts d WHERE d.lane = ?1 AND d.held = 0 AND d.behind = 0
        AND (d.lease_owner IS NULL OR d.due <= ?2))";
/// The same, of what has waited since before a time.
const TOO_OLD: &str = claimable!(
    "AND (d.lease_owner IS NULL OR d.due <= ?2) AND coalesce(d.first_try, d.queued) < ?4
    ORDER BY coalesce(d.first_try, d.queued), d.seq LIMIT ?3"
);

impl Store {
    /// Leases the oldest due debts of a lane to `owner` until `until`: nobody else gets them before. None of a lane
    /// that is paused; of one whose receiver is down only those of triggers that do not hold.
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
        let sql = "SELECT open, paused_until > ? FROM lanes WHERE lane = ?";
        let query = sqlx::query_as(sql).bind(now.micros()).bind(lane.0.as_bytes().as_slice());
        let state: Option<(bool, bool)> = query.fetch_optional(&mut *write).await.map_err(doing(WHAT))?;
        let (is_open, is_paused) = state.unwrap_or_default();
        if is_paused {
            return Ok(Vec::new());
        }
        let sql = if is_open { DUE_HASTY } else { DUE };
        let query = sqlx::query(sql).bind(lane.0.as_bytes().as_slice()).bind(now.micros()).bind(limit as i64);
        let rows = query.fetch_all(&mut *write).await.map_err(doing(WHAT))?;
        let claimed = self.lease(WHAT, &mut write, &rows, usize::MAX, (owner, now, until)).await?;
        write.commit().await.map_err(doing(WHAT))?;
        timer.observe_duration();
        Ok(claimed)
    }

    /// Leases the probe of a lane whose receiver is down, with its oldest debt, to `owner` until `until`. None while
    /// the lane is not open, its next probe is not due, somebody's probe is in flight, it is paused, or there is
    /// nothing to probe with. The next word about its breaker ends the lease.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim_probe(
        &self,
        lane: LaneId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Debt>, Error> {
        const WHAT: &str = "claim a probe";
        let id = lane.0.as_bytes().as_slice();
        // Asked at every turn, and mostly in vain: that costs no write.
        let query = sqlx::query_scalar::<_, bool>(MAY_PROBE).bind(id).bind(now.micros());
        let may_probe = query.fetch_one(self.readers()).await.map_err(doing(WHAT))?;
        if !may_probe {
            return Ok(None);
        }
        let mut write = self.begin(WHAT).await?;
        let sql = "UPDATE lanes SET probe_until = ?1 WHERE lane = ?2 AND open = 1 AND probe_at <= ?3
            AND probe_until <= ?3 AND paused_until <= ?3";
        let query = sqlx::query(sql).bind(until.micros()).bind(id).bind(now.micros());
        if query.execute(&mut *write).await.map_err(doing(WHAT))?.rows_affected() == 0 {
            return Ok(None);
        }
        loop {
            let query = sqlx::query(OLDEST).bind(id).bind(now.micros()).bind(PROBED);
            let rows = query.fetch_all(&mut *write).await.map_err(doing(WHAT))?;
            if rows.is_empty() {
                let query = sqlx::query("UPDATE lanes SET probe_until = 0 WHERE lane = ?").bind(id);
                query.execute(&mut *write).await.map_err(doing(WHAT))?;
                write.commit().await.map_err(doing(WHAT))?;
                return Ok(None);
            }
            let claimed = self.lease(WHAT, &mut write, &rows, 1, (owner, now, until)).await?;
            if let Some(debt) = claimed.into_iter().next() {
                write.commit().await.map_err(doing(WHAT))?;
                return Ok(Some(debt));
            }
        }
    }

    /// Leases up to `limit` debts of lanes whose receiver is down, which have waited since before `older_than`
    /// (their first try, or else when they fired): one last try for each. The lanes share the limit.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim_last(
        &self,
        older_than: Timestamp,
        owner: &str,
        now: Timestamp,
        limit: usize,
        until: Timestamp,
    ) -> Result<Vec<Debt>, Error> {
        const WHAT: &str = "claim debts for a last try";
        let sql =
            "SELECT lane FROM lanes WHERE open = 1 AND paused_until <= ?1 AND EXISTS (SELECT 1 FROM debts d
                WHERE d.lane = lanes.lane AND held = 0 AND behind = 0 AND coalesce(first_try, queued) < ?2
                AND (lease_owner IS NULL OR due <= ?1))";
        let query = sqlx::query(sql).bind(now.micros()).bind(older_than.micros());
        let lanes = query.fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let mut claimed = Vec::new();
        if lanes.is_empty() {
            return Ok(claimed);
        }
        let mut write = self.begin(WHAT).await?;
        for (at, lane) in lanes.iter().enumerate() {
            let share = (limit - claimed.len()).div_ceil(lanes.len() - at);
            let lane: &[u8] = lane.try_get(0).map_err(doing(WHAT))?;
            let query = sqlx::query(TOO_OLD).bind(lane).bind(now.micros());
            let query = query.bind(share as i64).bind(older_than.micros());
            let rows = query.fetch_all(&mut *write).await.map_err(doing(WHAT))?;
            claimed.extend(self.lease(WHAT, &mut write, &rows, share, (owner, now, until)).await?);
        }
        write.commit().await.map_err(doing(WHAT))?;
        Ok(claimed)
    }

    /// Leases up to so many of these rows. What a newer revision has overtaken ends; what cannot be read is set
    /// aside; what the log knows as delivered is over.
    async fn lease(
        &self,
        what: &'static str,
        write: &mut SqliteConnection,
        rows: &[SqliteRow],
        most: usize,
        (owner, now, until): (&str, Timestamp, Timestamp),
    ) -> Result<Vec<Debt>, Error> {
        let (mut claimed, mut superseded, mut leased) = (Vec::new(), Vec::new(), Vec::<i64>::new());
        let delivered = self.delivered(rows).await?;
        for row in rows {
            let seq = row.try_get("seq").map_err(doing(what))?;
            let debt = match super::read(row) {
                Ok(debt) => debt,
                Err(error) => {
                    aside::set_aside(write, seq, &error.to_string(), now).await.map_err(doing(what))?;
                    continue;
                }
            };
            if delivered.contains(&debt.delivery.id) {
                delete(write, &debt.delivery, owner, now).await.map_err(doing(what))?;
            } else if row.try_get("overtaken").map_err(doing(what))? {
                superseded.push(strand::superseded(debt.delivery, now));
            } else if claimed.len() < most {
                leased.push(seq);
                claimed.push(Debt { leased_until: Some(until), ..debt });
            }
        }
        if !leased.is_empty() {
            let mut query = QueryBuilder::new("UPDATE debts SET lease_owner = ");
            query.push_bind(owner).push(", due = ").push_bind(until.micros()).push(" WHERE seq IN (");
            let mut list = query.separated(", ");
            for seq in leased {
                list.push_bind(seq);
            }
            query.push(")").build().execute(&mut *write).await.map_err(doing(what))?;
        }
        self.write_log(what, &[], &superseded, &[]).await?;
        for ended in &superseded {
            delete(write, &ended.delivery, owner, now).await.map_err(doing(what))?;
        }
        Ok(claimed)
    }

    /// Of the rows whose sender has not said what came of them, those that the log knows as delivered: it died between
    /// the two commits of `settle`, and the log is the first.
    async fn delivered(&self, rows: &[SqliteRow]) -> Result<HashSet<DeliveryId>, Error> {
        let was_leased =
            |row: &&SqliteRow| matches!(row.try_get::<Option<&str>, _>("lease_owner"), Ok(Some(_)));
        let debts: Vec<Debt> =
            rows.iter().filter(was_leased).filter_map(|row| super::read(row).ok()).collect();
        let Some(since) = debts.iter().filter_map(|debt| debt.leased_until).min() else {
            return Ok(HashSet::new());
        };
        let deliveries: Vec<_> = debts.into_iter().map(|debt| debt.delivery).collect();
        self.delivered_since(&deliveries, since.plus_micros(-LONGEST_LEASE)).await
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
            "SELECT d.* FROM (SELECT DISTINCT o.trigger_id FROM owed o LEFT JOIN triggers t ON t.id = o.trigger_id
                WHERE coalesce(t.off, 1) = 1) gone
            CROSS JOIN debts d ON d.trigger_id = gone.trigger_id
            WHERE d.lease_owner IS NULL OR d.due <= ? LIMIT ?";
        let query = sqlx::query(sql).bind(now.micros()).bind(limit as i64);
        let rows = query.fetch_all(&mut *write).await.map_err(doing(WHAT))?;
        let debts = aside::readable(&mut write, &rows, now).await.map_err(doing(WHAT))?;
        let cancelled = |debt: Debt| {
            let reason = "the trigger was disabled or removed".into();
            Ended { delivery: debt.delivery, ending: Ending::Cancelled, reason, at: now }
        };
        let ended: Vec<Ended> = debts.into_iter().map(cancelled).collect();
        self.write_log(WHAT, &[], &ended, &[]).await?;
        for one in &ended {
            delete(&mut write, &one.delivery, "", now).await.map_err(doing(WHAT))?;
        }
        write.commit().await.map_err(doing(WHAT))?;
        Ok(ended)
    }
}
