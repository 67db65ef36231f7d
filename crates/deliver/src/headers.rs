//! The headers of a request: ours, the trigger's own, and the one that identifies us. Pure: time is an argument.

use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use ringpost_model::{Auth, DeliveryId, TenantId, Text, Timestamp, Trigger};
use url::Url;

use crate::sign::{Keys, SignError};

/// Sent as `User-Agent`.
pub const AGENT: &str = concat!("ringpost/", env!("CARGO_PKG_VERSION"));

/// What a trigger may not set: the connection's own, what describes the body, what we say of the delivery.
const RESERVED: [&str; 15] = [
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-account-id",
    "x-hook-id",
    "http2-settings",
];

/// Why a configured header, or what a header is made of, cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a token of HTTP.
    #[error("use {0:?} as the name of a header: not a name HTTP allows")]
    Name(String),
    /// Set by us, or by the connection.
    #[error("use {0:?} as the name of a header: it is set by ringpost or by the connection")]
    Reserved(String),
    /// A control character.
    #[error("use the value of header {0:?}: it holds a character that HTTP does not allow")]
    Value(String),
    /// The secret is none of Standard Webhooks.
    #[error("sign the request")]
    Sign(#[source] SignError),
}

/// Checks one configured header, as a trigger is saved and again as it is sent.
///
/// # Errors
/// See [`HeaderError`]; the value is never in the message.
pub fn check_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HeaderError> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::Name(name.to_owned()))?;
    let lower = parsed.as_str();
    if RESERVED.contains(&lower) || lower.starts_with("content-") || lower.starts_with("webhook-") {
        return Err(HeaderError::Reserved(name.to_owned()));
    }
    Ok((parsed, secret_value(name, value)?))
}

const X_HOOK_ID: HeaderName = HeaderName::from_static("x-hook-id");
const X_ACCOUNT_ID: HeaderName = HeaderName::from_static("x-account-id");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Headers that a request has of its own beside those of the trigger.
const OWN: usize = 4;

/// The headers of a trigger: those that all its requests have, and what the others are made with.
pub(crate) struct Head {
    same: HeaderMap,
    keys: Keys,
}

impl Head {
    /// Of the current trigger.
    ///
    /// # Errors
    /// A configured value that cannot be sent.
    pub(crate) fn of(owner: TenantId, trigger: &Trigger) -> Result<Self, HeaderError> {
        let mut same = HeaderMap::with_capacity(5 + OWN + trigger.headers.len());
        for (name, value) in &trigger.headers {
            let (name, value) = check_header(name, value)?;
            same.insert(name, value);
        }
        identify(trigger, &mut same)?;
        same.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        same.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        same.insert(X_HOOK_ID, plain_value(&trigger.id.to_string())?);
        same.insert(X_ACCOUNT_ID, plain_value(&owner.to_string())?);
        let keys = Keys::of(&trigger.secrets).map_err(HeaderError::Sign)?;
        Ok(Self { same, keys })
    }

    /// All headers of one try, made at `now`.
    ///
    /// # Errors
    /// None that is known: what is put in is ASCII.
    pub(crate) fn headers(
        &self,
        content_type: Option<&'static str>,
        id: DeliveryId,
        now: Timestamp,
        payload: &[u8],
    ) -> Result<HeaderMap, HeaderError> {
        let mut headers = self.same.clone();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        // One text for the three of them: what is signed begins with the other two.
        let mut text = String::with_capacity(64 + self.keys.room());
        let bug = |_| HeaderError::Value(String::new());
        write!(text, "{id}").map_err(bug)?;
        let id = 0..text.len();
        write!(text, ".{}.", now.seconds()).map_err(bug)?;
        let (timestamp, signed) = (id.end + 1..text.len() - 1, text.len());
        let mut signatures = String::with_capacity(self.keys.room());
        self.keys.sign(&text, payload, &mut signatures);
        text.push_str(&signatures);
        let text = Bytes::from(text);
        let value = |range: Range<usize>| {
            HeaderValue::from_maybe_shared(text.slice(range)).map_err(|_| HeaderError::Value(String::new()))
        };
        headers.insert(WEBHOOK_ID, value(id)?);
        headers.insert(WEBHOOK_TIMESTAMP, value(timestamp)?);
        if !self.keys.is_empty() {
            headers.insert(WEBHOOK_SIGNATURE, value(signed..text.len())?);
        }
        Ok(headers)
    }
}

/// What identifies us: what is configured as such, else a header of the trigger, else user info of the URL.
fn identify(trigger: &Trigger, headers: &mut HeaderMap) -> Result<(), HeaderError> {
    let text = match &trigger.auth {
        Auth::Basic { user, password } => format!("Basic {}", basic(user, password)),
        Auth::Bearer { token } => format!("Bearer {token}"),
        // The token is put in by the client, which has it.
        Auth::Oauth2 { .. } => return Ok(()),
        // A certificate is shown by TLS and leaves room for a header beside it.
        Auth::None | Auth::Certificate { .. } if headers.contains_key(AUTHORIZATION) => return Ok(()),
        Auth::None | Auth::Certificate { .. } => match user_info(&trigger.url) {
            Some(credentials) => format!("Basic {credentials}"),
            None => return Ok(()),
        },
    };
    headers.insert(AUTHORIZATION, secret_value("Authorization", &text)?);
    Ok(())
}

fn user_info(url: &Text) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let given = !url.username().is_empty() || url.password().is_some();
    given.then(|| basic(&unescaped(url.username()), &unescaped(url.password().unwrap_or_default())))
}

/// The credentials of RFC 7617.
pub(crate) fn basic(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

pub(crate) fn unescaped(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Marked as sensitive, so that nothing prints it.
pub(crate) fn secret_value(name: &str, value: &str) -> Result<HeaderValue, HeaderError> {
    let mut value = plain_value(value).map_err(|_| HeaderError::Value(name.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn plain_value(value: &str) -> Result<HeaderValue, HeaderError> {
    HeaderValue::from_str(value).map_err(|_| HeaderError::Value(String::new()))
}

#[cfg(test)]
mod tests;
