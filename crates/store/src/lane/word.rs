//! What is said of lanes while deliveries are settled, in the order it was said.

use ringpost_model::{Breaker, DeliveryId, LaneId, TenantId, Text, Timestamp};

use crate::debt::Debt;
use crate::ending::Ended;
use crate::spent;
use crate::sql::{self, Tx};

/// One thing that is said of a lane. Words are given in the order in which they became true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneWord {
    /// What the lane thinks of its receiver from now on. Ends the lease of a probe, unless the next one is due at
    /// the same time as before. A lane that another process has opened meanwhile stays as that said: see
    /// [`crate::Settled::stale`].
    Breaker {
        /// Which lane.
        lane: LaneId,
        /// Whose it is.
        owner: TenantId,
        /// Origin and first path segment, for people.
        shown: Text,
        /// The new state.
        breaker: Breaker,
    },
    /// Nothing is claimed until then. Of two pauses the one that ends later holds.
    Pause {
        /// Which lane.
        lane: LaneId,
        /// Whose it is.
        owner: TenantId,
        /// Origin and first path segment, for people.
        shown: Text,
        /// Until when.
        until: Timestamp,
        /// Why, for people.
        reason: Text,
    },
    /// A delivery has failed for good, in a run of failures that goes on: it comes back if the receiver turns out
    /// to be down. That it failed is told beside this, by its last attempt or its ending.
    Spent {
        /// As it is to come back: with the tries it had before they were used up. `due` is not read.
        debt: Box<Debt>,
        /// When it failed: the time of its ending.
        at: Timestamp,
    },
    /// A success: what failed before it in this lane stays failed.
    Forget {
        /// Which lane.
        lane: LaneId,
    },
    /// The receiver is down: what has failed since the last success is owed again, due at once.
    Revive {
        /// Which lane.
        lane: LaneId,
        /// Since when it is owed again.
        now: Timestamp,
        /// Why, for people.
        reason: Text,
    },
}

impl LaneWord {
    /// Which lane it is about.
    pub(crate) fn lane(&self) -> LaneId {
        match self {
            Self::Breaker { lane, .. }
            | Self::Pause { lane, .. }
            | Self::Forget { lane }
            | Self::Revive { lane, .. } => *lane,
            Self::Spent { debt, .. } => debt.lane,
        }
    }
}

/// What words led to.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Came back, and a newer revision is owed already.
    pub(crate) superseded: Vec<Ended>,
    /// Came back, with when it had failed: no ending of that time holds any longer.
    pub(crate) revived: Vec<(DeliveryId, Timestamp)>,
    /// Another process knows better.
    pub(crate) stale: Vec<LaneId>,
}

pub(crate) async fn apply(to: &mut Tx, words: &[LaneWord], now: Timestamp) -> sqlx::Result<Told> {
    let mut told = Told::default();
    for word in words {
        match word {
            LaneWord::Breaker { lane, owner, shown, breaker: new } => {
                if !put_breaker(to, *lane, (*owner, shown), new, now).await? {
                    told.stale.push(*lane);
                }
            }
            LaneWord::Pause { lane, owner, shown, until, reason } => {
                pause(to, *lane, Some((*owner, shown)), *until, reason).await?;
            }
            LaneWord::Spent { debt, at } => spent::put(to, debt, *at).await?,
            LaneWord::Forget { lane } => spent::forget(to, *lane).await?,
            LaneWord::Revive { lane, now, reason } => {
                spent::revive(to, *lane, *now, reason, &mut told).await?;
            }
        }
    }
    Ok(told)
}

/// False = another process has opened the lane meanwhile, and this word is of before that.
async fn put_breaker(
    to: &mut Tx,
    lane: LaneId,
    (owner, shown): (TenantId, &str),
    new: &Breaker,
    now: Timestamp,
) -> sqlx::Result<bool> {
    if let Some(Ok(old)) = breaker(to, lane).await?
        && !may_follow(&old, new)
    {
        return Ok(false);
    }
    if *new == Breaker::Healthy {
        let sql = "UPDATE lanes SET breaker = NULL, open = 0, probe_at = 0, probe_until = 0, changed = $1
            WHERE lane = $2";
        let query = sql::query(sql).bind(now.micros()).bind(lane.0);
        query.execute(&mut *to).await?;
        drop_if_plain(to, lane, now).await?;
        return Ok(true);
    }
    let probe_at = if let Breaker::Open { probe_at, .. } = new { probe_at.micros() } else { 0 };
    let sql = "INSERT INTO lanes (lane, owner, shown, breaker, open, probe_at, probe_until, paused_until,
            pause_reason, changed) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, '', $7)
        ON CONFLICT (lane) DO UPDATE SET owner = excluded.owner, shown = excluded.shown, breaker = excluded.breaker,
            open = excluded.open, probe_at = excluded.probe_at, changed = excluded.changed,
            probe_until = CASE WHEN excluded.open = 1 AND lanes.open = 1 AND excluded.probe_at = lanes.probe_at
                THEN lanes.probe_until ELSE 0 END";
    let query = sql::query(sql).bind(lane.0).bind(owner.0);
    let query = query.bind(shown).bind(json(new)).bind(new.is_open()).bind(probe_at).bind(now.micros());
    query.execute(to).await?;
    Ok(true)
}

/// Whether one process can have said both, one after the other. Failures are counted, and a lane is opened anew,
/// only by who does not know that it is open.
fn may_follow(old: &Breaker, new: &Breaker) -> bool {
    match (old, new) {
        (Breaker::Open { .. } | Breaker::Ramping { .. }, Breaker::Failing { .. }) => false,
        (Breaker::Open { since: old, .. }, Breaker::Open { since: new, .. }) => old == new,
        _ => true,
    }
}

pub(super) async fn pause(
    to: &mut Tx,
    lane: LaneId,
    of: Option<(TenantId, &Text)>,
    until: Timestamp,
    reason: &str,
) -> sqlx::Result<()> {
    let sql =
        "INSERT INTO lanes (lane, owner, shown, open, probe_at, probe_until, paused_until, pause_reason,
            changed) VALUES ($1, $2, $3, 0, 0, 0, $4, $5, $4)
        ON CONFLICT (lane) DO UPDATE SET owner = coalesce(excluded.owner, lanes.owner),
            shown = CASE excluded.shown WHEN '' THEN lanes.shown ELSE excluded.shown END,
            pause_reason = CASE WHEN excluded.paused_until > lanes.paused_until
                THEN excluded.pause_reason ELSE lanes.pause_reason END,
            paused_until = CASE WHEN excluded.paused_until > lanes.paused_until
                THEN excluded.paused_until ELSE lanes.paused_until END";
    let query = sql::query(sql)
        .bind(lane.0)
        .bind(of.map(|(owner, _)| owner.0))
        .bind(of.map_or("", |(_, shown)| shown))
        .bind(until.micros())
        .bind(reason);
    query.execute(to).await?;
    Ok(())
}

/// The breaker of a lane that has a row; an error inside = it cannot be read.
pub(super) async fn breaker(
    from: &mut Tx,
    lane: LaneId,
) -> sqlx::Result<Option<serde_json::Result<Breaker>>> {
    let query = sql::query("SELECT breaker FROM lanes WHERE lane = $1").bind(lane.0);
    let Some(row) = query.fetch_optional(from).await? else { return Ok(None) };
    let text: Option<&str> = row.try_get(0)?;
    Ok(Some(text.map_or(Ok(Breaker::Healthy), serde_json::from_str)))
}

/// A lane of which nothing is known any more needs no row.
pub(super) async fn drop_if_plain(to: &mut Tx, lane: LaneId, now: Timestamp) -> sqlx::Result<()> {
    let query = sql::query("DELETE FROM lanes WHERE lane = $1 AND breaker IS NULL AND paused_until <= $2");
    query.bind(lane.0).bind(now.micros()).execute(to).await?;
    Ok(())
}

pub(super) fn json(breaker: &Breaker) -> String {
    serde_json::to_string(breaker).expect("a breaker has only keys that are texts")
}
