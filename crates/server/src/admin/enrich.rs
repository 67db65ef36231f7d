//! `POST /enrich`: calls that are in the store are enriched again from the tables as they are now. Each goes as a command
//! through the log, to the one who gives out revisions; the answer tells how far that is, line by line. Who hangs up stops
//! it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ringpost_bus::Record;
use ringpost_model::{Command, Envelope, TenantKey, Text, Timestamp};
use ringpost_store::{SessionCursor, SessionFilter, Store};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::AdminState;
use crate::clock::Clock;

/// Calls that are read and appended at once.
const PAGE: usize = 100;

/// Appends records of legs; durable when it is done.
pub(crate) type Append = Arc<dyn Fn(Vec<Record>) -> Appended + Send + Sync>;
/// What [`Append`] gives.
pub(crate) type Appended = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// What it takes.
#[derive(Clone)]
pub(crate) struct Again {
    pub(crate) store: Store,
    pub(crate) append: Append,
    pub(crate) clock: Clock,
}

/// Which calls, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Only of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<TenantKey>,
    /// Only those that began then or later, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<i64>,
    /// Only those that began before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<i64>,
    /// Only with this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<Text>,
    /// Whether triggers that take revisions fire.
    #[serde(default)]
    pub(crate) fire: bool,
    /// Only count them.
    #[serde(default)]
    pub(crate) dry_run: bool,
    /// Calls a second at most.
    pub(crate) rate: u32,
}

/// A line of the answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    /// Calls that were asked to be enriched again, or counted.
    pub(crate) asked: u64,
    /// Calls whose record cannot be read.
    pub(crate) unreadable: u64,
    /// There are no more.
    pub(crate) done: bool,
    /// What stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

pub(super) async fn again(State(state): State<AdminState>, body: Bytes) -> Response {
    let wanted: Wanted = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let Some(again) = state.again else {
        return super::no_api();
    };
    let walk = Walk::new(again, wanted);
    let lines = futures_util::stream::unfold(Some(walk), async |walk| {
        let mut walk = walk?;
        let progress = walk.step().await;
        let mut line = serde_json::to_vec(&progress).unwrap_or_default();
        line.push(b'\n');
        let next = (!progress.done && progress.error.is_none()).then_some(walk);
        Some((Ok::<_, std::convert::Infallible>(line), next))
    });
    ([("content-type", "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

/// A walk through the calls, newest first, page by page.
struct Walk {
    again: Again,
    wanted: Wanted,
    before: Option<SessionCursor>,
    asked: u64,
    unreadable: u64,
    began: Instant,
    /// Number of the last change of each tenant's tables: what is asked for now sees what was imported before.
    newest: HashMap<TenantKey, u64>,
}

impl Walk {
    fn new(again: Again, wanted: Wanted) -> Self {
        Self {
            again,
            wanted,
            before: None,
            asked: 0,
            unreadable: 0,
            began: Instant::now(),
            newest: HashMap::new(),
        }
    }

    async fn step(&mut self) -> Progress {
        let (done, error) = match self.page().await {
            Ok(done) => (done, None),
            Err(error) => (false, Some(format!("{error:#}"))),
        };
        Progress { asked: self.asked, unreadable: self.unreadable, done, error }
    }

    /// True = there are no more.
    async fn page(&mut self) -> anyhow::Result<bool> {
        // As fast as was asked for: what else the log has to take keeps its room.
        let due = Duration::from_secs_f64(self.asked as f64 / f64::from(self.wanted.rate.max(1)));
        if !self.wanted.dry_run {
            tokio::time::sleep_until(self.began + due).await;
        }
        let filter = SessionFilter {
            tenants: self.wanted.tenant.iter().cloned().collect(),
            from: self.wanted.from.map(Timestamp::from_micros),
            to: self.wanted.to.map(Timestamp::from_micros),
            number: self.wanted.number.clone(),
            before: self.before,
            ..SessionFilter::default()
        };
        let sessions = self.again.store.sessions(&filter, PAGE).await.context("list calls")?;
        let Some(last) = sessions.last() else { return Ok(true) };
        self.before = Some(SessionCursor { start: last.start, id: last.id });
        let mut records = Vec::with_capacity(sessions.len());
        for session in sessions.iter() {
            let stored = self.again.store.session(session.id).await.context("read a call")?;
            let Some(stored) = stored else { continue };
            match Envelope::from_bytes(&stored.envelope) {
                Ok(envelope) => records.push(self.record(envelope).await?),
                Err(_) => self.unreadable += 1,
            }
        }
        let asked = records.len() as u64;
        if !self.wanted.dry_run && !records.is_empty() {
            (self.again.append)(records).await.context("ask for calls to be enriched again")?;
        }
        self.asked += asked;
        Ok(sessions.len() < PAGE)
    }

    async fn record(&mut self, envelope: Envelope) -> anyhow::Result<Record> {
        let tables = match self.newest.get(&envelope.tenant) {
            Some(newest) => *newest,
            None => {
                let versions = self.again.store.table_versions(&envelope.tenant).await;
                let newest = versions.context("read the versions of tables")?.newest();
                self.newest.insert(envelope.tenant.clone(), newest);
                newest
            }
        };
        let key = Bytes::copy_from_slice(envelope.tenant.as_str().as_bytes());
        let value =
            Command::enrich(envelope, tables, self.wanted.fire).to_bytes().context("write a command")?;
        Ok(Record { key, value: value.into(), timestamp: (self.again.clock)().micros() })
    }
}
