//! A JSON document as the pairs of a form or a query: `a[b]=v`, `a[]=v`, `a[0][b]=v`. Pure.
//!
//! Numbers are taken from the text of the document, digit by digit, and never pass through binary floating
//! point. What PHP and Rack cannot read back (a bracket inside a key) is sent percent-encoded all the same.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One pair, ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Encoded, with bare brackets.
    pub(crate) key: String,
    /// Encoded.
    pub(crate) value: String,
}

/// The pairs of a JSON object, in its order.
///
/// # Errors
/// What serde_json says of text that is no JSON object.
pub(crate) fn pairs(document: &RawValue) -> Result<Vec<Pair>, serde_json::Error> {
    let mut pairs = Vec::new();
    for (key, value) in object(document)? {
        walk(&encode(&key), value, &mut pairs)?;
    }
    Ok(pairs)
}

/// The pairs joined by `&`.
pub(crate) fn join(pairs: &[Pair]) -> String {
    let mut text =
        String::with_capacity(pairs.iter().map(|pair| pair.key.len() + pair.value.len() + 2).sum());
    for pair in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&pair.key);
        text.push('=');
        text.push_str(&pair.value);
    }
    text
}

/// Keys and values alike: a space is `+`, everything but letters, digits and `*-._` is percent-encoded UTF-8.
fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn walk(key: &str, value: &RawValue, pairs: &mut Vec<Pair>) -> Result<(), serde_json::Error> {
    match first_byte(value) {
        b'{' => {
            for (inner, value) in object(value)? {
                walk(&format!("{key}[{}]", encode(&inner)), value, pairs)?;
            }
            Ok(())
        }
        b'[' => walk_list(key, value, pairs),
        b'"' => {
            let text: Cow<'_, str> = serde_json::from_str(value.get())?;
            pairs.push(Pair { key: key.to_owned(), value: encode(&text) });
            Ok(())
        }
        b'n' => Ok(()), // null says nothing
        _ => {
            pairs.push(Pair { key: key.to_owned(), value: encode(value.get()) });
            Ok(())
        }
    }
}

/// A list of scalars is `a[]=v`; an element that is itself an object or a list carries its index.
fn walk_list(key: &str, value: &RawValue, pairs: &mut Vec<Pair>) -> Result<(), serde_json::Error> {
    let elements: Vec<&RawValue> = serde_json::from_str(value.get())?;
    let nested = elements.iter().any(|element| matches!(first_byte(element), b'{' | b'['));
    for (index, element) in elements.into_iter().enumerate() {
        let inner = if nested { format!("{key}[{index}]") } else { format!("{key}[]") };
        walk(&inner, element, pairs)?;
    }
    Ok(())
}

fn first_byte(value: &RawValue) -> u8 {
    value.get().as_bytes().first().copied().unwrap_or(b'n')
}

fn object(value: &RawValue) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    let entries: Entries<'_> = serde_json::from_str(value.get())?;
    Ok(entries.0)
}

/// The entries of an object, in its order and unparsed.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor).map(Self)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}
