//! Reads back a printed record: what is left out is zero, unknown keys are passed over.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{AGENT_KEYS, CallDirection, CallType, Cdr, DEVICE_KEYS, Rate, USER_KEYS};
use crate::{SessionId, Text, Timestamp};

/// Reads back a printed record: what is left out is zero.
impl<'de> Deserialize<'de> for Cdr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CdrVisitor)
    }
}

struct CdrVisitor;

impl<'de> Visitor<'de> for CdrVisitor {
    type Value = Cdr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudSessionCdr")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cdr, A::Error> {
        let mut cdr = Cdr::empty(SessionId(uuid::Uuid::nil()));
        let mut has_id = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            has_id |= key == "id";
            read_entry(&mut cdr, &key, &mut map)?;
        }
        if has_id { Ok(cdr) } else { Err(de::Error::missing_field("id")) }
    }
}

fn read_entry<'de, A: MapAccess<'de>>(cdr: &mut Cdr, key: &str, map: &mut A) -> Result<(), A::Error> {
    match key {
        "id" => cdr.id = map.next_value()?,
        "pbxId" => cdr.pbx_id = map.next_value()?,
        "pbxName" => cdr.pbx_name = map.next_value()?,
        "tz" => cdr.tz = map.next_value()?,
        "start" => cdr.start = read_time(map)?,
        "answer" => cdr.answer = Some(read_time(map)?),
        "end" => cdr.end = read_time(map)?,
        "dur" => cdr.dur = map.next_value()?,
        "ring" => cdr.ring = map.next_value()?,
        "talk" => cdr.talk = map.next_value()?,
        "hold" => cdr.hold = map.next_value()?,
        "park" => cdr.park = map.next_value()?,
        "lost" => cdr.lost = read_flag(map)?,
        "lostinPark" => cdr.lost_in_park = read_flag(map)?,
        "aban" => cdr.aban = read_flag(map)?,
        "ans" => cdr.ans = read_flag(map)?,
        "short" => cdr.short = read_flag(map)?,
        "cause" => cdr.cause = map.next_value()?,
        "dir" => cdr.direction = read_code(map, &CallDirection::ALL)?,
        "type" => cdr.call_type = read_code(map, &CallType::ALL)?,
        "t2t" => cdr.t2t = read_flag(map)?,
        "cliNum" => cdr.cli.number = map.next_value()?,
        "cliName" => cdr.cli.name = map.next_value()?,
        "cliLoc" => cdr.cli.location = map.next_value()?,
        "cliArea" => cdr.cli.area = map.next_value()?,
        "cliState" => cdr.cli.state = map.next_value()?,
        "cliCtry" => cdr.cli.country = map.next_value()?,
        "ddiNum" => cdr.ddi.number = map.next_value()?,
        "ddiName" => cdr.ddi.name = map.next_value()?,
        "rteID" => cdr.route_id = map.next_value()?,
        "rteName" => cdr.route_name = map.next_value()?,
        "fRngGroupName" => cdr.first_group = map.next_value()?,
        "lRngGroupName" => cdr.last_group = map.next_value()?,
        "ansGroupName" => cdr.answer_group = map.next_value()?,
        "rate" => _ = rate_of(cdr, read_flag(map)?),
        "rateCost" => rate_of(cdr, true).cost = read_decimal(map)?,
        "rateBand" => rate_of(cdr, true).band = map.next_value()?,
        "rateName" => rate_of(cdr, true).name = map.next_value()?,
        "recordingIds" => cdr.recording_ids = map.next_value()?,
        "directoryMatches" => cdr.directory_matches = map.next_value()?,
        "tags" => cdr.tags = map.next_value()?,
        "partial" => cdr.partial = read_flag(map)?,
        "rev" => cdr.rev = map.next_value()?,
        "replaces" => cdr.replaces = map.next_value()?,
        _ => match face_slot(cdr, key) {
            Some(slot) => *slot = map.next_value()?,
            None => _ = map.next_value::<IgnoredAny>()?,
        },
    }
    Ok(())
}

/// Where the value of one of the 24 `…Dev…`, `…Usr…`, `…Agt…` keys is kept.
fn face_slot<'a>(cdr: &'a mut Cdr, key: &str) -> Option<&'a mut Text> {
    let kinds = [(DEVICE_KEYS, &mut cdr.devices), (USER_KEYS, &mut cdr.users), (AGENT_KEYS, &mut cdr.agents)];
    for (keys, faces) in kinds {
        let slots =
            [&mut faces.first_rang, &mut faces.last_rang, &mut faces.answered, &mut faces.last_answered];
        for ((number, name), slot) in keys.into_iter().zip(slots) {
            if key == number {
                return Some(&mut slot.number);
            }
            if key == name {
                return Some(&mut slot.name);
            }
        }
    }
    None
}

fn rate_of(cdr: &mut Cdr, rated: bool) -> &mut Rate {
    debug_assert!(rated, "an unrated record prints no rate");
    cdr.rate.get_or_insert_with(|| Rate { cost: Decimal::ZERO, band: Text::default(), name: Text::default() })
}

fn read_time<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Timestamp, A::Error> {
    let text = map.next_value::<Cow<'de, str>>()?;
    Timestamp::parse(&text).map_err(de::Error::custom)
}

fn read_flag<'de, A: MapAccess<'de>>(map: &mut A) -> Result<bool, A::Error> {
    map.next_value::<u8>().map(|value| value != 0)
}

fn read_code<'de, A: MapAccess<'de>, T: Copy>(map: &mut A, all: &[T]) -> Result<T, A::Error> {
    let code: usize = map.next_value()?;
    all.get(code).copied().ok_or_else(|| de::Error::custom(format!("unknown code {code}")))
}

fn read_decimal<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Decimal, A::Error> {
    let raw = map.next_value::<&'de RawValue>()?;
    let parsed = raw.get().parse().or_else(|_| Decimal::from_scientific(raw.get()));
    parsed.map_err(de::Error::custom)
}
