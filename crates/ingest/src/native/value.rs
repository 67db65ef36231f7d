//! A value as found: said, nothing, or wrong. A wrong one is kept, not raised, since whether it matters depends on
//! keys that may come later; and the rest of the record is parsed in the same go.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::decoded::Notes;
use crate::reason::Reason;

/// One value of a record.
#[derive(Debug, Default)]
pub(super) enum Slot<T> {
    /// Absent, `null`, `""`, `[]` or `{}`.
    #[default]
    Nothing,
    /// A value of the right type.
    Said(T),
    /// Anything else.
    Wrong(Box<Reason>),
}

impl<T> Slot<T> {
    pub(super) fn wrong(reason: Reason) -> Self {
        Self::Wrong(Box::new(reason))
    }

    /// Says something where nothing was said.
    pub(super) fn fill(&mut self, value: Option<&T>)
    where
        T: Clone,
    {
        if let (Self::Nothing, Some(value)) = (&*self, value) {
            *self = Self::Said(value.clone());
        }
    }

    /// The value, or why the record under this key is bad.
    pub(super) fn take(&mut self, key: &str) -> Result<Option<T>, Reason> {
        match std::mem::take(self) {
            Self::Nothing => Ok(None),
            Self::Said(value) => Ok(Some(value)),
            Self::Wrong(reason) => Err(reason.inside(key)),
        }
    }

    /// The value of a key that must be there.
    pub(super) fn need(&mut self, key: &str) -> Result<T, Reason> {
        self.take(key)?.ok_or_else(|| Reason::missing(key))
    }
}

/// What is counted while a record is parsed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) unknown_keys: Cell<u64>,
    pub(super) duplicate_keys: Cell<u64>,
    pub(super) unknown_zones: Cell<u64>,
}

impl Tally {
    pub(super) fn add(count: &Cell<u64>, more: u64) {
        count.set(count.get() + more);
    }

    pub(super) fn reset(&self) {
        for count in [&self.unknown_keys, &self.duplicate_keys, &self.unknown_zones] {
            count.set(0);
        }
    }

    pub(super) fn notes(&self) -> Notes {
        Notes {
            unknown_keys: self.unknown_keys.get(),
            duplicate_keys: self.duplicate_keys.get(),
            unknown_zones: self.unknown_zones.get(),
            ..Notes::default()
        }
    }
}

/// A type of value. What it does not override is the wrong type for it.
pub(super) trait Value<'de>: Sized {
    /// With its article, for messages.
    const EXPECTED: &'static str;

    /// Nothing as an element of a list: left out if true, a bad entry if false.
    const SKIPPED_IN_LISTS: bool = false;

    fn wrong_type(got: &'static str) -> Slot<Self> {
        Slot::wrong(Reason::WrongType { path: String::new(), expected: Self::EXPECTED, got })
    }

    /// Of a text that is not empty.
    fn of_text(_text: &str, _tally: &Tally) -> Slot<Self> {
        Self::wrong_type("a string")
    }

    fn of_integer(_number: i128) -> Slot<Self> {
        Self::wrong_type("a number")
    }

    fn of_list<A: SeqAccess<'de>>(mut list: A, _tally: &Tally) -> Result<Slot<Self>, A::Error> {
        let is_empty = list.next_element::<IgnoredAny>()?.is_none();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(if is_empty { Slot::Nothing } else { Self::wrong_type("a list") })
    }

    fn of_object<A: MapAccess<'de>>(mut object: A, _tally: &Tally) -> Result<Slot<Self>, A::Error> {
        let is_empty = object.next_entry::<IgnoredAny, IgnoredAny>()?.is_none();
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(if is_empty { Slot::Nothing } else { Self::wrong_type("an object") })
    }
}

/// Reads one value, whatever it turns out to be.
pub(super) struct Read<'t, T> {
    tally: &'t Tally,
    of: PhantomData<T>,
}

pub(super) const fn read<T>(tally: &Tally) -> Read<'_, T> {
    Read { tally, of: PhantomData }
}

impl<'de, T: Value<'de>> DeserializeSeed<'de> for Read<'_, T> {
    type Value = Slot<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Slot<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Value<'de>> Visitor<'de> for Read<'_, T> {
    type Value = Slot<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E>(self) -> Result<Slot<T>, E> {
        Ok(Slot::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Slot<T>, E> {
        Ok(T::wrong_type("a boolean"))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Slot<T>, E> {
        Ok(T::of_integer(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Slot<T>, E> {
        Ok(T::of_integer(number.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Slot<T>, E> {
        Ok(T::wrong_type("a number with a fraction or exponent, or too large"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Slot<T>, E> {
        Ok(if text.is_empty() { Slot::Nothing } else { T::of_text(text, self.tally) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Slot<T>, A::Error> {
        T::of_list(list, self.tally)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Slot<T>, A::Error> {
        T::of_object(object, self.tally)
    }
}
