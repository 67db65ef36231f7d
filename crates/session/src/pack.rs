//! A leg record in few bytes: what the machine keeps of live legs, and what a snapshot holds.
//!
//! Written once per record and read by reference: a merge borrows its texts from here. It knows the layout and
//! no rule. Layout, version 1: kind, rev, stamp, then facts to the end; integers are LEB128, times are
//! zig-zag differences to the stamp, texts are length and bytes.

use ringpost_model::{
    Fields, LegDirection, LegEvent, LegRecord, LegReport, NumberName, Report, Service, Side, Timestamp,
};

mod read;

pub(crate) use read::{Fact, Packed, Reader, Said, records};

/// A scalar's place, and its code in a packed record.
pub(crate) mod key {
    pub(crate) const DIRECTION: u8 = 0;
    pub(crate) const SIDE: u8 = 1;
    pub(crate) const SERVICE: u8 = 2;
    pub(crate) const PARTY: u8 = 3;
    pub(crate) const DIALLED: u8 = 4;
    pub(crate) const PRESENTED: u8 = 5;
    pub(crate) const DDI: u8 = 6;
    pub(crate) const DEVICE: u8 = 7;
    pub(crate) const USER: u8 = 8;
    pub(crate) const AGENT: u8 = 9;
    pub(crate) const GROUP: u8 = 10;
    pub(crate) const ROUTE: u8 = 11;
    pub(crate) const CAUSE: u8 = 12;
    pub(crate) const SIP: u8 = 13;
    pub(crate) const RATING: u8 = 14;
    pub(crate) const ZONE: u8 = 15;
    /// How many scalars there are; the codes of other facts follow.
    pub(crate) const SCALARS: usize = 16;
    pub(crate) const LINK: u8 = 16;
    pub(crate) const RECORDING: u8 = 17;
    pub(crate) const TAG: u8 = 18;
    pub(crate) const AT: u8 = 19;
    pub(crate) const CREATED: u8 = 20;
    pub(crate) const RINGING: u8 = 21;
    pub(crate) const ANSWERED: u8 = 22;
    pub(crate) const ENDED: u8 = 23;
    pub(crate) const BRIDGE: u8 = 24;
    pub(crate) const HOLD: u8 = 25;
    pub(crate) const PARK: u8 = 26;
    pub(crate) const STAY: u8 = 27;
    pub(crate) const BRIDGED: u8 = 28;
    pub(crate) const UNBRIDGED: u8 = 29;
    pub(crate) const UNBRIDGED_ALL: u8 = 30;
    pub(crate) const HELD: u8 = 31;
    pub(crate) const RESUMED: u8 = 32;
    pub(crate) const PARKED: u8 = 33;
    pub(crate) const RETRIEVED: u8 = 34;
    pub(crate) const SERVICE_BEGIN: u8 = 35;
    pub(crate) const SERVICE_END: u8 = 36;
}

/// Packs a record: its length, then itself. Tenant, pbx and leg id are left to whoever keeps it. What ties comes
/// first, since that is what is read most often. `scratch` is only lent, so that the result is made in one piece.
pub(crate) fn pack(record: &LegRecord, scratch: &mut Vec<u8>) -> Vec<u8> {
    scratch.clear();
    let mut writer = Writer { bytes: std::mem::take(scratch), stamp: 0 };
    match &record.report {
        Report::Leg(leg) => {
            writer.stamp = leg.at.or(leg.ended).or_else(|| leg.latest()).unwrap_or_default().micros();
            writer.head(0, leg.rev);
        }
        Report::Event(event) => {
            writer.stamp = event.at.micros();
            writer.head(1, 0);
        }
    }
    record.links.iter().filter(|link| !link.is_empty()).for_each(|link| writer.text(key::LINK, link));
    match &record.report {
        Report::Leg(leg) => writer.leg(leg),
        Report::Event(event) => writer.event(&event.event),
    }
    writer.fields(&record.fields);
    record.recordings.iter().filter(|id| !id.is_empty()).for_each(|id| writer.text(key::RECORDING, id));
    for (tag, value) in &record.tags {
        writer.texts(key::TAG, &[tag, value]);
    }
    *scratch = writer.bytes;
    let mut framed = Vec::with_capacity(scratch.len() + length_of(scratch.len()));
    unsigned(&mut framed, scratch.len() as u64);
    framed.extend_from_slice(scratch);
    framed
}

/// How many bytes a length takes.
const fn length_of(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 5,
    }
}

/// Writes an unsigned integer as LEB128.
pub(crate) fn unsigned(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Writes a signed integer, small ones in few bytes.
pub(crate) fn signed(bytes: &mut Vec<u8>, value: i64) {
    unsigned(bytes, ((value << 1) ^ (value >> 63)) as u64);
}

/// Writes a text as length and bytes.
pub(crate) fn text(bytes: &mut Vec<u8>, value: &str) {
    unsigned(bytes, value.len() as u64);
    bytes.extend_from_slice(value.as_bytes());
}

struct Writer {
    bytes: Vec<u8>,
    stamp: i64,
}

impl Writer {
    fn head(&mut self, kind: u8, rev: u64) {
        self.bytes.push(kind);
        unsigned(&mut self.bytes, rev);
        signed(&mut self.bytes, self.stamp);
    }

    fn code(&mut self, key: u8, code: u8) {
        self.bytes.push(key);
        self.bytes.push(code);
    }

    fn text(&mut self, key: u8, value: &str) {
        if !value.is_empty() {
            self.texts(key, &[value]);
        }
    }

    fn texts(&mut self, key: u8, values: &[&str]) {
        self.bytes.push(key);
        values.iter().for_each(|value| text(&mut self.bytes, value));
    }

    fn pair(&mut self, key: u8, pair: &NumberName) {
        if !pair.is_empty() {
            self.texts(key, &[&pair.number, &pair.name]);
        }
    }

    fn time(&mut self, time: Timestamp) {
        signed(&mut self.bytes, time.micros().wrapping_sub(self.stamp));
    }

    /// `to` as 0 for none, else 1 and the time.
    fn span(&mut self, from: Timestamp, to: Option<Timestamp>) {
        self.time(from);
        self.bytes.push(u8::from(to.is_some()));
        if let Some(to) = to {
            self.time(to);
        }
    }

    fn leg(&mut self, leg: &LegReport) {
        for bridge in &leg.bridges {
            self.texts(key::BRIDGE, &[bridge.with.as_str()]);
            self.span(bridge.from, bridge.to);
        }
        let times = [
            (key::AT, leg.at),
            (key::CREATED, leg.created),
            (key::RINGING, leg.ringing),
            (key::ANSWERED, leg.answered),
            (key::ENDED, leg.ended),
        ];
        for (key, time) in times {
            if let Some(time) = time {
                self.bytes.push(key);
                self.time(time);
            }
        }
        for hold in &leg.holds {
            self.bytes.push(key::HOLD);
            self.span(hold.from, hold.to);
        }
        for park in &leg.parks {
            self.texts(key::PARK, &[&park.slot]);
            self.span(park.from, park.to);
        }
        for stay in &leg.services {
            self.code(key::STAY, service_code(stay.service));
            text(&mut self.bytes, &stay.name);
            text(&mut self.bytes, &stay.outcome);
            self.span(stay.from, stay.to);
        }
    }

    fn event(&mut self, event: &LegEvent) {
        match event {
            LegEvent::Created => self.at_stamp(key::CREATED),
            LegEvent::Ringing => self.at_stamp(key::RINGING),
            LegEvent::Answered => self.at_stamp(key::ANSWERED),
            LegEvent::Ended => self.at_stamp(key::ENDED),
            LegEvent::Bridged { with } => self.texts(key::BRIDGED, &[with.as_str()]),
            LegEvent::Unbridged { with: Some(with) } => self.texts(key::UNBRIDGED, &[with.as_str()]),
            LegEvent::Unbridged { with: None } => self.bytes.push(key::UNBRIDGED_ALL),
            LegEvent::Held => self.bytes.push(key::HELD),
            LegEvent::Resumed => self.bytes.push(key::RESUMED),
            LegEvent::Parked { slot } => self.texts(key::PARKED, &[slot]),
            LegEvent::Retrieved => self.bytes.push(key::RETRIEVED),
            LegEvent::Service { service, name, outcome } => {
                self.code(key::SERVICE_BEGIN, service_code(*service));
                text(&mut self.bytes, name);
                text(&mut self.bytes, outcome);
            }
            LegEvent::ServiceEnd { service, name, outcome } => {
                self.code(key::SERVICE_END, service_code(*service));
                text(&mut self.bytes, name);
                text(&mut self.bytes, outcome);
            }
            LegEvent::Updated => {}
        }
    }

    fn at_stamp(&mut self, key: u8) {
        self.bytes.push(key);
        signed(&mut self.bytes, 0);
    }

    fn fields(&mut self, fields: &Fields) {
        if let Some(direction) = fields.direction {
            self.code(key::DIRECTION, direction as u8);
        }
        if let Some(side) = fields.side {
            self.code(key::SIDE, side as u8);
        }
        if let Some(service) = fields.service {
            self.code(key::SERVICE, service_code(service));
        }
        self.pair(key::PARTY, &fields.party);
        self.text(key::DIALLED, &fields.dialled);
        self.text(key::PRESENTED, &fields.presented);
        self.pair(key::DDI, &fields.ddi);
        self.pair(key::DEVICE, &fields.device);
        self.pair(key::USER, &fields.user);
        self.pair(key::AGENT, &fields.agent);
        self.text(key::GROUP, &fields.group);
        if let Some(route) =
            fields.route.as_ref().filter(|route| !(route.id.is_empty() && route.name.is_empty()))
        {
            self.texts(key::ROUTE, &[&route.id, &route.name]);
        }
        self.text(key::CAUSE, &fields.cause);
        if let Some(sip) = fields.sip {
            self.bytes.push(key::SIP);
            unsigned(&mut self.bytes, u64::from(sip));
        }
        if let Some(rating) = &fields.rating {
            self.texts(key::RATING, &[&rating.band, &rating.name, &rating.currency]);
            self.bytes.extend_from_slice(&rating.cost.serialize());
        }
        if let Some(zone) = fields.tz {
            self.text(key::ZONE, zone.name());
        }
    }
}

const SERVICES: [Service; 7] = [
    Service::Ivr,
    Service::Queue,
    Service::Voicemail,
    Service::Conference,
    Service::Park,
    Service::Fax,
    Service::Media,
];

/// A service's code is its place in [`SERVICES`], not in the enum: packed records outlive a build.
fn service_code(service: Service) -> u8 {
    SERVICES.iter().position(|known| *known == service).unwrap_or_default() as u8
}

const DIRECTIONS: [LegDirection; 2] = [LegDirection::In, LegDirection::Out];
const SIDES: [Side; 3] = [Side::External, Side::Internal, Side::Service];
