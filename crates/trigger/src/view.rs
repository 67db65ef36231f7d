//! A record as conditions see it: each field read, folded and normalised at most once, when first asked for.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};

use chrono::{Datelike, Timelike};
use ringpost_model::{Cdr, ContactField, Timestamp};
use ringpost_numbers::Region;
use rust_decimal::Decimal;

use crate::field::{Field, Source};
use crate::fold::fold;
use crate::phone::{e164, without_separators};
use crate::text_test::Element;

/// What a field holds in this record.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// A number, a flag (0, 1), a code, a time (microseconds), a minute of the day, a weekday.
    Number(Decimal),
    /// A text is one element, also when empty; a list has those of its elements that are not empty.
    Texts(Vec<Element<'a>>),
}

/// One record under the conditions of one set, whose fields have places ("slots").
pub(crate) struct View<'a> {
    cdr: &'a Cdr,
    fields: &'a [Field],
    values: Vec<OnceCell<Value<'a>>>,
    numbers: RefCell<Vec<ReadNumber<'a>>>,
}

/// A number read already: the same extension rings first, last and answers.
struct ReadNumber<'a> {
    text: &'a str,
    region: Option<Region>,
    number: Option<Box<str>>,
}

impl<'a> View<'a> {
    /// Nothing is read yet.
    pub(crate) fn new(cdr: &'a Cdr, fields: &'a [Field]) -> Self {
        let values = std::iter::repeat_with(OnceCell::new).take(fields.len()).collect();
        Self { cdr, fields, values, numbers: RefCell::default() }
    }

    /// The record looked at.
    pub(crate) fn cdr(&self) -> &'a Cdr {
        self.cdr
    }

    /// What the field at `slot` holds.
    pub(crate) fn value(&self, slot: usize) -> &Value<'a> {
        self.values[slot].get_or_init(|| self.read(&self.fields[slot]))
    }

    fn read(&self, field: &'a Field) -> Value<'a> {
        let cdr = self.cdr;
        match field.source {
            Source::Text(read) => one(Cow::Borrowed(read(cdr))),
            Source::Printed(read) => one(Cow::Owned(read(cdr))),
            Source::Tag => one(Cow::Borrowed(cdr.tags.get(field.key()).map_or("", |value| value))),
            Source::Phone(read) => Value::Texts(vec![self.phone(read(cdr), field.region)]),
            Source::Texts(read) => Value::Texts(non_empty(read(cdr)).map(Element::new).collect()),
            Source::MatchText => {
                let texts = match_texts(cdr, field.key()).map(Cow::Borrowed);
                Value::Texts(non_empty(texts).map(Element::new).collect())
            }
            Source::MatchPhone => {
                let texts = match_texts(cdr, field.key()).filter(|text| !text.is_empty());
                Value::Texts(texts.map(|text| self.phone(text, field.region)).collect())
            }
            Source::Number(read) => Value::Number(read(cdr)),
            Source::Flag(read) => Value::Number(u8::from(read(cdr)).into()),
            Source::Code(read, _) => Value::Number(read(cdr).into()),
            Source::Time(read) => Value::Number(read(cdr).map_or(0, Timestamp::micros).into()),
            Source::Objects(count) => Value::Number(count(cdr).into()),
            Source::TimeOfDay => Value::Number((self.local().hour() * 60 + self.local().minute()).into()),
            Source::Weekday => Value::Number(self.local().weekday().number_from_monday().into()),
        }
    }

    fn local(&self) -> chrono::DateTime<chrono_tz::Tz> {
        self.cdr.start.in_zone(self.cdr.tz)
    }

    fn phone(&self, text: &'a str, region: Option<Region>) -> Element<'a> {
        match self.read_number(text, region) {
            // Most numbers of a record are in E.164 already.
            Some(number) if *number == *text => {
                Element { exact: Cow::Borrowed(text), folded: Cow::Borrowed(text), dialled: None }
            }
            Some(number) => {
                let number = Cow::<str>::Owned(number.into());
                Element { exact: number.clone(), folded: number, dialled: None }
            }
            None => {
                let dialled = match without_separators(text) {
                    Cow::Borrowed(_) => None,
                    Cow::Owned(dialled) => Some(dialled.into()),
                };
                Element { exact: Cow::Borrowed(text), folded: fold(text), dialled }
            }
        }
    }

    fn read_number(&self, text: &'a str, region: Option<Region>) -> Option<Box<str>> {
        if text.is_empty() {
            return None;
        }
        let mut numbers = self.numbers.borrow_mut();
        if let Some(known) = numbers.iter().find(|known| known.text == text && known.region == region) {
            return known.number.clone();
        }
        let number = e164(text, region);
        numbers.push(ReadNumber { text, region, number: number.clone() });
        number
    }
}

fn one(text: Cow<'_, str>) -> Value<'_> {
    Value::Texts(vec![Element::new(text)])
}

fn non_empty<'a>(texts: impl IntoIterator<Item = Cow<'a, str>>) -> impl Iterator<Item = Cow<'a, str>> {
    texts.into_iter().filter(|text| !text.is_empty())
}

fn match_texts<'a>(cdr: &'a Cdr, key: &'a str) -> impl Iterator<Item = &'a str> {
    cdr.directory_matches.iter().filter_map(move |found| match key {
        "dirName" => Some(&*found.dir_name),
        "dirId" => Some(&*found.dir_id),
        "dirType" => Some(&*found.dir_type),
        "contactId" => Some(&*found.contact_id),
        _ => ContactField::named(key).and_then(|field| found.fields.get(&field)).map(|value| &**value),
    })
}
