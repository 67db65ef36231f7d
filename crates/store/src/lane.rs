//! Lanes that are not plain: paused ones, and those whose receiver fails, is down, or was. One row each; none of
//! their debts is touched. What opens a lane, and what follows a probe, is decided elsewhere.

mod owed;
mod rate;
mod word;

use ringpost_model::{Breaker, LaneId, TenantId, Text, Timestamp};

use crate::columns::undecodable;
use crate::error::{Error, doing};
use crate::rows::{Rows, Unreadable};
use crate::sql::{self, Row, Sql, Tx};
use crate::store::Store;

pub use owed::{ASKED_FOR_PAUSE, LaneDue, WaitingTrigger};
pub use word::LaneWord;

pub(crate) use word::{Told, apply};

/// A lane that is not plain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRow {
    /// Which one.
    pub lane: LaneId,
    /// Whose it is; not known of a lane that an operator, or version 1, paused.
    pub owner: Option<TenantId>,
    /// Origin and first path segment, for people; may be empty.
    pub shown: Text,
    /// What it thinks of its receiver.
    pub breaker: Breaker,
    /// A probe is in flight, and nobody else sends one until then.
    pub probe_until: Option<Timestamp>,
    /// Nothing is claimed until then; it may have passed.
    pub paused_until: Option<Timestamp>,
    /// Why it is paused, for people.
    pub pause_reason: Text,
    /// Deliveries that are owed in it.
    pub owed: u64,
    /// How many of them wait for it, and for no trigger that is paused.
    pub waiting: u64,
}

/// PostgreSQL adds up once for all lanes what lies in parts there.
const LANES: Sql = sql::each(
    "SELECT lane, owner, shown, breaker, probe_until, paused_until, pause_reason,
        (SELECT coalesce(sum(count), 0) FROM owed WHERE owed.lane = lanes.lane) AS owed,
        (SELECT coalesce(sum(count), 0) FROM owed JOIN triggers t ON t.id = owed.trigger_id
            WHERE owed.lane = lanes.lane AND t.held = 0) AS waiting FROM lanes ORDER BY lane",
    "SELECT l.lane, l.owner, l.shown, l.breaker, l.probe_until, l.paused_until, l.pause_reason,
        CAST(coalesce(o.owed, 0) AS BIGINT) AS owed, CAST(coalesce(o.waiting, 0) AS BIGINT) AS waiting
        FROM lanes l LEFT JOIN (
            SELECT p.lane, sum(p.count) AS owed, sum(p.count) FILTER (WHERE t.held = 0) AS waiting
            FROM owed_parts p LEFT JOIN triggers t ON t.id = p.trigger_id GROUP BY p.lane
        ) AS o ON o.lane = l.lane ORDER BY l.lane",
);

impl Store {
    /// Every lane that is not plain. They are few.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn lanes(&self) -> Result<Rows<LaneRow>, Error> {
        const WHAT: &str = "list the lanes";
        let rows = sql::query(LANES).fetch_all(self.readers()).await;
        let name = |row: &Row| match row.uuid("lane") {
            Ok(lane) => format!("lane {lane}"),
            Err(_) => "lane".to_owned(),
        };
        let read = |row: &Row| read(row).map_err(|error| Unreadable::new(WHAT, name(row), error));
        Ok(rows.map_err(doing(WHAT))?.iter().map(read).collect())
    }

    /// Nothing is claimed for a lane until then. Of two pauses the one that ends later holds.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn pause_lane(&self, lane: LaneId, until: Timestamp, reason: &str) -> Result<(), Error> {
        const WHAT: &str = "pause a lane";
        let mut write = self.begin(WHAT).await?;
        word::pause(&mut write, lane, None, until, reason).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))
    }

    /// For operators: a lane goes on at once. Its pause ends; if its receiver is down, the next probe is due now.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn resume_lane(&self, lane: LaneId, now: Timestamp) -> Result<(), Error> {
        const WHAT: &str = "resume a lane";
        let mut write = self.begin(WHAT).await?;
        resume(&mut write, lane, now).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))
    }

    /// Lanes that are paused, with until when and why.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn paused_lanes(&self, now: Timestamp) -> Result<Vec<(LaneDue, Text)>, Error> {
        let lanes = self.lanes().await?;
        let paused = lanes.into_iter().filter_map(|row| {
            let due = row.paused_until.filter(|until| *until > now)?;
            Some((LaneDue { lane: row.lane, due }, row.pause_reason))
        });
        Ok(paused.collect())
    }
}

async fn resume(to: &mut Tx, lane: LaneId, now: Timestamp) -> sqlx::Result<()> {
    let id = lane.0;
    let sql = "UPDATE lanes SET paused_until = 0, pause_reason = '', changed = $2,
        probe_at = CASE open WHEN 1 THEN $2 ELSE probe_at END WHERE lane = $1";
    sql::query(sql).bind(id).bind(now.micros()).execute(&mut *to).await?;
    // One that cannot be read is probed too, by its columns.
    if let Some(Ok(Breaker::Open { since, wait, reason, .. })) = word::breaker(to, lane).await? {
        let breaker = Breaker::Open { since, probe_at: now, wait, reason };
        let query = sql::query("UPDATE lanes SET breaker = $1 WHERE lane = $2");
        query.bind(word::json(&breaker)).bind(id).execute(&mut *to).await?;
    }
    word::drop_if_plain(to, lane, now).await
}

fn read(row: &Row) -> sqlx::Result<LaneRow> {
    let breaker: Option<&str> = row.try_get("breaker")?;
    let breaker = breaker.map_or(Ok(Breaker::Healthy), serde_json::from_str);
    let owner = row.uuid_if_any("owner")?;
    let unless_never = |at| Ok::<_, sqlx::Error>(Some(row.time(at)?).filter(|time| time.micros() != 0));
    Ok(LaneRow {
        lane: LaneId(row.uuid("lane")?),
        owner: owner.map(TenantId),
        shown: row.try_get::<&str>("shown")?.into(),
        breaker: breaker.map_err(|error| undecodable("breaker", error))?,
        probe_until: unless_never("probe_until")?,
        paused_until: unless_never("paused_until")?,
        pause_reason: row.try_get::<&str>("pause_reason")?.into(),
        owed: row.try_get::<i64>("owed")? as u64,
        waiting: row.try_get::<i64>("waiting")? as u64,
    })
}
