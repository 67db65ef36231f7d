//! How much is logged, looked at and changed while the process runs.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::json;
use crate::serve::logging;

/// What `/log-level` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogLevel {
    /// What holds now.
    pub(crate) level: String,
    /// What the configuration says.
    pub(crate) configured: String,
}

pub(super) async fn show() -> Response {
    match logging::levels() {
        Some((level, configured)) => json(&LogLevel { level, configured }),
        None => (StatusCode::NOT_FOUND, "this process has no log of its own\n").into_response(),
    }
}

pub(super) async fn change(body: String) -> Response {
    match logging::change(body.trim()) {
        Ok(()) => show().await,
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}\n")).into_response(),
    }
}

pub(super) async fn reset() -> Response {
    match logging::reset() {
        Ok(()) => show().await,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}
