//! A lane's rate, shared by processes: each leases its part for about a second, and the parts together are never
//! more than the rate.

use ringpost_model::{LaneId, Timestamp};
use sqlx::sqlite::SqliteConnection;

use crate::error::{Error, doing};
use crate::store::Store;

/// Shares are in thousandths of a request per second.
const MILLI: u64 = 1_000;

impl Store {
    /// Leases `owner`'s part of each lane's rate (requests per second) until then: an equal part among those that
    /// ask, as far as the others' leases leave room. In thousandths of a request per second, in the order asked. A
    /// part of 0 counts too: the others' next renewal makes room.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn lease_rates(
        &self,
        asked: &[(LaneId, u32)],
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<u64>, Error> {
        const WHAT: &str = "lease parts of rates";
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let mut write = self.begin(WHAT).await?;
        let mut granted = Vec::with_capacity(asked.len());
        for (lane, rate) in asked {
            let share = lease(&mut write, *lane, u64::from(*rate) * MILLI, owner, (now, until)).await;
            granted.push(share.map_err(doing(WHAT))?);
        }
        write.commit().await.map_err(doing(WHAT))?;
        Ok(granted)
    }
}

async fn lease(
    to: &mut SqliteConnection,
    lane: LaneId,
    rate: u64,
    owner: &str,
    (now, until): (Timestamp, Timestamp),
) -> sqlx::Result<u64> {
    let id = lane.0.as_bytes().as_slice();
    let sql = "SELECT count(*), coalesce(sum(share), 0) FROM lane_shares WHERE lane = ? AND owner <> ? AND until > ?";
    let query = sqlx::query_as::<_, (i64, i64)>(sql).bind(id).bind(owner).bind(now.micros());
    let (others, taken) = query.fetch_one(&mut *to).await?;
    let fair = rate / (others as u64 + 1);
    let share = fair.min(rate.saturating_sub(taken as u64));
    let sql = "INSERT INTO lane_shares (lane, owner, until, share) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET until = excluded.until, share = excluded.share";
    let query = sqlx::query(sql).bind(id).bind(owner).bind(until.micros()).bind(share as i64);
    query.execute(to).await?;
    Ok(share)
}
