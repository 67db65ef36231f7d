//! Writing debts so that those of one trigger and session stay in line.

use ringpost_model::{Delivery, Timestamp};
use sqlx::sqlite::SqliteConnection;

use super::{Debt, aside};
use crate::columns::Columns;
use crate::ending::{Ended, Ending};

/// A new debt, or a known one with its next due time. A known one that is leased to somebody else is left alone.
const PUT: &str = "INSERT INTO debts (delivery, trigger_id, version, owner, tenant_id, tenant, session, rev, matches,
        lane, due, attempts, tries, queued, first_try, reason, lease_owner, held, behind, holds)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
        coalesce((SELECT held FROM triggers WHERE id = ?2), 1),
        EXISTS (SELECT 1 FROM debts WHERE trigger_id = ?2 AND session = ?7 AND rev < ?8),
        coalesce((SELECT holds FROM triggers WHERE id = ?2), 1))
    ON CONFLICT (delivery) DO UPDATE SET lane = excluded.lane, due = excluded.due, attempts = excluded.attempts,
        tries = excluded.tries, first_try = excluded.first_try, reason = excluded.reason,
        lease_owner = excluded.lease_owner
    WHERE debts.lease_owner IS NULL OR debts.lease_owner = ?18 OR debts.due <= ?19";

/// Writes a debt, and returns what it, or a newer one, takes the place of: that has to be logged and deleted.
pub(crate) async fn put(
    to: &mut SqliteConnection,
    debt: &Debt,
    owner: &str,
    now: Timestamp,
) -> sqlx::Result<Vec<Ended>> {
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

/// A record may be owed later than its correction: it was in flight when the correction fired. The correction waits
/// for it all the same, or the record would come after it once its sender has died.
async fn queue_newer(to: &mut SqliteConnection, delivery: &Delivery) -> sqlx::Result<()> {
    let sql =
        "UPDATE debts SET behind = 1 WHERE trigger_id = ?1 AND session = ?2 AND rev > ?3 AND behind = 0";
    let query = sqlx::query(sql).bind(delivery.trigger.0.as_bytes().as_slice());
    query.bind(delivery.session.0.as_bytes().as_slice()).bind(delivery.rev).execute(to).await?;
    Ok(())
}

/// Debts of the same trigger and session that are not in flight, and that a newer revision is owed of.
async fn older(to: &mut SqliteConnection, delivery: &Delivery, now: Timestamp) -> sqlx::Result<Vec<Ended>> {
    let sql = "SELECT * FROM debts d WHERE trigger_id = ?1 AND session = ?2
        AND rev < (SELECT max(rev) FROM debts WHERE trigger_id = ?1 AND session = ?2)
        AND (lease_owner IS NULL OR due <= ?3)";
    let query = sqlx::query(sql).bind(delivery.trigger.0.as_bytes().as_slice());
    let query = query.bind(delivery.session.0.as_bytes().as_slice()).bind(now.micros());
    let rows = query.fetch_all(&mut *to).await?;
    let older = aside::readable(to, &rows, now).await?;
    Ok(older.into_iter().map(|debt| superseded(debt.delivery, now)).collect())
}

pub(super) fn superseded(delivery: Delivery, now: Timestamp) -> Ended {
    let reason = "a newer revision goes in its place".into();
    Ended { delivery, ending: Ending::Superseded, reason, at: now }
}

/// A debt is no more, unless it is leased to somebody else; the next in line may go. Returns since when it had
/// counted as failed, if it had come back.
pub(crate) async fn delete(
    to: &mut SqliteConnection,
    delivery: &Delivery,
    owner: &str,
    now: Timestamp,
) -> sqlx::Result<Option<Timestamp>> {
    let sql = "DELETE FROM debts WHERE delivery = ?
        AND (lease_owner IS NULL OR lease_owner = ? OR due <= ?) RETURNING failed";
    let query = sqlx::query(sql).bind(delivery.id.0.as_bytes().as_slice()).bind(owner).bind(now.micros());
    let Some(row) = query.fetch_optional(&mut *to).await? else { return Ok(None) };
    let failed = row.time_if_any("failed")?;
    let sql = "UPDATE debts SET behind = 0 WHERE behind = 1 AND trigger_id = ?1 AND session = ?2
        AND rev = (SELECT min(rev) FROM debts WHERE trigger_id = ?1 AND session = ?2)";
    let query = sqlx::query(sql).bind(delivery.trigger.0.as_bytes().as_slice());
    query.bind(delivery.session.0.as_bytes().as_slice()).execute(to).await?;
    Ok(failed)
}
