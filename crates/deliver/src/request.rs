//! The request of one try: rendered, with its headers, ready for a transport. Pure: time is an argument.

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};
use ringpost_model::{AttemptId, Method, Timestamp};
use url::Url;

use crate::headers::{HeaderError, secret_value};
use crate::job::Job;
use crate::masked::{Secrets, hidden, shown};
use crate::ready::{Fixed, ReadyTrigger};
use crate::render::{RenderError, Rendered, render_to};

/// Why a job cannot be made into a request. It fails at once: trying again changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    /// The payload or the URL.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A header.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// A request, ready to send. `Debug` shows what may be shown.
pub struct Request {
    /// This attempt.
    pub attempt: AttemptId,
    /// The method.
    pub method: Method,
    /// Where to; of a GET with everything appended.
    pub url: Arc<Url>,
    /// All that we set. Values that are secrets are marked as sensitive.
    pub headers: HeaderMap,
    /// Of POST and PUT the body; of a GET what the log keeps in its place, the part of the query that is ours.
    pub payload: Bytes,
    /// The current trigger: the client fetches its token, or shows its certificate.
    pub trigger: Arc<ReadyTrigger>,
    /// What to blot out of everything that comes back.
    pub secrets: Secrets,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({} {}, {} bytes)", self.method, shown(&self.url), self.payload.len())
    }
}

impl Request {
    /// The body that travels.
    pub(crate) fn body(&self) -> Option<Bytes> {
        (self.method != Method::Get).then(|| self.payload.clone())
    }

    /// Identifies us by a token, which is shown nowhere from here on.
    pub(crate) fn carry(&mut self, token: &str) -> Result<(), HeaderError> {
        let value = secret_value("Authorization", &format!("Bearer {token}"))?;
        self.headers.insert(AUTHORIZATION, value);
        self.secrets.add(token);
        Ok(())
    }

    /// The URL as it may be shown.
    pub(crate) fn shown_url(&self) -> Arc<str> {
        match self.trigger.fixed() {
            Ok(fixed) if Arc::ptr_eq(&fixed.url, &self.url) => fixed.shown.clone(),
            _ => shown(&self.url).into(),
        }
    }

    /// The URL as HTTP carries it; none where it cannot, which no checked URL is.
    pub(crate) fn uri(&self) -> Option<Uri> {
        match self.trigger.fixed() {
            Ok(fixed) if Arc::ptr_eq(&fixed.url, &self.url) => fixed.uri.clone(),
            _ => self.url.as_str().parse().ok(),
        }
    }

    /// The headers as they may be shown.
    pub(crate) fn shown_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        for value in headers.values_mut().filter(|value| value.is_sensitive()) {
            *value = hidden();
        }
        headers
    }
}

/// Makes the request of a job's try. The trigger's version says what is sent, the current trigger where to
/// and as whom.
///
/// # Errors
/// See [`Unsendable`].
pub fn request(job: &Job, attempt: AttemptId, now: Timestamp) -> Result<Request, Unsendable> {
    let Fixed { url, head, secrets, .. } = job.trigger.fixed()?;
    let rendered = render_to(&job.version, url, &job.delivery, &job.content)?;
    let Rendered { method, url, payload, content_type } = rendered;
    let headers = head.headers(content_type, job.delivery.id, now, &payload)?;
    let (trigger, secrets) = (job.trigger.clone(), secrets.clone());
    Ok(Request { attempt, method, url, headers, payload, trigger, secrets })
}
