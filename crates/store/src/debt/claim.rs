//! Who gets what is owed: claims of a lane, the probe of one whose receiver is down, a last try after too long a
//! wait. A claim is a lease.

use std::collections::HashSet;

use ringpost_model::{Delivery, DeliveryId, LaneId, Timestamp};

use super::{Debt, aside, delete, strand};
use crate::day::Day;
use crate::ending::{Ended, Ending};
use crate::error::{Error, doing};
use crate::postgres::locks;
use crate::settle::Log;
use crate::sql::{self, Builder, Dialect, Row, Sql, Tx, Value};
use crate::store::Store;

/// Debts looked at for one probe: more than stand in a row that a newer revision has overtaken.
const PROBED: i64 = 16;

/// A lease is a try and some seconds; an hour is longer than any, in microseconds.
const LONGEST_LEASE: i64 = 3_600_000_000;

/// What can be claimed of a lane. Whether a newer revision is owed is asked along with it. In PostgreSQL what somebody
/// else is about to claim is passed over.
macro_rules! claimable {
    ($more:literal) => {
        sql::each(claimable!(@ $more, ""), claimable!(@ $more, " FOR UPDATE OF d SKIP LOCKED"))
    };
    (@ $more:literal, $lock:literal) => {
        concat!(
            "SELECT d.*, EXISTS (SELECT 1 FROM debts n WHERE n.trigger_id = d.trigger_id AND n.session = d.session
                AND n.rev > d.rev) AS overtaken FROM debts d WHERE d.lane = $1 AND d.held = 0 AND d.behind = 0 ",
            $more, $lock
        )
    };
}

/// Of a lane whose receiver is not known to be down.
const DUE: Sql = claimable!("AND d.due <= $2 ORDER BY d.due, d.seq LIMIT $3");
/// Of one that is down: only what does not wait for it.
const DUE_HASTY: Sql = claimable!("AND d.holds = 0 AND d.due <= $2 ORDER BY d.due, d.seq LIMIT $3");
/// Whatever its due time, the oldest first.
const OLDEST: Sql = claimable!(
    "AND (d.lease_owner IS NULL OR d.due <= $2) ORDER BY coalesce(d.first_try, d.queued), d.seq LIMIT $3"
);
/// Whether a probe is due, and there is something for it.
const MAY_PROBE: &str = "SELECT EXISTS (SELECT 1 FROM lanes WHERE lane = $1 AND open = 1 AND probe_at <= $2
        AND probe_until <= $2 AND paused_until <= $2)
    AND EXISTS (SELECT 1 FROM debts d WHERE d.lane = $1 AND d.held = 0 AND d.behind = 0
        AND (d.lease_owner IS NULL OR d.due <= $2))";
/// The same, of what has waited since before a time.
const TOO_OLD: Sql = claimable!(
    "AND (d.lease_owner IS NULL OR d.due <= $2) AND coalesce(d.first_try, d.queued) < $4
    ORDER BY coalesce(d.first_try, d.queued), d.seq LIMIT $3"
);
/// Of triggers that are off. CROSS JOIN keeps SQLite to the order written: from the few triggers to their debts.
macro_rules! cancelled {
    ($lock:literal) => {
        concat!(
            "SELECT d.* FROM (SELECT DISTINCT o.trigger_id FROM owed o LEFT JOIN triggers t ON t.id = o.trigger_id
                WHERE coalesce(t.off, 1) = 1) AS gone
            CROSS JOIN debts d WHERE d.trigger_id = gone.trigger_id
            AND (d.lease_owner IS NULL OR d.due <= $1) LIMIT $2",
            $lock
        )
    };
}
const CANCELLED: Sql = sql::each(cancelled!(""), cancelled!(" FOR UPDATE OF d SKIP LOCKED"));
/// Of these the ones that a newer revision is still owed of.
const STILL_OVERTAKEN: &str =
    "SELECT d.seq FROM debts d WHERE d.seq = ANY ($1) AND EXISTS (SELECT 1 FROM debts n
    WHERE n.trigger_id = d.trigger_id AND n.session = d.session AND n.rev > d.rev)";

/// What became of rows that could be claimed.
#[derive(Default)]
struct Sorted {
    claimed: Vec<Debt>,
    /// A newer revision goes in their place.
    overtaken: Vec<(i64, Delivery)>,
    /// A newer revision was delivered instead.
    outrun: Vec<Delivery>,
    /// The log knows them as delivered.
    delivered: Vec<Delivery>,
    leased: Vec<i64>,
}

/// What a lease came to.
struct Leased {
    debts: Vec<Debt>,
    /// Something was claimed, or taken out of the way: looking again may find more.
    went_on: bool,
}

/// A later revision was delivered: this one was in the hands of a process that stood still meanwhile.
fn is_outrun(delivery: &Delivery, delivered: &HashSet<DeliveryId>) -> bool {
    !delivered.is_empty() && delivery.later().any(|later| delivered.contains(&later.id))
}

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
        self.have_days(WHAT, [Day::of(now)]).await?;
        let mut write = self.begin(WHAT).await?;
        let sql = "SELECT open, paused_until > $1 FROM lanes WHERE lane = $2";
        let query = sql::query(sql).bind(now.micros()).bind(lane.0);
        let row = query.fetch_optional(&mut write).await.map_err(doing(WHAT))?;
        let state = row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose();
        let (is_open, is_paused): (bool, bool) = state.map_err(doing(WHAT))?.unwrap_or_default();
        if is_paused {
            return Ok(Vec::new());
        }
        let sql = if is_open { DUE_HASTY } else { DUE };
        let query = sql::query(sql).bind(lane.0).bind(now.micros()).bind(limit as i64);
        let rows = query.fetch_all(&mut write).await.map_err(doing(WHAT))?;
        let leased = self.lease(WHAT, &mut write, &rows, usize::MAX, (owner, now, until)).await?;
        write.commit().await.map_err(doing(WHAT))?;
        timer.observe_duration();
        Ok(leased.debts)
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
        let id = lane.0;
        // Asked at every turn, and mostly in vain: that costs no write.
        let query = sql::query(MAY_PROBE).bind(id).bind(now.micros());
        let row = query.fetch_one(self.readers()).await.map_err(doing(WHAT))?;
        if !row.try_get::<bool>(0).map_err(doing(WHAT))? {
            return Ok(None);
        }
        self.have_days(WHAT, [Day::of(now)]).await?;
        let mut write = self.begin(WHAT).await?;
        let sql = "UPDATE lanes SET probe_until = $1 WHERE lane = $2 AND open = 1 AND probe_at <= $3
            AND probe_until <= $3 AND paused_until <= $3";
        let query = sql::query(sql).bind(until.micros()).bind(id).bind(now.micros());
        if query.execute(&mut write).await.map_err(doing(WHAT))? == 0 {
            return Ok(None);
        }
        loop {
            let query = sql::query(OLDEST).bind(id).bind(now.micros()).bind(PROBED);
            let rows = query.fetch_all(&mut write).await.map_err(doing(WHAT))?;
            let leased = self.lease(WHAT, &mut write, &rows, 1, (owner, now, until)).await?;
            if let Some(debt) = leased.debts.into_iter().next() {
                write.commit().await.map_err(doing(WHAT))?;
                return Ok(Some(debt));
            }
            if !leased.went_on {
                let query = sql::query("UPDATE lanes SET probe_until = 0 WHERE lane = $1").bind(id);
                query.execute(&mut write).await.map_err(doing(WHAT))?;
                write.commit().await.map_err(doing(WHAT))?;
                return Ok(None);
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
            "SELECT lane FROM lanes WHERE open = 1 AND paused_until <= $1 AND EXISTS (SELECT 1 FROM debts d
                WHERE d.lane = lanes.lane AND held = 0 AND behind = 0 AND coalesce(first_try, queued) < $2
                AND (lease_owner IS NULL OR due <= $1))";
        let query = sql::query(sql).bind(now.micros()).bind(older_than.micros());
        let lanes = query.fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let mut claimed = Vec::new();
        if lanes.is_empty() {
            return Ok(claimed);
        }
        self.have_days(WHAT, [Day::of(now)]).await?;
        let mut write = self.begin(WHAT).await?;
        for (at, lane) in lanes.iter().enumerate() {
            let share = (limit - claimed.len()).div_ceil(lanes.len() - at);
            let lane = lane.uuid("lane").map_err(doing(WHAT))?;
            let query = sql::query(TOO_OLD).bind(lane).bind(now.micros());
            let query = query.bind(share as i64).bind(older_than.micros());
            let rows = query.fetch_all(&mut write).await.map_err(doing(WHAT))?;
            claimed.extend(self.lease(WHAT, &mut write, &rows, share, (owner, now, until)).await?.debts);
        }
        write.commit().await.map_err(doing(WHAT))?;
        Ok(claimed)
    }

    /// Leases up to so many of these rows. What a newer revision has overtaken ends; what cannot be read is set
    /// aside; what the log knows as delivered is over.
    async fn lease(
        &self,
        what: &'static str,
        write: &mut Tx,
        rows: &[Row],
        most: usize,
        (owner, now, until): (&str, Timestamp, Timestamp),
    ) -> Result<Leased, Error> {
        let failed = doing(what);
        let (mut readable, mut set_aside) = (Vec::with_capacity(rows.len()), 0);
        for row in rows {
            let seq: i64 = row.try_get("seq").map_err(failed)?;
            match super::read(row) {
                Ok(debt) => readable.push((seq, row.try_get("overtaken").map_err(failed)?, debt)),
                Err(error) => {
                    aside::set_aside(write, seq, &error.to_string(), now).await.map_err(failed)?;
                    set_aside += 1;
                }
            }
        }
        let asked = readable.iter().map(|(.., debt)| debt).filter(|debt| self.is_asked_about(debt));
        let delivered = self.delivered(write, asked).await?;
        let mut sorted = Sorted::default();
        for (seq, is_overtaken, debt) in readable {
            if self.is_asked_about(&debt) && delivered.contains(&debt.delivery.id) {
                sorted.delivered.push(debt.delivery);
            } else if self.is_shared() && is_outrun(&debt.delivery, &delivered) {
                sorted.outrun.push(debt.delivery);
            } else if is_overtaken {
                sorted.overtaken.push((seq, debt.delivery));
            } else if sorted.claimed.len() < most {
                sorted.leased.push(seq);
                sorted.claimed.push(Debt { leased_until: Some(until), ..debt });
            }
        }
        if !sorted.leased.is_empty() {
            let mut query = Builder::new(self.dialect(), "UPDATE debts SET lease_owner = ");
            query.push_bind(owner).push(", due = ").push_bind(until.micros()).push(" WHERE ");
            query.push_in_numbers("seq", &sorted.leased);
            query.build().execute(&mut *write).await.map_err(failed)?;
        }
        only_locked(write, &mut sorted).await.map_err(failed)?;
        let superseded = sorted.overtaken.into_iter().map(|(_, delivery)| delivery).chain(sorted.outrun);
        let superseded: Vec<Ended> = superseded.map(|delivery| strand::superseded(delivery, now)).collect();
        let went_on = set_aside + sorted.leased.len() + superseded.len() + sorted.delivered.len() > 0;
        self.write_log(what, write, &Log { ended: &superseded, ..Log::default() }).await?;
        let over = superseded.iter().map(|ended| &ended.delivery).chain(&sorted.delivered);
        delete(write, over, owner, now).await.map_err(failed)?;
        Ok(Leased { debts: sorted.claimed, went_on })
    }

    /// Whether the log may know as delivered what is owed here. The sender has not said what came of it: it died between the
    /// two commits of `settle`, and the log is the first. Where several dispatchers share the store, always: two may have
    /// had the same delivery in hand, and the slower one has written it down as owed again.
    fn is_asked_about(&self, debt: &Debt) -> bool {
        self.is_shared() || debt.leased_until.is_some()
    }

    /// What the log knows as delivered about the sessions of these debts.
    async fn delivered<'a>(
        &self,
        write: &mut Tx,
        debts: impl Iterator<Item = &'a Debt>,
    ) -> Result<HashSet<DeliveryId>, Error> {
        let debts: Vec<&Debt> = debts.collect();
        let sent = |debt: &&Debt| debt.leased_until.filter(|_| !self.is_shared()).unwrap_or(debt.queued);
        let Some(since) = debts.iter().map(sent).min() else {
            return Ok(HashSet::new());
        };
        let deliveries: Vec<_> = debts.into_iter().map(|debt| debt.delivery.clone()).collect();
        self.delivered_since(&deliveries, since.plus_micros(-LONGEST_LEASE), write).await
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
        let mut query = Builder::new(self.dialect(), "UPDATE debts SET due = ");
        query.push_bind(until.micros()).push(" WHERE lease_owner = ").push_bind(owner).push(" AND ");
        query.push_in("delivery", deliveries.iter().map(|delivery| delivery.0));
        let renewed = query.build().execute(&mut write).await.map_err(doing(WHAT))?;
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
        self.have_days(WHAT, [Day::of(now)]).await?;
        let mut write = self.begin(WHAT).await?;
        // CROSS JOIN keeps the order written: from the few triggers that are off to their debts.
        let query = sql::query(CANCELLED).bind(now.micros()).bind(limit as i64);
        let rows = query.fetch_all(&mut write).await.map_err(doing(WHAT))?;
        let debts = aside::readable(&mut write, &rows, now).await.map_err(doing(WHAT))?;
        let strands = debts.iter().map(|debt| (debt.delivery.trigger, debt.delivery.session));
        let ours = locks::try_strands(&mut write, strands).await.map_err(doing(WHAT))?;
        let debts = debts.into_iter().zip(ours).filter_map(|(debt, is_ours)| is_ours.then_some(debt));
        let cancelled = |debt: Debt| {
            let reason = "the trigger was disabled or removed".into();
            Ended { delivery: debt.delivery, ending: Ending::Cancelled, reason, at: now }
        };
        let ended: Vec<Ended> = debts.map(cancelled).collect();
        self.write_log(WHAT, &mut write, &Log { ended: &ended, ..Log::default() }).await?;
        delete(&mut write, ended.iter().map(|ended| &ended.delivery), "", now).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(ended)
    }
}

/// Of what is over only that whose line in trigger and session is ours: rows are held already, so that waiting could
/// last for ever. The rest is for the next turn, or for who has the lock. With SQLite nobody else is there.
async fn only_locked(to: &mut Tx, sorted: &mut Sorted) -> sqlx::Result<()> {
    let is_none = sorted.overtaken.is_empty() && sorted.outrun.is_empty() && sorted.delivered.is_empty();
    if to.dialect() == Dialect::Sqlite || is_none {
        return Ok(());
    }
    let overtaken = sorted.overtaken.iter().map(|(_, delivery)| delivery);
    let over = overtaken.chain(&sorted.outrun).chain(&sorted.delivered);
    let strands: Vec<_> = over.map(|delivery| (delivery.trigger, delivery.session)).collect();
    let mut ours = locks::try_strands(to, strands.into_iter()).await?.into_iter();
    sorted.overtaken.retain(|_| ours.next().unwrap_or_default());
    sorted.outrun.retain(|_| ours.next().unwrap_or_default());
    sorted.delivered.retain(|_| ours.next().unwrap_or_default());
    if sorted.overtaken.is_empty() {
        return Ok(());
    }
    // What overtook it may have gone before the lock was ours.
    let asked = Value::integers(sorted.overtaken.iter().map(|(seq, _)| *seq));
    let rows = sql::query(STILL_OVERTAKEN).bind(asked).fetch_all(to).await?;
    let still = rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<HashSet<i64>>>()?;
    sorted.overtaken.retain(|(seq, _)| still.contains(seq));
    Ok(())
}
