//! Calls of a Kazoo, told by the events of its message bus.
//!
//! The scenarios are those of all platforms, but for what Kazoo does not tell (`bare`): alerts, machines, users,
//! groups, prefixes, zones.

use ringpost_model::Service;
use serde_json::{Map, Value, json};

use crate::bare;
use crate::dice::Dice;
use crate::messages::{Call, Post};
use crate::scenario;
use crate::script::{LegNo, Micros, S, Script, ScriptLeg, truth};

/// Seconds from year 0 to 1970.
const GREGORIAN: i64 = 62_167_219_200;

/// Makes up one call and writes its messages.
pub(crate) fn call(dice: &mut Dice, begin: Micros, tag: &str) -> Call {
    let mut script = scenario::of_messages(dice, begin, tag, false);
    bare::reduce(&mut script, true);
    script.legs.iter_mut().for_each(|leg| leg.services.retain(|(service, _)| *service == Service::Fax));
    debug_assert!(truth::record(&script, 0).dur < 86_400);
    let mut writer = Writer { script: &script, post: Post::new(dice) };
    for place in 0..script.legs.len() {
        writer.leg(LegNo(place));
    }
    let mut messages = writer.post.sent();
    messages.sort();
    Call { script, messages }
}

struct Writer<'a> {
    script: &'a Script,
    post: Post<'a>,
}

impl Writer<'_> {
    /// From the first message of a leg to its last.
    fn leg(&mut self, no: LegNo) {
        let leg = self.script.leg(no);
        self.event(no, leg.created, "CHANNEL_CREATE", &[]);
        if let Some(at) = leg.answered {
            self.event(no, at, "CHANNEL_ANSWER", &[]);
        }
        for (at, _) in &leg.later_links {
            self.event(no, *at, "CHANNEL_DATA", &[]);
        }
        for (from, to) in &leg.holds {
            self.event(no, *from, "CHANNEL_HOLD", &[]);
            if let Some(to) = to {
                self.event(no, *to, "CHANNEL_UNHOLD", &[]);
            }
        }
        for park in &leg.parks {
            self.parking(no, park.from, "PARK_PARKED", &park.name);
            if let Some(to) = park.to {
                self.parking(no, to, "PARK_RETRIEVED", &park.name);
            }
        }
        self.bridges(no);
        if let Some(at) = leg.ended {
            let end = end(leg, at);
            self.event(no, at, "CHANNEL_DESTROY", &end);
        }
    }

    fn bridges(&mut self, no: LegNo) {
        for (bridge, other) in self.script.bridges_told_by(no) {
            let other = self.script.leg(other);
            let direction = if other.is_in() { "inbound" } else { "outbound" };
            let with = [
                ("Other-Leg-Call-ID", Value::from(other.id.as_str())),
                ("Other-Leg-Direction", direction.into()),
            ];
            self.event(no, bridge.from, "CHANNEL_BRIDGE", &with);
            if let Some(to) = bridge.to {
                self.event(no, to, "CHANNEL_UNBRIDGE", &with);
            }
        }
    }

    fn event(&mut self, no: LegNo, at: Micros, name: &str, more: &[(&str, Value)]) {
        let mut message = head(self.script, no, at, name);
        message.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.write(at, message);
    }

    /// The application that parks stamps nothing; who reads the bus does.
    fn parking(&mut self, no: LegNo, at: Micros, name: &str, slot: &str) {
        let leg = self.script.leg(no);
        let message = json!({
            "Event-Category": "call_event",
            "Event-Name": name,
            "App-Name": "park",
            "Msg-ID": "b1946ac92492d234",
            "Timestamp": at,
            "Call-ID": leg.id.as_str(),
            "Custom-Channel-Vars": variables(self.script, no, at),
            "Parking-Slot": slot,
        });
        if let Value::Object(message) = message {
            self.write(at, message);
        }
    }

    fn write(&mut self, at: Micros, message: Map<String, Value>) {
        let message = Value::Object(message);
        let body = match self.script.pbx.key {
            "us-west" | "pune" => spelled(&message),
            _ => message,
        };
        self.post.send(at, body.to_string().into_bytes());
    }
}

/// What every event of a leg says.
fn head(script: &Script, no: LegNo, at: Micros, name: &str) -> Map<String, Value> {
    let leg = script.leg(no);
    let party = if name == "CHANNEL_CREATE" { leg.party_at_begin() } else { &leg.fields.party };
    let direction = if leg.is_in() { "inbound" } else { "outbound" };
    let mut message = Map::new();
    let mut put = |key: &str, value: Value| {
        let is_nothing = value.as_str().is_some_and(str::is_empty);
        if !is_nothing {
            message.insert(key.to_owned(), value);
        }
    };
    put("Event-Category", "call_event".into());
    put("Event-Name", name.into());
    put("App-Name", "ecallmgr".into());
    put("App-Version", "4.3.142".into());
    put("Node", "kazoo_apps@kz1.example.com".into());
    put("Msg-ID", at.to_string().into());
    put("Timestamp", (GREGORIAN + (at + S - 1).div_euclid(S)).into());
    put("Call-ID", leg.id.as_str().into());
    put("Call-Direction", direction.into());
    put("Channel-Created-Time", leg.created.into());
    put("Switch-Hostname", "fs1.example.com".into());
    put("Channel-Is-Loopback", is_loopback(leg).into());
    let number = address(&leg.fields.dialled);
    if leg.is_in() {
        put("Caller-ID-Number", party.number.to_string().into());
        put("Caller-ID-Name", party.name.to_string().into());
        put("Request", number.clone().into());
    } else {
        put("Caller-ID-Number", leg.fields.presented.to_string().into());
        put("Callee-ID-Number", party.number.to_string().into());
        put("Callee-ID-Name", party.name.to_string().into());
        let request = if leg.is_internal() { "user_x@example.com".to_owned() } else { number.clone() };
        put("Request", request.into());
    }
    put("To", number.into());
    put("Custom-Channel-Vars", variables(script, no, at));
    message
}

fn address(number: &str) -> String {
    if number.is_empty() { String::new() } else { format!("{number}@example.com") }
}

fn is_loopback(leg: &ScriptLeg) -> bool {
    !leg.is_internal() && leg.fields.side == Some(ringpost_model::Side::Service)
}

/// A caller's leg has no interaction id yet when it is created; some have another one later.
fn variables(script: &Script, no: LegNo, at: Micros) -> Value {
    let leg = script.leg(no);
    let mut variables = Map::new();
    let later = leg.later_links.iter().rev().find(|(since, _)| *since <= at).map(|(_, link)| link);
    for link in later.into_iter().chain(leg.links.iter().filter(|_| later.is_none())) {
        let key = if link.starts_with("i-") { "Call-Interaction-ID" } else { "Bridge-ID" };
        if at > leg.created || no.0 > 0 {
            variables.insert(key.to_owned(), link.to_string().into());
        }
    }
    match leg.fields.side {
        Some(ringpost_model::Side::Internal) => variables.insert("Authorizing-Type".into(), "device".into()),
        Some(ringpost_model::Side::External) => {
            let kind = if leg.is_in() { "offnet-origination" } else { "offnet-termination" };
            variables.insert("Resource-Type".into(), kind.into())
        }
        _ => None,
    };
    Value::Object(variables)
}

/// What only the end tells.
fn end(leg: &ScriptLeg, at: Micros) -> Vec<(&'static str, Value)> {
    let billed = leg.answered.map_or(0, |answered| (at - answered + S - 1).div_euclid(S)).max(0);
    let mut end = vec![
        ("Hangup-Cause", Value::from(&*leg.fields.cause)),
        ("Duration-Seconds", (at.div_euclid(S) - leg.created.div_euclid(S)).into()),
        ("Billing-Seconds", billed.into()),
        ("Ringing-Seconds", 0.into()),
        ("Media-Recordings", leg.recordings.iter().map(|id| format!("{id}.mp3")).collect::<Vec<_>>().into()),
    ];
    end.extend(leg.fields.sip.map(|code| ("Hangup-Code", format!("sip:{code}").into())));
    if leg.services.iter().any(|(service, _)| *service == Service::Fax) {
        end.push(("Fax-Info", json!({ "Fax-Success": true })));
    }
    end
}

/// As stored and as webhooks send it: `call_id`, and numbers as text.
fn spelled(value: &Value) -> Value {
    match value {
        Value::Object(entries) => {
            let snake = |key: &str| key.to_lowercase().replace('-', "_");
            Value::Object(entries.iter().map(|(key, value)| (snake(key), spelled(value))).collect())
        }
        Value::Number(number) => number.to_string().into(),
        other => other.clone(),
    }
}
