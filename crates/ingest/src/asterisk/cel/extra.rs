//! The column `extra`: what belongs to one kind of event, as JSON. Of what is no JSON the texts that can be found.

use std::borrow::Cow;

use ringpost_model::Text;
use serde_json::{Map, Value};

/// What the column says.
#[derive(Debug)]
pub(super) struct Extra {
    entries: Map<String, Value>,
    /// What is no JSON, as it came.
    broken: String,
    /// Before Asterisk 12 a hang-up told its cause first and bare.
    first: Option<u16>,
}

/// Keys that name other channels.
const CHANNELS: [&str; 5] = [
    "transferee_channel_uniqueid",
    "transfer_target_channel_uniqueid",
    "channel2_uniqueid",
    "pickup_channel_uniqueid",
    "local_two_uniqueid",
];

impl Extra {
    pub(super) fn read(text: &str) -> Self {
        let first = text.split(',').next().and_then(|first| first.trim().parse().ok());
        let (entries, broken) = match serde_json::from_str(text) {
            Ok(Value::Object(entries)) => (entries, String::new()),
            _ => (Map::new(), text.to_owned()),
        };
        Self { entries, broken, first }
    }

    /// A value, also one inside the text that `CELGenUserEvent` wraps.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        match self.entries.get(key) {
            Some(Value::String(text)) => Some(Cow::Borrowed(text)),
            Some(Value::Number(number)) => Some(Cow::Owned(number.to_string())),
            Some(_) => None,
            None => self.found(key).map(Cow::Borrowed).or_else(|| self.wrapped(key).map(Cow::Owned)),
        }
    }

    /// A text after its key, quotes too many aside.
    fn found(&self, key: &str) -> Option<&str> {
        let (_, rest) = self.broken.split_once(key)?;
        let value = rest.strip_prefix('"')?.trim_start().strip_prefix(':')?;
        value.trim_start_matches([' ', '"']).split(['"', ',', '}']).next()
    }

    fn wrapped(&self, key: &str) -> Option<String> {
        let inner: Value = match self.entries.get("extra")? {
            Value::String(text) => serde_json::from_str(text).ok()?,
            inner => inner.clone(),
        };
        inner.get(key)?.as_str().map(str::to_owned)
    }

    pub(super) fn cause(&self) -> Option<u16> {
        self.text("hangupcause").and_then(|cause| cause.trim().parse().ok()).or(self.first)
    }

    pub(super) fn ids(&self) -> Vec<Text> {
        let named = CHANNELS.iter().filter_map(|key| self.text(key));
        let named = named.filter(|id| !id.is_empty() && id != "N/A" && id.len() <= 256);
        named.map(|id| Text::from(id.as_ref())).collect()
    }
}
