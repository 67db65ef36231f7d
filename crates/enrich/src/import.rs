//! Files that people have, CSV, vCard or JSON, to contacts, numbers and devices (enrichment-and-dialects.md 1). Pure:
//! the text of a file in, rows and mistakes out; one bad row says what is wrong with it and where.

use std::fmt;

mod contacts;
mod csv_rows;
mod json_rows;
mod lists;
mod text;
mod vcards;

pub use contacts::{ContactNotes, ContactReader};
pub use lists::{devices, numbers};
pub use text::{Encoding, decoded};

use crate::Mistake;

/// Longest text of one field, in bytes: more is no name of anybody, and a record carries it.
pub(crate) const FIELD_BYTES: usize = 1_000;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// A header and a row for each; separated by comma, semicolon or tab.
    Csv,
    /// Cards of RFC 6350, or of its predecessors.
    Vcard,
    /// A list of objects, or one object on each line.
    Json,
}

impl FileFormat {
    /// What a text is by its beginning.
    pub fn guess(text: &str) -> Self {
        let begin = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        if begin.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("BEGIN:")) {
            Self::Vcard
        } else if begin.starts_with(['[', '{']) {
            Self::Json
        } else {
            Self::Csv
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Vcard => "vCard",
            Self::Json => "JSON",
        })
    }
}

/// The cells of one row by the names of their columns, as they were read.
struct RawRow {
    /// Line, or number of the card, from 1.
    line: u64,
    /// Names are simple: `fullname`, `phone1`.
    cells: Vec<(String, String)>,
}

/// Letters and digits of a column's name, small: `Full Name`, `full_name` and `fullName` are one.
fn simple(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn mistake(line: u64, column: &str, wrong: impl Into<String>) -> Mistake {
    Mistake { line, column: column.to_owned(), wrong: wrong.into() }
}

#[cfg(test)]
mod tests;
