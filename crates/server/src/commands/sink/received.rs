//! One request as it came in, and what its signature is worth.

use axum::http::HeaderMap;
use bytes::Bytes;
use ringpost_model::Timestamp;
use standardwebhooks::Webhook;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// When its body was complete.
    pub(crate) at: Timestamp,
    pub(crate) method: String,
    pub(crate) path: String,
    /// As it came, without the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body broke off, or was larger than what is kept.
    pub(crate) body_cut: bool,
    /// Count of all requests, from 1.
    pub(crate) number: u64,
    /// Which time its `webhook-id` is seen, from 1; none without one.
    pub(crate) attempt: Option<u32>,
    pub(crate) signature: Signature,
    /// What it is answered; none = never.
    pub(crate) answer: Option<u16>,
}

/// What the signature is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    /// There is none.
    Absent,
    /// There is one, and no secret to check it with.
    Unchecked,
    /// Made with the secret.
    Valid,
    /// Not made with any of the secrets, or too old.
    Invalid,
}

impl Signature {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unchecked => "unchecked",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
        }
    }
}

impl Received {
    /// Value of a header, when it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Checks a signature by Standard Webhooks. What a GET signs is the part of the query that the sender appended;
/// a receiver knows where that begins, we try every place.
pub(crate) fn check(secrets: &[Webhook], headers: &HeaderMap, query: &str, body: &[u8]) -> Signature {
    if !headers.contains_key("webhook-signature") {
        return Signature::Absent;
    }
    if secrets.is_empty() {
        return Signature::Unchecked;
    }
    let signed = |payload: &[u8]| secrets.iter().any(|secret| secret.verify(payload, headers).is_ok());
    let begins = std::iter::once(0).chain(query.match_indices('&').map(|(at, _)| at + 1));
    let valid = if body.is_empty() {
        begins.into_iter().any(|at| signed(&query.as_bytes()[at..]))
    } else {
        signed(body)
    };
    if valid { Signature::Valid } else { Signature::Invalid }
}
