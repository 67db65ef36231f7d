//! The routes: `POST /ingest/{pbx}` with the token in a header, `POST /ingest/{pbx}/{token}` for switches that
//! cannot set one. Every request is sized and timed.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::access::{Access, Grant};
use crate::answer::{Problem, accepted};
use crate::intake::{Intake, judge};

/// Bounds of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest body, in bytes.
    pub body: usize,
    /// From the head of a request to the end of its body.
    pub time: Duration,
}

/// Who may write, swapped as a whole when the configuration changes.
#[derive(Debug, Clone, Default)]
pub struct SharedAccess(Arc<RwLock<Arc<Access>>>);

impl SharedAccess {
    /// From now on this holds.
    pub fn set(&self, access: Access) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    /// What holds at this moment.
    pub fn get(&self) -> Arc<Access> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Clone)]
struct Shared<I> {
    access: SharedAccess,
    intake: I,
    limits: Limits,
}

/// The routes of the intake.
pub fn router<I: Intake>(access: SharedAccess, intake: I, limits: Limits) -> Router {
    Router::new()
        .route("/ingest/{pbx}", post(with_header::<I>))
        .route("/ingest/{pbx}/{token}", post(with_path::<I>))
        .with_state(Shared { access, intake, limits })
}

async fn with_header<I: Intake>(
    State(shared): State<Shared<I>>,
    Path(pbx): Path<String>,
    request: Request,
) -> Response {
    let Some(token) = token(request.headers()) else {
        return Problem::no_token().into_response();
    };
    respond(&shared, &pbx, &token, request).await
}

async fn with_path<I: Intake>(
    State(shared): State<Shared<I>>,
    Path((pbx, token)): Path<(String, String)>,
    request: Request,
) -> Response {
    respond(&shared, &pbx, &token, request).await
}

async fn respond<I: Intake>(shared: &Shared<I>, pbx: &str, token: &str, request: Request) -> Response {
    let access = shared.access.get();
    let Ok(grant) = access.grant(pbx, token) else {
        return Problem::no_token().into_response();
    };
    take_in(shared, &access, &grant, request).await.unwrap_or_else(Problem::into_response)
}

async fn take_in<I: Intake>(
    shared: &Shared<I>,
    access: &Access,
    grant: &Grant,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let body = read(body, shared.limits).await?;
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let delivered = judge(access, grant, content_type, shared.intake.now(), &body);
    let legs = delivered.records.len();
    let is_told = legs > 0 || !delivered.notices.is_empty();
    let dead_letters = delivered.dead_letters.clone();
    if !is_told && dead_letters.is_empty() {
        // Rows of a table may say nothing by themselves: that is no mistake of the sender's.
        return if delivered.read > 0 { Ok(accepted(0, &[])) } else { Err(Problem::empty()) };
    }
    shared.intake.store(delivered).await.map_err(|error| Problem::not_stored(&error))?;
    if is_told { Ok(accepted(legs, &dead_letters)) } else { Err(Problem::all_refused(&dead_letters)) }
}

async fn read(body: Body, limits: Limits) -> Result<Bytes, Problem> {
    let read = axum::body::to_bytes(body, limits.body);
    match tokio::time::timeout(limits.time, read).await {
        Err(_) => Err(Problem::too_slow()),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_length_limit(&error) => Err(Problem::too_large(limits.body)),
        Ok(Err(_)) => Err(Problem::broken_body()),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

/// The token of a header: bearer, or the password of basic authentication.
fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests;
