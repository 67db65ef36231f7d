//! Finished calls: the newest revision of each to search in, earlier ones for what is still owed of them.

mod search;

use ringpost_model::{CallDirection, Envelope, PbxKey, SessionId, TenantKey, Text, Timestamp};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row};

use crate::columns::{Columns, places};
use crate::error::{Error, doing};
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
        let mut query = filter.query(limit);
        let rows = query.build().fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(doing(WHAT))
    }

    /// One session with its newest envelope.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn session(&self, id: SessionId) -> Result<Option<StoredSession>, Error> {
        const WHAT: &str = "read a session";
        let query = sqlx::query("SELECT * FROM sessions WHERE session = ?").bind(id.0.as_bytes().as_slice());
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
        let sql = "SELECT envelope FROM sessions WHERE session = ?1 AND rev = ?2
            UNION ALL SELECT envelope FROM revisions WHERE session = ?1 AND rev = ?2";
        let query = sqlx::query_scalar(sql).bind(id.0.as_bytes().as_slice()).bind(rev);
        query.fetch_optional(self.readers()).await.map_err(doing(WHAT))
    }
}

/// Writes sessions: a row is taken over by a higher revision only, and its envelope then moves to the former ones.
pub(crate) async fn upsert(to: &mut SqliteConnection, sessions: &[NewSession]) -> sqlx::Result<()> {
    // First revisions, nearly all, go many at a time; a correction by itself, after what it may correct.
    for run in sessions.chunk_by(|one, next| one.session.rev <= 1 && next.session.rev <= 1) {
        for some in run.chunks(ROWS) {
            if let [only] = some
                && only.session.rev > 1
            {
                keep_former(to, &only.session).await?;
            }
            insert(to, some).await?;
        }
        for new in run.iter().filter(|new| !new.replaces.is_empty()) {
            mark_replaced(to, new.session.id, &new.replaces).await?;
        }
    }
    Ok(())
}

/// The sessions that these absorbed are no longer listed.
async fn mark_replaced(to: &mut SqliteConnection, by: SessionId, absorbed: &[SessionId]) -> sqlx::Result<()> {
    for id in absorbed.iter().filter(|id| **id != by) {
        let query = sqlx::query("UPDATE sessions SET replaced_by = ? WHERE session = ?");
        query.bind(by.0.as_bytes().as_slice()).bind(id.0.as_bytes().as_slice()).execute(&mut *to).await?;
    }
    Ok(())
}

async fn keep_former(to: &mut SqliteConnection, session: &Session) -> sqlx::Result<()> {
    let sql = "INSERT INTO revisions (session, rev, envelope)
        SELECT session, rev, envelope FROM sessions WHERE session = ? AND rev < ? ON CONFLICT DO NOTHING";
    sqlx::query(sql).bind(session.id.0.as_bytes().as_slice()).bind(session.rev).execute(to).await?;
    Ok(())
}

async fn insert(to: &mut SqliteConnection, sessions: &[NewSession]) -> sqlx::Result<()> {
    let sql = format!(
        "INSERT INTO sessions ({COLUMNS}, envelope) VALUES {} ON CONFLICT (session) DO UPDATE SET
        rev = excluded.rev, emitted = excluded.emitted, start = excluded.start, \"end\" = excluded.\"end\",
        dur = excluded.dur, talk = excluded.talk, dir = excluded.dir, outcome = excluded.outcome,
        partial = excluded.partial, cli = excluded.cli, ddi = excluded.ddi, users = excluded.users,
        envelope = excluded.envelope WHERE excluded.rev > sessions.rev",
        places(sessions.len(), 17)
    );
    // Made of constants and a count only.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for NewSession { session, envelope, .. } in sessions {
        query = query
            .bind(session.id.0.as_bytes().as_slice())
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
            .bind(session.replaced_by.map(|id| id.0.as_bytes().to_vec()))
            .bind(envelope.as_slice());
    }
    query.execute(to).await?;
    Ok(())
}

/// Empty is absent, and not in an index.
fn some_text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn read(row: &SqliteRow) -> sqlx::Result<Session> {
    let direction = CallDirection::ALL.get(row.try_get::<u8, _>("dir")? as usize).copied();
    let outcome = CallOutcome::ALL.get(row.try_get::<u8, _>("outcome")? as usize).copied();
    let text = |at| Ok::<Text, sqlx::Error>(row.try_get::<Option<&str>, _>(at)?.unwrap_or_default().into());
    let replaced_by: Option<&[u8]> = row.try_get("replaced_by")?;
    let replaced_by = replaced_by.map(|_| row.uuid("replaced_by")).transpose()?;
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
