//! Channel variables: plain or url-encoded (`encode-values`), lists, times.

use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use ringpost_model::{InvalidTime, Timestamp};

use crate::decoded::Notes;
use crate::node::Node;
use crate::reason::{Reason, clip};

/// What FreeSWITCH never leaves bare in an encoded value (`SWITCH_URL_UNSAFE`), the percent sign aside.
const NEVER_BARE: &[char] = &[
    '\r', '\n', ' ', '#', '&', '+', ':', ';', '<', '=', '>', '?', '@', '[', '\\', ']', '^', '`', '{', '|',
    '}', '"',
];

/// The variables of one channel. An empty value is none.
#[derive(Debug, Default)]
pub(super) struct Variables<'a>(HashMap<&'a str, Cow<'a, str>>);

impl<'a> Variables<'a> {
    pub(super) fn read(node: &'a Node<'a>, notes: &mut Notes) -> Self {
        let mut values = HashMap::new();
        for (name, value) in node.entries() {
            let Some(value) = scalar(value) else { continue };
            let is_repeated = values.insert(name.as_ref(), value).is_some();
            notes.duplicate_keys += u64::from(is_repeated);
        }
        if are_encoded(&values) {
            for value in values.values_mut() {
                *value = decoded(value);
            }
        }
        Self(values)
    }

    /// Of an event, whose values come plain.
    pub(super) fn of_event(values: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        Self(values.map(|(name, value)| (name, Cow::Borrowed(value))).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref)
    }

    /// The first of these that is there.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| matches!(value, "true" | "yes" | "on" | "1" | "t"))
    }

    /// The elements of an array variable, `ARRAY::a|:b`; a plain one has one.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let value = self.get(name).unwrap_or_default();
        let elements = value.strip_prefix("ARRAY::").unwrap_or(value);
        elements.split("|:").filter(|element| !element.is_empty())
    }

    /// `<name>_uepoch`, in microseconds; zero is no time.
    pub(super) fn micros(&self, name: &str) -> Result<Option<Timestamp>, Reason> {
        self.time(&format!("{name}_uepoch"), 1)
    }

    /// `<name>_epoch`, in seconds; zero is no time.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<Timestamp>, Reason> {
        self.time(&format!("{name}_epoch"), 1_000_000)
    }

    fn time(&self, name: &str, unit: i64) -> Result<Option<Timestamp>, Reason> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let path = || format!("variables.{name}");
        let Ok(number) = text.trim().parse::<i64>() else {
            let rule = "an integer since 1970 is wanted";
            return Err(Reason::Invalid { path: path(), rule, got: format!("{:?}", clip(text)) });
        };
        if number == 0 {
            return Ok(None);
        }
        let time = number.checked_mul(unit).ok_or(InvalidTime::Range(number)).and_then(Timestamp::checked);
        time.map(Some).map_err(|error| Reason::Time { path: path(), error })
    }

    /// `<name>_stamp`, local time without a zone, read as UTC.
    pub(super) fn stamp(&self, name: &str) -> Option<Timestamp> {
        let text = self.get(&format!("{name}_stamp"))?;
        let local = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok()?;
        Timestamp::checked(local.and_utc().timestamp_micros()).ok()
    }
}

/// A list is written as FreeSWITCH writes it in one text.
pub(super) fn scalar<'a>(value: &'a Node<'a>) -> Option<Cow<'a, str>> {
    match value {
        Node::List(items) => {
            let texts: Vec<&str> = items.iter().filter_map(Node::text).collect();
            (!texts.is_empty()).then(|| format!("ARRAY::{}", texts.join("|:")).into())
        }
        _ => value.text().map(Cow::Borrowed),
    }
}

/// Values are encoded all or none. An encoded document has a stamp with `%20` in it; a plain one has bare spaces,
/// colons and at signs somewhere.
fn are_encoded(values: &HashMap<&str, Cow<'_, str>>) -> bool {
    let stamps = ["start_stamp", "end_stamp", "answer_stamp"];
    if let Some(stamp) = stamps.iter().find_map(|name| values.get(name)) {
        return stamp.contains("%20") || stamp.contains("%3A");
    }
    let has_escape = values.values().any(|value| value.contains('%'));
    has_escape && !values.values().any(|value| value.contains(NEVER_BARE))
}

fn decoded<'a>(value: &Cow<'a, str>) -> Cow<'a, str> {
    if !value.contains('%') {
        return value.clone();
    }
    percent_decode_str(value).decode_utf8_lossy().into_owned().into()
}
