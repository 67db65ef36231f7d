//! A leg record, format 1 (sessions.md 1): what a switch, or its adapter, says of one leg.
//!
//! Written here, since every stage before `session` writes it; read in `ingest`, where bad input is judged.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    Bridge, Fields, Hold, LegId, NumberName, Park, PbxKey, Service, ServiceStay, TenantKey, Text, Timestamp,
};

/// One thing said of one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegRecord {
    /// Whose call it is.
    pub tenant: TenantKey,
    /// Which communications platform.
    pub pbx: PbxKey,
    /// Which leg of it.
    pub leg: LegId,
    /// Ids that tie this leg to others; none empty.
    pub links: Vec<Text>,
    /// The scalars said; the others stay as they are.
    pub fields: Fields,
    /// Recording ids; none empty.
    pub recordings: Vec<Text>,
    /// Tags said; none with an empty value.
    pub tags: BTreeMap<Text, Text>,
    /// Whole leg, or one event.
    pub report: Report,
}

/// The two kinds of record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// All that is known of one leg. It has at least one time.
    Leg(LegReport),
    /// One thing that happened.
    Event(EventReport),
}

/// What only `"kind":"leg"` carries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LegReport {
    /// Edition of the same leg's record; only the greatest counts.
    pub rev: u64,
    /// When the record was written.
    pub at: Option<Timestamp>,
    /// Times said.
    pub created: Option<Timestamp>,
    /// First alert: 180, or 183 with media.
    pub ringing: Option<Timestamp>,
    /// Answer.
    pub answered: Option<Timestamp>,
    /// End; without it the record is a snapshot of a live leg.
    pub ended: Option<Timestamp>,
    /// With whom it was connected.
    pub bridges: Vec<Bridge>,
    /// When its party pressed hold.
    pub holds: Vec<Hold>,
    /// When it waited in a park slot.
    pub parks: Vec<Park>,
    /// What it executed itself.
    pub services: Vec<ServiceStay>,
}

/// What only `"kind":"event"` carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventReport {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: LegEvent,
}

/// What can happen to a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named and explained in the table of events, sessions.md 1")]
pub enum LegEvent {
    Created,
    Ringing,
    Answered,
    Bridged { with: LegId },
    Unbridged { with: Option<LegId> },
    Held,
    Resumed,
    Parked { slot: Text },
    Retrieved,
    Service { service: Service, name: Text, outcome: Text },
    ServiceEnd { service: Service, name: Text, outcome: Text },
    Updated,
    Ended,
}

impl LegEvent {
    /// The name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Bridged { .. } => "bridged",
            Self::Unbridged { .. } => "unbridged",
            Self::Held => "held",
            Self::Resumed => "resumed",
            Self::Parked { .. } => "parked",
            Self::Retrieved => "retrieved",
            Self::Service { .. } => "service",
            Self::ServiceEnd { .. } => "service_end",
            Self::Updated => "updated",
            Self::Ended => "ended",
        }
    }
}

impl LegRecord {
    /// The record's timestamp in an offline stream: its own `at` or `ended`, else its latest time (sessions.md 2).
    pub fn stream_time(&self) -> Timestamp {
        match &self.report {
            Report::Event(event) => event.at,
            Report::Leg(leg) => leg.at.or(leg.ended).or_else(|| leg.latest()).unwrap_or_default(),
        }
    }

    /// What ties the records of one leg together and one tenant's legs to one partition.
    pub fn tenant_pbx(&self) -> (&TenantKey, &PbxKey) {
        (&self.tenant, &self.pbx)
    }
}

impl LegReport {
    /// The latest time in the record, `at` included.
    pub fn latest(&self) -> Option<Timestamp> {
        self.times().chain(self.at).max()
    }

    /// The earliest time in the record, `at` left out.
    pub fn earliest(&self) -> Option<Timestamp> {
        self.times().min()
    }

    fn times(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let own = [self.created, self.ringing, self.answered, self.ended].into_iter().flatten();
        let bridges = self.bridges.iter().flat_map(|bridge| [Some(bridge.from), bridge.to]);
        let holds = self.holds.iter().flat_map(|hold| [Some(hold.from), hold.to]);
        let parks = self.parks.iter().flat_map(|park| [Some(park.from), park.to]);
        let services = self.services.iter().flat_map(|stay| [Some(stay.from), stay.to]);
        own.chain(bridges.chain(holds).chain(parks).chain(services).flatten())
    }
}

impl Serialize for LegRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("v", &1)?;
        let kind = if matches!(self.report, Report::Leg(_)) { "leg" } else { "event" };
        map.serialize_entry("kind", kind)?;
        map.serialize_entry("tenant", &self.tenant)?;
        map.serialize_entry("pbx", &self.pbx)?;
        map.serialize_entry("leg", &self.leg)?;
        list(&mut map, "links", &self.links)?;
        match &self.report {
            Report::Event(event) => write_event(&mut map, event)?,
            Report::Leg(leg) => write_leg(&mut map, leg)?,
        }
        let executes = matches!(
            &self.report,
            Report::Event(EventReport { event: LegEvent::Service { .. } | LegEvent::ServiceEnd { .. }, .. })
        );
        write_fields(&mut map, &self.fields, executes)?;
        list(&mut map, "recordings", &self.recordings)?;
        if !self.tags.is_empty() {
            map.serialize_entry("tags", &self.tags)?;
        }
        map.end()
    }
}

fn write_event<M: SerializeMap>(map: &mut M, report: &EventReport) -> Result<(), M::Error> {
    map.serialize_entry("event", report.event.name())?;
    map.serialize_entry("at", &report.at)?;
    match &report.event {
        LegEvent::Bridged { with } | LegEvent::Unbridged { with: Some(with) } => {
            map.serialize_entry("with", with)
        }
        LegEvent::Parked { slot } => text(map, "slot", slot),
        LegEvent::Service { service, name, outcome } | LegEvent::ServiceEnd { service, name, outcome } => {
            map.serialize_entry("service", service)?;
            text(map, "name", name)?;
            text(map, "outcome", outcome)
        }
        _ => Ok(()),
    }
}

fn write_leg<M: SerializeMap>(map: &mut M, leg: &LegReport) -> Result<(), M::Error> {
    if leg.rev > 0 {
        map.serialize_entry("rev", &leg.rev)?;
    }
    let times = [
        ("at", leg.at),
        ("created", leg.created),
        ("ringing", leg.ringing),
        ("answered", leg.answered),
        ("ended", leg.ended),
    ];
    for (key, time) in times {
        some(map, key, &time)?;
    }
    list(map, "bridges", &leg.bridges)?;
    list(map, "holds", &leg.holds)?;
    list(map, "parks", &leg.parks)?;
    list(map, "services", &leg.services)
}

/// `executes`: in a service event `service` and `name` are what is executed, so the fields' own stay out.
fn write_fields<M: SerializeMap>(map: &mut M, fields: &Fields, executes: bool) -> Result<(), M::Error> {
    some(map, "direction", &fields.direction)?;
    some(map, "side", &fields.side)?;
    if !executes {
        some(map, "service", &fields.service)?;
        text(map, "name", &fields.party.name)?;
    }
    text(map, "number", &fields.party.number)?;
    text(map, "dialled", &fields.dialled)?;
    text(map, "presented", &fields.presented)?;
    let pairs =
        [("ddi", &fields.ddi), ("device", &fields.device), ("user", &fields.user), ("agent", &fields.agent)];
    for (key, pair) in pairs {
        if !NumberName::is_empty(pair) {
            map.serialize_entry(key, pair)?;
        }
    }
    if !fields.group.is_empty() {
        map.serialize_entry("group", &BTreeMap::from([("name", &fields.group)]))?;
    }
    some(map, "route", &fields.route)?;
    text(map, "cause", &fields.cause)?;
    some(map, "sip", &fields.sip)?;
    some(map, "rating", &fields.rating)?;
    some(map, "tz", &fields.tz)
}

fn some<M: SerializeMap, T: Serialize>(map: &mut M, key: &str, value: &Option<T>) -> Result<(), M::Error> {
    value.as_ref().map_or(Ok(()), |value| map.serialize_entry(key, value))
}

fn text<M: SerializeMap>(map: &mut M, key: &str, value: &str) -> Result<(), M::Error> {
    if value.is_empty() { Ok(()) } else { map.serialize_entry(key, value) }
}

fn list<M: SerializeMap, T: Serialize>(map: &mut M, key: &str, value: &[T]) -> Result<(), M::Error> {
    if value.is_empty() { Ok(()) } else { map.serialize_entry(key, value) }
}
