//! The small objects inside a record: pairs, entries of lists, a rating.

use ringpost_model::{
    Bridge, Hold, LegId, NumberName, Park, Rating, Route, Service, ServiceStay, Text, Timestamp,
};
use rust_decimal::Decimal;
use serde::de::{IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::key::{Key, Keys};
use super::scalars::{decimal, invalid};
use super::value::{Slot, Tally, Value, read};
use crate::reason::Reason;

/// `group`.
#[derive(Debug)]
pub(super) struct Group(pub(super) Text);

/// Every key that an inner object can have. No object has all of them.
#[derive(Default)]
struct Inner {
    number: Slot<Text>,
    name: Slot<Text>,
    id: Slot<Text>,
    with: Slot<LegId>,
    from: Slot<Timestamp>,
    to: Slot<Timestamp>,
    slot: Slot<Text>,
    service: Slot<Service>,
    outcome: Slot<Text>,
    cost: Slot<Decimal>,
    band: Slot<Text>,
    currency: Slot<Text>,
    is_empty: bool,
}

impl Inner {
    /// Reads an object of these keys; others are counted and passed over.
    fn read<'de, A: MapAccess<'de>>(mut object: A, keys: Keys, tally: &Tally) -> Result<Self, A::Error> {
        let mut inner = Self { is_empty: true, ..Self::default() };
        let mut seen = Keys::default();
        while let Some(key) = object.next_key::<Key>()? {
            inner.is_empty = false;
            if !keys.has(key) {
                Tally::add(&tally.unknown_keys, 1);
                object.next_value::<IgnoredAny>()?;
                continue;
            }
            if !seen.insert(key) {
                Tally::add(&tally.duplicate_keys, 1);
            }
            inner.value(key, &mut object, tally)?;
        }
        Ok(inner)
    }

    fn value<'de, A: MapAccess<'de>>(
        &mut self,
        key: Key,
        object: &mut A,
        tally: &Tally,
    ) -> Result<(), A::Error> {
        match key {
            Key::Number => self.number = object.next_value_seed(read(tally))?,
            Key::Name => self.name = object.next_value_seed(read(tally))?,
            Key::Id => self.id = object.next_value_seed(read(tally))?,
            Key::With => self.with = object.next_value_seed(read(tally))?,
            Key::From => self.from = object.next_value_seed(read(tally))?,
            Key::To => self.to = object.next_value_seed(read(tally))?,
            Key::Slot => self.slot = object.next_value_seed(read(tally))?,
            Key::Service => self.service = object.next_value_seed(read(tally))?,
            Key::Outcome => self.outcome = object.next_value_seed(read(tally))?,
            Key::Band => self.band = object.next_value_seed(read(tally))?,
            Key::Currency => self.currency = object.next_value_seed(read(tally))?,
            Key::Cost => self.cost = cost(object.next_value::<&'de RawValue>()?.get()),
            _ => _ = object.next_value::<IgnoredAny>()?,
        }
        Ok(())
    }
}

/// The cost from its JSON text, so that its digits never pass through binary floating point.
fn cost(json: &str) -> Slot<Decimal> {
    const RULE: &str = "a decimal of at most 28 digits is wanted";
    let of_digits = |digits: &str| match decimal(digits) {
        Some(cost) => Slot::Said(cost),
        None => invalid(RULE, crate::reason::clip(digits)),
    };
    let got = match json.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(text) if text.is_empty() => return Slot::Nothing,
            Ok(text) => return of_digits(&text),
            Err(_) => "a string",
        },
        Some(b'-' | b'0'..=b'9') => return of_digits(json),
        Some(b'n') => return Slot::Nothing,
        Some(b't' | b'f') => "a boolean",
        Some(b'[' | b'{') if json[1..json.len() - 1].trim().is_empty() => return Slot::Nothing,
        Some(b'[') => "a list",
        _ => "an object",
    };
    Slot::wrong(Reason::WrongType { path: String::new(), expected: "a decimal in a string or number", got })
}

macro_rules! object {
    ($name:ty, $expected:literal, [$($key:ident),+], |$inner:ident| $build:expr) => {
        impl<'de> Value<'de> for $name {
            const EXPECTED: &'static str = $expected;

            fn of_object<A: MapAccess<'de>>(object: A, tally: &Tally) -> Result<Slot<Self>, A::Error> {
                let mut inner = Inner::read(object, const { Keys::of(&[$(Key::$key),+]) }, tally)?;
                if inner.is_empty {
                    return Ok(Slot::Nothing);
                }
                let build = |$inner: &mut Inner| -> Result<Option<Self>, Reason> { $build };
                Ok(match build(&mut inner) {
                    Ok(Some(value)) => Slot::Said(value),
                    Ok(None) => Slot::Nothing,
                    Err(reason) => Slot::wrong(reason),
                })
            }
        }
    };
}

object!(NumberName, "an object", [Number, Name], |inner| {
    let number = inner.number.take("number")?.unwrap_or_default();
    let name = inner.name.take("name")?.unwrap_or_default();
    let pair = NumberName { number, name };
    Ok((!pair.is_empty()).then_some(pair))
});

object!(Group, "an object", [Name], |inner| Ok(inner.name.take("name")?.map(Group)));

object!(Route, "an object", [Id, Name], |inner| {
    let id = inner.id.take("id")?.unwrap_or_default();
    let name = inner.name.take("name")?.unwrap_or_default();
    let says_nothing = id.is_empty() && name.is_empty();
    Ok((!says_nothing).then_some(Route { id, name }))
});

object!(Rating, "an object", [Cost, Band, Name, Currency], |inner| {
    Ok(Some(Rating {
        cost: inner.cost.need("cost")?,
        band: inner.band.take("band")?.unwrap_or_default(),
        name: inner.name.take("name")?.unwrap_or_default(),
        currency: inner.currency.take("currency")?.unwrap_or_default(),
    }))
});

object!(Bridge, "an object", [With, From, To], |inner| {
    let with = inner.with.need("with")?;
    Ok(Some(Bridge { with, from: inner.from.need("from")?, to: inner.to.take("to")? }))
});

object!(Hold, "an object", [From, To], |inner| {
    Ok(Some(Hold { from: inner.from.need("from")?, to: inner.to.take("to")? }))
});

object!(Park, "an object", [From, To, Slot], |inner| {
    let slot = inner.slot.take("slot")?.unwrap_or_default();
    Ok(Some(Park { from: inner.from.need("from")?, to: inner.to.take("to")?, slot }))
});

object!(ServiceStay, "an object", [Service, From, To, Name, Outcome], |inner| {
    let service = inner.service.need("service")?;
    let outcome = inner.outcome.take("outcome")?.unwrap_or_default();
    check_outcome(service, &outcome)?;
    let name = inner.name.take("name")?.unwrap_or_default();
    Ok(Some(ServiceStay { service, from: inner.from.need("from")?, to: inner.to.take("to")?, name, outcome }))
});

/// A queue's outcome is one of three; what other services call theirs is theirs.
pub(super) fn check_outcome(service: Service, outcome: &str) -> Result<(), Reason> {
    let is_known = matches!(outcome, "" | "answered" | "timeout" | "abandoned");
    if service != Service::Queue || is_known {
        return Ok(());
    }
    let (path, got) = ("outcome".to_owned(), crate::reason::clip(outcome));
    Err(Reason::UnknownValue { path, got, known: "answered, timeout, abandoned" })
}
