//! Finished calls: the newest revision of each to search in, earlier ones for what is still owed of them.

mod search;

use std::collections::BTreeMap;

use ringpost_model::{CallDirection, Envelope, PbxKey, SessionId, TenantKey, Text, Timestamp};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::columns::places;
use crate::error::{Error, doing};
use crate::sql::{self, Dialect, Query, Row, Sql, Tx, Value};
use crate::store::Store;

pub use search::SessionFilter;

/// Rows of one statement.
const ROWS: usize = 16;
const COLUMNS: &str = "session, tenant, pbx, rev, emitted, start, \"end\", dur, talk, dir, outcome, partial, cli, \
    ddi, users, replaced_by";

/// How a call ended, for searching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// Nobody talked, and it does not count as lost.
    Unanswered,
    /// Somebody talked.
    Answered,
    /// Incoming, and nobody talked with the caller.
    Lost,
}

/// One session as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose call.
    pub tenant: TenantKey,
    /// Of which pbx.
    pub pbx: PbxKey,
    /// The newest revision.
    pub rev: u32,
    /// When that was emitted.
    pub emitted: Timestamp,
    /// Start of the call.
    pub start: Timestamp,
    /// End of the call.
    pub end: Timestamp,
    /// Seconds from start to end.
    pub dur: u32,
    /// Seconds of talk.
    pub talk: u32,
    /// Which way it went.
    pub direction: CallDirection,
    /// How it ended.
    pub outcome: CallOutcome,
    /// Not all of the call was known.
    pub partial: bool,
    /// Number of the other party; may be empty.
    pub cli: Text,
    /// The tenant's number; may be empty.
    pub ddi: Text,
    /// Numbers and names of the users that rang or answered, to search in, a line each.
    pub users: Text,
    /// The session that absorbed it.
    pub replaced_by: Option<SessionId>,
}

/// A session to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its row.
    pub session: Session,
    /// The sessions that it absorbed.
    pub replaces: Vec<SessionId>,
    /// Its envelope, as emitted.
    pub envelope: Vec<u8>,
}

/// A session with its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// Its row.
    pub session: Session,
    /// Its newest envelope, as emitted (`Envelope::from_bytes`).
    pub envelope: Vec<u8>,
}

/// A place in a list of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCursor {
    /// Start of the call.
    pub start: Timestamp,
    /// Its id.
    pub id: SessionId,
}

impl CallOutcome {
    const ALL: [Self; 3] = [Self::Unanswered, Self::Answered, Self::Lost];
}

impl NewSession {
    /// Of an envelope and the bytes that it was read from.
    pub fn of(envelope: &Envelope, bytes: Vec<u8>) -> Self {
        let replaces = envelope.cdr.replaces.clone();
        Self { session: Session::of(envelope), replaces, envelope: bytes }
    }
}

impl Session {
    /// The row of an envelope.
    pub fn of(envelope: &Envelope) -> Self {
        let cdr = &envelope.cdr;
        let outcome = match (cdr.ans, cdr.lost) {
            (_, true) => CallOutcome::Lost,
            (true, false) => CallOutcome::Answered,
            (false, false) => CallOutcome::Unanswered,
        };
        Self {
            id: envelope.session,
            tenant: envelope.tenant.clone(),
            pbx: envelope.pbx.clone(),
            rev: envelope.rev,
            emitted: envelope.emitted,
            start: cdr.start,
            end: cdr.end,
            dur: cdr.dur,
            talk: cdr.talk,
            direction: cdr.direction,
            outcome,
            partial: cdr.partial,
            cli: cdr.cli.number.clone(),
            ddi: cdr.ddi.number.clone(),
            users: users(envelope),
            replaced_by: None,
        }
    }

    /// Where it stands in a list.
    pub fn cursor(&self) -> SessionCursor {
        SessionCursor { start: self.start, id: self.id }
    }
}

/// Who rang and who answered, each once: users and agents by number and name, devices by number.
fn users(envelope: &Envelope) -> Text {
    let cdr = &envelope.cdr;
    let mut lines: Vec<&str> = Vec::new();
    for faces in [&cdr.users, &cdr.agents] {
        for face in [&faces.first_rang, &faces.last_rang, &faces.answered, &faces.last_answered] {
            lines.extend([&*face.number, &*face.name]);
        }
    }
    let devices = &cdr.devices;
    for face in [&devices.first_rang, &devices.last_rang, &devices.answered, &devices.last_answered] {
        lines.push(&face.number);
    }
    lines.retain(|line| !line.is_empty());
    lines.sort_unstable();
    lines.dedup();
    lines.join("\n").into()
}

impl Store {
    /// Sessions, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn sessions(&self, filter: &SessionFilter, limit: usize) -> Result<Vec<Session>, Error> {
        const WHAT: &str = "list sessions";
        let query = filter.query(self.dialect(), limit);
        let rows = query.build().fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(doing(WHAT))
    }

    /// One session with its newest envelope.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn session(&self, id: SessionId) -> Result<Option<StoredSession>, Error> {
        const WHAT: &str = "read a session";
        let query = sql::query("SELECT * FROM sessions WHERE session = $1").bind(id.0);
        let row = query.fetch_optional(self.readers()).await.map_err(doing(WHAT))?;
        let Some(row) = row else { return Ok(None) };
        let session = read(&row).map_err(doing(WHAT))?;
        Ok(Some(StoredSession { session, envelope: row.try_get("envelope").map_err(doing(WHAT))? }))
    }

    /// The envelope of one revision.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn envelope(&self, id: SessionId, rev: u32) -> Result<Option<Vec<u8>>, Error> {
        const WHAT: &str = "read an envelope";
        let sql = "SELECT envelope FROM sessions WHERE session = $1 AND rev = $2
            UNION ALL SELECT envelope FROM revisions WHERE session = $1 AND rev = $2";
        let query = sql::query(sql).bind(id.0).bind(rev);
        let row = query.fetch_optional(self.readers()).await.map_err(doing(WHAT))?;
        row.map(|row| row.try_get(0)).transpose().map_err(doing(WHAT))
    }
}

/// Writes sessions: a row is taken over by a higher revision only, and its envelope then moves to the former ones.
pub(crate) async fn upsert(to: &mut Tx, sessions: &[NewSession]) -> sqlx::Result<()> {
    let rows = match to.dialect() {
        Dialect::Sqlite => ROWS,
        Dialect::Postgres => usize::MAX,
    };
    // First revisions, nearly all, go many at a time; a correction by itself, after what it may correct.
    for run in sessions.chunk_by(|one, next| one.session.rev <= 1 && next.session.rev <= 1) {
        for some in run.chunks(rows) {
            if let [only] = some
                && only.session.rev > 1
            {
                keep_former(to, &only.session).await?;
            }
            let query = match to.dialect() {
                Dialect::Sqlite => insert_places(some),
                Dialect::Postgres => insert_lists(some),
            };
            query.execute(&mut *to).await?;
        }
        for new in run.iter().filter(|new| !new.replaces.is_empty()) {
            mark_replaced(to, new.session.id, &new.replaces).await?;
        }
    }
    Ok(())
}

/// The sessions that these absorbed are no longer listed.
async fn mark_replaced(to: &mut Tx, by: SessionId, absorbed: &[SessionId]) -> sqlx::Result<()> {
    for id in absorbed.iter().filter(|id| **id != by) {
        let query = sql::query("UPDATE sessions SET replaced_by = $1 WHERE session = $2");
        query.bind(by.0).bind(id.0).execute(&mut *to).await?;
    }
    Ok(())
}

async fn keep_former(to: &mut Tx, session: &Session) -> sqlx::Result<()> {
    let sql = "INSERT INTO revisions (session, rev, envelope)
        SELECT session, rev, envelope FROM sessions WHERE session = $1 AND rev < $2 ON CONFLICT DO NOTHING";
    sql::query(sql).bind(session.id.0).bind(session.rev).execute(to).await?;
    Ok(())
}

/// A row is taken over by a higher revision only.
const TAKE_OVER: &str = "ON CONFLICT (session) DO UPDATE SET
    rev = excluded.rev, emitted = excluded.emitted, start = excluded.start, \"end\" = excluded.\"end\",
    dur = excluded.dur, talk = excluded.talk, dir = excluded.dir, outcome = excluded.outcome,
    partial = excluded.partial, cli = excluded.cli, ddi = excluded.ddi, users = excluded.users,
    envelope = excluded.envelope WHERE excluded.rev > sessions.rev";

fn insert_places(sessions: &[NewSession]) -> Query {
    let rows = places(sessions.len(), 17);
    let text = format!("INSERT INTO sessions ({COLUMNS}, envelope) VALUES {rows} {TAKE_OVER}");
    // Made of constants and a count only.
    let mut query = sql::query(Sql::Both(AssertSqlSafe(text).into_sql_str()));
    for NewSession { session, envelope, .. } in sessions {
        query = query
            .bind(session.id.0)
            .bind(session.tenant.as_str())
            .bind(session.pbx.as_str())
            .bind(session.rev)
            .bind(session.emitted.micros())
            .bind(session.start.micros())
            .bind(session.end.micros())
            .bind(session.dur)
            .bind(session.talk)
            .bind(i64::from(session.direction.code()))
            .bind(session.outcome as i64)
            .bind(session.partial)
            .bind(some_text(&session.cli))
            .bind(some_text(&session.ddi))
            .bind(&*session.users)
            .bind(session.replaced_by.map(|id| id.0))
            .bind(envelope.as_slice());
    }
    query
}

/// One statement for any number of rows, each session once and in the order of ids: two processes that write the same
/// ones then wait for each other, and not in a circle.
fn insert_lists(sessions: &[NewSession]) -> Query {
    let mut each: BTreeMap<SessionId, &NewSession> = BTreeMap::new();
    for new in sessions {
        let kept = each.entry(new.session.id).or_insert(new);
        if new.session.rev > kept.session.rev {
            *kept = new;
        }
    }
    let lists = "unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    let text = format!("INSERT INTO sessions ({COLUMNS}, envelope) SELECT * FROM {lists} {TAKE_OVER}");
    let rows = || each.values().map(|new| &new.session);
    // Made of constants only.
    sql::query(Sql::Both(AssertSqlSafe(text).into_sql_str()))
        .bind(Value::ids(rows().map(|row| row.id.0)))
        .bind(Value::texts(rows().map(|row| row.tenant.as_str())))
        .bind(Value::texts(rows().map(|row| row.pbx.as_str())))
        .bind(Value::integers(rows().map(|row| row.rev)))
        .bind(Value::integers(rows().map(|row| row.emitted.micros())))
        .bind(Value::integers(rows().map(|row| row.start.micros())))
        .bind(Value::integers(rows().map(|row| row.end.micros())))
        .bind(Value::integers(rows().map(|row| row.dur)))
        .bind(Value::integers(rows().map(|row| row.talk)))
        .bind(Value::integers(rows().map(|row| i64::from(row.direction.code()))))
        .bind(Value::integers(rows().map(|row| row.outcome as i64)))
        .bind(Value::integers(rows().map(|row| row.partial)))
        .bind(Value::Texts(rows().map(|row| some_text(&row.cli).map(str::to_owned)).collect()))
        .bind(Value::Texts(rows().map(|row| some_text(&row.ddi).map(str::to_owned)).collect()))
        .bind(Value::texts(rows().map(|row| &*row.users)))
        .bind(Value::Ids(rows().map(|row| row.replaced_by.map(|id| id.0)).collect()))
        .bind(Value::Blobs(each.values().map(|new| new.envelope.clone()).collect()))
}

/// Empty is absent, and not in an index.
fn some_text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn read(row: &Row) -> sqlx::Result<Session> {
    let direction = CallDirection::ALL.get(row.try_get::<u8>("dir")? as usize).copied();
    let outcome = CallOutcome::ALL.get(row.try_get::<u8>("outcome")? as usize).copied();
    let text = |at| Ok::<Text, sqlx::Error>(row.try_get::<Option<&str>>(at)?.unwrap_or_default().into());
    let replaced_by = row.uuid_if_any("replaced_by")?;
    Ok(Session {
        id: SessionId(row.uuid("session")?),
        tenant: row.tenant("tenant")?,
        pbx: row.parsed("pbx")?,
        rev: row.try_get("rev")?,
        emitted: row.time("emitted")?,
        start: row.time("start")?,
        end: row.time("end")?,
        dur: row.try_get("dur")?,
        talk: row.try_get("talk")?,
        direction: direction.unwrap_or_default(),
        outcome: outcome.unwrap_or(CallOutcome::Unanswered),
        partial: row.try_get("partial")?,
        cli: text("cli")?,
        ddi: text("ddi")?,
        users: text("users")?,
        replaced_by: replaced_by.map(SessionId),
    })
}
