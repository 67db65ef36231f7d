//! What was sent and what came of it: everything that the log keeps of one attempt, already masked.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use ringpost_model::{AttemptId, Method, Timestamp};

use crate::job::Job;
use crate::masked::shown_text;
use crate::request::{Request, Unsendable};

/// How much of an answer's body is kept.
pub const KEPT_BODY_BYTES: usize = 16 * 1024;

/// One request and its answer, or why there is none. Nothing in it is a secret; `request_body` and the
/// answer's body are about people, and `Debug` prints neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// This attempt.
    pub attempt: AttemptId,
    /// When the request started.
    pub started: Timestamp,
    /// When all of it was over.
    pub ended: Timestamp,
    /// The same by a clock that never jumps.
    pub took: Duration,
    /// The method sent.
    pub method: Method,
    /// Where to, as it may be shown: origin and first path segment.
    pub url: Arc<str>,
    /// The headers sent; values of configured ones are hidden. `Host` and `Content-Length` go without saying.
    pub request_headers: HeaderMap,
    /// The body sent; of a GET the part of the query that we appended.
    pub request_body: Bytes,
    /// What came back, as far as it came.
    pub answer: Option<Answer>,
    /// Why the exchange is not complete. With an answer: its body did not come whole.
    pub failure: Option<Failure>,
    /// The address connected to, once there was an answer.
    pub address: Option<SocketAddr>,
}

impl Exchange {
    /// The exchange of a request that nothing has come of yet.
    pub fn of(request: &Request, started: Timestamp) -> Self {
        Self {
            attempt: request.attempt,
            started,
            ended: started,
            took: Duration::ZERO,
            method: request.method,
            url: request.shown_url(),
            request_headers: request.shown_headers(),
            request_body: request.payload.clone(),
            answer: None,
            failure: None,
            address: None,
        }
    }

    /// The exchange of a job that could not be made into a request.
    pub(crate) fn unsendable(job: &Job, attempt: AttemptId, now: Timestamp, error: &Unsendable) -> Self {
        let mut text = error.to_string();
        if let Some(cause) = std::error::Error::source(error) {
            text = format!("{text}: {cause}");
        }
        Self {
            attempt,
            started: now,
            ended: now,
            took: Duration::ZERO,
            method: job.version.method,
            url: shown_text(&job.trigger.url).into(),
            request_headers: HeaderMap::new(),
            request_body: Bytes::new(),
            answer: None,
            failure: Some(Failure { kind: FailureKind::Unsendable, text }),
            address: None,
        }
    }

    /// `POST https://hooks.example/first/…`, as the log shows it.
    pub fn request_line(&self) -> String {
        format!("{} {}", self.method, self.url)
    }

    /// The headers sent, as texts.
    pub fn shown_headers(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.request_headers
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
    }

    /// The HTTP status, when an answer came.
    pub fn status(&self) -> Option<u16> {
        self.answer.as_ref().map(|answer| answer.status)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("attempt", &self.attempt)
            .field("request", &self.request_line())
            .field("status", &self.status())
            .field("failure", &self.failure)
            .field("took", &self.took)
            .finish_non_exhaustive()
    }
}

/// An answer. `Debug` is that of [`Exchange`].
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, in order; cookies and the URL of a redirect are hidden.
    pub headers: Vec<(String, String)>,
    /// The first 16 KiB of its body, read as UTF-8.
    pub body: String,
    /// There was more of it.
    pub body_cut: bool,
}

impl Answer {
    /// The first header of that name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why an exchange is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Of what kind.
    pub kind: FailureKind,
    /// For people; no URL and no secret in it.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How far an exchange had come when the deadline struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A token that identifies us was being asked for.
    Token,
    /// The name was being resolved.
    Dns,
    /// The connection was being made.
    Connect,
    /// TLS was being agreed on.
    Tls,
    /// The request was sent, or being sent, and no head of an answer had come.
    Answer,
    /// The head had come, the body not whole.
    Body,
}

/// The kinds of failure, by who is to blame and what was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// We could not make the request: a bad URL or header, a GET too long. Trying again does not help.
    Unsendable,
    /// The deadline struck.
    Timeout(Phase),
    /// The name has no address, or could not be resolved.
    Dns,
    /// An address that is not connected to.
    RefusedAddress,
    /// No connection.
    Connect,
    /// A certificate that is not trusted, or another failure of TLS.
    Tls,
    /// The connection broke, or spoke no HTTP, before the head of an answer was complete.
    Broken,
    /// The connection broke inside the body of the answer.
    BodyBroken,
    /// The token server gave no token: it cannot be reached, or answered with an error of its own or no sense.
    Token,
    /// The token server refuses us (4xx): the credentials or the scope are wrong. Says nothing of the receiver.
    TokenRefused,
}
