//! The admin port: `/livez`, `/readyz`, `/metrics`. Not the public API: bind it where only operators reach it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::metrics::Metrics;

/// Whether each part is ready: the intake can append durably, the workers are assigned and restored.
#[derive(Debug, Default)]
pub struct Readiness {
    pub(crate) intake: AtomicBool,
    pub(crate) aggregate: AtomicBool,
    pub(crate) dispatch: AtomicBool,
}

impl Readiness {
    fn waiting_for(&self) -> Vec<&'static str> {
        let parts = [("intake", &self.intake), ("aggregate", &self.aggregate), ("dispatch", &self.dispatch)];
        parts.into_iter().filter(|(_, ready)| !ready.load(Ordering::Acquire)).map(|(name, _)| name).collect()
    }
}

/// What the routes show.
#[derive(Debug, Clone)]
pub(crate) struct AdminState {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
}

/// The routes of the admin port.
pub(crate) fn router(state: AdminState) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(state)
}

async fn readyz(State(state): State<AdminState>) -> (StatusCode, String) {
    let waiting = state.readiness.waiting_for();
    if waiting.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for: {}\n", waiting.join(", ")))
}

async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    match state.metrics.render() {
        Ok(text) => (StatusCode::OK, [("content-type", "text/plain; version=0.0.4")], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [("content-type", "text/plain")], format!("{error}\n"))
        }
    }
}
