//! What a token server is asked, and what its answer means (RFC 6749, 2.3.1, 4.4, 5.1, 5.2). Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use form_urlencoded::byte_serialize;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use ringpost_model::{Auth, Text};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use crate::exchange::{Failure, FailureKind};
use crate::headers::{AGENT, basic};
use crate::masked::Secrets;

/// Longest answer of a token server that is read.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024;
/// Longest token: with it a request still fits into a usual receiver's head.
const TOKEN_BYTES: usize = 16 * 1024;
/// How much of a token server's own words a failure repeats.
const SHOWN_CHARS: usize = 200;

/// Which grant: everything that decides which token it is, and no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GrantKey([u8; 32]);

/// How we tell a token server who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Style {
    /// By the header, which every server has to understand (RFC 6749, 2.3.1).
    #[default]
    Basic,
    /// By fields of the body, which is all that some understand.
    Body,
}

impl Style {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Basic => Self::Body,
            Self::Body => Self::Basic,
        }
    }
}

/// Client credentials, borrowed from a trigger.
#[derive(Clone, Copy)]
pub(crate) struct Grant<'a> {
    pub(crate) token_url: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
    scope: &'a str,
    parameters: &'a BTreeMap<Text, Text>,
}

/// A token, as its server gave it.
#[derive(PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) token: String,
    /// How long it lives, when the server says so.
    pub(crate) life: Option<Duration>,
}

/// Never prints the token.
impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Granted({} bytes, {:?})", self.token.len(), self.life)
    }
}

#[derive(Deserialize)]
struct Success {
    access_token: String,
    token_type: Option<String>,
    /// Seconds; some servers write them as a text.
    expires_in: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

impl<'a> Grant<'a> {
    /// The grant of a trigger, where it has one.
    pub(crate) fn of(auth: &'a Auth) -> Option<Self> {
        let Auth::Oauth2 { token_url, client_id, client_secret, scope, parameters } = auth else {
            return None;
        };
        Some(Self { token_url, client_id, client_secret, scope, parameters })
    }

    pub(crate) fn key(&self) -> GrantKey {
        let fixed = [self.token_url, self.client_id, self.client_secret, self.scope];
        let more = self.parameters.iter().flat_map(|(key, value)| [&**key, &**value]);
        let mut hash = Sha256::new();
        for part in fixed.into_iter().chain(more) {
            // With its length, so that two parts never read as two others.
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        GrantKey(hash.finalize().into())
    }

    /// The body of the request.
    pub(crate) fn body(&self, style: Style) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.scope.is_empty() {
            form.append_pair("scope", self.scope);
        }
        form.extend_pairs(self.parameters);
        if style == Style::Body {
            form.append_pair("client_id", self.client_id).append_pair("client_secret", self.client_secret);
        }
        form.finish()
    }

    /// Its headers. The credentials are encoded twice, as RFC 6749 asks.
    pub(crate) fn headers(&self, style: Style) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if style == Style::Basic {
            let value = HeaderValue::try_from(format!("Basic {}", self.encoded()));
            let mut value = value.expect("base64 can stand in a header");
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers
    }

    /// The credentials as the header has them.
    fn encoded(&self) -> String {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        basic(&encoded(self.client_id), &encoded(self.client_secret))
    }

    /// What must not be seen of it.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets = vec![self.client_secret.to_owned(), self.encoded()];
        secrets.push(byte_serialize(self.client_secret.as_bytes()).collect());
        secrets.extend(self.parameters.values().map(|value| value.to_string()));
        if let Ok(url) = Url::parse(self.token_url) {
            crate::masked::add_url(&mut secrets, &url);
        }
        secrets
    }
}

/// Whether the answer says that it did not understand who we are.
pub(crate) fn wants_other_style(status: u16, body: &[u8]) -> bool {
    let did_not_see_us = |error: &str| matches!(error, "invalid_client" | "invalid_request");
    status == 401 || (status == 400 && did_not_see_us(&refusal(body).error))
}

fn refusal(body: &[u8]) -> Refusal {
    serde_json::from_slice(body).unwrap_or_default()
}

/// Reads an answer. Of what the server says in words, secrets are hidden.
pub(crate) fn read(status: u16, body: &[u8], secrets: &Secrets) -> Result<Granted, Failure> {
    let token = |text: String| Failure { kind: FailureKind::Token, text: format!("get a token: {text}") };
    if body.len() > ANSWER_BYTES {
        return Err(token(format!("the answer is longer than {ANSWER_BYTES} bytes")));
    }
    if !(200..300).contains(&status) {
        return Err(Failure { kind: kind_of(status), text: told(status, body, secrets) });
    }
    // What serde says of a wrong answer may repeat a piece of it.
    let answer: Success = serde_json::from_slice(body)
        .map_err(|_| token("the answer is no JSON with an access_token in it".to_owned()))?;
    let other = answer.token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer"));
    if let Some(other) = other {
        let other = shortened(&secrets.hide(&other));
        return Err(token(format!("it is of type {other:?}, only Bearer can be sent")));
    }
    let value = answer.access_token;
    let is_sendable = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_sendable || value.len() > TOKEN_BYTES {
        let text = format!("it has {} bytes, or characters that no header can hold", value.len());
        return Err(token(text));
    }
    Ok(Granted { token: value, life: life(answer.expires_in.as_ref()) })
}

/// A refusal is about us; all else is about the server.
fn kind_of(status: u16) -> FailureKind {
    let passes = matches!(status, 408 | 425 | 429);
    if (400..500).contains(&status) && !passes { FailureKind::TokenRefused } else { FailureKind::Token }
}

/// `get a token: answered 401 invalid_client (the secret has expired)`.
fn told(status: u16, body: &[u8], secrets: &Secrets) -> String {
    let Refusal { error, error_description } = refusal(body);
    let mut text = format!("get a token: answered {status}");
    if !error.is_empty() {
        text = format!("{text} {}", shortened(&secrets.hide(&error)));
    }
    if !error_description.is_empty() {
        text = format!("{text} ({})", shortened(&secrets.hide(&error_description)));
    }
    text
}

/// On one line, and not long.
fn shortened(text: &str) -> String {
    let line: Vec<&str> = text.split(|char: char| char.is_control() || char.is_whitespace()).collect();
    let line = line.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut chars = line.chars();
    let begin: String = chars.by_ref().take(SHOWN_CHARS).collect();
    if chars.next().is_some() { format!("{begin}…") } else { begin }
}

fn life(expires_in: Option<&serde_json::Value>) -> Option<Duration> {
    let seconds = match expires_in? {
        serde_json::Value::Number(number) => number.as_f64()?,
        serde_json::Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // A negative one has ended; an endless one is cut by who keeps it.
    Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}
