//! What a sender is told: `202` with counts, or a problem (RFC 9457) that says what to do.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::intake::{DeadLetter, NotStored};

/// As many refusals are told one by one; the others are counted.
const REFUSALS_TOLD: usize = 20;

/// An error as the sender sees it.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    title: &'static str,
    detail: String,
    /// Elements refused, where it is about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<Told>,
    #[serde(skip)]
    header: Option<(HeaderName, String)>,
}

/// One refused element.
#[derive(Debug, Serialize)]
struct Told {
    position: String,
    reason: String,
}

/// Some or all of the elements are durable.
#[derive(Debug, Serialize)]
struct Accepted {
    /// Leg records stored, the far legs read out of a document among them.
    legs: usize,
    rejected: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Told>,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), refused: None, rejected: Vec::new(), header: None }
    }

    pub(crate) fn no_token() -> Self {
        let detail = "send the pbx's token: as bearer, as the password of basic authentication, or at the end of the path";
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "token missing or wrong", detail);
        problem.header = Some((header::WWW_AUTHENTICATE, "Basic realm=\"ringpost\", Bearer".to_owned()));
        problem
    }

    pub(crate) fn too_large(most: usize) -> Self {
        let detail = format!("at most {most} bytes are taken in one request; send smaller batches");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body too large", detail)
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body too slow",
            "the body did not arrive in time; send it again",
        )
    }

    pub(crate) fn broken_body() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "body broken off",
            "the connection ended within the body; send it again",
        )
    }

    pub(crate) fn empty() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "nothing to take in", "the body holds no record")
    }

    pub(crate) fn not_stored(not_stored: &NotStored) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "not stored", not_stored.reason.clone());
        let seconds = not_stored.retry_after.as_secs().max(1);
        problem.header = Some((header::RETRY_AFTER, seconds.to_string()));
        problem
    }

    /// Every element was refused. They are among the dead letters: sending them again is no use.
    pub(crate) fn all_refused(dead_letters: &[DeadLetter]) -> Self {
        let is_forbidden = |letter: &DeadLetter| letter.refusal.class() == "forbidden";
        let (status, title) = if dead_letters.iter().any(is_forbidden) {
            (StatusCode::FORBIDDEN, "another tenant's or pbx's legs")
        } else {
            (StatusCode::BAD_REQUEST, "nothing could be taken in")
        };
        let detail = format!("{} refused; kept among the dead letters", dead_letters.len());
        let mut problem = Self::new(status, title, detail);
        problem.refused = Some(dead_letters.len());
        problem.rejected = told(dead_letters);
        problem
    }
}

fn told(dead_letters: &[DeadLetter]) -> Vec<Told> {
    let tell =
        |letter: &DeadLetter| Told { position: letter.position.clone(), reason: letter.refusal.to_string() };
    dead_letters.iter().take(REFUSALS_TOLD).map(tell).collect()
}

/// Everything that could be taken in is durable.
pub(crate) fn accepted(legs: usize, dead_letters: &[DeadLetter]) -> Response {
    let body = Accepted { legs, rejected: dead_letters.len(), reasons: told(dead_letters) };
    let body = serde_json::to_vec(&body).expect("counts and texts");
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem has only text keys");
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some((name, value)) = self.header
            && let Ok(value) = value.parse()
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
