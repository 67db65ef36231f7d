//! Writing debts so that those of one trigger and session stay in line.

use std::collections::HashSet;

use ringpost_model::{Delivery, DeliveryId, Timestamp};

use super::{Debt, aside};
use crate::ending::{Ended, Ending};
use crate::spent;
use crate::sql::{self, Dialect, Row, Tx, Value};

/// A new debt, or a known one with its next due time. A known one that is leased to somebody else is left alone.
const PUT: &str = "INSERT INTO debts (delivery, trigger_id, version, owner, tenant_id, tenant, session, rev, matches,
        lane, due, attempts, tries, queued, first_try, reason, lease_owner, held, behind, holds)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
        coalesce((SELECT held FROM triggers WHERE id = $2), 1),
        EXISTS (SELECT 1 FROM debts WHERE trigger_id = $2 AND session = $7 AND rev < $8),
        coalesce((SELECT holds FROM triggers WHERE id = $2), 1))
    ON CONFLICT (delivery) DO UPDATE SET lane = excluded.lane, due = excluded.due, attempts = excluded.attempts,
        tries = excluded.tries, first_try = excluded.first_try, reason = excluded.reason,
        lease_owner = excluded.lease_owner
    WHERE debts.lease_owner IS NULL OR debts.lease_owner = $18 OR debts.due <= $19";

/// The same for many, each delivery once. `behind` is seen to afterwards.
const PUT_LISTS: &str = "INSERT INTO debts (delivery, trigger_id, version, owner, tenant_id, tenant, session, rev, matches,
        lane, due, attempts, tries, queued, first_try, reason, lease_owner, held, behind, holds)
    SELECT n.delivery, n.trigger_id, n.version, n.owner, n.tenant_id, n.tenant, n.session, n.rev, n.matches, n.lane, n.due,
        n.attempts, n.tries, n.queued, n.first_try, n.reason, n.lease_owner,
        coalesce((SELECT held FROM triggers WHERE id = n.trigger_id), 1), 0,
        coalesce((SELECT holds FROM triggers WHERE id = n.trigger_id), 1)
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) WITH ORDINALITY
        AS n (delivery, trigger_id, version, owner, tenant_id, tenant, session, rev, matches, lane, due, attempts, tries,
            queued, first_try, reason, lease_owner, place)
    ORDER BY n.place
    ON CONFLICT (delivery) DO UPDATE SET lane = excluded.lane, due = excluded.due, attempts = excluded.attempts,
        tries = excluded.tries, first_try = excluded.first_try, reason = excluded.reason,
        lease_owner = excluded.lease_owner
    WHERE debts.lease_owner IS NULL OR debts.lease_owner = $18 OR debts.due <= $19";
/// A record may be owed later than its correction.
const QUEUE_LISTS: &str = "UPDATE debts d SET behind = 1 FROM (SELECT DISTINCT * FROM unnest($1, $2)) AS s (trigger_id, session)
    WHERE d.trigger_id = s.trigger_id AND d.session = s.session AND d.behind = 0
    AND EXISTS (SELECT 1 FROM debts o WHERE o.trigger_id = d.trigger_id AND o.session = d.session AND o.rev < d.rev)";
/// Waits for who is claiming one of them.
const OLDER_LISTS: &str = "SELECT d.* FROM (SELECT DISTINCT * FROM unnest($1, $2)) AS s (trigger_id, session)
    JOIN debts d ON d.trigger_id = s.trigger_id AND d.session = s.session
    WHERE d.rev < (SELECT max(o.rev) FROM debts o WHERE o.trigger_id = d.trigger_id AND o.session = d.session)
    AND (d.lease_owner IS NULL OR d.due <= $3) ORDER BY d.seq FOR UPDATE OF d";
const DELETE_LISTS: &str =
    "DELETE FROM debts d USING unnest($1) AS gone (delivery) WHERE d.delivery = gone.delivery
    AND (d.lease_owner IS NULL OR d.lease_owner = $2 OR d.due <= $3) RETURNING d.delivery, d.failed";
/// Who stood behind what is gone.
const NEXT_LISTS: &str =
    "UPDATE debts d SET behind = 0 FROM (SELECT DISTINCT * FROM unnest($1, $2)) AS s (trigger_id, session)
    WHERE d.trigger_id = s.trigger_id AND d.session = s.session AND d.behind = 1 AND d.rev =
        (SELECT min(o.rev) FROM debts o WHERE o.trigger_id = d.trigger_id AND o.session = d.session)";

/// Writes debts, in their order. Returns what a newer revision took the place of, which has to be logged and is owed no
/// more.
pub(crate) async fn put(
    to: &mut Tx,
    debts: &[Debt],
    owner: &str,
    now: Timestamp,
) -> sqlx::Result<Vec<Ended>> {
    let mut all = Vec::new();
    if debts.is_empty() {
        return Ok(all);
    }
    let may_come_back = spent::is_any(to).await?;
    // One statement writes a row once.
    for run in each_once(debts, to.dialect()) {
        if may_come_back {
            for debt in run {
                spent::forget_overtaken(to, &debt.delivery).await?;
            }
        }
        all.extend(put_run(to, run, owner, now).await?);
    }
    Ok(all)
}

/// Writes debts of which no two are of one delivery, and leaves alone what may come back.
pub(crate) async fn put_run(
    to: &mut Tx,
    run: &[Debt],
    owner: &str,
    now: Timestamp,
) -> sqlx::Result<Vec<Ended>> {
    let superseded = match run {
        [debt] if to.dialect() == Dialect::Sqlite => put_one(to, debt, owner, now).await?,
        run => put_lists(to, run, owner, now).await?,
    };
    delete(to, superseded.iter().map(|ended| &ended.delivery), owner, now).await?;
    Ok(superseded)
}

/// Runs of debts in which no delivery is twice; with SQLite of one each.
fn each_once(debts: &[Debt], dialect: Dialect) -> Vec<&[Debt]> {
    if dialect == Dialect::Sqlite {
        return debts.chunks(1).collect();
    }
    let (mut runs, mut from, mut seen) = (Vec::new(), 0, HashSet::new());
    for (at, debt) in debts.iter().enumerate() {
        if !seen.insert(debt.delivery.id) {
            runs.push(&debts[from..at]);
            (from, seen) = (at, HashSet::from([debt.delivery.id]));
        }
    }
    runs.push(&debts[from..]);
    runs
}

async fn put_one(to: &mut Tx, debt: &Debt, owner: &str, now: Timestamp) -> sqlx::Result<Vec<Ended>> {
    let delivery = &debt.delivery;
    let query = sql::query(PUT)
        .bind(delivery.id.0)
        .bind(delivery.trigger.0)
        .bind(delivery.trigger_version as i64)
        .bind(delivery.owner.0)
        .bind(delivery.tenant_id.0)
        .bind(delivery.tenant.as_str())
        .bind(delivery.session.0)
        .bind(delivery.rev)
        .bind(delivery.matches)
        .bind(debt.lane.0)
        .bind(debt.leased_until.unwrap_or(debt.due).micros())
        .bind(debt.attempts)
        .bind(debt.tries)
        .bind(debt.queued.micros())
        .bind(debt.first_try.map(Timestamp::micros))
        .bind(&*debt.reason)
        .bind(debt.leased_until.map(|_| owner))
        .bind(owner)
        .bind(now.micros());
    query.execute(&mut *to).await?;
    queue_newer(to, delivery).await?;
    older(to, delivery, now).await
}

async fn put_lists(to: &mut Tx, debts: &[Debt], owner: &str, now: Timestamp) -> sqlx::Result<Vec<Ended>> {
    let deliveries = || debts.iter().map(|debt| &debt.delivery);
    let triggers = || Value::ids(deliveries().map(|delivery| delivery.trigger.0));
    let sessions = || Value::ids(deliveries().map(|delivery| delivery.session.0));
    let query = sql::query(PUT_LISTS)
        .bind(Value::ids(deliveries().map(|delivery| delivery.id.0)))
        .bind(triggers())
        .bind(Value::integers(deliveries().map(|delivery| delivery.trigger_version as i64)))
        .bind(Value::ids(deliveries().map(|delivery| delivery.owner.0)))
        .bind(Value::ids(deliveries().map(|delivery| delivery.tenant_id.0)))
        .bind(Value::texts(deliveries().map(|delivery| delivery.tenant.as_str())))
        .bind(sessions())
        .bind(Value::integers(deliveries().map(|delivery| delivery.rev)))
        .bind(Value::integers(deliveries().map(|delivery| delivery.matches)))
        .bind(Value::ids(debts.iter().map(|debt| debt.lane.0)))
        .bind(Value::integers(debts.iter().map(|debt| debt.leased_until.unwrap_or(debt.due).micros())))
        .bind(Value::integers(debts.iter().map(|debt| debt.attempts)))
        .bind(Value::integers(debts.iter().map(|debt| debt.tries)))
        .bind(Value::integers(debts.iter().map(|debt| debt.queued.micros())))
        .bind(Value::Integers(debts.iter().map(|debt| debt.first_try.map(Timestamp::micros)).collect()))
        .bind(Value::texts(debts.iter().map(|debt| &*debt.reason)))
        .bind(Value::Texts(debts.iter().map(|debt| debt.leased_until.map(|_| owner.to_owned())).collect()))
        .bind(owner)
        .bind(now.micros());
    query.execute(&mut *to).await?;
    sql::query(QUEUE_LISTS).bind(triggers()).bind(sessions()).execute(&mut *to).await?;
    let query = sql::query(OLDER_LISTS).bind(triggers()).bind(sessions()).bind(now.micros());
    let rows = query.fetch_all(&mut *to).await?;
    superseded_of(to, &rows, now).await
}

/// A record may be owed later than its correction: it was in flight when the correction fired. The correction waits
/// for it all the same, or the record would come after it once its sender has died.
async fn queue_newer(to: &mut Tx, delivery: &Delivery) -> sqlx::Result<()> {
    let sql =
        "UPDATE debts SET behind = 1 WHERE trigger_id = $1 AND session = $2 AND rev > $3 AND behind = 0";
    let query = sql::query(sql).bind(delivery.trigger.0).bind(delivery.session.0).bind(delivery.rev);
    query.execute(to).await.map(drop)
}

/// Debts of the same trigger and session that are not in flight, and that a newer revision is owed of.
async fn older(to: &mut Tx, delivery: &Delivery, now: Timestamp) -> sqlx::Result<Vec<Ended>> {
    let sql = "SELECT * FROM debts d WHERE trigger_id = $1 AND session = $2
        AND rev < (SELECT max(rev) FROM debts WHERE trigger_id = $1 AND session = $2)
        AND (lease_owner IS NULL OR due <= $3)";
    let query = sql::query(sql).bind(delivery.trigger.0).bind(delivery.session.0).bind(now.micros());
    let rows = query.fetch_all(&mut *to).await?;
    superseded_of(to, &rows, now).await
}

async fn superseded_of(to: &mut Tx, rows: &[Row], now: Timestamp) -> sqlx::Result<Vec<Ended>> {
    let older = aside::readable(to, rows, now).await?;
    Ok(older.into_iter().map(|debt| superseded(debt.delivery, now)).collect())
}

pub(super) fn superseded(delivery: Delivery, now: Timestamp) -> Ended {
    let reason = "a newer revision goes in its place".into();
    Ended { delivery, ending: Ending::Superseded, reason, at: now }
}

/// Debts are no more, unless they are leased to somebody else; the next in line may go. Returns those that had come
/// back, with since when they had counted as failed.
pub(crate) async fn delete<'d>(
    to: &mut Tx,
    deliveries: impl Iterator<Item = &'d Delivery>,
    owner: &str,
    now: Timestamp,
) -> sqlx::Result<Vec<(DeliveryId, Timestamp)>> {
    let deliveries: Vec<&Delivery> = deliveries.collect();
    let mut came_back = Vec::new();
    match to.dialect() {
        Dialect::Sqlite => {
            for delivery in deliveries {
                let failed = delete_one(to, delivery, owner, now).await?;
                came_back.extend(failed.map(|failed| (delivery.id, failed)));
            }
        }
        Dialect::Postgres if deliveries.is_empty() => {}
        Dialect::Postgres => {
            let ids = Value::ids(deliveries.iter().map(|delivery| delivery.id.0));
            let query = sql::query(DELETE_LISTS).bind(ids).bind(owner).bind(now.micros());
            let rows = query.fetch_all(&mut *to).await?;
            for row in &rows {
                let failed = row.time_if_any("failed")?;
                let delivery = DeliveryId(row.uuid("delivery")?);
                came_back.extend(failed.map(|failed| (delivery, failed)));
            }
            if !rows.is_empty() {
                let triggers = Value::ids(deliveries.iter().map(|delivery| delivery.trigger.0));
                let sessions = Value::ids(deliveries.iter().map(|delivery| delivery.session.0));
                sql::query(NEXT_LISTS).bind(triggers).bind(sessions).execute(to).await?;
            }
        }
    }
    Ok(came_back)
}

async fn delete_one(
    to: &mut Tx,
    delivery: &Delivery,
    owner: &str,
    now: Timestamp,
) -> sqlx::Result<Option<Timestamp>> {
    let sql = "DELETE FROM debts WHERE delivery = $1
        AND (lease_owner IS NULL OR lease_owner = $2 OR due <= $3) RETURNING failed";
    let query = sql::query(sql).bind(delivery.id.0).bind(owner).bind(now.micros());
    let Some(row) = query.fetch_optional(&mut *to).await? else { return Ok(None) };
    let failed = row.time_if_any("failed")?;
    let sql = "UPDATE debts SET behind = 0 WHERE behind = 1 AND trigger_id = $1 AND session = $2
        AND rev = (SELECT min(rev) FROM debts WHERE trigger_id = $1 AND session = $2)";
    let query = sql::query(sql).bind(delivery.trigger.0).bind(delivery.session.0);
    query.execute(to).await?;
    Ok(failed)
}
