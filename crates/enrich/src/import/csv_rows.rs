//! Rows of CSV: the separator is found out, headers come in any order.

use super::{RawRow, mistake, simple};
use crate::Mistake;

/// Reads row by row.
pub(super) struct CsvRows<'a> {
    records: csv::StringRecordsIntoIter<&'a [u8]>,
    /// As they are written, for people.
    pub(super) headers: Vec<String>,
    names: Vec<String>,
}

impl<'a> CsvRows<'a> {
    /// Reads the header.
    pub(super) fn new(text: &'a str) -> Result<Self, Mistake> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator(text))
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let headers = reader.headers().map_err(|error| mistake(1, "", error.to_string()))?;
        let headers: Vec<String> = headers.iter().map(str::to_owned).collect();
        if headers.iter().all(String::is_empty) {
            return Err(mistake(1, "", "the file is empty: its first line must name the columns"));
        }
        let names = headers.iter().map(|header| simple(header)).collect();
        Ok(Self { records: reader.into_records(), headers, names })
    }
}

impl Iterator for CsvRows<'_> {
    type Item = Result<RawRow, Mistake>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.records.next()? {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                return Some(Err(mistake(line, "", error.to_string())));
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        if let Some(cell) = record.iter().skip(self.names.len()).find(|cell| !cell.is_empty()) {
            let cell: String = cell.chars().take(40).collect();
            let wrong = format!(
                "{} cells under {} headers, {cell:?} has none; is a text with a separator not in quotes?",
                record.len(),
                self.names.len()
            );
            return Some(Err(mistake(line, "", wrong)));
        }
        let cells = self.names.iter().zip(&record).map(|(name, cell)| (name.clone(), cell.to_owned()));
        Some(Ok(RawRow { line, cells: cells.collect() }))
    }
}

/// The one that the header has most of, outside quotes.
fn separator(text: &str) -> u8 {
    let mut is_quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in text.bytes() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => break,
            _ if !is_quoted => {
                counts
                    .iter_mut()
                    .filter(|(separator, _)| *separator == byte)
                    .for_each(|(_, count)| *count += 1);
            }
            _ => {}
        }
    }
    // The first of equals.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(separator, _)| separator)
}
