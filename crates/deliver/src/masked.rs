//! What may be shown of a URL, a header, a text: everything that is logged, stored or printed comes from here.
//!
//! Receivers put secrets everywhere in a URL (Zapier in the path, Logic Apps in the query), so for all hosts
//! only origin and first path segment are shown. Pure.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use ringpost_model::{Auth, Trigger};
use url::Url;

use crate::oauth::Grant;

/// Stands for what is not shown.
pub const HIDDEN: &str = "…";

/// The same as the value of a header.
pub(crate) fn hidden() -> HeaderValue {
    HeaderValue::from_bytes(HIDDEN.as_bytes()).unwrap_or(HeaderValue::from_static("*"))
}

/// Shorter values are not searched for in answers: `1` or `true` would make a text unreadable and protect nothing.
const SHORTEST_SECRET: usize = 6;

/// From this length on a query without `=` is taken for a token.
const SHORTEST_BARE: usize = 16;

/// A URL as it may be shown: origin and first path segment.
pub fn shown(url: &Url) -> String {
    let mut text = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        text.push_str(&format!(":{port}"));
    }
    let path = url.path();
    let first = path.get(1..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    text.push('/');
    text.push_str(first);
    if path.len() > first.len() + 1 {
        text.push('/');
        text.push_str(HIDDEN);
    } else if url.query().is_some() {
        text.push('?');
        text.push_str(HIDDEN);
    }
    text
}

/// As [`shown`], of a text that may be no URL at all.
pub fn shown_text(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "(not a URL)".to_owned(), |url| shown(&url))
}

/// The secrets of one request, to be blotted out where a receiver, or a library, echoes them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<[String]>);

/// Says how many there are, and nothing of them.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Those of a trigger: what its URL hides, values of headers, credentials, signing secrets.
    pub fn of(trigger: &Trigger) -> Self {
        let mut secrets: Vec<String> = trigger.headers.values().map(|value| value.to_string()).collect();
        secrets.extend(trigger.secrets.iter().map(|secret| secret.to_string()));
        match &trigger.auth {
            Auth::None => {}
            Auth::Basic { user, password } => {
                secrets.push(password.to_string());
                secrets.push(crate::headers::basic(user, password));
            }
            Auth::Bearer { token } => secrets.push(token.to_string()),
            Auth::Oauth2 { .. } => secrets.extend(Grant::of(&trigger.auth).iter().flat_map(Grant::secrets)),
            // It stays with us: what travels is a signature.
            Auth::Certificate { .. } => {}
        }
        if let Ok(url) = Url::parse(&trigger.url) {
            add_url(&mut secrets, &url);
        }
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        // The longest first: a secret that holds another is blotted out whole.
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self(secrets.into())
    }

    /// One more, such as a token that was just made.
    pub(crate) fn add(&mut self, secret: &str) {
        let is_new = secret.len() >= SHORTEST_SECRET && !self.0.iter().any(|known| known == secret);
        if is_new {
            let mut secrets = self.0.to_vec();
            let at = secrets.partition_point(|known| known.len() > secret.len());
            secrets.insert(at, secret.to_owned());
            self.0 = secrets.into();
        }
    }

    /// The text with every secret in it hidden.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in self.0.iter() {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), HIDDEN));
            }
        }
        text
    }
}

/// What a URL hides.
pub(crate) fn add_url(secrets: &mut Vec<String>, url: &Url) {
    add_user_info(secrets, url);
    let hidden_path = url.path().get(1..).and_then(|path| path.split_once('/')).map(|(_, rest)| rest);
    if let Some(rest) = hidden_path {
        secrets.push(rest.to_owned());
        secrets.extend(rest.split('/').map(str::to_owned));
    }
    let raw = url.query().unwrap_or_default();
    secrets.extend(raw.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned()));
    secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    // A query may be a token and nothing else. A short one is a word, which is not to be hidden in answers.
    let bare = raw.split('&').filter(|pair| !pair.contains('=') && pair.len() >= SHORTEST_BARE);
    secrets.extend(bare.flat_map(|token| [token.to_owned(), crate::headers::unescaped(token)]));
}

/// Without a password the name is what opens the door, as API keys are given.
fn add_user_info(secrets: &mut Vec<String>, url: &Url) {
    let (user, password) = (url.username(), url.password().unwrap_or_default());
    if user.is_empty() && password.is_empty() {
        return;
    }
    let plain = [user, password].map(crate::headers::unescaped);
    let secret = if password.is_empty() { 0 } else { 1 };
    secrets.extend([[user, password][secret].to_owned(), plain[secret].clone()]);
    secrets.push(crate::headers::basic(&plain[0], &plain[1]));
}

#[cfg(test)]
mod tests;
