//! What is old goes: days of attempts by their file, the rest in short steps beside the work.

use std::time::Duration;

use ringpost_model::Timestamp;

use crate::day::Day;
use crate::error::{Error, doing};
use crate::sql::{self, Dialect};
use crate::store::{Backend, Store};

/// Rows of one transaction: few enough that dispatch does not notice.
const STEP: i64 = 1_000;

const SPENT: &str = "DELETE FROM spent WHERE seq IN (SELECT seq FROM spent WHERE failed < $1 LIMIT $2)";
/// Not what is owed for one: it is rendered from it.
const NOTICES: &str = "DELETE FROM notices WHERE rowid IN (SELECT rowid FROM notices n WHERE at < $1
    AND NOT EXISTS (SELECT 1 FROM debts d WHERE d.session = n.id) LIMIT $2)";
const PLAIN_LANES: &str = "DELETE FROM lanes WHERE lane IN
    (SELECT lane FROM lanes WHERE breaker IS NULL AND paused_until < $1 LIMIT $2)";
/// Nothing goes that way any more.
const FORGOTTEN_LANES: &str =
    "DELETE FROM lanes WHERE lane IN (SELECT lane FROM lanes WHERE changed < $1 AND paused_until < $1
    AND NOT EXISTS (SELECT 1 FROM owed WHERE owed.lane = lanes.lane) LIMIT $2)";
const SHARES: &str = "DELETE FROM lane_shares WHERE (lane, owner) IN
    (SELECT lane, owner FROM lane_shares WHERE until < $1 LIMIT $2)";
/// Nobody goes on with these imports.
const LEFT_IMPORTS: &str = "UPDATE editions SET state = 2 WHERE edition IN
    (SELECT edition FROM editions WHERE state = 0 AND started < $1 LIMIT $2)";
/// Contacts of former imports, and of those that were given up.
const FORMER_CONTACTS: &str = "DELETE FROM contacts WHERE (directory, edition, id) IN
    (SELECT c.directory, c.edition, c.id FROM editions e
    JOIN contacts c ON c.directory = e.directory AND c.edition = e.edition
    WHERE e.state = 2 AND e.started < $1 LIMIT $2)";
const FORMER_EDITIONS: &str = "DELETE FROM editions WHERE edition IN (SELECT edition FROM editions e
    WHERE state = 2 AND started < $1 AND NOT EXISTS
        (SELECT 1 FROM contacts c WHERE c.directory = e.directory AND c.edition = e.edition) LIMIT $2)";
/// Who has tables loaded has read them long ago.
const CONTACT_EDITS: &str = "DELETE FROM contact_edits WHERE seq IN
    (SELECT seq FROM contact_edits WHERE at < $1 LIMIT $2)";

/// PostgreSQL: days are made so many ahead. Nobody has to wait at midnight, and a day on which nothing could be made
/// does not show.
const AHEAD: i64 = 4;
const DAY_MICROS: i64 = 86_400_000_000;
/// PostgreSQL: what is still owed stays.
const SESSIONS: &str =
    "DELETE FROM sessions WHERE session IN (SELECT s.session FROM sessions s WHERE s.emitted < $1
    AND NOT EXISTS (SELECT 1 FROM debts d WHERE d.session = s.session) LIMIT $2)";
/// Before them, their former revisions.
const REVISIONS: &str =
    "DELETE FROM revisions WHERE (session, rev) IN (SELECT r.session, r.rev FROM sessions s
    JOIN revisions r ON r.session = s.session WHERE s.emitted < $1
    AND NOT EXISTS (SELECT 1 FROM debts d WHERE d.session = s.session) LIMIT $2)";

/// How long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Attempts, in whole days: a day goes when all of it is older. 14 days.
    pub attempts: Duration,
    /// Sessions with their legs, after they were emitted. 400 days.
    pub sessions: Duration,
    /// Dead letters, after they were received. 30 days.
    pub dead_letters: Duration,
    /// Deliveries that failed, and come back if their receiver turns out to be down: as long as one is held. 24 h.
    pub spent: Duration,
}

/// What has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Files of attempts.
    pub days: u64,
    /// Sessions.
    pub sessions: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Notices.
    pub notices: u64,
    /// Versions of triggers that nothing refers to any more.
    pub trigger_versions: u64,
}

impl Default for Keep {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self { attempts: days(14), sessions: days(400), dead_letters: days(30), spent: days(1) }
    }
}

impl Store {
    /// Drops what is older than it is kept. To be called now and then, e.g. every hour.
    ///
    /// # Errors
    /// The store cannot be written; what has gone by then stays gone.
    pub async fn retain(&self, keep: Keep, now: Timestamp) -> Result<Dropped, Error> {
        const WHAT: &str = "drop what is old";
        let mut dropped = Dropped::default();
        let oldest = before(now, keep.attempts);
        dropped.days = self.drop_days(WHAT, oldest, now).await?;
        dropped.sessions = match self.dialect() {
            Dialect::Sqlite => self.drop_sessions(before(now, keep.sessions)).await?,
            Dialect::Postgres => {
                self.drop_rows(REVISIONS, before(now, keep.sessions)).await?;
                self.drop_rows(SESSIONS, before(now, keep.sessions)).await?
            }
        };
        let letters = "DELETE FROM dead_letters WHERE id IN
            (SELECT id FROM dead_letters WHERE received < $1 ORDER BY received LIMIT $2)";
        dropped.dead_letters = self.drop_rows(letters, before(now, keep.dead_letters)).await?;
        dropped.trigger_versions = self.drop_versions(oldest).await?;
        self.drop_rows(SPENT, before(now, keep.spent)).await?;
        dropped.notices = self.drop_rows(NOTICES, oldest).await?;
        self.drop_rows(PLAIN_LANES, now).await?;
        self.drop_rows(FORGOTTEN_LANES, oldest).await?;
        self.drop_rows(SHARES, now).await?;
        let a_day_ago = before(now, Duration::from_secs(86_400));
        self.drop_rows(LEFT_IMPORTS, a_day_ago).await?;
        self.drop_rows(FORMER_CONTACTS, now).await?;
        self.drop_rows(FORMER_EDITIONS, now).await?;
        self.drop_rows(CONTACT_EDITS, a_day_ago).await?;
        Ok(dropped)
    }

    /// In PostgreSQL those of the next days are made as well.
    async fn drop_days(&self, what: &'static str, oldest: Timestamp, now: Timestamp) -> Result<u64, Error> {
        let mut dropped = 0;
        match &self.inner.backend {
            Backend::Files(files) => {
                for day in files.days.list(what)?.into_iter().take_while(|day| day.end() <= oldest) {
                    files.days.drop(what, day).await?;
                    dropped += 1;
                }
            }
            Backend::Postgres(server) => {
                let (pool, failed) = (server.pool(), doing(what));
                let ahead = (0..AHEAD).map(|days| Day::of(now.plus_micros(days * DAY_MICROS)));
                server.days.make(pool, ahead).await.map_err(failed)?;
                let days = server.days.list(pool).await.map_err(failed)?;
                for day in days.into_iter().take_while(|day| day.end() <= oldest) {
                    match server.days.drop(pool, day).await.map_err(failed) {
                        // Somebody is reading the log: the next time will do.
                        Err(Error::Busy { .. }) => break,
                        done => done?,
                    }
                    dropped += 1;
                }
            }
        }
        Ok(dropped)
    }

    /// A version that nothing owed refers to is still needed as long as a delivery of its time can be replayed.
    async fn drop_versions(&self, than: Timestamp) -> Result<u64, Error> {
        let versions = "DELETE FROM trigger_versions WHERE rowid IN (SELECT v.rowid FROM trigger_versions v
            WHERE v.replaced < $1 AND NOT EXISTS (SELECT 1 FROM debts d
                WHERE d.trigger_id = v.trigger_id AND d.version = v.version)
            AND NOT EXISTS (SELECT 1 FROM spent s WHERE s.trigger_id = v.trigger_id AND s.version = v.version)
            LIMIT $2)";
        let dropped = self.drop_rows(versions, than).await?;
        let triggers = "DELETE FROM triggers WHERE id IN (SELECT id FROM triggers t WHERE removed < $1
            AND NOT EXISTS (SELECT 1 FROM trigger_versions v WHERE v.trigger_id = t.id) LIMIT $2)";
        self.drop_rows(triggers, than).await?;
        Ok(dropped)
    }

    /// Rows are in the order they were first written, near enough that of their emission: the old ones are at the
    /// beginning. What is still owed stays.
    async fn drop_sessions(&self, than: Timestamp) -> Result<u64, Error> {
        const WHAT: &str = "drop old sessions";
        let sql = "SELECT s.rowid, s.session, s.emitted < $1, EXISTS (SELECT 1 FROM debts d WHERE d.session = s.session)
            FROM sessions s WHERE s.rowid > $2 ORDER BY s.rowid LIMIT $3";
        let (mut after, mut dropped) = (i64::MIN, 0);
        loop {
            let mut write = self.begin(WHAT).await?;
            let query = sql::query(sql).bind(than.micros()).bind(after).bind(STEP);
            let rows = query.fetch_all(&mut write).await.map_err(doing(WHAT))?;
            let mut any_old = false;
            for row in &rows {
                let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
                let (place, session, is_old, is_owed): (i64, &[u8], bool, bool) =
                    read().map_err(doing(WHAT))?;
                after = place;
                any_old |= is_old;
                if !is_old || is_owed {
                    continue;
                }
                for sql in
                    ["DELETE FROM revisions WHERE session = $1", "DELETE FROM sessions WHERE session = $1"]
                {
                    let query = sql::query(sql).bind(session);
                    query.execute(&mut write).await.map_err(doing(WHAT))?;
                }
                dropped += 1;
            }
            write.commit().await.map_err(doing(WHAT))?;
            // What follows a step without anything old is younger.
            if !any_old {
                return Ok(dropped);
            }
        }
    }

    async fn drop_rows(&self, sql: &'static str, than: Timestamp) -> Result<u64, Error> {
        const WHAT: &str = "drop what is old";
        let mut dropped = 0;
        loop {
            let mut write = self.begin(WHAT).await?;
            let query = sql::query(sql).bind(than.micros()).bind(STEP);
            let done = query.execute(&mut write).await.map_err(doing(WHAT))?;
            write.commit().await.map_err(doing(WHAT))?;
            dropped += done;
            if done < STEP as u64 {
                return Ok(dropped);
            }
        }
    }
}

fn before(now: Timestamp, keep: Duration) -> Timestamp {
    now.plus_micros(-i64::try_from(keep.as_micros()).unwrap_or(i64::MAX))
}
