//! Lists, and tags. One bad entry makes the record bad; nothing among texts is left out.

use std::collections::BTreeMap;

use ringpost_model::Text;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use super::value::{Slot, Tally, Value, read};

impl<'de, T: Value<'de>> Value<'de> for Vec<T> {
    const EXPECTED: &'static str = "a list";

    fn of_list<A: SeqAccess<'de>>(mut list: A, tally: &Tally) -> Result<Slot<Self>, A::Error> {
        let mut values = Self::new();
        let mut wrong = None;
        let mut index = 0;
        while let Some(slot) = list.next_element_seed(read::<T>(tally))? {
            let slot = match slot {
                Slot::Nothing if !T::SKIPPED_IN_LISTS => T::wrong_type("nothing"),
                slot => slot,
            };
            match slot {
                Slot::Nothing => {}
                Slot::Said(value) => values.push(value),
                Slot::Wrong(reason) => {
                    wrong = Some(reason.inside(&format!("[{index}]")));
                    break;
                }
            }
            index += 1;
        }
        if let Some(reason) = wrong {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Slot::wrong(reason));
        }
        Ok(if values.is_empty() { Slot::Nothing } else { Slot::Said(values) })
    }
}

impl<'de> Value<'de> for BTreeMap<Text, Text> {
    const EXPECTED: &'static str = "an object of strings";

    fn of_object<A: MapAccess<'de>>(mut object: A, tally: &Tally) -> Result<Slot<Self>, A::Error> {
        let mut tags = Self::new();
        let mut wrong = None;
        while let Some(key) = object.next_key::<Box<str>>()? {
            let is_repeated = tags.remove(&key).is_some();
            Tally::add(&tally.duplicate_keys, is_repeated.into());
            match object.next_value_seed(read::<Text>(tally))? {
                Slot::Nothing => {}
                Slot::Said(value) => _ = tags.insert(key, value),
                Slot::Wrong(reason) => _ = wrong.get_or_insert_with(|| reason.inside(&key)),
            }
        }
        Ok(match wrong {
            Some(reason) => Slot::wrong(reason),
            None if tags.is_empty() => Slot::Nothing,
            None => Slot::Said(tags),
        })
    }
}
