//! Lanes with something to do, and lanes that wait. What makes a lane wait is decided elsewhere; here it is one
//! row, and none of its debts is touched.

use ringpost_model::{LaneId, Text, Timestamp, TriggerId};
use sqlx::Row;

use crate::columns::Columns;
use crate::error::{Error, doing};
use crate::store::Store;

/// A lane with something to claim, now or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneDue {
    /// Which one.
    pub lane: LaneId,
    /// When its oldest debt can be claimed.
    pub due: Timestamp,
}

/// Every lane once, by leaps in the index of claims: the number of debts does not matter.
const OWED: &str = "WITH RECURSIVE leap (lane) AS (
        SELECT min(lane) FROM debts WHERE held = 0 AND behind = 0
        UNION ALL
        SELECT (SELECT min(lane) FROM debts WHERE held = 0 AND behind = 0 AND lane > leap.lane)
        FROM leap WHERE leap.lane IS NOT NULL
    )
    SELECT leap.lane AS lane, max(coalesce(lanes.paused_until, 0),
        (SELECT min(due) FROM debts WHERE held = 0 AND behind = 0 AND lane = leap.lane)) AS due
    FROM leap LEFT JOIN lanes ON lanes.lane = leap.lane WHERE leap.lane IS NOT NULL ORDER BY 2, 1";

impl Store {
    /// Every lane with debts that can be claimed now or later, earliest first. The first says when there is
    /// something to do.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn lanes_owed(&self) -> Result<Vec<LaneDue>, Error> {
        const WHAT: &str = "list the lanes with debts";
        let rows = sqlx::query(OWED).fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(LaneDue { lane: LaneId(row.uuid("lane")?), due: row.time("due")? })
        };
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(doing(WHAT))
    }

    /// When the next debt can be claimed; none = nothing is owed but to paused triggers.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        Ok(self.lanes_owed().await?.first().map(|lane| lane.due))
    }

    /// Nothing is claimed for a lane until then. A later call replaces an earlier one.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn pause_lane(&self, lane: LaneId, until: Timestamp, reason: &str) -> Result<(), Error> {
        const WHAT: &str = "pause a lane";
        let mut write = self.begin(WHAT).await?;
        let sql = "INSERT INTO lanes (lane, paused_until, reason) VALUES (?, ?, ?)
            ON CONFLICT DO UPDATE SET paused_until = excluded.paused_until, reason = excluded.reason";
        let query = sqlx::query(sql).bind(lane.0.as_bytes().as_slice()).bind(until.micros()).bind(reason);
        query.execute(&mut *write).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))
    }

    /// A lane goes on at once.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn resume_lane(&self, lane: LaneId) -> Result<(), Error> {
        const WHAT: &str = "resume a lane";
        let mut write = self.begin(WHAT).await?;
        let query = sqlx::query("DELETE FROM lanes WHERE lane = ?").bind(lane.0.as_bytes().as_slice());
        query.execute(&mut *write).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))
    }

    /// Lanes that wait, with until when and why.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn paused_lanes(&self, now: Timestamp) -> Result<Vec<(LaneDue, Text)>, Error> {
        const WHAT: &str = "list the paused lanes";
        let sql = "SELECT lane, paused_until AS due, reason FROM lanes WHERE paused_until > ? ORDER BY lane";
        let rows =
            sqlx::query(sql).bind(now.micros()).fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let lane = LaneDue { lane: LaneId(row.uuid("lane")?), due: row.time("due")? };
            Ok((lane, row.try_get::<&str, _>("reason")?.into()))
        };
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(doing(WHAT))
    }

    /// A trigger's URL was changed: what is owed goes the new way. Returns how many.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn move_debts(&self, trigger: TriggerId, lane: LaneId) -> Result<u64, Error> {
        const WHAT: &str = "move debts to another lane";
        let mut write = self.begin(WHAT).await?;
        let query = sqlx::query("UPDATE debts SET lane = ?1 WHERE trigger_id = ?2 AND lane <> ?1");
        let query = query.bind(lane.0.as_bytes().as_slice()).bind(trigger.0.as_bytes().as_slice());
        let done = query.execute(&mut *write).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(done.rows_affected())
    }
}
