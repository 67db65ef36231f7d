//! Channel variables as a FreeSWITCH has them at the end of a leg.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::Paper;
use crate::script::track::whole;
use crate::script::{LegNo, Micros, Script, ScriptLeg};

pub(super) fn direction(leg: &ScriptLeg) -> &'static str {
    if leg.is_in() { "inbound" } else { "outbound" }
}

pub(super) fn channel_name(leg: &ScriptLeg) -> String {
    let number = if leg.is_in() { &leg.fields.party.number } else { &leg.fields.dialled };
    if leg.is_internal() {
        format!("sofia/internal/{number}@192.0.2.20:5060")
    } else {
        format!("sofia/external/{number}@198.51.100.7")
    }
}

/// All variables of one leg.
pub(super) fn of(script: &Script, paper: &Paper, encodes: bool) -> Value {
    let leg = script.leg(paper.leg);
    let mut list = basics(leg);
    list.extend(times(leg, paper));
    list.extend(partners(script, paper));
    if !leg.holds.is_empty() {
        list.push(("hold_events", holds(leg)));
    }
    list.extend(paper.variables.iter().map(|(name, value)| (*name, value.clone())));
    if let Some(app) = paper.apps.last() {
        list.push(("last_app", app.name.to_owned()));
        list.push(("last_arg", app.data.clone()));
    }
    let value = |value: String| if encodes { encode(&value, false) } else { value };
    let map: Map<String, Value> =
        list.into_iter().map(|(name, text)| (name.to_owned(), value(text).into())).collect();
    Value::Object(map)
}

fn basics(leg: &ScriptLeg) -> Vec<(&'static str, String)> {
    let mut list = vec![
        ("direction", direction(leg).to_owned()),
        ("uuid", leg.id.to_string()),
        ("call_uuid", leg.id.to_string()),
        ("channel_name", channel_name(leg)),
        ("sofia_profile_name", if leg.is_internal() { "internal" } else { "external" }.to_owned()),
        ("sip_from_user", leg.fields.party.number.to_string()),
        ("sip_req_user", leg.fields.dialled.to_string()),
        ("sip_to_user", leg.fields.dialled.to_string()),
        ("sip_network_ip", "192.0.2.10".to_owned()),
        ("read_codec", "PCMA".to_owned()),
        ("write_rate", "8000".to_owned()),
        ("hangup_cause", leg.fields.cause.to_string()),
        ("hangup_cause_q850", "16".to_owned()),
        ("switch_r_sdp", "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\n".to_owned()),
    ];
    if leg.is_internal() && leg.is_in() {
        list.push(("sip_authorized", "true".to_owned()));
        list.push(("user_name", leg.fields.device.number.to_string()));
        list.push(("domain_name", "pbx.example.org".to_owned()));
    }
    if leg.is_internal() && !leg.is_in() {
        list.push(("dialed_user", leg.fields.device.number.to_string()));
        list.push(("dialed_domain", "pbx.example.org".to_owned()));
        list.push(("callee_id_name", "Outbound Call".to_owned()));
    }
    if !leg.is_internal() && !leg.is_in() {
        list.push(("sip_gateway_name", "carrier".to_owned()));
    }
    list
}

/// Epochs are cut to seconds; stamps are local time without a zone.
fn times(leg: &ScriptLeg, paper: &Paper) -> Vec<(&'static str, String)> {
    let mut list = Vec::new();
    let ended = leg.ended.unwrap_or(leg.created);
    let progress = paper.profiles.last().and_then(|profile| profile.progress);
    let named: [(_, Option<Micros>); 5] = [
        (["start_stamp", "start_epoch", "start_uepoch"], Some(leg.created)),
        (["answer_stamp", "answer_epoch", "answer_uepoch"], leg.answered),
        (["bridge_stamp", "bridge_epoch", "bridge_uepoch"], paper.bridged),
        (["progress_stamp", "progress_epoch", "progress_uepoch"], progress),
        (["end_stamp", "end_epoch", "end_uepoch"], Some(ended)),
    ];
    for ([stamp, epoch, exact], time) in named {
        if let Some(at) = time {
            let local = DateTime::<Utc>::from_timestamp_micros(at + 3_600_000_000).unwrap_or_default();
            list.push((stamp, local.format("%Y-%m-%d %H:%M:%S").to_string()));
        }
        list.push((epoch, whole(time.unwrap_or_default()).to_string()));
        list.push((exact, time.unwrap_or_default().to_string()));
    }
    let billed = leg.answered.map_or(0, |answered| whole(ended) - whole(answered));
    list.push(("duration", (whole(ended) - whole(leg.created)).to_string()));
    list.push(("billsec", billed.to_string()));
    list
}

fn partners(script: &Script, paper: &Paper) -> Vec<(&'static str, String)> {
    let id = |no: LegNo| script.leg(no).id.to_string();
    let mut list = Vec::new();
    if let Some(last) = paper.last_bridge {
        for name in ["bridge_uuid", "last_bridge_to", "signal_bond"] {
            list.push((name, id(last)));
        }
        list.push(("bridge_channel", channel_name(script.leg(last))));
        let role = if paper.originator.is_some() { "originatee" } else { "originator" };
        list.push(("last_bridge_role", role.to_owned()));
        let cause = script.leg(last).fields.cause.to_string();
        list.push(("bridge_hangup_cause", cause.clone()));
        list.push(("last_bridge_hangup_cause", cause));
    }
    if !paper.placed.is_empty() {
        let number = |no: LegNo| script.leg(no).fields.dialled.clone();
        let legs = paper.placed.iter().map(|(no, _)| format!("{};Outbound Call;{}", id(*no), number(*no)));
        list.push(("originated_legs", array(legs.collect())));
        let causes = paper.placed.iter().map(|(no, cause)| format!("{};{cause}", id(*no)));
        list.push(("originate_causes", array(causes.collect())));
    }
    list
}

fn array(items: Vec<String>) -> String {
    if items.len() == 1 { items.concat() } else { format!("ARRAY::{}", items.join("|:")) }
}

/// `{{on,off},{on,off}}`, the newest first.
fn holds(leg: &ScriptLeg) -> String {
    let ended = leg.ended.unwrap_or_default();
    let pair = |(from, to): &(Micros, Option<Micros>)| {
        // What is still on at hang-up is closed by the switch some milliseconds after it.
        format!("{{{from},{}}}", to.unwrap_or(ended + 8_400))
    };
    let pairs: Vec<String> = leg.holds.iter().rev().map(pair).collect();
    format!("{{{}}}", pairs.join(","))
}

/// Url-encoding: of a form everything that is not a letter or digit, of a value what the switch holds unsafe.
pub(super) fn encode(text: &str, form: bool) -> String {
    const UNSAFE: &[u8] = b"\r\n #%&+:;<=>?@[\\]^`{|}\"";
    let mut encoded = String::with_capacity(text.len() * 5 / 4);
    for byte in text.bytes() {
        let bare = if form {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
        } else {
            byte.is_ascii_graphic() && !UNSAFE.contains(&byte)
        };
        if bare {
            encoded.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
            encoded.extend(['%', char::from(high), char::from(low)]);
        }
    }
    encoded
}
