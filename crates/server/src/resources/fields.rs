//! Reads the members of one object, one key at a time, and keeps every mistake with its place.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use ringpost_model::Text;

use super::node::{Member, Node, Value};
use crate::config::{Mistake, Positions, nearest};

/// Longest file with one secret in it: many times a chain of certificates.
const SECRET_FILE_BYTES: u64 = 256 * 1024;

/// One file being read.
pub(crate) struct Reading<'a> {
    pub(crate) positions: Positions<'a>,
    pub(crate) variables: &'a [(String, String)],
    /// Where the file is: other files are named from there.
    pub(crate) folder: &'a Path,
    pub(crate) mistakes: Vec<Mistake>,
}

impl Reading<'_> {
    pub(crate) fn wrong(
        &mut self,
        at: usize,
        key: &str,
        wrong: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let place = self.positions.place(at);
        self.mistakes.push(Mistake {
            place,
            key: key.to_owned(),
            wrong: wrong.into(),
            instead: instead.into(),
        });
    }
}

/// The members of one object.
pub(crate) struct Fields<'n, 'r, 'a> {
    pub(crate) reading: &'r mut Reading<'a>,
    /// What it is of, for messages: `trigger "CRM"`.
    subject: String,
    /// JSON pointer of the object in its resource.
    pointer: String,
    at: usize,
    members: &'n [Member],
    asked: Vec<&'static str>,
}

impl<'n, 'r, 'a> Fields<'n, 'r, 'a> {
    /// None, and a mistake, when it is no object.
    pub(crate) fn new(
        reading: &'r mut Reading<'a>,
        subject: &str,
        pointer: &str,
        node: &'n Node,
    ) -> Option<Self> {
        let Value::Object(members) = &node.value else {
            let key = place_in(subject, pointer);
            reading.wrong(
                node.at,
                &key,
                format!("{} is no object", node.shown()),
                "write its keys and values",
            );
            return None;
        };
        let (subject, pointer) = (subject.to_owned(), pointer.to_owned());
        Some(Self { reading, subject, pointer, at: node.at, members, asked: Vec::new() })
    }

    /// What it is of.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// What there is, for who wrote something else: once each, in the order asked.
    fn ask(&mut self, key: &'static str) {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
    }

    /// The value of a key; null is absent.
    pub(crate) fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.ask(key);
        let member = self.members.iter().find(|member| member.key == key)?;
        (member.node.value != Value::Null).then_some(&member.node)
    }

    pub(crate) fn wrong(
        &mut self,
        at: usize,
        part: &str,
        wrong: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let key = place_in(&self.subject, &format!("{}/{part}", self.pointer));
        self.reading.wrong(at, &key, wrong, instead);
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<&'n str> {
        let node = self.node(key)?;
        let Value::Text(text) = &node.value else {
            self.wrong(node.at, key, format!("{} is no text", node.shown()), "write it in quotes");
            return None;
        };
        Some(text)
    }

    pub(crate) fn required(&mut self, key: &'static str) -> Option<&'n str> {
        let absent = !self.members.iter().any(|member| member.key == key && member.node.value != Value::Null);
        let empty = self
            .members
            .iter()
            .any(|member| member.key == key && member.node.value == Value::Text(String::new()));
        if absent || empty {
            self.ask(key);
            self.wrong(self.at, key, "missing", format!("write {key} = \"…\""));
            return None;
        }
        self.text(key)
    }

    /// A text that stands for something else.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let at = self.node(key)?.at;
        let text = self.text(key)?;
        read(text).map_err(|wrong| self.wrong(at, key, wrong, "")).ok()
    }

    /// One of a few words.
    pub(crate) fn one_of<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let at = self.node(key)?.at;
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let wrong = format!("{text:?} is not known");
            self.wrong(at, key, wrong, format!("write {}", all.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        let Value::Bool(flag) = node.value else {
            self.wrong(
                node.at,
                key,
                format!("{} is neither true nor false", node.shown()),
                "write true or false",
            );
            return None;
        };
        Some(flag)
    }

    pub(crate) fn number(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let node = self.node(key)?;
        let number = match &node.value {
            Value::Number(digits) => digits.parse().ok().filter(|number| range.contains(number)),
            _ => None,
        };
        if number.is_none() {
            let instead = format!("write a whole number from {} to {}", range.start(), range.end());
            self.wrong(node.at, key, format!("{} does not fit", node.shown()), instead);
        }
        number
    }

    /// A number that must be there.
    pub(crate) fn required_number(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        if self.node(key).is_none() {
            let instead = format!("write {key} = a whole number from {} to {}", range.start(), range.end());
            self.wrong(self.at, key, "missing", instead);
            return None;
        }
        self.number(key, range)
    }

    /// A list of texts; each element has its own place.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<String> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let Value::List(nodes) = &node.value else {
            self.wrong(node.at, key, format!("{} is no list", node.shown()), "write it in brackets: [\"…\"]");
            return Vec::new();
        };
        let texts = nodes.iter().enumerate();
        texts.filter_map(|(index, node)| self.secret_at(&format!("{key}/{index}"), node)).collect()
    }

    /// An object of texts.
    pub(crate) fn pairs(&mut self, key: &'static str) -> BTreeMap<Text, Text> {
        let Some(node) = self.node(key) else { return BTreeMap::new() };
        let Value::Object(members) = &node.value else {
            self.wrong(node.at, key, format!("{} is no object", node.shown()), "write { name = \"value\" }");
            return BTreeMap::new();
        };
        let pairs = members.iter().filter_map(|member| {
            let part = format!("{key}/{}", member.key.replace('~', "~0").replace('/', "~1"));
            let value = self.secret_at(&part, &member.node)?;
            Some((member.key.as_str().into(), value.into()))
        });
        pairs.collect()
    }

    /// A text that may be a secret, and so may stand in the environment or in a file of its own:
    /// `{ env = "NAME" }`, `{ file = "PATH" }`.
    pub(crate) fn secret(&mut self, key: &'static str) -> Option<String> {
        let node = self.node(key)?;
        self.secret_at(key, node)
    }

    /// The same where it must be there; empty after a mistake.
    pub(crate) fn secret_required(&mut self, key: &'static str) -> Text {
        let present = self.node(key).is_some();
        if !present {
            self.wrong(
                self.at,
                key,
                "missing",
                format!(
                    "write {key} = \"…\" or {key} = {{ env = \"NAME\" }} or {key} = {{ file = \"PATH\" }}"
                ),
            );
        }
        self.secret(key).unwrap_or_default().into()
    }

    pub(crate) fn secret_at(&mut self, part: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) => return Some(text.clone()),
            Value::Object(members) if members.len() == 1 => {
                match (members[0].key.as_str(), &members[0].node.value) {
                    ("env", Value::Text(name)) => return self.variable(part, node.at, name),
                    ("file", Value::Text(name)) => return self.file(part, node.at, name),
                    _ => {}
                }
            }
            _ => {}
        }
        // The value is not repeated: it may be the secret itself.
        let instead = "write it in quotes, or { env = \"NAME\" }, or { file = \"PATH\" }";
        self.wrong(node.at, part, "not a text", instead);
        None
    }

    /// The text of a file, without the line's end that editors put behind it.
    fn file(&mut self, part: &str, at: usize, name: &str) -> Option<String> {
        let path = self.reading.folder.join(name);
        let read = std::fs::metadata(&path).and_then(|file| match file.len() {
            ..=SECRET_FILE_BYTES if file.is_file() => std::fs::read_to_string(&path),
            _ => Err(std::io::Error::other("not a file, or a long one")),
        });
        match read {
            Ok(text) if text.trim().is_empty() => {
                self.wrong(at, part, format!("{} is empty", path.display()), "");
                None
            }
            Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => {
                let instead = "the path counts from the folder of this file";
                self.wrong(at, part, format!("cannot read {}: {error}", path.display()), instead);
                None
            }
        }
    }

    fn variable(&mut self, part: &str, at: usize, name: &str) -> Option<String> {
        let variables = self.reading.variables;
        let found = variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        if found.as_ref().is_none_or(String::is_empty) {
            self.wrong(at, part, format!("the environment has no {name}"), format!("set {name}"));
            return None;
        }
        found
    }

    /// The object of a key.
    pub(crate) fn nested<'s>(&'s mut self, key: &'static str) -> Option<Fields<'n, 's, 'a>> {
        let node = self.node(key)?;
        let pointer = format!("{}/{key}", self.pointer);
        Fields::new(self.reading, &self.subject, &pointer, node)
    }

    /// What was not asked for is unknown.
    pub(crate) fn finish(mut self) {
        for member in self.members {
            if self.asked.contains(&member.key.as_str()) {
                continue;
            }
            let near = nearest(&member.key, self.asked.iter().copied());
            let instead = near.map_or_else(
                || format!("there are {}", self.asked.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            self.wrong(member.at, &member.key, "no such key", instead);
        }
    }
}

fn place_in(subject: &str, pointer: &str) -> String {
    if pointer.is_empty() { subject.to_owned() } else { format!("{subject}: {pointer}") }
}
