//! Dialect `freeswitch-event`: FreeSWITCH's events, as JSON (`mod_event_kafka`, event socket) or as the event socket's
//! plain text. What an event says of its leg is read as of a document with one caller profile.

pub(super) mod headers;

use ringpost_model::{
    EventReport, Fields, LegEvent, LegId, LegRecord, NumberName, Park, PbxKey, Report, Service, Side,
    TenantKey, Text, Timestamp,
};

use super::document::{App, Document};
use super::own::{Own, non_empty};
use super::{apps, pbx, tenant};
use crate::decoded::{Decoded, Notes, Source};
use crate::node::{self, Node};
use crate::reason::Reason;
use headers::Headers;

/// A leg's time of the bridge and the event that tells of it are one thing.
const SAME_MICROS: i64 = 2_000_000;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Created,
    Ringing,
    Answered,
    Bridged,
    Unbridged,
    Held,
    Resumed,
    Parked,
    Retrieved,
    Begins,
    Ends,
    Recorded,
    /// Fields and links, nothing else.
    Updated,
    /// The leg's end, with all that is known of it.
    Gone,
}

/// Decodes one event and adds what it says.
pub(crate) fn decode(source: &Source<'_>, bytes: &[u8], decoded: &mut Decoded) -> Result<(), Reason> {
    let is_json = matches!(bytes.first(), Some(b'{' | b'['));
    let (records, notes) = if is_json {
        node::read(bytes, |node, invalid_utf8| {
            if !matches!(node, Node::Object(_)) {
                return Err(Reason::NotAnObject("something else"));
            }
            of_event(source, &Headers::of_json(node), invalid_utf8)
        })?
    } else {
        of_event(source, &Headers::of_text(bytes)?, 0)?
    };
    decoded.records.extend(records);
    decoded.notes.add(notes);
    Ok(())
}

fn of_event(
    source: &Source<'_>,
    headers: &Headers<'_>,
    invalid_utf8: u64,
) -> Result<(Vec<LegRecord>, Notes), Reason> {
    let mut notes = Notes { invalid_utf8, ..Notes::default() };
    let Some(kind) = kind(headers)? else {
        notes.passed_over += 1;
        return Ok((Vec::new(), notes));
    };
    let ids = ["Unique-ID", "Caller-Unique-ID", "variable_uuid"];
    if ids.iter().all(|id| headers.get(id).is_none()) {
        return Err(Reason::missing("Unique-ID"));
    }
    let document = Document::of_event(headers);
    let (tenant, pbx) = (tenant(source, &document)?, pbx(source, &document)?);
    let own = Own::read(&document, source.sides, &mut notes)?;
    let records = match kind {
        Kind::Gone => gone(headers, &own, &tenant, &pbx, &mut notes),
        _ => vec![happened(headers, kind, &own, own.record(&tenant, &pbx))?],
    };
    let joined = joined(&own, &records[0]);
    let tells_begin = matches!(kind, Kind::Answered | Kind::Gone);
    let first = |record: &LegRecord| at_first(headers, &own, record).filter(|_| tells_begin);
    let records = records.into_iter().map(|record| (first(&record), record));
    let records = records.flat_map(|(first, record)| first.into_iter().chain([record]));
    let mut records: Vec<LegRecord> = records.collect();
    if headers.profile() > 1 {
        for record in records.iter_mut().filter(|record| record.leg == own.id && !is_first(record, &own)) {
            (record.fields.party, record.fields.device) = Default::default();
            record.fields.dialled = Text::default();
        }
    }
    records.extend(joined);
    Ok((records, notes))
}

fn kind(headers: &Headers<'_>) -> Result<Option<Kind>, Reason> {
    let Some(name) = headers.get("Event-Name") else {
        // What the event socket says before an event: its length and type, or the answer to a command.
        let is_envelope =
            ["Content-Type", "Content-Length", "Reply-Text"].iter().any(|key| headers.get(key).is_some());
        let why = "it has no Event-Name";
        return if is_envelope { Ok(None) } else { Err(Reason::NotOfDialect { switch: "FreeSWITCH", why }) };
    };
    let begins_service = || service(headers).is_some();
    Ok(Some(match name {
        "CHANNEL_CREATE" => Kind::Created,
        "CHANNEL_PROGRESS" | "CHANNEL_PROGRESS_MEDIA" => Kind::Ringing,
        "CHANNEL_ANSWER" => Kind::Answered,
        "CHANNEL_BRIDGE" => Kind::Bridged,
        "CHANNEL_UNBRIDGE" => Kind::Unbridged,
        "CHANNEL_HOLD" => Kind::Held,
        "CHANNEL_UNHOLD" => Kind::Resumed,
        "CHANNEL_PARK" => Kind::Parked,
        "CHANNEL_UNPARK" => Kind::Retrieved,
        "CHANNEL_EXECUTE" if begins_service() => Kind::Begins,
        "CHANNEL_EXECUTE_COMPLETE" if begins_service() => Kind::Ends,
        "RECORD_START" | "RECORD_STOP" => Kind::Recorded,
        "CHANNEL_OUTGOING" | "CHANNEL_ORIGINATE" | "CHANNEL_UUID" | "CALL_UPDATE" => Kind::Updated,
        "CHANNEL_HANGUP_COMPLETE" | "CHANNEL_DESTROY" => Kind::Gone,
        "CUSTOM" if headers.get("Event-Subclass") == Some("valet_parking::info") => {
            match headers.get("Action") {
                Some("hold") => Kind::Parked,
                Some("bridge" | "exit") => Kind::Retrieved,
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    }))
}

/// The service that an application is, and its name.
fn service<'a>(headers: &'a Headers<'_>) -> Option<(Service, &'a str)> {
    let name = headers.get("Application")?;
    let data = headers.get("Application-Data").unwrap_or_default();
    apps::service_named(&App { name, data, stamp: None })
}

/// One thing that happened to the leg; `whole` is what a document at its end would say.
fn happened(headers: &Headers<'_>, kind: Kind, own: &Own<'_>, whole: LegRecord) -> Result<LegRecord, Reason> {
    let times = own.document.last().times;
    let told = headers.at();
    let near = |time: Option<Timestamp>| {
        let is_near =
            |time: &Timestamp| told.is_none_or(|told| (told.micros() - time.micros()).abs() <= SAME_MICROS);
        time.filter(is_near)
    };
    let progress = times.progress.into_iter().chain(times.progress_media).min();
    let (event, at) = match kind {
        Kind::Created => (LegEvent::Created, own.created),
        // A caller's leg does not alert: its progress is that of the legs it placed.
        Kind::Ringing if own.is_out() => (LegEvent::Ringing, near(progress)),
        Kind::Answered => (LegEvent::Answered, near(own.answered)),
        Kind::Bridged => match other(headers, own) {
            Some(with) => (LegEvent::Bridged { with }, near(times.bridged)),
            None => (LegEvent::Updated, None),
        },
        Kind::Unbridged => (LegEvent::Unbridged { with: other(headers, own) }, None),
        Kind::Held => (LegEvent::Held, None),
        Kind::Resumed => (LegEvent::Resumed, None),
        Kind::Parked => {
            let slot = headers.get("Valet-Extension").unwrap_or_default().into();
            (LegEvent::Parked { slot }, None)
        }
        Kind::Retrieved => (LegEvent::Retrieved, None),
        Kind::Begins | Kind::Ends => (of_service(headers, kind), None),
        Kind::Ringing | Kind::Recorded | Kind::Updated | Kind::Gone => (LegEvent::Updated, None),
    };
    let at = at.or(told).ok_or(Reason::NoTime)?;
    let mut links = whole.links;
    links.extend(headers.get("Old-Unique-ID").filter(|id| LegId::new(id).is_ok()).map(Text::from));
    let file = headers.get("Record-File-Path").filter(|_| kind == Kind::Recorded);
    let fields = Fields { cause: Text::default(), sip: None, ..whole.fields };
    let recordings = file.and_then(apps::recording_of).into_iter().collect();
    Ok(LegRecord { links, fields, recordings, report: Report::Event(EventReport { at, event }), ..whole })
}

fn of_service(headers: &Headers<'_>, kind: Kind) -> LegEvent {
    let Some((service, name)) = service(headers) else { return LegEvent::Updated };
    let (name, outcome) = (name.into(), Text::default());
    match kind {
        Kind::Begins => LegEvent::Service { service, name, outcome },
        _ => LegEvent::ServiceEnd { service, name, outcome },
    }
}

/// With whom a bridge is or was.
fn other(headers: &Headers<'_>, own: &Own<'_>) -> Option<LegId> {
    let ends = [headers.get("Bridge-A-Unique-ID"), headers.get("Bridge-B-Unique-ID")];
    let is_of_bridge = ends.contains(&Some(own.id.as_str()));
    let of_bridge = ends.into_iter().flatten().find(|id| is_of_bridge && *id != own.id.as_str());
    let variables = &own.document.variables;
    let named = || headers.get("Other-Leg-Unique-ID").or(variables.first(&["bridge_uuid", "signal_bond"]));
    let id = of_bridge.or_else(named).filter(|id| *id != own.id.as_str())?;
    LegId::new(id).ok()
}

/// The whole leg, and those it placed as far as nothing else tells of them.
fn gone(
    headers: &Headers<'_>,
    own: &Own<'_>,
    tenant: &TenantKey,
    pbx: &PbxKey,
    notes: &mut Notes,
) -> Vec<LegRecord> {
    let mut records = vec![own.record(tenant, pbx)];
    if let Some(Report::Leg(report)) = records.first_mut().map(|record| &mut record.report) {
        // The last application is all that is known: it began with the profile, if it was reached by a transfer.
        let begin = own.begin_of(own.document.profiles.len() - 1);
        let is_valet = own.document.variables.get("last_app") == Some("valet_park");
        let parks = std::mem::take(&mut report.parks).into_iter().filter(|_| is_valet);
        let later = |park: Park| Park { from: begin.map_or(park.from, |begin| begin.max(park.from)), ..park };
        report.parks = parks.map(later).collect();
    }
    records.extend(own.far_legs().map(|far| far.record(own, tenant, pbx)));
    notes.far_legs += records.len() as u64 - 1;
    let (other, created) =
        (headers.get("Other-Leg-Unique-ID"), headers.time("Other-Leg-Channel-Created-Time"));
    for record in records.iter_mut().skip(1).filter(|record| Some(record.leg.as_str()) == other) {
        if let Report::Leg(report) = &mut record.report {
            let is_later = |created: &Timestamp| report.created.is_none_or(|known| known < *created);
            report.created = created.filter(is_later).or(report.created);
        }
    }
    records
}

/// After a transfer the caller profile is another: what was dialled first, and by whom, is then read out of what the
/// leg came with, and counts only where no event told it before.
fn at_first(headers: &Headers<'_>, own: &Own<'_>, of: &LegRecord) -> Option<LegRecord> {
    let created = own.created.filter(|_| headers.profile() > 1 && of.leg == own.id)?;
    let fields = &of.fields;
    let variables = &own.document.variables;
    let names = ["dialed_user", "sip_req_user", "sip_to_user"];
    let names = if own.is_out() { &names[..] } else { &names[1..] };
    let dialled: Text = variables.first(names).or(non_empty(&fields.dialled)).unwrap_or_default().into();
    let party = if own.is_out() {
        NumberName { number: dialled.clone(), name: fields.party.name.clone() }
    } else {
        let number =
            headers.get("Caller-Orig-Caller-ID-Number").map_or(fields.party.number.clone(), Into::into);
        NumberName { number, name: fields.party.name.clone() }
    };
    let fields = Fields { party, dialled, device: fields.device.clone(), ..Fields::default() };
    let report = Report::Event(EventReport { at: created.plus_micros(-1), event: LegEvent::Updated });
    Some(LegRecord { links: Vec::new(), recordings: Vec::new(), fields, report, ..of.clone() })
}

fn is_first(record: &LegRecord, own: &Own<'_>) -> bool {
    let before = own.created.map(|created| created.plus_micros(-1));
    matches!(&record.report, Report::Event(event) if Some(event.at) == before && event.event == LegEvent::Updated)
}

/// The halves of a loopback are joined while both live. Each event says it again, in the same words.
fn joined(own: &Own<'_>, of: &LegRecord) -> Option<LegRecord> {
    let names = ["other_loopback_leg_uuid", "other_loopback_from_uuid"];
    let id = own.document.variables.first(&names).filter(|_| of.fields.side == Some(Side::Service))?;
    let with = LegId::new(id).ok().filter(|with| *with != own.id)?;
    let report = Report::Event(EventReport { at: own.created?, event: LegEvent::Bridged { with } });
    let (links, recordings) = (Vec::new(), Vec::new());
    Some(LegRecord { links, recordings, fields: Fields::default(), report, ..of.clone() })
}
