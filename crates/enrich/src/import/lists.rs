//! Public numbers and devices out of the rows of a file.

use std::collections::HashMap;

use ringpost_model::{Device, NumberName, PublicNumber, Text};
use ringpost_numbers::{Region, normalise};

use super::csv_rows::CsvRows;
use super::json_rows::json_rows;
use super::{FIELD_BYTES, FileFormat, RawRow, mistake, simple};
use crate::Mistake;

const NUMBER_COLUMNS: [&str; 2] = ["number", "name"];
const DEVICE_COLUMNS: [&str; 7] =
    ["number", "name", "userNumber", "userName", "agentNumber", "agentName", "groups"];

/// The public numbers of a file with columns `number` and `name`.
///
/// # Errors
/// Every mistake; then there are no numbers.
pub fn numbers(
    text: &str,
    format: FileFormat,
    region: Option<Region>,
) -> Result<Vec<PublicNumber>, Vec<Mistake>> {
    read(text, format, &NUMBER_COLUMNS, |row| {
        let typed = row.take("number");
        let number = region.and_then(|region| normalise(&typed, region));
        let number = number.map_or(typed, |number| number.as_str().into());
        (number.clone(), PublicNumber { number, name: row.take("name") })
    })
}

/// The devices of a file with columns `number`, `name`, `userNumber`, `userName`, `agentNumber`, `agentName` and
/// `groups`, several of which have semicolons between them.
///
/// # Errors
/// Every mistake; then there are no devices.
pub fn devices(text: &str, format: FileFormat) -> Result<Vec<Device>, Vec<Mistake>> {
    read(text, format, &DEVICE_COLUMNS, |row| {
        let number = row.take("number");
        let name = row.take("name");
        let user = NumberName { number: row.take("usernumber"), name: row.take("username") };
        let agent = NumberName { number: row.take("agentnumber"), name: row.take("agentname") };
        let groups = row.take("groups");
        let groups = groups.split(';').map(str::trim).filter(|group| !group.is_empty());
        let groups = groups.map(Text::from).collect();
        (number.clone(), Device { number, name, user, agent, groups })
    })
}

impl RawRow {
    fn take(&mut self, name: &str) -> Text {
        let cell = self.cells.iter().find(|(known, _)| known == name);
        cell.map_or("", |(_, cell)| cell.trim()).into()
    }
}

/// Rows with a `number` that each has once.
fn read<T>(
    text: &str,
    format: FileFormat,
    columns: &[&str],
    of: impl Fn(&mut RawRow) -> (Text, T),
) -> Result<Vec<T>, Vec<Mistake>> {
    let is_known = |name: &str| columns.iter().any(|column| simple(column) == name);
    let unknown =
        |line, name: &str| mistake(line, name, format!("unknown; known are {}", columns.join(", ")));
    let mut mistakes = Vec::new();
    let rows: Box<dyn Iterator<Item = _>> = match format {
        FileFormat::Csv => {
            let rows = CsvRows::new(text).map_err(|mistake| vec![mistake])?;
            let named = rows.headers.iter().filter(|header| !header.is_empty());
            mistakes
                .extend(named.filter(|header| !is_known(&simple(header))).map(|header| unknown(1, header)));
            if !rows.headers.iter().any(|header| simple(header) == "number") {
                mistakes.push(mistake(1, "number", "the column is missing"));
            }
            Box::new(rows)
        }
        FileFormat::Json => Box::new(json_rows(text).into_iter()),
        FileFormat::Vcard => {
            return Err(vec![mistake(1, "", "a vCard has contacts only: give a CSV or JSON file")]);
        }
    };
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let (mut found, mut seen) = (Vec::new(), HashMap::new());
    for row in rows {
        let mut row = match row {
            Ok(row) if row.cells.iter().all(|(_, cell)| cell.trim().is_empty()) => continue,
            Ok(row) => row,
            Err(mistake) => {
                mistakes.push(mistake);
                continue;
            }
        };
        let line = row.line;
        let wrong = row.cells.iter().find_map(|(name, cell)| match cell.len() {
            _ if !is_known(name) => Some(unknown(line, name)),
            length if length > FIELD_BYTES => {
                Some(mistake(line, name, format!("{length} bytes long; at most {FIELD_BYTES} are kept")))
            }
            _ => None,
        });
        let (number, one) = of(&mut row);
        let before = seen.insert(number.clone(), line);
        match (wrong, before) {
            (Some(wrong), _) => mistakes.push(wrong),
            (None, _) if number.is_empty() => mistakes.push(mistake(line, "number", "there is none")),
            (None, Some(before)) => {
                mistakes.push(mistake(line, "number", format!("{number:?} is on line {before} too")));
            }
            (None, None) => found.push(one),
        }
    }
    if mistakes.is_empty() { Ok(found) } else { Err(mistakes) }
}
