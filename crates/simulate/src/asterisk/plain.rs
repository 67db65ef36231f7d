//! Takes out of a script what Asterisk's tables do not tell, so that the record to expect says no more than they do.

use ringpost_model::{CallDirection, LegId, NumberName, Service, Side, Text};

use super::Table;
use crate::script::{LegNo, Micros, Script, ScriptLeg};

/// Leaves what the tables tell.
pub(super) fn reduce(script: &mut Script, table: Table) {
    let queues = queues(script);
    let first = script.legs[0].id.clone();
    // What a carrier says before it refuses is heard, but is no bridge of this switch.
    let refused = |leg: &ScriptLeg| !leg.is_in() && leg.answered.is_none() && leg.fields.sip.is_some();
    let refused: Vec<bool> = script.legs.iter().map(refused).collect();
    script.bridges.retain(|bridge| !refused[bridge.first.0] && !refused[bridge.second.0]);
    let met: Vec<bool> = (0..script.legs.len())
        .map(|place| script.bridges.iter().any(|bridge| bridge.first.0 == place || bridge.second.0 == place))
        .collect();
    for (place, leg) in script.legs.iter_mut().enumerate() {
        reduce_leg(leg, &queues, table);
        if table == Table::Cdr {
            reduce_to_paths(leg, met[place]);
        }
        if table == Table::Cdr {
            leg.id = LegId::new(&format!("{first}/{}", channel(leg, place))).expect("a short id");
        }
    }
    for index in 0..script.sessions.len() {
        let x = &script.legs[script.sessions[index].customer.0].fields;
        let dialled = NumberName { number: x.dialled.clone(), name: Text::default() };
        let is_internal = |no: &LegNo| script.legs[no.0].is_internal();
        let rang: Vec<_> =
            script.sessions[index].rang.iter().copied().filter(|(_, no)| is_internal(no)).collect();
        let session = &mut script.sessions[index];
        session.rang = rang;
        if table == Table::Cdr && session.direction == CallDirection::Outgoing {
            session.cli.name = Text::default();
        }
        session.ddi = match session.direction {
            CallDirection::Incoming | CallDirection::Both => dialled,
            _ => NumberName::default(),
        };
    }
}

/// When calls waited in which queue.
fn queues(script: &Script) -> Vec<(Micros, Micros, Text)> {
    let stays = script.legs.iter().flat_map(|leg| &leg.services);
    let queues = stays.filter(|(service, _)| *service == Service::Queue);
    queues.map(|(_, stay)| (stay.from, stay.to.unwrap_or(Micros::MAX), stay.name.clone())).collect()
}

fn reduce_leg(leg: &mut ScriptLeg, queues: &[(Micros, Micros, Text)], table: Table) {
    let created = leg.created;
    let queue = queues.iter().find(|(from, to, _)| (*from..*to).contains(&created));
    let fields = &mut leg.fields;
    if !fields.dialled.is_empty() && fields.side == Some(Side::External) && !is_in(fields) {
        fields.party.number = fields.dialled.clone();
    }
    let device = NumberName { number: fields.party.number.clone(), name: fields.device.number.clone() };
    fields.device = if fields.side == Some(Side::Internal) { device } else { NumberName::default() };
    fields.group = queue.map(|(.., name)| name.clone()).filter(|_| !is_in(fields)).unwrap_or_default();
    (fields.user, fields.agent) = (NumberName::default(), NumberName::default());
    (fields.route, fields.tz, fields.ddi) = (None, None, NumberName::default());
    fields.cause = cause(&fields.cause).1.into();
    leg.first_party = None;
    leg.tags = match table {
        Table::Cel => Vec::new(),
        Table::Cdr => vec![("source".into(), "asterisk-cdr".into())],
    };
}

/// A row knows what became of a path, not why; nothing of groups and recordings, and no name of who is called.
fn reduce_to_paths(leg: &mut ScriptLeg, met: bool) {
    let answered = met || !leg.services.is_empty();
    let busy = &*leg.fields.cause == "USER_BUSY";
    let cause = if answered {
        "NORMAL_CLEARING"
    } else if busy {
        "USER_BUSY"
    } else {
        "NO_ANSWER"
    };
    leg.fields.cause = cause.into();
    leg.fields.group = Text::default();
    leg.fields.device.name.clone_from(&leg.fields.device.number);
    leg.recordings.clear();
}

fn is_in(fields: &ringpost_model::Fields) -> bool {
    fields.direction == Some(ringpost_model::LegDirection::In)
}

/// Name of the channel of a leg.
pub(super) fn channel(leg: &ScriptLeg, place: usize) -> String {
    let endpoint = if leg.is_internal() { &leg.fields.device.name } else { "trunk-1" };
    format!("PJSIP/{endpoint}-{place:08x}")
}

/// The Q.850 cause that comes nearest, and its name.
pub(super) fn cause(name: &str) -> (u16, &'static str) {
    match name {
        "" => (0, ""),
        "USER_BUSY" => (17, "USER_BUSY"),
        "NO_ANSWER" => (19, "NO_ANSWER"),
        "CALL_REJECTED" => (21, "CALL_REJECTED"),
        "LOSE_RACE" | "PICKED_OFF" | "NON_SELECTED_USER_CLEARING" => (26, "NON_SELECTED_USER_CLEARING"),
        "UNALLOCATED_NUMBER" => (1, "UNALLOCATED_NUMBER"),
        "NORMAL_UNSPECIFIED" => (31, "NORMAL_UNSPECIFIED"),
        "NORMAL_TEMPORARY_FAILURE" => (41, "NORMAL_TEMPORARY_FAILURE"),
        _ => (16, "NORMAL_CLEARING"),
    }
}
