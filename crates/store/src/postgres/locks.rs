//! What SQLite's single writer gives for free: that two who work on the same thing come one after the other.
//!
//! Advisory locks of transactions, which end with them: a pooler may stand between. Taken all at once and in order, so
//! that nobody waits for each other. With SQLite nothing is to be done.

use std::collections::BTreeSet;

use ringpost_model::{LaneId, SessionId, TriggerId};

use crate::sql::{self, Dialect, Tx, Value};

/// Of all our locks; the rest is what is locked.
const OURS: i64 = 0x7269_6e67 << 32;
const MIGRATION: i64 = OURS;
const CONFIGURATION: i64 = OURS | 1;
const CHANGES: i64 = OURS | 2;
const DAYS: i64 = OURS | 3;
const FOLD: i64 = OURS | 4;
const LANES: i64 = OURS | 1 << 28;
const STRANDS: i64 = OURS | 2 << 28;
/// Lanes and strands share so many locks, or a batch of many would fill the server's table of them. Two that share
/// one wait for each other some milliseconds now and then.
const STRIPES: u64 = 4_096;

/// What a batch touches.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    keys: BTreeSet<i64>,
}

impl Touched {
    pub(crate) fn lane(&mut self, lane: LaneId) {
        self.keys.insert(LANES | stripe(lane.0.as_u64_pair().1, 0));
    }

    pub(crate) fn strand(&mut self, trigger: TriggerId, session: SessionId) {
        self.keys.insert(strand(trigger, session));
    }

    /// Waits until it is ours. Whether triggers are paused or off stays as it is meanwhile.
    pub(crate) async fn lock(self, to: &mut Tx) -> sqlx::Result<()> {
        if to.dialect() == Dialect::Sqlite || self.keys.is_empty() {
            return Ok(());
        }
        let sql = "SELECT CASE WHEN key = $2 THEN pg_advisory_xact_lock_shared(key)
                ELSE pg_advisory_xact_lock(key) END
            FROM (SELECT key FROM unnest($1) AS key ORDER BY key) AS sorted";
        let keys = std::iter::once(CONFIGURATION).chain(self.keys).map(Some).collect();
        sql::query(sql).bind(Value::Integers(keys)).bind(CONFIGURATION).fetch_all(to).await.map(drop)
    }
}

/// Of these strands those that are free, which are ours then: for who holds rows already, and must not wait.
pub(crate) async fn try_strands(
    to: &mut Tx,
    strands: impl Iterator<Item = (TriggerId, SessionId)>,
) -> sqlx::Result<Vec<bool>> {
    let keys: Vec<i64> = strands.map(|(trigger, session)| strand(trigger, session)).collect();
    if to.dialect() == Dialect::Sqlite || keys.is_empty() {
        return Ok(vec![true; keys.len()]);
    }
    let sql = "SELECT key FROM (SELECT DISTINCT key FROM unnest($1) AS key) AS each
        WHERE pg_try_advisory_xact_lock(key)";
    let asked = Value::Integers(keys.iter().copied().map(Some).collect());
    let rows = sql::query(sql).bind(asked).fetch_all(to).await?;
    let ours = rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<BTreeSet<i64>>>()?;
    Ok(keys.into_iter().map(|key| ours.contains(&key)).collect())
}

/// Changes of configuration come one at a time, and none while a batch relies on it.
pub(crate) async fn configuration(to: &mut Tx) -> sqlx::Result<()> {
    wait(to, CONFIGURATION).await
}

/// Numbers of changes become visible in their order: who takes one keeps the others waiting until it is there to be
/// read, or never will be. A sequence alone would show 6 while 5 is still to come, and who has read 6 never asks for 5.
pub(crate) async fn changes(to: &mut Tx) -> sqlx::Result<()> {
    wait(to, CHANGES).await
}

/// Days of the log are made and dropped by one process at a time.
pub(super) async fn days(to: &mut Tx) -> sqlx::Result<()> {
    wait(to, DAYS).await
}

/// Tables are made by one process at a time.
pub(super) async fn migration(to: &mut Tx) -> sqlx::Result<()> {
    wait(to, MIGRATION).await
}

/// Whether it is ours to add up counts.
pub(crate) async fn try_fold(to: &mut Tx) -> sqlx::Result<bool> {
    sql::query("SELECT pg_try_advisory_xact_lock($1)").bind(FOLD).fetch_one(to).await?.try_get(0)
}

async fn wait(to: &mut Tx, key: i64) -> sqlx::Result<()> {
    if to.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    sql::query("SELECT pg_advisory_xact_lock($1)").bind(key).fetch_all(to).await.map(drop)
}

fn strand(trigger: TriggerId, session: SessionId) -> i64 {
    STRANDS | stripe(trigger.0.as_u64_pair().1, session.0.as_u64_pair().1)
}

/// Ids are hashes, or counted in tests: mixed either way.
fn stripe(one: u64, other: u64) -> i64 {
    let mixed = (one ^ other.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 32) % STRIPES) as i64
}
