//! From a message to what it says of its leg.

use std::collections::BTreeMap;

use ringpost_model::{
    EventReport, Fields, LegDirection, LegEvent, LegId, LegRecord, LegReport, NumberName, PbxKey, Report,
    Service, Side, TenantKey, Text, Timestamp,
};

use super::event::Event;
use super::fields;
use super::message::Message;
use super::times;
use crate::decoded::Source;
use crate::node::Node;
use crate::reason::Reason;

/// An answer as it happened counts before one that the leg's end tells in whole seconds.
const ANSWER_REV: u64 = 1;

/// Ids of other legs, beside those of bridges.
const LINKS: [&str; 11] = [
    "callinteractionid",
    "interactionid",
    "bridgeid",
    "membercallid",
    "originatinglegcallid",
    "originatinglegid",
    "originatingleguuid",
    "replacedby",
    "interceptedby",
    "targetcallid",
    "transfereecallid",
];

/// The other half of a loopback.
const LOOPBACK: [&str; 2] = ["channelloopbackotherlegid", "loopbackotherlegid"];

/// The records of a message; the first is its event.
pub(super) fn records(
    source: &Source<'_>,
    message: &Message<'_>,
    event: Event,
    owner: (TenantKey, PbxKey),
) -> Result<Vec<LegRecord>, Reason> {
    let leg = leg(message)?;
    let created = times::created(message);
    let at = if event == Event::Created { created } else { None };
    let at = at.or(times::at(message)?).or(source.received);
    let Some(at) = at else {
        let remedy =
            "; Kazoo puts no time on this message: post it to the intake as it happens, or add a Timestamp";
        return Err(Reason::Missing { path: "Timestamp".to_owned(), remedy });
    };
    let mut blank = LegRecord {
        tenant: owner.0,
        pbx: owner.1,
        links: links(message, &leg),
        leg,
        fields: fields::fields(message, source.sides),
        recordings: recordings(message),
        tags: tags(message),
        report: Report::Event(EventReport { at, event: LegEvent::Updated }),
    };
    match event {
        Event::Answered => {
            let (at, answered) = (Some(at), Some(at));
            blank.report =
                Report::Leg(LegReport { rev: ANSWER_REV, at, created, answered, ..LegReport::default() });
            Ok(vec![blank])
        }
        Event::Ended => {
            let joined = created.and_then(|created| joined(message, &blank, created));
            Ok(ended(message, blank, created, at).into_iter().chain(joined).collect())
        }
        _ => {
            let event = happened(message, event, &blank);
            if matches!(event, LegEvent::Service { .. } | LegEvent::ServiceEnd { .. }) {
                // Here the name is that of what is executed.
                blank.fields.party = NumberName::default();
            }
            let joined = created.and_then(|created| joined(message, &blank, created));
            blank.report = Report::Event(EventReport { at, event });
            Ok(std::iter::once(blank).chain(joined).collect())
        }
    }
}

/// The halves of a loopback are joined while both live. Each event says it again, in the same words.
fn joined(message: &Message<'_>, of: &LegRecord, created: Timestamp) -> Option<LegRecord> {
    let id = message.first(&LOOPBACK).filter(|_| of.fields.side == Some(Side::Service))?;
    let other = match of.fields.direction? {
        LegDirection::In => LegDirection::Out,
        LegDirection::Out => LegDirection::In,
    };
    let with = key(message, id, Some(other)).filter(|with| *with != of.leg)?;
    let report = Report::Event(EventReport { at: created, event: LegEvent::Bridged { with } });
    Some(bare(of, report))
}

/// The same leg, and nothing but what happened to it.
fn bare(of: &LegRecord, report: Report) -> LegRecord {
    LegRecord {
        fields: Fields::default(),
        links: Vec::new(),
        recordings: Vec::new(),
        tags: Default::default(),
        report,
        ..of.clone()
    }
}

fn happened(message: &Message<'_>, event: Event, of: &LegRecord) -> LegEvent {
    let other = other(message).filter(|other| *other != of.leg);
    match (event, other) {
        (Event::Created, _) => LegEvent::Created,
        // A caller's leg does not alert: its progress is that of the legs it placed.
        (Event::Ringing, _) if of.fields.direction == Some(LegDirection::Out) => LegEvent::Ringing,
        (Event::Bridged, Some(with)) => LegEvent::Bridged { with },
        (Event::Unbridged, with) => LegEvent::Unbridged { with },
        (Event::Held, _) => LegEvent::Held,
        (Event::Resumed, _) => LegEvent::Resumed,
        (Event::Parked, _) => LegEvent::Parked { slot: slot(message) },
        (Event::Retrieved, _) => LegEvent::Retrieved,
        (Event::Executes(service), _) => {
            LegEvent::Service { service, name: Text::default(), outcome: Text::default() }
        }
        (Event::Executed(service), _) => {
            LegEvent::ServiceEnd { service, name: Text::default(), outcome: Text::default() }
        }
        _ => LegEvent::Updated,
    }
}

/// The end, and beside it what it says of the leg's life: begin, answer, and what the leg was used for.
fn ended(
    message: &Message<'_>,
    blank: LegRecord,
    created: Option<Timestamp>,
    at: Timestamp,
) -> Vec<LegRecord> {
    let duration = times::length(message, "durationseconds", "durationmilliseconds");
    // Kazoo's API tells a record's time as that of the begin; it adds other ways to write it.
    let is_listed = message.first(&["iso8601", "datetime", "unixtimestamp"]).is_some();
    let end = if is_listed { at.plus_micros(duration.unwrap_or_default()) } else { at };
    let end = created.map_or(end, |created| end.max(created));
    let begin = created.or_else(|| Some(end.plus_micros(-duration?)));
    let billed = times::length(message, "billingseconds", "billingmilliseconds").filter(|&billed| billed > 0);
    let answered =
        billed.map(|billed| end.plus_micros(-billed)).map(|time| begin.map_or(time, |begin| time.max(begin)));
    let kept = times::Kept::read(message);
    let exact = kept.answered.map(|answered| {
        let report = LegReport { rev: ANSWER_REV, at: Some(answered), ..LegReport::default() };
        bare(&blank, Report::Leg(LegReport { created: begin, answered: Some(answered), ..report }))
    });
    let is_out = blank.fields.direction == Some(LegDirection::Out);
    let rang = kept
        .progress
        .filter(|_| is_out)
        .map(|at| bare(&blank, Report::Event(EventReport { at, event: LegEvent::Ringing })));
    let mut last = blank;
    fields::add_end(message, &mut last.fields);
    last.report = Report::Event(EventReport { at: end, event: LegEvent::Ended });
    let life = LegReport { at: Some(end), created: begin, answered, ..LegReport::default() };
    let whole = bare(&last, Report::Leg(life));
    let services = services(message).map(|service| {
        let (name, outcome) = (Text::default(), Text::default());
        let event = LegEvent::Service { service, name, outcome };
        bare(&last, Report::Event(EventReport { at: answered.unwrap_or(end), event }))
    });
    let services: Vec<LegRecord> = services.filter(|_| answered.is_some()).collect();
    let kept = rang.into_iter().chain(exact);
    [last, whole].into_iter().chain(services).chain(kept).collect()
}

/// A conference or a fax takes a leg without a leg of its own; Kazoo says that it was so, not since when.
fn services(message: &Message<'_>) -> impl Iterator<Item = Service> {
    let is_fax = matches!(message.node("faxinfo"), Some(Node::Object(info)) if !info.is_empty())
        || message.text("faxsuccess").is_some();
    let services = [(Service::Conference, message.is_true("isconference")), (Service::Fax, is_fax)];
    services.into_iter().filter(|(_, is_executed)| *is_executed).map(|(service, _)| service)
}

fn leg(message: &Message<'_>) -> Result<LegId, Reason> {
    let Some(id) = message.text("callid") else {
        let remedy = "; a message of a call has the id of its leg";
        return Err(Reason::Missing { path: "Call-ID".to_owned(), remedy });
    };
    key(message, id, fields::direction(message)).ok_or_else(|| Reason::Invalid {
        path: "Call-ID".to_owned(),
        rule: "1 to 256 bytes are allowed",
        got: format!("{} bytes", id.len()),
    })
}

/// The leg that this one is bridged with.
fn other(message: &Message<'_>) -> Option<LegId> {
    let ends = ["bridgeauniqueid", "bridgebuniqueid"].iter().filter_map(|key| message.text(key));
    let far_end = || ends.into_iter().find(|id| Some(*id) != message.text("callid"));
    let id = message.first(&["otherlegcallid", "otherleguniqueid"]).or_else(far_end)?;
    key(message, id, fields::other_direction(message))
}

/// Legs that Kazoo places have UUIDs, and are sent to another node of the cluster under the same id. So a leg that
/// comes in with such an id has the node in its key, where the message says it.
fn key(message: &Message<'_>, id: &str, direction: Option<LegDirection>) -> Option<LegId> {
    let node = message.first(&["switchnodename", "switchhostname", "mediaserver"]);
    match node {
        Some(node) if direction == Some(LegDirection::In) && is_uuid(id) => {
            let host = node.split_once('@').map_or(node, |(_, host)| host);
            LegId::new(&format!("{host}/{id}")).or_else(|_| LegId::new(id)).ok()
        }
        _ => LegId::new(id).ok(),
    }
}

fn is_uuid(id: &str) -> bool {
    let is_right = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    id.len() == 36 && id.bytes().enumerate().all(is_right)
}

/// What ties the leg to others. Ids of transfers name the transfer, and tie nothing.
fn links(message: &Message<'_>, leg: &LegId) -> Vec<Text> {
    let mut links: Vec<Text> = Vec::new();
    let mut add = |id: &str| {
        let is_new = id != leg.as_str() && !links.iter().any(|link| &**link == id);
        if is_new && LegId::new(id).is_ok() {
            links.push(id.into());
        }
    };
    for id in LINKS.iter().filter_map(|key| message.of_leg(key)) {
        add(id);
    }
    let inside = message.inside("callinteraction", "id");
    let plain = message.text("callid");
    let loopback = message.first(&LOOPBACK);
    for id in inside.into_iter().chain(plain).chain(loopback) {
        add(id);
    }
    if let Some(other) = other(message) {
        add(other.as_str());
    }
    for placed in texts(message.node("originatedlegs")) {
        add(placed.split(';').next().unwrap_or_default().trim());
    }
    links
}

/// As many as are kept of one message: a call flow that writes more keeps its state there.
const TAGS: usize = 64;

fn tags(message: &Message<'_>) -> BTreeMap<Text, Text> {
    let named = message.tags().filter(|(name, _)| !name.is_empty());
    named.take(TAGS).map(|(name, value)| (name.into(), value.into())).collect()
}

/// Ids of recordings: base names without extension.
fn recordings(message: &Message<'_>) -> Vec<Text> {
    let mut files = texts(message.node_of_leg("mediarecordings"));
    if files.is_empty() {
        files.extend(message.of_leg("recordingurl"));
    }
    let mut recordings: Vec<Text> = Vec::new();
    for file in files {
        let path = file.split(['?', '#']).next().unwrap_or_default();
        let base = path.rsplit('/').next().unwrap_or_default();
        let id = base.rsplit_once('.').map_or(base, |(id, _)| id);
        if !id.is_empty() && !recordings.iter().any(|known| &**known == id) {
            recordings.push(id.into());
        }
    }
    recordings
}

/// The texts of a list, or of what FreeSWITCH writes as one text: `ARRAY::a|:b`.
fn texts<'a>(node: Option<&'a Node<'a>>) -> Vec<&'a str> {
    let items = node.map(Node::items).unwrap_or_default().iter().filter_map(Node::text);
    items.flat_map(|text| text.strip_prefix("ARRAY::").unwrap_or(text).split("|:")).collect()
}

fn slot(message: &Message<'_>) -> Text {
    message.first(&["parkingslot", "slotnumber"]).unwrap_or_default().into()
}
