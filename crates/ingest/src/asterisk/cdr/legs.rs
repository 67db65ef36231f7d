//! Leg records of a call: one a channel, with what all its rows say of it.

use std::collections::BTreeMap;

use ringpost_model::{
    Bridge, Fields, LegDirection, LegId, LegRecord, LegReport, NumberName, Report, Service, ServiceStay,
    Side, SideRules, Text, Timestamp,
};

use super::row::{Disposition, Row};
use crate::asterisk::endpoint;

/// Who told a leg, and that it is poor.
const TAG: (&str, &str) = ("source", "asterisk-cdr");

/// What is known of one channel.
#[derive(Debug, Default)]
struct Known {
    fields: Fields,
    created: Option<Timestamp>,
    answered: Option<Timestamp>,
    ended: Option<Timestamp>,
    bridges: Vec<Bridge>,
    services: Vec<ServiceStay>,
    recordings: Vec<Text>,
    disposition: Option<Disposition>,
}

/// Adds the records of the rows of one call, which are in order of time.
pub(super) fn tell(rows: &[Row], sides: &SideRules, records: &mut Vec<LegRecord>) {
    let Some(first) = rows.first() else { return };
    let mut legs: BTreeMap<LegId, Known> = BTreeMap::new();
    for row in rows {
        let Some(caller) = leg_id(&row.call, &row.channel) else { continue };
        let callee =
            leg_id(&row.call, &row.other).filter(|callee| !row.other.is_empty() && *callee != caller);
        legs.entry(caller.clone()).or_default().of_caller(row, callee.as_ref(), sides);
        if let Some(callee) = callee {
            legs.entry(callee).or_default().of_callee(row, sides);
        }
    }
    join_halves(&first.call, &mut legs);
    for (leg, known) in legs {
        records.push(known.record(first, leg));
    }
}

/// A channel's name is unique in a call; a name too long for an id is none.
fn leg_id(call: &str, channel: &str) -> Option<LegId> {
    LegId::new(&format!("{call}/{channel}")).ok()
}

/// The halves of a Local channel are joined while both live.
fn join_halves(call: &str, legs: &mut BTreeMap<LegId, Known>) {
    let mut pairs: BTreeMap<LegId, Known> = BTreeMap::new();
    for (leg, known) in legs.iter_mut() {
        let channel = leg.as_str().get(call.len() + 1..).unwrap_or_default();
        let pair = LegId::new(&format!("{call}/local:{}", endpoint::pair(channel)));
        let (Ok(pair), true, Some(from)) = (pair, endpoint::is_local(channel), known.created) else {
            continue;
        };
        known.bridges.push(Bridge { with: pair.clone(), from, to: None });
        let joined = pairs.entry(pair).or_default();
        joined.fields.side = Some(Side::Service);
        joined.lives(from, known.ended.unwrap_or(from));
    }
    legs.append(&mut pairs);
}

impl Known {
    fn lives(&mut self, from: Timestamp, to: Timestamp) {
        self.created = self.created.into_iter().chain([from]).min();
        self.ended = self.ended.max(Some(to));
    }

    fn ended_as(&mut self, row: &Row) {
        self.lives(row.start, row.end);
        if let Some(answer) = row.answer {
            // Times are whole seconds: who was answered within the last one had its moment.
            self.lives(row.start, moment(answer));
        }
        self.answered = self.answered.into_iter().chain(row.answer).min();
        self.disposition = self.disposition.max(Some(row.disposition));
        self.recordings.extend(row.recording.clone());
    }

    /// The first row that names a channel says who it is.
    fn is_new(&self) -> bool {
        self.created.is_none()
    }

    fn of_caller(&mut self, row: &Row, callee: Option<&LegId>, sides: &SideRules) {
        if self.is_new() {
            self.fields = if endpoint::is_local(&row.channel) { loopback() } else { caller(row, sides) };
        }
        self.ended_as(row);
        let answer = row.answer.filter(|answer| *answer <= row.end);
        match (answer, callee) {
            (Some(from), Some(with)) => {
                self.bridges.push(Bridge { with: with.clone(), from, to: Some(row.end.max(moment(from))) });
            }
            (Some(from), None) => self.services.extend(service(row, from)),
            (None, _) => {}
        }
    }

    fn of_callee(&mut self, row: &Row, sides: &SideRules) {
        if self.is_new() {
            self.fields = if endpoint::is_local(&row.other) { loopback() } else { callee(row, sides) };
        }
        let recording = None;
        self.ended_as(&Row { recording, ..row.clone() });
    }

    fn record(mut self, row: &Row, leg: LegId) -> LegRecord {
        self.fields.cause = self.disposition.map(Disposition::cause).unwrap_or_default().into();
        self.recordings.sort_unstable();
        self.recordings.dedup();
        let report = LegReport {
            rev: 0,
            at: self.ended,
            created: self.created,
            ringing: None,
            answered: self.answered,
            ended: self.ended,
            bridges: self.bridges,
            holds: Vec::new(),
            parks: Vec::new(),
            services: self.services,
        };
        LegRecord {
            tenant: row.owner.tenant.clone(),
            pbx: row.owner.pbx.clone(),
            leg,
            links: vec![row.call.clone()],
            fields: self.fields,
            recordings: self.recordings,
            tags: [(Text::from(TAG.0), Text::from(TAG.1))].into(),
            report: Report::Leg(report),
        }
    }
}

/// The least after a time.
fn moment(after: Timestamp) -> Timestamp {
    after.plus_micros(1)
}

fn loopback() -> Fields {
    Fields { side: Some(Side::Service), ..Fields::default() }
}

fn caller(row: &Row, sides: &SideRules) -> Fields {
    let of_context = || sides.of_context(&row.context).filter(|side| *side == Side::External);
    let side = sides.of_endpoint(endpoint::endpoint(&row.channel)).or_else(of_context);
    let is_external = side.or_else(|| sides.of_number(&row.number)) == Some(Side::External);
    let device = NumberName { number: row.number.clone(), name: endpoint::endpoint(&row.channel).into() };
    let is_named = !row.number.is_empty();
    Fields {
        direction: Some(LegDirection::In),
        side: Some(if is_external { Side::External } else { Side::Internal }),
        party: NumberName {
            number: row.number.clone(),
            name: if is_named { row.name.clone() } else { "".into() },
        },
        dialled: number(&row.dialled),
        ddi: NumberName { number: row.public.clone(), name: Text::default() },
        device: if is_external { NumberName::default() } else { device },
        ..Fields::default()
    }
}

/// An endpoint called by its number says which of a group it is; another says no more than what was dialled.
fn callee(row: &Row, sides: &SideRules) -> Fields {
    let side = sides.of_endpoint(endpoint::endpoint(&row.other));
    let is_external = side.or_else(|| sides.of_number(&row.dialled)) == Some(Side::External);
    let name = endpoint::endpoint(&row.other);
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let own = if is_number && !is_external { Text::from(name) } else { number(&row.dialled) };
    let queue = if row.app.eq_ignore_ascii_case("Queue") { first_argument(&row.data) } else { "" };
    let device = NumberName { number: own.clone(), name: name.into() };
    Fields {
        direction: Some(LegDirection::Out),
        side: Some(if is_external { Side::External } else { Side::Internal }),
        party: NumberName { number: own, name: Text::default() },
        device: if is_external { NumberName::default() } else { device },
        group: queue.into(),
        ..Fields::default()
    }
}

/// Exten `s` is not a number.
fn number(dialled: &Text) -> Text {
    if **dialled == *"s" { Text::default() } else { dialled.clone() }
}

fn first_argument(data: &str) -> &str {
    data.split(',').next().unwrap_or_default().trim()
}

fn service(row: &Row, from: Timestamp) -> Option<ServiceStay> {
    const KNOWN: [(&str, Service); 7] = [
        ("ConfBridge", Service::Conference),
        ("MeetMe", Service::Conference),
        ("Queue", Service::Queue),
        ("VoiceMail", Service::Voicemail),
        ("VoiceMailMain", Service::Voicemail),
        ("ReceiveFAX", Service::Fax),
        ("SendFAX", Service::Fax),
    ];
    let (_, service) = KNOWN.iter().find(|(name, _)| row.app.eq_ignore_ascii_case(name))?;
    let name = Text::from(first_argument(&row.data));
    Some(ServiceStay { service: *service, from, to: Some(row.end), name, outcome: Text::default() })
}
