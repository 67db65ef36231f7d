//! The admin port: `/livez`, `/readyz`, `/metrics`, `/status`, `/log-level`, `/enrich`, `/reopen`. Not the
//! public API: bind it where only
//! operators reach it.

pub(crate) mod enrich;
pub(crate) mod log_level;
pub(crate) mod reopen;
pub(crate) mod status;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;

use crate::config::{Role, Serve};
use crate::data_folder::Files;
use crate::metrics::Metrics;

pub(crate) use status::Board;

/// Longest body that is read: a filter of the log.
const BODY_BYTES: usize = 4 * 1024;

/// Whether each role of the process is ready: ingest can append durably, aggregate and dispatch are assigned and
/// restored, api reaches the store (architecture.md, Roles).
#[derive(Debug, Default)]
pub struct Readiness {
    /// What the process does.
    roles: Serve,
    pub(crate) ingest: AtomicBool,
    pub(crate) aggregate: AtomicBool,
    pub(crate) dispatch: AtomicBool,
    pub(crate) api: AtomicBool,
    /// What is in the way, where that is known.
    reasons: Mutex<BTreeMap<Role, String>>,
    /// This process dispatches the first partition: what only one of all has to do is its.
    pub(crate) leads: AtomicBool,
    /// A stop has begun: whoever spreads requests should ask elsewhere, before the intake closes.
    pub(crate) stopping: AtomicBool,
    /// The files that are written: nobody is ready without them.
    pub(crate) files: OnceLock<Files>,
}

impl Readiness {
    /// Of a process with these roles.
    pub(crate) fn of(roles: &Serve) -> Self {
        Self { roles: roles.clone(), ..Self::default() }
    }

    /// Notes what came of a look: none = ready.
    pub(crate) fn note(&self, role: Role, trouble: Option<String>) {
        let is_ready = trouble.is_none();
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => drop(reasons.insert(role, trouble)),
            None => drop(reasons.remove(&role)),
        }
        self.flag(role).store(is_ready, Ordering::Release);
    }

    fn flag(&self, role: Role) -> &AtomicBool {
        match role {
            Role::Ingest => &self.ingest,
            Role::Aggregate => &self.aggregate,
            Role::Dispatch => &self.dispatch,
            Role::Api => &self.api,
        }
    }

    /// The roles that are not ready, each with what is in the way, where that is known.
    pub(crate) fn waiting_for(&self) -> Vec<String> {
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.roles.roles.iter().filter(|role| !self.flag(**role).load(Ordering::Acquire));
        let named = waiting.map(|role| match reasons.get(role) {
            Some(reason) => format!("{} ({reason})", role.name()),
            None => role.name().to_owned(),
        });
        named.collect()
    }

    /// The names of its roles.
    pub(crate) fn roles(&self) -> Vec<String> {
        self.roles.roles.iter().map(|role| role.name().to_owned()).collect()
    }

    /// Whether what only one process of all has to do is this one's.
    pub(crate) fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// What the routes show.
#[derive(Clone)]
pub(crate) struct AdminState {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    /// What housekeeping saw last.
    pub(crate) board: Arc<Board>,
    /// Has records enriched again; only where the process has the role api.
    pub(crate) again: Option<enrich::Again>,
}

/// The routes of the admin port.
pub(crate) fn router(state: AdminState) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status::show))
        .route("/enrich", post(enrich::again))
        .route("/reopen", post(reopen::reopen))
        .route("/log-level", get(log_level::show).put(log_level::change).delete(log_level::reset))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(state)
}

async fn readyz(State(state): State<AdminState>) -> (StatusCode, String) {
    if state.readiness.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    }
    if let Some(path) = state.readiness.files.get().and_then(Files::missing) {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{} is gone\n", path.display()));
    }
    let waiting = state.readiness.waiting_for();
    if waiting.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for: {}\n", waiting.join(", ")))
}

/// The answer of a process that has not the role.
fn no_api() -> Response {
    let text = "this process runs without the role api: ask the admin port of one that has it\n";
    (StatusCode::CONFLICT, text).into_response()
}

/// A document as JSON, on one line.
fn json(document: &impl Serialize) -> Response {
    match serde_json::to_string(document) {
        Ok(text) => ([("content-type", "application/json")], text + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    match state.metrics.render() {
        Ok(text) => (StatusCode::OK, [("content-type", "text/plain; version=0.0.4")], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [("content-type", "text/plain")], format!("{error}\n"))
        }
    }
}

#[cfg(test)]
mod tests;
