//! Deliveries that failed for good while their receiver went on failing. If it turns out to be down they are owed
//! again; after a success they stay failed.

use ringpost_model::{Delivery, LaneId, SessionId, Timestamp, TriggerId};

use crate::debt::{self, Debt};
use crate::lane::Told;
use crate::postgres::locks::Touched;
use crate::sql::{self, Row, Tx};

/// Not one that is owed again already: the same words twice leave one of the two. Nor one that a correction is owed of:
/// that goes in its place, maybe another way.
const PUT: &str = "INSERT INTO spent (delivery, trigger_id, version, owner, tenant_id, tenant, session, rev, matches,
        lane, due, attempts, tries, queued, first_try, reason, failed)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
    WHERE NOT EXISTS (SELECT 1 FROM debts WHERE trigger_id = $2 AND session = $7 AND rev >= $8)
    ON CONFLICT (delivery) DO UPDATE SET lane = excluded.lane, attempts = excluded.attempts, tries = excluded.tries,
        first_try = excluded.first_try, reason = excluded.reason, failed = excluded.failed";

pub(crate) async fn put(to: &mut Tx, debt: &Debt, failed: Timestamp) -> sqlx::Result<()> {
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
        .bind(debt.due.micros())
        .bind(debt.attempts)
        .bind(debt.tries)
        .bind(debt.queued.micros())
        .bind(debt.first_try.map(Timestamp::micros))
        .bind(&*debt.reason)
        .bind(failed.micros());
    query.execute(to).await?;
    Ok(())
}

pub(crate) async fn forget(to: &mut Tx, lane: LaneId) -> sqlx::Result<()> {
    let query = sql::query("DELETE FROM spent WHERE lane = $1");
    query.bind(lane.0).execute(to).await?;
    Ok(())
}

/// Whether there is any: mostly there is none, and what is owed need not look.
pub(crate) async fn is_any(from: &mut Tx) -> sqlx::Result<bool> {
    sql::query("SELECT EXISTS (SELECT 1 FROM spent)").fetch_one(from).await?.try_get(0)
}

/// What is owed by another way, or in a newer revision, does not come back.
pub(crate) async fn forget_overtaken(to: &mut Tx, delivery: &Delivery) -> sqlx::Result<()> {
    let query = sql::query("DELETE FROM spent WHERE trigger_id = $1 AND session = $2 AND rev <= $3");
    let query = query.bind(delivery.trigger.0);
    query.bind(delivery.session.0).bind(delivery.rev).execute(to).await?;
    Ok(())
}

/// What comes back with a lane, to be locked.
pub(crate) async fn touch(from: &mut Tx, lane: LaneId, touched: &mut Touched) -> sqlx::Result<()> {
    let query = sql::query("SELECT trigger_id, session FROM spent WHERE lane = $1").bind(lane.0);
    for row in query.fetch_all(from).await? {
        touched.strand(TriggerId(row.uuid("trigger_id")?), SessionId(row.uuid("session")?));
    }
    Ok(())
}

/// Makes debts of what a lane has used up since the last success. A row that cannot be read stays where it is, until
/// it is too old: it has failed, and that is on record.
pub(crate) async fn revive(
    to: &mut Tx,
    lane: LaneId,
    now: Timestamp,
    reason: &str,
    told: &mut Told,
) -> sqlx::Result<()> {
    let query = sql::query("SELECT * FROM spent WHERE lane = $1 ORDER BY seq").bind(lane.0);
    let rows = query.fetch_all(&mut *to).await?;
    for row in &rows {
        let Ok((debt, failed)) = read(row) else { continue };
        let debt = Debt { due: now, reason: reason.into(), ..debt };
        let query = sql::query("DELETE FROM spent WHERE seq = $1").bind(row.try_get::<i64>("seq")?);
        query.execute(&mut *to).await?;
        let id = debt.delivery.id;
        let superseded = debt::put_run(to, &[debt], "", now).await?;
        let query = sql::query("UPDATE debts SET failed = $1 WHERE delivery = $2").bind(failed.micros());
        query.bind(id.0).execute(&mut *to).await?;
        if superseded.iter().all(|ended| ended.delivery.id != id) {
            told.revived.push((id, failed));
        }
        told.superseded.extend(superseded);
    }
    Ok(())
}

fn read(row: &Row) -> sqlx::Result<(Debt, Timestamp)> {
    Ok((debt::read_unleased(row)?, row.time("failed")?))
}
