//! Lines of a table: CSV with or without a line that names the columns, or JSON objects.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

mod splitter;

use super::Line;
use crate::decoded::Notes;
use crate::reason::Reason;
use crate::text;
use splitter::Splitter;

/// Columns that both tables have have the same number; the others' begin at `OWN`.
pub(super) const TENANT: usize = 0;
pub(super) const ACCOUNT: usize = 1;
pub(super) const UNIQUEID: usize = 2;
pub(super) const LINKEDID: usize = 3;
pub(super) const OWN: usize = 4;
/// No table has more that matter.
const MOST: usize = 32;
/// Between fields; the first that fits the first line.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// The columns of a dialect's table.
pub(super) struct Columns {
    /// Who writes it.
    pub(super) switch: &'static str,
    /// Names in small letters and digits, of any spelling, and the number of the column.
    pub(super) names: &'static [(&'static str, usize)],
    /// A line that names all of these is a header.
    pub(super) header: &'static [usize],
    /// The order of the columns of a line without a header above it, as the switch writes them by default.
    pub(super) order: fn(&[&str]) -> Option<&'static [usize]>,
}

/// A column that nothing is read from, in an order.
pub(super) const SKIP: usize = MOST - 1;

/// The table being read: what its columns are, and the row read last.
pub(super) struct Table {
    columns: &'static Columns,
    /// None = the default order.
    layout: Option<Layout>,
    /// That of the line before.
    delimiter: u8,
    splitter: Splitter,
    row: Row,
}

/// What the fields of a line are.
#[derive(Debug)]
struct Layout {
    fields: Vec<usize>,
    /// As it came.
    header: Box<[u8]>,
    delimiter: u8,
}

/// Texts of one row by column.
#[derive(Debug, Default)]
struct Row {
    text: String,
    at: [Option<(u32, u32)>; MOST],
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("layout", &self.layout).field("row", &self.row).finish_non_exhaustive()
    }
}

impl Table {
    pub(super) fn new(columns: &'static Columns) -> Self {
        Self {
            columns,
            layout: None,
            delimiter: DELIMITERS[0],
            splitter: Splitter::default(),
            row: Row::default(),
        }
    }

    /// The line that named the columns.
    pub(super) fn header(&self) -> Option<&[u8]> {
        self.layout.as_ref().map(|layout| &*layout.header)
    }

    /// What stands in a column of the row read last; none where it is empty or there is no such column.
    pub(super) fn text(&self, column: usize) -> Option<&str> {
        self.row.get(column).filter(|text| !text.is_empty())
    }

    /// Whether the row has such a column at all.
    pub(super) fn has(&self, column: usize) -> bool {
        self.row.at[column].is_some()
    }

    /// Takes the columns from a line that came before; a line that names none says nothing.
    pub(super) fn name_columns(&mut self, line: &[u8]) {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        if !is_json(line) {
            let _ = self.read(line, &mut Notes::default());
        }
    }

    /// Reads a line.
    pub(super) fn read(&mut self, bytes: &[u8], notes: &mut Notes) -> Result<Line, Reason> {
        let checked = text::check(bytes)?;
        let replaced = checked.replaced;
        let line =
            if is_json(bytes) { self.read_json(&checked.text) } else { self.read_line(&checked.text) }?;
        notes.invalid_utf8 += replaced;
        Ok(line)
    }

    fn read_json(&mut self, line: &str) -> Result<Line, Reason> {
        let fixed = text::replace_half_characters(line);
        let line = fixed.as_ref().map_or(line, |(fixed, _)| fixed);
        // As written: 1773133200.1 and 1773133200.10 are two ids, also where they come as numbers.
        let entries: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_str(line).map_err(|error| Reason::NotJson(error.to_string()))?;
        self.row.clear();
        for (key, value) in entries {
            let Some(column) = self.columns.number(&key) else { continue };
            match value.get() {
                "null" => self.row.put(column, ""),
                quoted if quoted.starts_with('"') => {
                    let text: Cow<'_, str> =
                        serde_json::from_str(quoted).map_err(|error| Reason::NotJson(error.to_string()))?;
                    self.row.put(column, &text);
                }
                other => self.row.put(column, other),
            }
        }
        Ok(Line::Row)
    }

    fn read_line(&mut self, line: &str) -> Result<Line, Reason> {
        let known = self.layout.as_ref().map(|layout| layout.delimiter);
        let delimiter = known.unwrap_or_else(|| self.find_delimiter(line));
        let width = self.layout.as_ref().map(|layout| layout.fields.len());
        let fields = self.splitter.split(line, delimiter, width)?;
        if let Some(columns) = self.columns.of_header(&fields) {
            self.layout = Some(Layout { fields: columns, header: line.as_bytes().into(), delimiter });
            return Ok(Line::Header);
        }
        let order = match &self.layout {
            Some(layout) => &layout.fields,
            None => (self.columns.order)(&fields).ok_or_else(|| self.columns.no_header())?,
        };
        // Tabs at the end of a line are taken for white space.
        let is_short = fields.len() < order.len() && delimiter != b'\t';
        let is_long = fields.iter().skip(order.len()).any(|field| !field.is_empty());
        if is_short || is_long {
            return Err(Reason::Invalid {
                path: "row".to_owned(),
                rule: "a row has as many fields as the line that names its columns",
                got: format!("{} instead of {}", fields.len(), order.len()),
            });
        }
        self.row.clear();
        let fields = fields.iter().copied().chain(std::iter::repeat(""));
        for (column, field) in order.iter().zip(fields) {
            self.row.put(*column, field);
        }
        Ok(Line::Row)
    }

    /// What stands between the fields of a line: what makes it a header or a whole row.
    fn find_delimiter(&mut self, line: &str) -> u8 {
        let Self { columns, splitter, delimiter, .. } = self;
        let mut fits = |delimiter: &u8| {
            let Ok(fields) = splitter.split(line, *delimiter, None) else { return false };
            columns.of_header(&fields).is_some() || (columns.order)(&fields).is_some()
        };
        let candidates = std::iter::once(*delimiter).chain(DELIMITERS);
        let found = candidates.into_iter().find(&mut fits).unwrap_or(DELIMITERS[0]);
        *delimiter = found;
        found
    }
}

impl Row {
    fn clear(&mut self) {
        self.text.clear();
        self.at = [None; MOST];
    }

    /// Of two columns of one meaning the first that says something counts.
    fn put(&mut self, column: usize, text: &str) {
        if column == SKIP || self.get(column).is_some_and(|known| !known.is_empty()) {
            return;
        }
        let from = self.text.len() as u32;
        self.text.push_str(text);
        self.at[column] = Some((from, self.text.len() as u32));
    }

    fn get(&self, column: usize) -> Option<&str> {
        let (from, to) = self.at[column]?;
        self.text.get(from as usize..to as usize)
    }
}

impl Columns {
    /// The column of a name: `cid_num`, `CallerIDNum` and `cidnum` are one.
    fn number(&self, name: &str) -> Option<usize> {
        const LONGEST: usize = 24;
        let mut plain = [0_u8; LONGEST];
        let mut length = 0;
        for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
            *plain.get_mut(length)? = byte.to_ascii_lowercase();
            length += 1;
        }
        let plain = &plain[..length];
        self.names.iter().find(|(known, _)| known.as_bytes() == plain).map(|(_, column)| *column)
    }

    /// The columns of a line that names them.
    fn of_header(&self, fields: &[&str]) -> Option<Vec<usize>> {
        // A row has a time, which no name looks like.
        let is_time = |field: &&str| field.as_bytes().first().is_some_and(u8::is_ascii_digit);
        if fields.iter().any(is_time) {
            return None;
        }
        let columns: Vec<usize> = fields.iter().map(|name| self.number(name).unwrap_or(SKIP)).collect();
        self.header.iter().all(|needed| columns.contains(needed)).then_some(columns)
    }

    fn no_header(&self) -> Reason {
        Reason::NotOfDialect {
            switch: self.switch,
            why: "its columns are not those written by default; begin with a line that names them",
        }
    }
}

pub(super) fn is_json(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{')
}

/// Whether the first line is a header, a whole row in the default order, or an object with the names of a header.
pub(super) fn looks_like(columns: &'static Columns, bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let bytes = bytes[..end].trim_ascii_end();
    let mut table = Table::new(columns);
    let first = bytes.strip_prefix(b"[").unwrap_or(bytes);
    let first = first.strip_suffix(b",").unwrap_or(first);
    let is_read = table.read(first, &mut Notes::default()).is_ok();
    is_read && (table.header().is_some() || columns.header.iter().all(|column| table.has(*column)))
}
