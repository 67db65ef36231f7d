//! The values of filters as written: each of the form that its field wants, or a mistake that says what to write.

use ringpost_model::Timestamp;
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::decimal;
use crate::error::{FilterError, Pointer, clipped, shown};
use crate::field::{Field, Kind};
use crate::limits::{LIST_ENTRIES, TEXT_BYTES};
use crate::operator::Operator;
use crate::suggest::nearest;

/// Reads the value of one filter, and collects its mistakes.
pub(super) struct Reader<'a> {
    pub(super) field: &'a Field,
    /// Place of the value.
    pub(super) pointer: Pointer,
    pub(super) errors: &'a mut Vec<FilterError>,
}

/// What a JSON text is.
enum Json<'a> {
    Text(String),
    Number(&'a str),
    Flag(bool),
    List(Vec<&'a RawValue>),
    /// null, an object, or a text with a broken escape.
    Other,
}

fn look(raw: &RawValue) -> Json<'_> {
    let text = raw.get();
    let looked = match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).map(Json::Text),
        Some(b'[') => serde_json::from_str(text).map(Json::List),
        Some(b't' | b'f') => serde_json::from_str(text).map(Json::Flag),
        Some(b'-' | b'0'..=b'9') => Ok(Json::Number(text)),
        _ => Ok(Json::Other),
    };
    looked.unwrap_or(Json::Other)
}

/// What reads one value: the wrong form is told as the end of a sentence.
type Read<'a, T> = fn(&Reader<'a>, &RawValue) -> Result<T, String>;

impl<'a> Reader<'a> {
    /// Tells a mistake in the value as a whole.
    pub(super) fn fail(&mut self, message: &str) {
        self.errors.push(self.pointer.error(message));
    }

    /// Checks that there is no value.
    pub(super) fn nothing(&mut self, raw: Option<&RawValue>) -> bool {
        if raw.is_some() {
            self.fail("exists takes no value: leave it out, and write \"not\": true for what is absent");
        }
        raw.is_none()
    }

    /// Checks that there is a value.
    pub(super) fn something<'r>(
        &mut self,
        raw: Option<&'r RawValue>,
        operator: Operator,
    ) -> Option<&'r RawValue> {
        if raw.is_none() {
            let wanted = match operator {
                Operator::In => format!("a list of {}", plural(self.kind())),
                Operator::Between => format!("two of {} in a list", plural(self.kind())),
                _ => expected(self.kind()),
            };
            self.fail(&format!("the value is missing: write {}", wanted.trim_end_matches(',')));
        }
        raw
    }

    /// One value.
    pub(super) fn single<T>(&mut self, raw: &RawValue, operator: Operator, read: Read<'a, T>) -> Option<T> {
        if matches!(look(raw), Json::List(_)) {
            let has_in = Operator::of(self.kind()).contains(&Operator::In);
            let remedy = if has_in && operator == Operator::Eq {
                "use in for several"
            } else {
                "write one filter each"
            };
            self.fail(&format!("{} takes one value and not a list: {remedy}", operator.name()));
            return None;
        }
        self.read(raw, self.pointer.clone(), read)
    }

    /// One or more values.
    pub(super) fn list<T>(&mut self, raw: &RawValue, read: Read<'a, T>) -> Option<Vec<T>> {
        let Json::List(entries) = look(raw) else {
            self.fail(&format!("in takes a list: write {} between [ and ]", plural(self.kind())));
            return None;
        };
        if entries.is_empty() {
            self.fail(
                "the list is empty, so nothing is in it: write at least one value, or leave the filter out",
            );
            return None;
        }
        if entries.len() > LIST_ENTRIES {
            let message = format!(
                "the list has {} values: at most {LIST_ENTRIES}, use several triggers",
                entries.len()
            );
            self.fail(&message);
            return None;
        }
        self.entries(&entries, read)
    }

    /// Exactly two values.
    pub(super) fn pair<T: Copy>(&mut self, raw: &RawValue, read: Read<'a, T>) -> Option<(T, T)> {
        let Json::List(entries) = look(raw) else {
            self.fail(&format!("between takes a list of two: write {} between [ and ]", plural(self.kind())));
            return None;
        };
        if entries.len() != 2 {
            self.fail(&format!("between takes exactly two values and not {}", entries.len()));
            return None;
        }
        match &*self.entries(&entries, read)? {
            [from, to] => Some((*from, *to)),
            _ => None,
        }
    }

    fn entries<T>(&mut self, entries: &[&RawValue], read: Read<'a, T>) -> Option<Vec<T>> {
        let mut values = Vec::with_capacity(entries.len());
        for (index, raw) in entries.iter().enumerate() {
            values.extend(self.read(raw, self.pointer.at(index), read));
        }
        (values.len() == entries.len()).then_some(values)
    }

    fn read<T>(&mut self, raw: &RawValue, pointer: Pointer, read: Read<'a, T>) -> Option<T> {
        match read(self, raw) {
            Ok(value) => Some(value),
            Err(message) => {
                self.errors.push(pointer.error(message));
                None
            }
        }
    }

    /// A text to compare with.
    pub(super) fn text(&self, raw: &RawValue) -> Result<String, String> {
        match look(raw) {
            Json::Text(text) if text.len() > TEXT_BYTES => {
                Err(format!("the text has {} bytes: at most {TEXT_BYTES}", text.len()))
            }
            Json::Text(text) => Ok(text),
            Json::Number(number) => Err(format!("{}, so in quotes: \"{number}\"", self.is_what())),
            _ => Err(self.unexpected(raw)),
        }
    }

    /// A text to search for.
    pub(super) fn part(&self, raw: &RawValue) -> Result<String, String> {
        let text = self.text(raw)?;
        let message = "an empty text is found everywhere: write what to look for, or use exists";
        if text.is_empty() { Err(message.to_owned()) } else { Ok(text) }
    }

    /// A value of any of the kinds that are numbers inside.
    pub(super) fn number(&self, raw: &RawValue) -> Result<Decimal, String> {
        let value = match (self.kind(), look(raw)) {
            (Kind::Number, Json::Number(number)) => decimal::read(number),
            (Kind::Number, Json::Text(text)) => decimal::read(&text),
            (Kind::Flag, Json::Flag(flag)) => Some(u8::from(flag).into()),
            (Kind::Flag, Json::Number(number)) => between_codes(number, 0, 1),
            (Kind::Code(names), Json::Number(number)) => between_codes(number, 0, names.len() - 1),
            (Kind::Code(names), Json::Text(text)) => return code(self.field.name(), names, &text),
            (Kind::Time, Json::Text(text)) => {
                return Timestamp::parse(&text)
                    .map(|time| time.micros().into())
                    .map_err(|_| self.unexpected(raw));
            }
            (Kind::TimeOfDay, Json::Text(text)) => minute_of_day(&text),
            (Kind::Weekday, Json::Number(number)) => between_codes(number, 1, 7),
            _ => None,
        };
        value.ok_or_else(|| self.unexpected(raw))
    }

    fn kind(&self) -> Kind {
        self.field.source.kind()
    }

    fn is_what(&self) -> String {
        format!("{} is {}", self.field.name(), noun(self.kind()))
    }

    fn unexpected(&self, raw: &RawValue) -> String {
        format!("{}: write {} instead of {}", self.is_what(), expected(self.kind()), clipped(raw.get()))
    }
}

fn between_codes(number: &str, from: usize, to: usize) -> Option<Decimal> {
    let value = decimal::read(number)?;
    (from..=to).map(Decimal::from).find(|code| *code == value)
}

fn code(field: &str, names: &'static [&'static str], text: &str) -> Result<Decimal, String> {
    let found = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    found.map(Decimal::from).ok_or_else(|| {
        let proposal = nearest(text, names.iter().copied()).map(|name| format!("did you mean \"{name}\"? "));
        let proposal = proposal.unwrap_or_default();
        format!("{field} has no code {}: {proposal}write {}", shown(text), expected(Kind::Code(names)))
    })
}

/// Minutes since midnight of `HH:MM`.
fn minute_of_day(text: &str) -> Option<Decimal> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then(|| Decimal::from(hour * 60 + minute))
}

/// What a field of a kind is, with its article.
pub(super) fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text",
        Kind::Phone => "a phone number",
        Kind::Number => "a number",
        Kind::Flag => "a flag",
        Kind::Code(_) => "a code",
        Kind::Time => "a time",
        Kind::TimeOfDay => "a time of day",
        Kind::Weekday => "a day of the week",
        Kind::Objects => "a list of contacts",
    }
}

/// What to write for one value.
fn expected(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text in quotes, e.g. \"Sales\"".to_owned(),
        Kind::Phone => "a number in quotes, e.g. \"+441614960000\"".to_owned(),
        Kind::Number => "a number such as 12 or 0.35, of at most 28 digits,".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Code(names) => {
            let names: Vec<_> =
                names.iter().enumerate().map(|(code, name)| format!("{code} or \"{name}\"")).collect();
            names.join(", ")
        }
        Kind::Time => "RFC 3339 with an offset, e.g. \"2026-03-10T09:00:00Z\"".to_owned(),
        Kind::TimeOfDay => "\"HH:MM\" from \"00:00\" to \"23:59\"".to_owned(),
        Kind::Weekday => "1 (Monday) to 7 (Sunday)".to_owned(),
        Kind::Objects => "nothing".to_owned(),
    }
}

/// Examples of several values.
fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "texts, e.g. \"Sales\", \"Support\",",
        Kind::Phone => "numbers in quotes, e.g. \"+441614960000\", \"302\",",
        Kind::Number => "numbers, e.g. 10, 20,",
        Kind::Code(_) => "codes, e.g. \"incoming\", \"outgoing\" or 2, 3,",
        Kind::TimeOfDay => "times, e.g. \"22:00\", \"06:00\",",
        Kind::Weekday => "days, e.g. 1, 2, 3, 4, 5,",
        Kind::Flag | Kind::Time | Kind::Objects => "values",
    }
}
