//! The headers of a request: ours, the trigger's own, and the one that identifies us. Pure: time is an argument.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use ringpost_model::{Auth, Delivery, Text, Timestamp, Trigger};
use url::Url;

use crate::render::Rendered;
use crate::sign::{self, SignError};

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

/// All headers of one try, made at `now`. `trigger` is the current one.
///
/// # Errors
/// A configured value that cannot be sent.
pub fn headers(
    rendered: &Rendered,
    trigger: &Trigger,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<HeaderMap, HeaderError> {
    let mut headers = HeaderMap::with_capacity(10 + trigger.headers.len());
    for (name, value) in &trigger.headers {
        let (name, value) = check_header(name, value)?;
        headers.insert(name, value);
    }
    identify(trigger, &mut headers)?;
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    if let Some(content_type) = rendered.content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.insert("x-hook-id", plain_value(&delivery.trigger.to_string())?);
    headers.insert("x-account-id", plain_value(&delivery.owner.to_string())?);
    let id = delivery.id.to_string();
    headers.insert("webhook-id", plain_value(&id)?);
    headers.insert("webhook-timestamp", plain_value(&now.seconds().to_string())?);
    if !trigger.secrets.is_empty() {
        let signed = sign::signature(&trigger.secrets, &id, now, &rendered.payload);
        headers.insert("webhook-signature", plain_value(&signed.map_err(HeaderError::Sign)?)?);
    }
    Ok(headers)
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
