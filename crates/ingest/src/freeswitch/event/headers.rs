//! Headers of an event, JSON or text. An empty value is none.

use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::{percent_decode, percent_decode_str};
use ringpost_model::Timestamp;

use crate::decoded::RECORD_BYTES;
use crate::freeswitch::variables::scalar;
use crate::node::Node;
use crate::reason::Reason;

/// By name, as written; one that comes twice counts as it came last.
#[derive(Debug, Default)]
pub(in crate::freeswitch) struct Headers<'a>(HashMap<&'a str, Cow<'a, str>>);

impl<'a> Headers<'a> {
    pub(super) fn of_json(node: &'a Node<'a>) -> Self {
        let mut headers = HashMap::new();
        for (name, value) in node.entries() {
            if let Some(value) = scalar(value) {
                headers.insert(name.as_ref(), value);
            }
        }
        // Some clients of the event socket put its text into JSON as it came.
        let dates = ["Event-Date-Local", "Event-Date-GMT"];
        let is_encoded = dates.iter().filter_map(|name| headers.get(name)).any(|date| date.contains("%20"));
        if is_encoded {
            for value in headers.values_mut().filter(|value| value.contains('%')) {
                *value = percent_decode_str(value).decode_utf8_lossy().into_owned().into();
            }
        }
        Self(headers)
    }

    /// `Name: value` a line, the value url-encoded.
    pub(super) fn of_text(bytes: &'a [u8]) -> Result<Self, Reason> {
        if bytes.len() > RECORD_BYTES {
            return Err(Reason::TooLarge { length: bytes.len() as u64, limit: RECORD_BYTES as u64 });
        }
        let mut headers = HashMap::new();
        for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            let colon = memchr::memchr(b':', line);
            let name = colon.and_then(|colon| std::str::from_utf8(&line[..colon]).ok());
            let (Some(colon), Some(name)) = (colon, name) else { continue };
            let value = percent_decode(line[colon + 1..].trim_ascii()).decode_utf8_lossy();
            if !value.is_empty() {
                headers.insert(name, value);
            }
        }
        if headers.is_empty() {
            return Err(Reason::NotJson("neither a JSON object nor lines of headers".to_owned()));
        }
        Ok(Self(headers))
    }

    pub(in crate::freeswitch) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref)
    }

    /// Names and values.
    pub(in crate::freeswitch) fn iter(&self) -> impl Iterator<Item = (&'a str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_ref()))
    }

    /// A time in microseconds. Zero is none, and so is nonsense.
    pub(in crate::freeswitch) fn time(&self, name: &str) -> Option<Timestamp> {
        Timestamp::checked(self.get(name)?.trim().parse().ok()?).ok()
    }

    /// When the event happened.
    pub(in crate::freeswitch) fn at(&self) -> Option<Timestamp> {
        self.time("Event-Date-Timestamp")
    }

    /// The how manyth stay in the dialplan; a transfer begins another.
    pub(super) fn profile(&self) -> u32 {
        self.get("Caller-Profile-Index").and_then(|index| index.parse().ok()).unwrap_or(1)
    }
}
