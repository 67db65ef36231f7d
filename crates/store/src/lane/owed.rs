//! Lanes with something to do, and moving debts from one to another.

use ringpost_model::{LaneId, Timestamp, TriggerId};
use uuid::Uuid;

use crate::error::{Error, doing};
use crate::sql::{self, Row, Sql};
use crate::store::Store;

/// Debts moved in one transaction: few enough that dispatch does not notice.
const STEP: i64 = 1_000;

/// Nothing is due, leased or paused for so long, in microseconds: a retry comes within a minute, a receiver's pause is a
/// minute at most, a lease is a try and some seconds.
const LONGEST_WAIT: i64 = 3_600_000_000;

/// The reason of a pause that a receiver has asked for. Those of operators may be longer.
pub const ASKED_FOR_PAUSE: &str = "the receiver asked for it";

/// A lane with something to do, now or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneDue {
    /// Which one.
    pub lane: LaneId,
    /// When.
    pub due: Timestamp,
}

/// A trigger with debts in a lane whose receiver is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitingTrigger {
    /// Which lane.
    pub lane: LaneId,
    /// Which trigger.
    pub trigger: TriggerId,
    /// The number of its current version: as long as it stays the same nothing about it has changed.
    pub version: u64,
}

/// Every lane once, by leaps in the index of claims: the number of debts does not matter. An open lane gives only
/// what does not wait for its receiver.
const OWED: &str = "WITH RECURSIVE leap (lane) AS (
        SELECT (SELECT lane FROM debts WHERE held = 0 AND behind = 0 ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT (SELECT lane FROM debts WHERE held = 0 AND behind = 0 AND lane > leap.lane ORDER BY lane LIMIT 1)
        FROM leap WHERE leap.lane IS NOT NULL
    ), found (lane, paused, due) AS (SELECT leap.lane, coalesce(lanes.paused_until, 0), CASE lanes.open
        WHEN 1 THEN (SELECT min(due) FROM debts WHERE held = 0 AND behind = 0 AND holds = 0 AND lane = leap.lane)
        ELSE (SELECT min(due) FROM debts WHERE held = 0 AND behind = 0 AND lane = leap.lane) END
    FROM leap LEFT JOIN lanes ON lanes.lane = leap.lane WHERE leap.lane IS NOT NULL)
    SELECT lane, CASE WHEN paused > due THEN paused ELSE due END AS due FROM found WHERE due IS NOT NULL
    ORDER BY 2, 1";

/// Open lanes with a debt that a probe can take, and when. While all of them are in flight, when the first comes back.
macro_rules! probes {
    ($latest:literal) => {
        concat!(
            "WITH found (lane, ready, due) AS (SELECT lane, ",
            $latest,
            "(probe_at, probe_until, paused_until), CASE WHEN EXISTS (SELECT 1 FROM debts
                WHERE held = 0 AND behind = 0 AND lane = lanes.lane AND lease_owner IS NULL) THEN 0
                ELSE (SELECT min(due) FROM debts WHERE held = 0 AND behind = 0 AND lane = lanes.lane) END
            FROM lanes WHERE open = 1)
            SELECT lane, CASE WHEN ready > due THEN ready ELSE due END AS due FROM found WHERE due IS NOT NULL
            ORDER BY 2, 1"
        )
    };
}
const PROBES: Sql = sql::each(probes!("max"), probes!("greatest"));

impl Store {
    /// Every lane with debts that can be claimed now or later, earliest first. The first says when there is
    /// something to do. Of a lane whose receiver is down only what does not wait for it: see
    /// [`Store::open_lanes_due`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn lanes_owed(&self) -> Result<Vec<LaneDue>, Error> {
        self.due("list the lanes with debts", OWED).await
    }

    /// Lanes whose receiver is down, with when the next probe is due, earliest first; without those that have
    /// nothing to probe with.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open_lanes_due(&self) -> Result<Vec<LaneDue>, Error> {
        self.due("list the lanes to probe", PROBES).await
    }

    /// When the next debt can be claimed; none = nothing is owed but to paused triggers and receivers that are down.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        Ok(self.lanes_owed().await?.first().map(|lane| lane.due))
    }

    /// Triggers with debts in a lane.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn failing_triggers(&self, lane: LaneId) -> Result<Vec<TriggerId>, Error> {
        const WHAT: &str = "list the triggers of a lane";
        let query = sql::query("SELECT trigger_id FROM owed WHERE lane = $1 ORDER BY trigger_id");
        let rows = query.bind(lane.0).fetch_all(self.readers()).await;
        let rows = rows.map_err(doing(WHAT))?;
        Ok(rows.iter().filter_map(|row| row.uuid("trigger_id").ok().map(TriggerId)).collect())
    }

    /// The triggers that wait for receivers which are down, by lane: one query, however many there are.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waiting_triggers(&self) -> Result<Vec<WaitingTrigger>, Error> {
        const WHAT: &str = "list the triggers that wait";
        let sql = "SELECT o.lane, o.trigger_id, t.version FROM lanes l JOIN owed o ON o.lane = l.lane
            JOIN triggers t ON t.id = o.trigger_id WHERE l.open = 1 AND t.removed IS NULL ORDER BY 1, 2";
        let rows = sql::query(sql).fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        let read = |row: &Row| {
            let (lane, trigger) = (LaneId(row.uuid("lane").ok()?), TriggerId(row.uuid("trigger_id").ok()?));
            Some(WaitingTrigger { lane, trigger, version: row.try_get::<i64>("version").ok()? as u64 })
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// A trigger's URL was changed: what is owed goes the new way, but for what is in flight, which takes it after
    /// its next failure or another call of this. Costs next to nothing where there is nothing to move. Returns how
    /// many were moved.
    ///
    /// # Errors
    /// The store cannot be written; what was moved by then stays moved.
    pub async fn move_debts(&self, trigger: TriggerId, lane: LaneId, now: Timestamp) -> Result<u64, Error> {
        const WHAT: &str = "move debts to another lane";
        let (id, lane) = (trigger.0, lane.0);
        let query = sql::query("SELECT 1 FROM owed WHERE trigger_id = $1 AND lane <> $2 LIMIT 1");
        let elsewhere =
            query.bind(id).bind(lane).fetch_optional(self.readers()).await.map_err(doing(WHAT))?;
        if elsewhere.is_none() {
            return Ok(0);
        }
        let mut moved = 0;
        // By session, as the index of a trigger's debts lies.
        let mut after = (Uuid::nil(), i64::MIN);
        loop {
            let mut write = self.begin(WHAT).await?;
            let sql = "SELECT session, seq FROM debts WHERE trigger_id = $1 AND (session, seq) > ($2, $3)
                ORDER BY session, seq LIMIT 1 OFFSET $4";
            let query = sql::query(sql).bind(id).bind(after.0).bind(after.1).bind(STEP - 1);
            let row = query.fetch_optional(&mut write).await.map_err(doing(WHAT))?;
            let end = row.map(|row| Ok((row.uuid("session")?, row.try_get("seq")?)));
            let end: Option<(Uuid, i64)> = end.transpose().map_err(doing(WHAT))?;
            let is_last = end.is_none();
            let until = end.unwrap_or((Uuid::max(), i64::MAX));
            let sql = "UPDATE debts SET lane = $1 WHERE trigger_id = $2 AND lane <> $1
                AND (session, seq) > ($3, $4) AND (session, seq) <= ($5, $6)
                AND (lease_owner IS NULL OR due <= $7)";
            let query = sql::query(sql).bind(lane).bind(id).bind(after.0).bind(after.1);
            let query = query.bind(until.0).bind(until.1).bind(now.micros());
            moved += query.execute(&mut write).await.map_err(doing(WHAT))?;
            write.commit().await.map_err(doing(WHAT))?;
            if is_last {
                return Ok(moved);
            }
            after = until;
        }
    }

    /// What is due, leased or paused for longer than anything ever is was written by a clock that has been put back
    /// since: it is due now, and its lease is over. Costs next to nothing where there is none. Returns how many rows
    /// it was.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn undo_far_times(&self, now: Timestamp) -> Result<u64, Error> {
        const WHAT: &str = "undo times that cannot be true";
        let far = now.plus_micros(LONGEST_WAIT).micros();
        let sql = "SELECT EXISTS (SELECT 1 FROM debts WHERE due > $1)
            OR EXISTS (SELECT 1 FROM lanes WHERE paused_until > $1 AND pause_reason = $2)";
        let query = sql::query(sql).bind(far).bind(ASKED_FOR_PAUSE);
        let row = query.fetch_one(self.readers()).await.map_err(doing(WHAT))?;
        if !row.try_get::<bool>(0).map_err(doing(WHAT))? {
            return Ok(0);
        }
        let mut write = self.begin(WHAT).await?;
        let query = sql::query("UPDATE debts SET due = $1 WHERE due > $2").bind(now.micros()).bind(far);
        let debts = query.execute(&mut write).await.map_err(doing(WHAT))?;
        let sql = "UPDATE lanes SET paused_until = $1 WHERE paused_until > $2 AND pause_reason = $3";
        let query = sql::query(sql).bind(now.micros()).bind(far).bind(ASKED_FOR_PAUSE);
        let lanes = query.execute(&mut write).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(debts + lanes)
    }

    async fn due(&self, what: &'static str, sql: impl Into<Sql>) -> Result<Vec<LaneDue>, Error> {
        let rows = sql::query(sql).fetch_all(self.readers()).await.map_err(doing(what))?;
        // A debt whose lane is no id cannot be claimed by anybody; it keeps nobody from theirs.
        let read =
            |row: &Row| Some(LaneDue { lane: LaneId(row.uuid("lane").ok()?), due: row.time("due").ok()? });
        Ok(rows.iter().filter_map(read).collect())
    }
}
