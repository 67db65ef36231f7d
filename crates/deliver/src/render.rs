//! What a delivery says: body and content type, or the query of a GET. Pure: every try renders the same bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ringpost_model::{Cdr, Delivery, Format, Method, Payload, TenantId, Text, Trigger, TriggerId};
use serde::Serialize;
use url::Url;

use crate::content::Content;
use crate::form::{self, Pair};

mod notice;

use notice::NoticePayload;

/// Longest URL of a GET, in bytes: what common servers and proxies take without a setting of their own.
pub const URL_BYTES: usize = 8_000;

/// Room made for a payload at once; a longer one grows.
const USUAL_BYTES: usize = 2_048;

/// What is dropped from a GET that is too long, in this order.
const DROPPED_FIRST: [&str; 3] = ["cdr[directoryMatches]", "cdr[tags]", "cdr[recordingIds]"];

/// Why a delivery cannot be rendered. None of them goes away by trying again.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// Printing the payload failed; no record causes it.
    #[error("print the payload")]
    Print(#[source] serde_json::Error),
    /// The trigger's URL is none, or one without a host.
    #[error("read the URL of the trigger")]
    Url(#[source] url::ParseError),
    /// A GET that stays too long when all that may be dropped is.
    #[error("put the payload into the URL: {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// Length of the shortest URL that could be made.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

/// A delivery, rendered.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// How it is sent.
    pub method: Method,
    /// Where to: no user info, no fragment; of a GET with the pairs appended.
    pub url: Arc<Url>,
    /// Of POST and PUT the body; of a GET the part of the query that we appended. Either is what is signed.
    pub payload: Bytes,
    /// Of POST and PUT.
    pub content_type: Option<&'static str>,
}

/// The URL may hold secrets, the payload holds numbers of people.
impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = crate::masked::shown(&self.url);
        write!(f, "Rendered({} {url}, {} bytes)", self.method, self.payload.len())
    }
}

/// Renders a delivery. `version` is the trigger as it was when it fired and says what is sent and how; `url`
/// is the trigger's current one, so that a corrected URL heals what is owed.
///
/// # Errors
/// See [`RenderError`].
pub fn render(
    version: &Trigger,
    url: &str,
    delivery: &Delivery,
    content: &Content,
) -> Result<Rendered, RenderError> {
    render_to(version, &Arc::new(parse_url(url)?), delivery, content)
}

/// The same with the URL that [`parse_url`] gave.
pub(crate) fn render_to(
    version: &Trigger,
    url: &Arc<Url>,
    delivery: &Delivery,
    content: &Content,
) -> Result<Rendered, RenderError> {
    let Payload::Session = version.payload;
    let payload = SessionPayload::of(version, delivery, content);
    let pairs = || form::pairs(&serde_json::value::to_raw_value(&payload)?);
    let (method, mut url) = (version.method, Arc::clone(url));
    let (payload, content_type) = match (method, version.format) {
        (Method::Get, _) => {
            let pairs = pairs().map_err(RenderError::Print)?;
            (append(Arc::make_mut(&mut url), pairs)?.into_bytes(), None)
        }
        (_, Format::Json) => {
            let mut document = Vec::with_capacity(USUAL_BYTES);
            serde_json::to_writer(&mut document, &payload).map_err(RenderError::Print)?;
            (document, Some("application/json"))
        }
        (_, Format::Form) => {
            let pairs = pairs().map_err(RenderError::Print)?;
            (form::join(&pairs).into_bytes(), Some("application/x-www-form-urlencoded"))
        }
    };
    Ok(Rendered { method, url, payload: payload.into(), content_type })
}

/// The URL that is connected to. User info travels in a header and a fragment never travels.
pub(crate) fn parse_url(text: &str) -> Result<Url, RenderError> {
    let mut url = Url::parse(text).map_err(RenderError::Url)?;
    if !url.has_host() {
        return Err(RenderError::Url(url::ParseError::EmptyHost));
    }
    url.set_fragment(None);
    if !url.username().is_empty() || url.password().is_some() {
        let no_user = url.set_username("").and_then(|()| url.set_password(None));
        no_user.map_err(|()| RenderError::Url(url::ParseError::EmptyHost))?;
    }
    Ok(url)
}

/// The payload style `session`, seed 002: with a record, or with what the system tells and its name.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionPayload<'a> {
    trigger_id: TriggerId,
    id: TenantId,
    tenant_id: TenantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    cdr: Option<&'a Cdr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<NoticePayload<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    custom_data: &'a BTreeMap<Text, Text>,
}

impl<'a> SessionPayload<'a> {
    fn of(version: &'a Trigger, delivery: &Delivery, content: &'a Content) -> Self {
        let (cdr, notice) = match content {
            Content::Record(cdr) => (Some(&**cdr), None),
            Content::Notice(notice) => (None, Some(&**notice)),
        };
        Self {
            trigger_id: delivery.trigger,
            id: delivery.tenant_id,
            tenant_id: delivery.tenant_id,
            cdr,
            event: notice.map(|notice| notice.event.name()),
            notice: notice.map(NoticePayload::of),
            matches: (!delivery.matches).then_some(false),
            custom_data: &version.custom_data,
        }
    }
}

/// Puts the pairs behind whatever query there is and returns what was put there.
fn append(url: &mut Url, pairs: Vec<Pair>) -> Result<String, RenderError> {
    let present = keys_of(url);
    let mut pairs: Vec<Pair> =
        pairs.into_iter().filter(|pair| !belongs_to_receiver(&pair.key, &present)).collect();
    let room = |appended: &str| url.as_str().len() + 1 + appended.len();
    let mut appended = form::join(&pairs);
    for prefix in DROPPED_FIRST {
        if room(&appended) <= URL_BYTES {
            break;
        }
        pairs.retain(|pair| !pair.key.starts_with(prefix));
        appended = truncated(&pairs, &present);
    }
    if room(&appended) > URL_BYTES {
        return Err(RenderError::TooLong { bytes: room(&appended), limit: URL_BYTES });
    }
    put_behind(url, &appended)?;
    Ok(appended)
}

fn truncated(pairs: &[Pair], present: &[String]) -> String {
    let mark = Pair { key: "truncated".to_owned(), value: "1".to_owned() };
    let marked = !belongs_to_receiver(&mark.key, present);
    form::join(&[pairs, if marked { std::slice::from_ref(&mark) } else { &[] }].concat())
}

/// Parsed as text, not through the setter of the query: that would encode what is there once more.
fn put_behind(url: &mut Url, appended: &str) -> Result<(), RenderError> {
    if appended.is_empty() {
        return Ok(());
    }
    let joiner = match url.query() {
        None => "?",
        Some("") => "",
        Some(query) if query.ends_with('&') => "",
        Some(_) => "&",
    };
    *url = Url::parse(&format!("{url}{joiner}{appended}")).map_err(RenderError::Url)?;
    Ok(())
}

/// The keys of the URL's query, decoded.
fn keys_of(url: &Url) -> Vec<String> {
    url.query_pairs().map(|(key, _)| key.into_owned()).collect()
}

/// A key that the URL has is never repeated; nor is one above or below it in the nesting (`cdr` and `cdr[id]`),
/// which PHP would let replace it.
fn belongs_to_receiver(encoded: &str, present: &[String]) -> bool {
    let key = decoded(encoded);
    present.iter().any(|theirs| key == *theirs || is_below(&key, theirs) || is_below(theirs, &key))
}

fn is_below(key: &str, parent: &str) -> bool {
    key.strip_prefix(parent).is_some_and(|rest| rest.starts_with('['))
}

fn decoded(encoded: &str) -> Cow<'_, str> {
    // A key holds no `=` and no `&`, so it reads as a pair without a value.
    form_urlencoded::parse(encoded.as_bytes())
        .next()
        .map_or(Cow::Borrowed(encoded), |(key, _)| Cow::Owned(key.into_owned()))
}

#[cfg(test)]
mod tests;
