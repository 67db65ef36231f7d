//! The record to expect, from the script alone.

use std::collections::BTreeMap;

use ringpost_model::{CallDirection, Cdr, Faces, LegId, NumberName, PbxKey, SessionId, TenantKey, Timestamp};

use super::track::whole;
use super::{LegNo, Micros, Script, ScriptLeg, Session};

/// Limits of the flags where nothing is configured (sessions.md 4.1).
const SHORT_RING: u32 = 5;
const SHORT_TALK: u32 = 10;

/// The expected record of one session of the script.
pub(crate) fn record(script: &Script, index: usize) -> Cdr {
    let session = &script.sessions[index];
    let mut cdr = Cdr::empty(session_id(script, session));
    cdr.pbx_id = script.pbx.key.into();
    times(&mut cdr, session);
    flags(&mut cdr, session);
    cdr.cause = cause(script, session);
    cdr.cli.number = session.cli.number.clone();
    cdr.cli.name = session.cli.name.clone();
    cdr.ddi = session.ddi.clone();
    faces(&mut cdr, script, session);
    from_all_legs(&mut cdr, script, index);
    cdr.partial = session.partial;
    cdr
}

fn session_id(script: &Script, session: &Session) -> SessionId {
    let tenant = TenantKey::new(script.pbx.tenant).expect("the companies have valid keys");
    let pbx = PbxKey::new(script.pbx.key).expect("the platforms have valid keys");
    SessionId::of_root(&tenant, &pbx, &script.leg(session.root).id)
}

fn second(at: Micros) -> Timestamp {
    Timestamp::from_micros(at).whole_second()
}

fn count(seconds: i64) -> u32 {
    u32::try_from(seconds).expect("a script runs forward and for less than a century")
}

fn times(cdr: &mut Cdr, session: &Session) {
    let begin = session.track.begin();
    cdr.start = second(begin);
    cdr.answer = session.answer.map(second);
    cdr.end = second(session.end);
    cdr.dur = count(whole(session.end) - whole(begin));
    let seconds = session.track.seconds();
    (cdr.ring, cdr.talk) = (count(seconds.ring), count(seconds.talk));
    (cdr.hold, cdr.park) = (count(seconds.hold), count(seconds.park));
}

fn flags(cdr: &mut Cdr, session: &Session) {
    cdr.direction = session.direction;
    cdr.call_type = session.call_type;
    cdr.t2t = session.t2t;
    cdr.ans = session.answer.is_some();
    cdr.lost = session.direction == CallDirection::Incoming && !cdr.ans && !session.machine;
    cdr.lost_in_park = session.track.left_in_park(session.customer_end);
    let hardly_there = cdr.ring > 0 || cdr.dur < SHORT_RING;
    cdr.aban = cdr.lost && cdr.ring < SHORT_RING && hardly_there;
    cdr.short = cdr.ans && cdr.talk < SHORT_TALK;
}

fn cause(script: &Script, session: &Session) -> ringpost_model::Text {
    let own = &script.leg(session.customer).fields.cause;
    if own.is_empty() { script.leg(session.root).fields.cause.clone() } else { own.clone() }
}

/// Which legs the twenty-seven keys of who rang and who answered come from.
fn faces(cdr: &mut Cdr, script: &Script, session: &Session) {
    let id = |no: LegNo| &script.leg(no).id;
    let outgoing = session.direction == CallDirection::Outgoing;
    let own_begins = session.own.iter().map(|no| (script.leg(*no).created, *no));
    let rang: Vec<_> = if outgoing { own_begins.collect() } else { session.rang.clone() };
    let first_rang = rang.iter().min_by_key(|(at, no)| (*at, id(*no)));
    let last_rang = rang.iter().max_by_key(|(at, no)| (*at, id(*no)));
    let answered = session.talked.iter().min_by_key(|(at, no)| (*at, id(*no)));
    let last_answered = session.talked.iter().min_by_key(|(at, no)| (-*at, id(*no)));
    let places = [first_rang, last_rang, answered, last_answered];
    let legs = places.map(|place| place.map(|(_, no)| script.leg(*no)));
    cdr.devices = kind(legs, |leg| &leg.fields.device);
    cdr.users = kind(legs, |leg| &leg.fields.user);
    cdr.agents = kind(legs, |leg| &leg.fields.agent);
    let group = |leg: Option<&ScriptLeg>| leg.map(|leg| leg.fields.group.clone()).unwrap_or_default();
    (cdr.first_group, cdr.last_group, cdr.answer_group) = (group(legs[0]), group(legs[1]), group(legs[2]));
}

fn kind(legs: [Option<&ScriptLeg>; 4], field: impl Fn(&ScriptLeg) -> &NumberName) -> Faces {
    let of = |leg: Option<&ScriptLeg>| leg.map(|leg| field(leg).clone()).unwrap_or_default();
    Faces {
        first_rang: of(legs[0]),
        last_rang: of(legs[1]),
        answered: of(legs[2]),
        last_answered: of(legs[3]),
    }
}

fn from_all_legs(cdr: &mut Cdr, script: &Script, index: usize) {
    let root = script.leg(script.sessions[index].root);
    let mut legs: Vec<&ScriptLeg> = script.legs.iter().filter(|leg| leg.session == Some(index)).collect();
    legs.sort_by_key(|leg| -> (Micros, &LegId) { (leg.created, &leg.id) });
    let zones = || legs.iter().find_map(|leg| leg.fields.tz);
    cdr.tz = root.fields.tz.or_else(zones).unwrap_or(chrono_tz::Tz::UTC);
    let routes = || legs.iter().find_map(|leg| leg.fields.route.as_ref());
    if let Some(route) = root.fields.route.as_ref().or_else(routes) {
        (cdr.route_id, cdr.route_name) = (route.id.clone(), route.name.clone());
    }
    let mut tags = BTreeMap::new();
    for leg in legs {
        tags.extend(leg.tags.iter().cloned());
        let mut own = leg.recordings.clone();
        own.sort();
        for id in own {
            if !cdr.recording_ids.contains(&id) {
                cdr.recording_ids.push(id);
            }
        }
    }
    cdr.tags = tags;
}
