//! Applications that the leg executed: services, parks, recordings. Only what ran: the dialplan lists more.

use ringpost_model::{Park, Service, ServiceStay, Text, Timestamp};

use super::document::App;
use super::own::{Own, before_at};

/// A retriever's own `valet_park` is bridged at once; a parked call waits longer than this.
const RETRIEVED_MICROS: i64 = 1_000_000;

/// What the leg did without another leg.
#[derive(Debug, Default)]
pub(super) struct Stays {
    pub(super) services: Vec<ServiceStay>,
    pub(super) parks: Vec<Park>,
    pub(super) recordings: Vec<Text>,
}

/// Applications that others run on a leg while one of its own goes on.
pub(super) fn is_injected(app: &App<'_>) -> bool {
    let names =
        ["sched_hangup", "sched_transfer", "sched_broadcast", "record_session", "stop_record_session"];
    names.contains(&app.name)
}

pub(super) fn stays(own: &Own<'_>) -> Stays {
    let mut stays = Stays::default();
    let last = last_app(own);
    let apps = if own.document.apps.is_empty() { last.as_slice() } else { &own.document.apps };
    for (index, app) in apps.iter().enumerate() {
        let begin = app.stamp.or_else(|| own.begin_of(own.document.profiles.len() - 1));
        let following: Vec<_> = apps[index + 1..].iter().filter(|app| !is_injected(app)).collect();
        let end = following.iter().find_map(|app| app.stamp);
        let Some(from) = begin else { continue };
        let to = end.or(own.ended).filter(|&to| to >= from);
        if let Some((service, name)) = service_named(app) {
            stays.services.push(service_stay(own, service, name, from, to));
        }
        match app.name {
            "valet_park" if !is_retrieval(own, from) => {
                stays.parks.push(Park { from, to: end, slot: slot(own, app) })
            }
            // With an application behind it, it only waited for somebody to transfer it.
            "park" if following.is_empty() => {
                stays.parks.push(Park { from, to: None, slot: Text::default() })
            }
            "record_session" | "record" => stays.recordings.extend(recording(app)),
            _ => {}
        }
    }
    stays.recordings.dedup();
    stays
}

/// Where the log of applications is missing, the variables still know the last one.
fn last_app<'a>(own: &Own<'a>) -> Option<App<'a>> {
    let variables = &own.document.variables;
    let name = variables.first(&["last_app", "current_application"])?;
    let data = variables.first(&["last_arg", "current_application_data"]).unwrap_or_default();
    Some(App { name, data, stamp: own.answered.or(own.created) })
}

/// The service that an application is, and the name of the room, queue or menu.
pub(super) fn service_named<'a>(app: &App<'a>) -> Option<(Service, &'a str)> {
    let first = app.data.split_whitespace().next().unwrap_or_default();
    let last = app.data.split_whitespace().next_back().unwrap_or_default();
    match app.name {
        "ivr" => Some((Service::Ivr, first)),
        "voicemail" => Some((Service::Voicemail, before_at(last))),
        "conference" => {
            Some((Service::Conference, before_at(first).split(['+', '-']).next().unwrap_or_default()))
        }
        "callcenter" => Some((Service::Queue, before_at(first))),
        // "fifo sales out" is an agent's leg that takes calls from the queue.
        "fifo" if app.data.split_whitespace().nth(1) != Some("out") => {
            Some((Service::Queue, before_at(first)))
        }
        "rxfax" | "txfax" => Some((Service::Fax, "")),
        _ => None,
    }
}

fn service_stay(
    own: &Own<'_>,
    service: Service,
    name: &str,
    from: Timestamp,
    to: Option<Timestamp>,
) -> ServiceStay {
    let (mut to, mut outcome) = (to, "");
    if service == Service::Queue {
        let variables = &own.document.variables;
        let met = own.meetings.iter().map(|meeting| meeting.from).find(|&met| met >= from);
        outcome = match (variables.get("cc_cause"), variables.get("cc_cancel_reason")) {
            (Some("answered"), _) => "answered",
            (_, Some("TIMEOUT" | "NO_AGENT_TIMEOUT")) => "timeout",
            (_, Some("BREAK_OUT")) => "abandoned",
            (None, _) if met.is_some() => "answered",
            _ => "",
        };
        let canceled = variables.seconds("cc_queue_canceled").ok().flatten().filter(|&time| time >= from);
        to = met.or(canceled).into_iter().chain(to).min();
    }
    ServiceStay { service, from, to, name: name.into(), outcome: outcome.into() }
}

fn is_retrieval(own: &Own<'_>, from: Timestamp) -> bool {
    let soon = from..from.plus_micros(RETRIEVED_MICROS);
    own.meetings.iter().any(|meeting| soon.contains(&meeting.from))
}

/// `lot 8001`, or `lot auto in 8001 8099` with the slot in a variable.
fn slot(own: &Own<'_>, app: &App<'_>) -> Text {
    let said = app.data.split_whitespace().nth(1).unwrap_or_default();
    let is_chosen = matches!(said, "auto" | "ask" | "");
    let chosen = own.document.variables.get("valet_lot_extension").filter(|_| is_chosen);
    chosen.unwrap_or(if is_chosen { "" } else { said }).into()
}

/// The id of the recording that an application makes.
fn recording(app: &App<'_>) -> Option<Text> {
    let data = app.data.trim();
    let path = match app.name {
        "record" => data.split_whitespace().next()?,
        // A time limit may follow: `path +60`.
        _ => data.rsplit_once(" +").map_or(data, |(path, _)| path),
    };
    recording_of(path)
}

/// The base name of the file, without extension.
pub(super) fn recording_of(path: &str) -> Option<Text> {
    let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = file.rsplit_once('.').map_or(file, |(name, _)| name);
    (!name.is_empty()).then(|| name.into())
}
