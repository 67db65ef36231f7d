//! A record as written: every key's value, of the right type or not.

use std::collections::BTreeMap;
use std::fmt;

use chrono_tz::Tz;
use ringpost_model::{
    Bridge, Hold, LegDirection, LegId, NumberName, Park, PbxKey, Rating, Route, Service, ServiceStay, Side,
    TenantKey, Text, Timestamp,
};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::key::{Key, Keys};
use super::objects::Group;
use super::scalars::{EventName, Kind};
use super::value::{Slot, Tally, read};
use crate::reason::Reason;

#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) seen: Keys,
    pub(super) v: Slot<i128>,
    pub(super) kind: Slot<Kind>,
    pub(super) tenant: Slot<TenantKey>,
    pub(super) pbx: Slot<PbxKey>,
    pub(super) leg: Slot<LegId>,
    pub(super) links: Slot<Vec<Text>>,
    pub(super) rev: Slot<i128>,
    pub(super) event: Slot<EventName>,
    pub(super) at: Slot<Timestamp>,
    pub(super) direction: Slot<LegDirection>,
    pub(super) side: Slot<Side>,
    pub(super) service: Slot<Service>,
    pub(super) number: Slot<Text>,
    pub(super) name: Slot<Text>,
    pub(super) dialled: Slot<Text>,
    pub(super) presented: Slot<Text>,
    pub(super) ddi: Slot<NumberName>,
    pub(super) device: Slot<NumberName>,
    pub(super) user: Slot<NumberName>,
    pub(super) agent: Slot<NumberName>,
    pub(super) group: Slot<Group>,
    pub(super) route: Slot<Route>,
    pub(super) created: Slot<Timestamp>,
    pub(super) ringing: Slot<Timestamp>,
    pub(super) answered: Slot<Timestamp>,
    pub(super) ended: Slot<Timestamp>,
    pub(super) cause: Slot<Text>,
    pub(super) sip: Slot<i128>,
    pub(super) bridges: Slot<Vec<Bridge>>,
    pub(super) holds: Slot<Vec<Hold>>,
    pub(super) parks: Slot<Vec<Park>>,
    pub(super) services: Slot<Vec<ServiceStay>>,
    pub(super) recordings: Slot<Vec<Text>>,
    pub(super) tags: Slot<BTreeMap<Text, Text>>,
    pub(super) rating: Slot<Rating>,
    pub(super) tz: Slot<Tz>,
    pub(super) with: Slot<LegId>,
    pub(super) slot: Slot<Text>,
    pub(super) outcome: Slot<Text>,
}

/// Parses a text. The outer error is one of JSON, the inner one says that it is no object.
pub(super) fn parse(text: &str, tally: &Tally) -> Result<Result<Raw, Reason>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let raw = deserializer.deserialize_any(Whole { tally })?;
    deserializer.end()?;
    Ok(raw)
}

struct Whole<'t> {
    tally: &'t Tally,
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Result<Raw, Reason>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a leg record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut raw = Raw::default();
        while let Some(key) = object.next_key::<Key>()? {
            if key != Key::Unknown && !raw.seen.insert(key) {
                Tally::add(&self.tally.duplicate_keys, 1);
            }
            raw.value(key, &mut object, self.tally)?;
        }
        Ok(Ok(raw))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Err(Reason::NotAnObject("a list")))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Err(Reason::NotAnObject("a string")))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Err(Reason::NotAnObject("null")))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Err(Reason::NotAnObject("a boolean")))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Err(Reason::NotAnObject("a number")))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Err(Reason::NotAnObject("a number")))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Err(Reason::NotAnObject("a number")))
    }
}

impl Raw {
    /// The later of two equal keys wins, as in most readers of JSON.
    fn value<'de, A: MapAccess<'de>>(
        &mut self,
        key: Key,
        object: &mut A,
        tally: &Tally,
    ) -> Result<(), A::Error> {
        match key {
            Key::V => self.v = object.next_value_seed(read(tally))?,
            Key::Kind => self.kind = object.next_value_seed(read(tally))?,
            Key::Tenant => self.tenant = object.next_value_seed(read(tally))?,
            Key::Pbx => self.pbx = object.next_value_seed(read(tally))?,
            Key::Leg => self.leg = object.next_value_seed(read(tally))?,
            Key::Links => self.links = object.next_value_seed(read(tally))?,
            Key::Rev => self.rev = object.next_value_seed(read(tally))?,
            Key::Event => self.event = object.next_value_seed(read(tally))?,
            Key::At => self.at = object.next_value_seed(read(tally))?,
            Key::Direction => self.direction = object.next_value_seed(read(tally))?,
            Key::Side => self.side = object.next_value_seed(read(tally))?,
            Key::Service => self.service = object.next_value_seed(read(tally))?,
            Key::Number => self.number = object.next_value_seed(read(tally))?,
            Key::Name => self.name = object.next_value_seed(read(tally))?,
            Key::Dialled => self.dialled = object.next_value_seed(read(tally))?,
            Key::Presented => self.presented = object.next_value_seed(read(tally))?,
            Key::Ddi => self.ddi = object.next_value_seed(read(tally))?,
            Key::Device => self.device = object.next_value_seed(read(tally))?,
            Key::User => self.user = object.next_value_seed(read(tally))?,
            Key::Agent => self.agent = object.next_value_seed(read(tally))?,
            Key::Group => self.group = object.next_value_seed(read(tally))?,
            Key::Route => self.route = object.next_value_seed(read(tally))?,
            Key::Created => self.created = object.next_value_seed(read(tally))?,
            Key::Ringing => self.ringing = object.next_value_seed(read(tally))?,
            Key::Answered => self.answered = object.next_value_seed(read(tally))?,
            Key::Ended => self.ended = object.next_value_seed(read(tally))?,
            Key::Cause => self.cause = object.next_value_seed(read(tally))?,
            Key::Sip => self.sip = object.next_value_seed(read(tally))?,
            Key::Bridges => self.bridges = object.next_value_seed(read(tally))?,
            Key::Holds => self.holds = object.next_value_seed(read(tally))?,
            Key::Parks => self.parks = object.next_value_seed(read(tally))?,
            Key::Services => self.services = object.next_value_seed(read(tally))?,
            Key::Recordings => self.recordings = object.next_value_seed(read(tally))?,
            Key::Tags => self.tags = object.next_value_seed(read(tally))?,
            Key::Rating => self.rating = object.next_value_seed(read(tally))?,
            Key::Tz => self.tz = object.next_value_seed(read(tally))?,
            Key::With => self.with = object.next_value_seed(read(tally))?,
            Key::Slot => self.slot = object.next_value_seed(read(tally))?,
            Key::Outcome => self.outcome = object.next_value_seed(read(tally))?,
            Key::From | Key::To | Key::Id | Key::Cost | Key::Band | Key::Currency | Key::Unknown => {
                Tally::add(&tally.unknown_keys, 1);
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
