//! JSON as a tree that keeps repeated keys: FreeSWITCH's documents of 2013 to 2015 have `callflow` twice, and both
//! matter.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::reason::Reason;
use crate::text;

/// A value. What kind of scalar it was does not matter: switches and proxies write numbers either way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Nothing,
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Checks bytes, parses them, and has them read; told with the tree is how many broken characters were replaced.
pub(crate) fn read<T>(
    bytes: &[u8],
    reader: impl FnOnce(&Node<'_>, u64) -> Result<T, Reason>,
) -> Result<T, Reason> {
    let checked = text::check(bytes)?;
    let halves = text::replace_half_characters(&checked.text);
    let (json, halves) = match &halves {
        Some((fixed, halves)) => (fixed.as_str(), *halves),
        None => (checked.text.as_ref(), 0),
    };
    let node: Node<'_> = serde_json::from_str(json).map_err(|error| Reason::NotJson(error.to_string()))?;
    reader(&node, checked.replaced + halves)
}

impl<'a> Node<'a> {
    /// The value of a key; of a repeated one the last.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.all(key).last()
    }

    /// Every value of a key, in order.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &Self> {
        self.entries().iter().filter(move |(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn entries(&self) -> &[(Cow<'a, str>, Self)] {
        match self {
            Self::Object(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; anything else is a list of itself.
    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Nothing => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// A text that is not empty.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The text of a key.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Self::text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

/// A text borrowed from the input where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(NodeVisitor)? {
            Node::Text(text) => Ok(Self(text)),
            _ => Ok(Self(Cow::Borrowed(""))),
        }
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(if value { "true" } else { "false" })))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Text(value.to_string().into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Text(value.to_string().into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Text(value.to_string().into()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((Key(key), value)) = object.next_entry()? {
            entries.push((key, value));
        }
        Ok(Node::Object(entries))
    }
}
