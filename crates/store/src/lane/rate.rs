//! A lane's rate, shared by processes: each leases its part for about a second, and the parts together are never
//! more than the rate.

use ringpost_model::{LaneId, Timestamp};

use crate::error::{Error, doing};
use crate::postgres::locks::Touched;
use crate::sql::{self, Tx};
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
        let mut touched = Touched::default();
        asked.iter().for_each(|(lane, _)| touched.lane(*lane));
        touched.lock(&mut write).await.map_err(doing(WHAT))?;
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
    to: &mut Tx,
    lane: LaneId,
    rate: u64,
    owner: &str,
    (now, until): (Timestamp, Timestamp),
) -> sqlx::Result<u64> {
    let id = lane.0;
    let sql = "SELECT count(*), CAST(coalesce(sum(share), 0) AS BIGINT) FROM lane_shares
        WHERE lane = $1 AND owner <> $2 AND until > $3";
    let row = sql::query(sql).bind(id).bind(owner).bind(now.micros()).fetch_one(&mut *to).await?;
    let (others, taken): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let fair = rate / (others as u64 + 1);
    let share = fair.min(rate.saturating_sub(taken as u64));
    let sql = "INSERT INTO lane_shares (lane, owner, until, share) VALUES ($1, $2, $3, $4)
        ON CONFLICT (lane, owner) DO UPDATE SET until = excluded.until, share = excluded.share";
    let query = sql::query(sql).bind(id).bind(owner).bind(until.micros()).bind(share as i64);
    query.execute(to).await?;
    Ok(share)
}
