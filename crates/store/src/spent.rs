//! Deliveries that failed for good while their receiver went on failing. If it turns out to be down they are owed
//! again; after a success they stay failed.

use ringpost_model::{Delivery, LaneId, Timestamp};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::columns::Columns;
use crate::debt::{self, Debt};
use crate::lane::Told;

/// Not one that is owed again already: the same words twice leave one of the two. Nor one that a correction is owed of:
/// that goes in its place, maybe another way.
const PUT: &str = "INSERT INTO spent (delivery, trigger_id, version, owner, tenant_id, tenant, session, rev, matches,
        lane, due, attempts, tries, queued, first_try, reason, failed)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17
    WHERE NOT EXISTS (SELECT 1 FROM debts WHERE trigger_id = ?2 AND session = ?7 AND rev >= ?8)
    ON CONFLICT (delivery) DO UPDATE SET lane = excluded.lane, attempts = excluded.attempts, tries = excluded.tries,
        first_try = excluded.first_try, reason = excluded.reason, failed = excluded.failed";

pub(crate) async fn put(to: &mut SqliteConnection, debt: &Debt, failed: Timestamp) -> sqlx::Result<()> {
    let delivery = &debt.delivery;
    let query = sqlx::query(PUT)
        .bind(delivery.id.0.as_bytes().as_slice())
        .bind(delivery.trigger.0.as_bytes().as_slice())
        .bind(delivery.trigger_version as i64)
        .bind(delivery.owner.0.as_bytes().as_slice())
        .bind(delivery.tenant_id.0.as_bytes().as_slice())
        .bind(delivery.tenant.as_str())
        .bind(delivery.session.0.as_bytes().as_slice())
        .bind(delivery.rev)
        .bind(delivery.matches)
        .bind(debt.lane.0.as_bytes().as_slice())
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

pub(crate) async fn forget(to: &mut SqliteConnection, lane: LaneId) -> sqlx::Result<()> {
    let query = sqlx::query("DELETE FROM spent WHERE lane = ?");
    query.bind(lane.0.as_bytes().as_slice()).execute(to).await?;
    Ok(())
}

/// Whether there is any: mostly there is none, and what is owed need not look.
pub(crate) async fn is_any(from: &mut SqliteConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM spent)").fetch_one(from).await
}

/// What is owed by another way, or in a newer revision, does not come back.
pub(crate) async fn forget_overtaken(to: &mut SqliteConnection, delivery: &Delivery) -> sqlx::Result<()> {
    let query = sqlx::query("DELETE FROM spent WHERE trigger_id = ? AND session = ? AND rev <= ?");
    let query = query.bind(delivery.trigger.0.as_bytes().as_slice());
    query.bind(delivery.session.0.as_bytes().as_slice()).bind(delivery.rev).execute(to).await?;
    Ok(())
}

/// Makes debts of what a lane has used up since the last success. A row that cannot be read stays where it is, until
/// it is too old: it has failed, and that is on record.
pub(crate) async fn revive(
    to: &mut SqliteConnection,
    lane: LaneId,
    now: Timestamp,
    reason: &str,
    told: &mut Told,
) -> sqlx::Result<()> {
    let query = sqlx::query("SELECT * FROM spent WHERE lane = ? ORDER BY seq");
    let rows = query.bind(lane.0.as_bytes().as_slice()).fetch_all(&mut *to).await?;
    for row in &rows {
        let Ok((debt, failed)) = read(row) else { continue };
        let debt = Debt { due: now, reason: reason.into(), ..debt };
        let query = sqlx::query("DELETE FROM spent WHERE seq = ?").bind(row.try_get::<i64, _>("seq")?);
        query.execute(&mut *to).await?;
        let superseded = debt::put(to, &debt, "", now).await?;
        let query = sqlx::query("UPDATE debts SET failed = ? WHERE delivery = ?").bind(failed.micros());
        query.bind(debt.delivery.id.0.as_bytes().as_slice()).execute(&mut *to).await?;
        for ended in &superseded {
            debt::delete(to, &ended.delivery, "", now).await?;
        }
        if superseded.iter().all(|ended| ended.delivery.id != debt.delivery.id) {
            told.revived.push((debt.delivery.id, failed));
        }
        told.superseded.extend(superseded);
    }
    Ok(())
}

fn read(row: &SqliteRow) -> sqlx::Result<(Debt, Timestamp)> {
    Ok((debt::read_unleased(row)?, row.time("failed")?))
}
