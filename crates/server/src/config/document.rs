//! What was written, as entries with their place: a TOML file made flat, `sessions.settle` by `sessions.settle`.
//! Knows nothing of which keys there are.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::mistake::Mistake;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nobody wrote it.
    Default,
    /// A file; line and column from 1.
    File {
        /// As it was named.
        file: String,
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
    /// A variable of the environment.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    /// A quoted text in a file.
    Text(String),
    /// What the environment or a flag says: a text that may also be a number or a list.
    Bare(String),
    /// A whole number, as written.
    Integer(String),
    /// Another number, as written.
    Float(String),
    /// `true` or `false`.
    Bool(bool),
    /// A list, each element with its place.
    List(Vec<Entry>),
    /// A table with nothing in it, or a table inside a list.
    Table,
    /// A date or time.
    Time(String),
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) value: Given,
    /// Where the value stands.
    pub(crate) place: Place,
    /// Where its key stands.
    pub(crate) key_place: Place,
}

/// Finds lines and columns of byte positions in one file.
pub(crate) struct Positions<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Positions<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text }
    }

    pub(crate) fn place(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Place::File { file: self.file.to_owned(), line, column }
    }
}

/// Entries by their dotted path, and what is no TOML.
pub(crate) fn read(file: &str, text: &str) -> (BTreeMap<String, Entry>, Vec<Mistake>) {
    let positions = Positions::new(file, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mistakes = errors.iter().map(|error| syntax_mistake(&positions, error)).collect();
    let mut entries = BTreeMap::new();
    flatten(&positions, "", table.get_ref(), &mut entries);
    (entries, mistakes)
}

fn syntax_mistake(positions: &Positions<'_>, error: &toml::de::Error) -> Mistake {
    let at = error.span().map_or(0, |span| span.start);
    let wrong = format!("not TOML: {}", error.message().trim().replace('\n', ", "));
    let instead = "see https://toml.io for how it is written".to_owned();
    Mistake { place: positions.place(at), key: String::new(), wrong, instead }
}

fn flatten(
    positions: &Positions<'_>,
    prefix: &str,
    table: &DeTable<'_>,
    entries: &mut BTreeMap<String, Entry>,
) {
    for (key, value) in table {
        let path =
            if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => flatten(positions, &path, inner, entries),
            DeValue::Array(list) if is_of_tables(list) => {
                for (index, element) in list.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    let place = positions.place(element.span().start);
                    let begin = Entry { value: Given::Table, place: place.clone(), key_place: place };
                    entries.insert(path.clone(), begin);
                    if let DeValue::Table(inner) = element.get_ref() {
                        flatten(positions, &path, inner, entries);
                    }
                }
            }
            _ => {
                let key_place = positions.place(key.span().start);
                entries.insert(path, Entry { key_place, ..entry(positions, value) });
            }
        }
    }
}

/// `[[source.file]]`: each is a section of its own, `source.file[0]`, that begins with a [`Given::Table`].
fn is_of_tables(list: &DeArray<'_>) -> bool {
    !list.is_empty() && list.iter().all(|element| matches!(element.get_ref(), DeValue::Table(_)))
}

fn entry(positions: &Positions<'_>, value: &Spanned<DeValue<'_>>) -> Entry {
    let given = match value.get_ref() {
        DeValue::String(text) => Given::Text(text.to_string()),
        DeValue::Integer(number) => Given::Integer(integer_text(number.as_str(), number.radix())),
        DeValue::Float(number) => Given::Float(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Given::Bool(*flag),
        DeValue::Datetime(time) => Given::Time(time.to_string()),
        DeValue::Array(list) => Given::List(list.iter().map(|element| entry(positions, element)).collect()),
        DeValue::Table(_) => Given::Table,
    };
    let place = positions.place(value.span().start);
    Entry { value: given, key_place: place.clone(), place }
}

/// `0x10` and the like become decimal; what does not fit stays as written and is refused by its reader.
fn integer_text(digits: &str, radix: u32) -> String {
    i128::from_str_radix(digits, radix).map_or_else(|_| digits.to_owned(), |number| number.to_string())
}
