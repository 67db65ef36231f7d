//! Legs in few words, and records as one line: times are seconds after the begin of the call.

use std::sync::Arc;

use ringpost_model::{
    Bridge, Cdr, Envelope, EventReport, Fields, Hold, LegDirection, LegEvent, LegId, LegRecord, LegReport,
    NumberName, Park, PbxKey, Report, Service, ServiceStay, Side, TenantKey, Timestamp,
};
use ringpost_session::{Config, Machine, Output, Settings};

/// 2026-03-10T09:00:00Z.
const BEGIN: i64 = 1_773_133_200_000_000;

pub(crate) fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros(BEGIN + (seconds * 1e6).round() as i64)
}

pub(crate) fn id(text: &str) -> LegId {
    LegId::new(text).expect("a short id")
}

/// A `leg` record under construction.
#[derive(Debug, Clone)]
pub(crate) struct Leg(pub(crate) LegRecord);

fn record(leg: &str, report: Report) -> LegRecord {
    LegRecord {
        tenant: TenantKey::new("acme").expect("a valid key"),
        pbx: PbxKey::new("k1").expect("a valid key"),
        leg: id(leg),
        links: vec!["i1".into()],
        fields: Fields::default(),
        recordings: Vec::new(),
        tags: Default::default(),
        report,
    }
}

/// Nothing known but its life.
pub(crate) fn leg(name: &str, created: f64, ended: f64) -> Leg {
    let report = LegReport { created: Some(at(created)), ended: Some(at(ended)), ..LegReport::default() };
    Leg(record(name, Report::Leg(report)))
}

/// A caller from outside.
pub(crate) fn caller(name: &str, created: f64, ended: f64) -> Leg {
    let number = NumberName { number: "+441632960101".into(), name: "Caller".into() };
    let mut leg = leg(name, created, ended).side(Side::External).direction(LegDirection::In);
    leg.0.fields.party = number;
    leg.0.fields.dialled = "+441614960000".into();
    leg
}

/// A desk that the switch rang.
pub(crate) fn desk(name: &str, created: f64, ended: f64) -> Leg {
    let mut leg = leg(name, created, ended).side(Side::Internal).direction(LegDirection::Out);
    leg.0.fields.device = NumberName { number: name.into(), name: "".into() };
    leg
}

/// An outside party that the switch called.
pub(crate) fn outside(name: &str, created: f64, ended: f64) -> Leg {
    let mut leg = leg(name, created, ended).side(Side::External).direction(LegDirection::Out);
    leg.0.fields.dialled = "+12025550123".into();
    leg
}

/// A machine of the switch.
pub(crate) fn machine(name: &str, service: Service, created: f64, ended: f64) -> Leg {
    let mut leg = leg(name, created, ended).side(Side::Service);
    leg.0.fields.service = Some(service);
    leg
}

/// One of a pair of pseudo legs.
pub(crate) fn loopback(name: &str, created: f64, ended: f64) -> Leg {
    leg(name, created, ended).side(Side::Service)
}

/// An event on a leg, without links.
pub(crate) fn event(name: &str, when: f64, event: LegEvent) -> LegRecord {
    let mut record = record(name, Report::Event(EventReport { at: at(when), event }));
    record.links = Vec::new();
    record
}

impl Leg {
    fn report(&mut self) -> &mut LegReport {
        match &mut self.0.report {
            Report::Leg(leg) => leg,
            Report::Event(_) => panic!("a leg record was built"),
        }
    }

    pub(crate) fn side(mut self, side: Side) -> Self {
        self.0.fields.side = Some(side);
        self
    }

    pub(crate) fn direction(mut self, direction: LegDirection) -> Self {
        self.0.fields.direction = Some(direction);
        self
    }

    /// A desk that called in.
    pub(crate) fn calls(self) -> Self {
        self.direction(LegDirection::In)
    }

    pub(crate) fn link(mut self, link: &str) -> Self {
        self.0.links = if link.is_empty() { Vec::new() } else { vec![link.into()] };
        self
    }

    pub(crate) fn and_link(mut self, link: &str) -> Self {
        self.0.links.push(link.into());
        self
    }

    pub(crate) fn rang(mut self, when: f64) -> Self {
        self.report().ringing = Some(at(when));
        self
    }

    pub(crate) fn answered(mut self, when: f64) -> Self {
        self.report().answered = Some(at(when));
        self
    }

    pub(crate) fn alive(mut self) -> Self {
        self.report().ended = None;
        self
    }

    pub(crate) fn written(mut self, when: f64) -> Self {
        self.report().at = Some(at(when));
        self
    }

    pub(crate) fn rev(mut self, rev: u64) -> Self {
        self.report().rev = rev;
        self
    }

    pub(crate) fn cause(mut self, cause: &str) -> Self {
        self.0.fields.cause = cause.into();
        self
    }

    pub(crate) fn sip(mut self, sip: u16) -> Self {
        self.0.fields.sip = Some(sip);
        self
    }

    pub(crate) fn bridge(mut self, with: &str, from: f64, to: f64) -> Self {
        self.report().bridges.push(Bridge { with: id(with), from: at(from), to: Some(at(to)) });
        self
    }

    pub(crate) fn hold(mut self, from: f64, to: Option<f64>) -> Self {
        self.report().holds.push(Hold { from: at(from), to: to.map(at) });
        self
    }

    pub(crate) fn park(mut self, from: f64, to: Option<f64>) -> Self {
        self.report().parks.push(Park { from: at(from), to: to.map(at), slot: "701".into() });
        self
    }

    pub(crate) fn stay(mut self, service: Service, from: f64, to: f64) -> Self {
        let stay = ServiceStay {
            service,
            from: at(from),
            to: Some(at(to)),
            name: "Sales".into(),
            outcome: "".into(),
        };
        self.report().services.push(stay);
        self
    }
}

/// Runs records offline.
pub(crate) fn offline(records: impl IntoIterator<Item = LegRecord>) -> Vec<Envelope> {
    run(Config::offline(), records)
}

/// Runs records as a stream, each at its own time.
pub(crate) fn stream(records: impl IntoIterator<Item = LegRecord>) -> Vec<Envelope> {
    run(Config::offline_stream(), records)
}

fn run(config: Config, records: impl IntoIterator<Item = LegRecord>) -> Vec<Envelope> {
    let mut machine = Machine::new(config, Arc::new(Settings::default()));
    let mut now = Timestamp::default();
    for record in records {
        now = now.max(record.stream_time());
        machine.handle(now, record);
    }
    machine.finish();
    envelopes(&mut machine)
}

/// All records that came out.
pub(crate) fn envelopes(machine: &mut Machine) -> Vec<Envelope> {
    let outputs = std::iter::from_fn(|| machine.poll());
    outputs
        .filter_map(|output| if let Output::Record(envelope) = output { Some(*envelope) } else { None })
        .collect()
}

/// The one record of one call.
pub(crate) fn one(legs: impl IntoIterator<Item = Leg>) -> Envelope {
    let mut records = offline(legs.into_iter().map(|leg| leg.0));
    assert_eq!(records.len(), 1, "one call, one record");
    records.remove(0)
}

/// What a reader looks at first, in one line; zeros and empty fields are left out.
pub(crate) fn summary(cdr: &Cdr) -> String {
    let second = |time: Timestamp| time.seconds() - BEGIN / 1_000_000;
    let mut parts = vec![format!("dir{} {}..{}", cdr.direction.code(), second(cdr.start), second(cdr.end))];
    for (name, value) in [("ring", cdr.ring), ("talk", cdr.talk), ("hold", cdr.hold), ("park", cdr.park)] {
        if value > 0 {
            parts.push(format!("{name} {value}"));
        }
    }
    if let Some(answer) = cdr.answer {
        parts.push(format!("answer {}", second(answer)));
    }
    let flags = [
        ("lost", cdr.lost),
        ("lostinPark", cdr.lost_in_park),
        ("aban", cdr.aban),
        ("short", cdr.short),
        ("t2t", cdr.t2t),
        ("partial", cdr.partial),
    ];
    parts.extend(flags.iter().filter(|flag| flag.1).map(|flag| flag.0.to_owned()));
    assert_eq!(cdr.ans, cdr.answer.is_some());
    let faces = &cdr.devices;
    let columns = [
        ("fRng", &faces.first_rang),
        ("lRng", &faces.last_rang),
        ("ans", &faces.answered),
        ("lAns", &faces.last_answered),
    ];
    let filled = columns.iter().filter(|column| !column.1.number.is_empty());
    parts.extend(filled.map(|(name, device)| format!("{name}={}", device.number)));
    parts.join(" ")
}

/// One call and its line.
pub(crate) fn check(legs: impl IntoIterator<Item = Leg>, expected: &str) {
    assert_eq!(summary(&one(legs).cdr), expected);
}
