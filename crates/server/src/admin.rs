//! The admin port: `/livez`, `/readyz`, `/metrics`, `/status`, `/log-level`, `/enrich`. Not the public API: bind it where only
//! operators reach it.

pub(crate) mod enrich;
pub(crate) mod log_level;
pub(crate) mod status;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;

use crate::data_folder::Files;
use crate::metrics::Metrics;

pub(crate) use status::Board;

/// Longest body that is read: a filter of the log.
const BODY_BYTES: usize = 4 * 1024;

/// Whether each part is ready: the intake can append durably, the workers are assigned and restored.
#[derive(Debug, Default)]
pub struct Readiness {
    pub(crate) intake: AtomicBool,
    pub(crate) aggregate: AtomicBool,
    pub(crate) dispatch: AtomicBool,
    /// A stop has begun: whoever spreads requests should ask elsewhere, before the intake closes.
    pub(crate) stopping: AtomicBool,
    /// The files that are written: nobody is ready without them.
    pub(crate) files: OnceLock<Files>,
}

impl Readiness {
    pub(crate) fn waiting_for(&self) -> Vec<&'static str> {
        let parts = [("intake", &self.intake), ("aggregate", &self.aggregate), ("dispatch", &self.dispatch)];
        parts.into_iter().filter(|(_, ready)| !ready.load(Ordering::Acquire)).map(|(name, _)| name).collect()
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
    /// Has records enriched again, where there is a log to ask by.
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
