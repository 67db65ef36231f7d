//! Rows of vCards: what a card says under the names of our fields.

use calcard::vcard::{VCard, VCardEntry, VCardProperty, VCardValue};
use calcard::{Entry, Parser};

use super::{RawRow, mistake};
use crate::Mistake;

const CUT: &str = "the card has no END:VCARD; is the file cut off?";

/// Reads card by card.
pub(super) struct Vcards<'a> {
    parser: Parser<'a>,
    card: u64,
    /// How many cards there are, the last of which has no end.
    cut: Option<u64>,
}

impl<'a> Vcards<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let is = |line: &str, word: &str| line.trim().eq_ignore_ascii_case(word);
        let ends = text.trim_end().lines().next_back().is_none_or(|line| is(line, "END:VCARD"));
        let cards = || text.lines().filter(|line| is(line, "BEGIN:VCARD")).count() as u64;
        Self { parser: Parser::new(text), card: 0, cut: (!ends).then(cards) }
    }
}

impl Iterator for Vcards<'_> {
    type Item = Result<RawRow, Mistake>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.parser.entry() {
                Entry::Eof => return None,
                Entry::VCard(card) => {
                    self.card += 1;
                    // The parser takes what is there of it.
                    if self.cut == Some(self.card) {
                        return Some(Err(mistake(self.card, "", CUT)));
                    }
                    return Some(Ok(RawRow { line: self.card, cells: cells(&card) }));
                }
                Entry::InvalidLine(line) if line.trim().is_empty() => {}
                Entry::InvalidLine(line) => {
                    let line: String = line.chars().take(40).collect();
                    return Some(Err(mistake(
                        self.card + 1,
                        "",
                        format!("a line that is no vCard: {line:?}"),
                    )));
                }
                Entry::UnterminatedComponent(_) => {
                    self.card += 1;
                    return Some(Err(mistake(self.card, "", CUT)));
                }
                _ => {
                    self.card += 1;
                    return Some(Err(mistake(self.card, "", "this is a calendar, and no card of a contact")));
                }
            }
        }
    }
}

fn cells(card: &VCard) -> Vec<(String, String)> {
    let mut cells = Vec::new();
    let mut add = |name: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            cells.push((name.to_owned(), text));
        }
    };
    for entry in &card.entries {
        match &entry.name {
            VCardProperty::Fn => add("fullname", first(entry)),
            VCardProperty::N => {
                let [family, given, _, prefix, _] = [0, 1, 2, 3, 4].map(|at| part(entry, at));
                add("lastname", family);
                add("firstname", given);
                add("title", prefix);
            }
            VCardProperty::Org => add("companyname", part(entry, 0)),
            VCardProperty::Title => add("jobtitle", first(entry)),
            // `tel:+44…;ext=5` of version 4 is a number too.
            VCardProperty::Tel => {
                add("phone", first(entry).map(|text| text.strip_prefix("tel:").unwrap_or(&text).to_owned()));
            }
            VCardProperty::Email => add("email", first(entry)),
            VCardProperty::Uid => {
                add(
                    "id",
                    first(entry).map(|text| text.strip_prefix("urn:uuid:").unwrap_or(&text).to_owned()),
                );
            }
            _ => {}
        }
    }
    cells
}

fn first(entry: &VCardEntry) -> Option<String> {
    part(entry, 0)
}

fn part(entry: &VCardEntry, at: usize) -> Option<String> {
    let text = match entry.values.as_slice() {
        [VCardValue::Component(parts)] => parts.get(at).cloned(),
        values => match values.get(at)? {
            VCardValue::Text(text) => Some(text.clone()),
            VCardValue::Component(parts) => Some(parts.join(" ")),
            VCardValue::Integer(number) => Some(number.to_string()),
            _ => None,
        },
    };
    text.map(|text| text.trim().to_owned())
}
