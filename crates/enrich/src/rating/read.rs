//! Rows of a tariff from CSV: headers in any order, one mistake for each cell that is wrong, no half reading.

use std::io::Read;

use chrono::{NaiveDate, Weekday};
use rust_decimal::Decimal;

use super::row::{Days, LONGEST_PREFIX, Row, TimeOfDay};

/// A cell that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line of the file, from 1.
    pub line: u64,
    /// Name of the column; empty = the line as a whole.
    pub column: String,
    /// What is wrong, and what to write.
    pub wrong: String,
}

const COLUMNS: [&str; 13] = [
    "prefix",
    "name",
    "band",
    "connect_fee",
    "rate_per_minute",
    "minimum_seconds",
    "first_increment",
    "next_increment",
    "days",
    "from",
    "to",
    "valid_from",
    "valid_to",
];

/// The rows of a file; `prefix` and `rate_per_minute` are needed, the others have their usual values.
///
/// # Errors
/// Every mistake, by line; then there are no rows.
pub fn rows_from_csv(input: impl Read) -> Result<Vec<Row>, Vec<Mistake>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(input);
    let mut mistakes = Vec::new();
    let headers: Vec<String> = match reader.headers() {
        // A spreadsheet may put a mark of the encoding before the first header.
        Ok(headers) => {
            let name = |name: &str| {
                name.trim_start_matches('\u{feff}').to_ascii_lowercase().replace([' ', '-'], "_")
            };
            headers.iter().map(name).collect()
        }
        Err(error) => return Err(vec![of_line(1, error.to_string())]),
    };
    for header in headers.iter().filter(|header| !COLUMNS.contains(&header.as_str())) {
        let wrong = format!("unknown column; known are {}", COLUMNS.join(", "));
        mistakes.push(Mistake { line: 1, column: header.clone(), wrong });
    }
    for needed in ["prefix", "rate_per_minute"] {
        if !headers.iter().any(|header| header == needed) {
            mistakes.push(Mistake {
                line: 1,
                column: needed.to_owned(),
                wrong: "the column is missing".to_owned(),
            });
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                rows.extend(
                    Cells { headers: &headers, record: &record, line, mistakes: &mut mistakes }.row(),
                );
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                mistakes.push(of_line(line, error.to_string()));
            }
        }
    }
    if mistakes.is_empty() { Ok(rows) } else { Err(mistakes) }
}

fn of_line(line: u64, wrong: String) -> Mistake {
    Mistake { line, column: String::new(), wrong }
}

struct Cells<'a> {
    headers: &'a [String],
    record: &'a csv::StringRecord,
    line: u64,
    mistakes: &'a mut Vec<Mistake>,
}

impl Cells<'_> {
    fn row(mut self) -> Option<Row> {
        let before = self.mistakes.len();
        let money = "write a number that is not negative, such as 0.0125";
        let row = Row {
            prefix: self.read("prefix", prefix).unwrap_or_default().into(),
            name: self.text("name").into(),
            band: self.text("band").into(),
            connect_fee: self.read("connect_fee", |text| decimal(text, money)).unwrap_or_default(),
            rate_per_minute: match self.text("rate_per_minute") {
                "" => {
                    self.wrong("rate_per_minute", money.to_owned());
                    Decimal::ZERO
                }
                _ => self.read("rate_per_minute", |text| decimal(text, money)).unwrap_or_default(),
            },
            minimum_seconds: self.read("minimum_seconds", |text| seconds(text, 0)).unwrap_or(0),
            first_increment: self.read("first_increment", |text| seconds(text, 1)).unwrap_or(1),
            next_increment: self.read("next_increment", |text| seconds(text, 1)).unwrap_or(1),
            days: self.read("days", days).unwrap_or(Days::ALL),
            from: self.read("from", time).unwrap_or_default(),
            to: self.read("to", time).unwrap_or_default(),
            valid_from: self.read("valid_from", date),
            valid_to: self.read("valid_to", date),
        };
        (self.mistakes.len() == before).then_some(row)
    }

    fn text(&self, column: &str) -> &str {
        let at = self.headers.iter().position(|header| header == column);
        at.and_then(|at| self.record.get(at)).unwrap_or_default()
    }

    /// An empty cell has its usual value.
    fn read<T>(&mut self, column: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(column);
        if text.is_empty() {
            return None;
        }
        match read(text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.wrong(column, wrong);
                None
            }
        }
    }

    fn wrong(&mut self, column: &str, wrong: String) {
        self.mistakes.push(Mistake { line: self.line, column: column.to_owned(), wrong });
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_prefix = digits.len() <= LONGEST_PREFIX && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_prefix {
        Ok(digits.to_owned())
    } else {
        Err(format!("{text:?} is no prefix: write digits, such as 4420"))
    }
}

fn decimal(text: &str, instead: &str) -> Result<Decimal, String> {
    let number: Option<Decimal> = text.parse().ok();
    let fits = number.filter(|number| !number.is_sign_negative() && *number < Decimal::from(1_000_000_000));
    fits.ok_or_else(|| format!("{text:?}: {instead}"))
}

fn seconds(text: &str, least: i64) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| (least..=86_400).contains(number));
    number.ok_or_else(|| format!("{text:?}: write whole seconds, {least} to 86400"))
}

/// `Mon-Fri`, `Sat,Sun`, `1-5`; Monday is 1.
fn days(text: &str) -> Result<Days, String> {
    let wrong = || format!("{text:?}: write days such as Mon-Fri or Sat,Sun");
    let day = |text: &str| match text.trim() {
        "7" => Some(Weekday::Sun),
        digit if digit.len() == 1 => Weekday::try_from(digit.parse::<u8>().ok()?.checked_sub(1)?).ok(),
        name => name.parse::<Weekday>().ok(),
    };
    let mut found = Vec::new();
    for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut first, last) = (day(first).ok_or_else(wrong)?, day(last).ok_or_else(wrong)?);
        found.push(first);
        while first != last {
            first = first.succ();
            found.push(first);
        }
    }
    if found.is_empty() { Err(wrong()) } else { Ok(Days::of(found)) }
}

fn time(text: &str) -> Result<TimeOfDay, String> {
    let wrong = || format!("{text:?}: write a time of the day, 00:00 to 24:00");
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok().filter(|_| part.len() == 2));
    let (hour, minute) =
        (parts.next().flatten().ok_or_else(wrong)?, parts.next().flatten().ok_or_else(wrong)?);
    let second = parts.next().map_or(Some(0), |second| second).ok_or_else(wrong)?;
    let seconds = hour * 3_600 + minute * 60 + second;
    let fits = minute < 60 && second < 60 && seconds <= 86_400 && parts.next().is_none();
    // Midnight at the end of the day is the one at its beginning: `00:00` to `24:00` is the whole day.
    if fits { Ok(TimeOfDay(seconds % 86_400)) } else { Err(wrong()) }
}

fn date(text: &str) -> Result<NaiveDate, String> {
    text.parse().map_err(|_| format!("{text:?}: write a day such as 2026-03-29"))
}
