//! Calls of a FreeSWITCH, told by its events: JSON as `mod_event_kafka` writes it, or text of the event socket.
//!
//! The scenarios are those of all platforms, but for what events do not tell (`bare`): users, agents, groups, prefixes,
//! zones, rooms with a leg of their own.

use ringpost_model::{Service, Side};
use serde_json::{Map, Value};

use crate::bare;
use crate::dice::Dice;
use crate::messages::{Call, Post};
use crate::scenario;
use crate::script::{LegNo, Micros, Script, ScriptLeg, truth};

/// Makes up one call and writes its events.
pub(crate) fn call(dice: &mut Dice, begin: Micros, tag: &str) -> Call {
    let mut script = scenario::of_messages(dice, begin, tag, true);
    bare::reduce(&mut script, false);
    debug_assert!(truth::record(&script, 0).dur < 86_400);
    let mut writer = Writer { script: &script, post: Post::new(dice) };
    for place in 0..script.legs.len() {
        writer.leg(LegNo(place));
    }
    let mut messages = writer.post.sent();
    // A clock that is behind writes earlier times, but nothing arrives before it happens.
    messages.iter_mut().for_each(|(at, _)| *at = begin.max(*at));
    messages.sort();
    Call { script, messages }
}

struct Writer<'a> {
    script: &'a Script,
    post: Post<'a>,
}

impl Writer<'_> {
    /// From the first event of a leg to its last.
    fn leg(&mut self, no: LegNo) {
        let leg = self.script.leg(no);
        self.event(no, leg.created, "CHANNEL_CREATE", &[]);
        if let Some(at) = leg.ringing {
            self.event(no, at, "CHANNEL_PROGRESS", &[]);
        }
        if let Some(at) = leg.answered {
            self.event(no, at, "CHANNEL_ANSWER", &[]);
        }
        for (at, _) in &leg.later_links {
            self.event(no, *at, "CALL_UPDATE", &[]);
        }
        self.stays(no);
        self.bridges(no);
        for id in &leg.recordings {
            let at = leg.answered.unwrap_or(leg.created);
            self.event(no, at, "RECORD_START", &[("Record-File-Path", format!("/var/rec/{id}.wav"))]);
        }
        if let Some(at) = leg.ended {
            let end = self.end(no, at);
            self.event(no, at, "CHANNEL_HANGUP_COMPLETE", &end);
        }
    }

    fn stays(&mut self, no: LegNo) {
        let leg = self.script.leg(no);
        for (from, to) in &leg.holds {
            self.event(no, *from, "CHANNEL_HOLD", &[]);
            if let Some(to) = to {
                self.event(no, *to, "CHANNEL_UNHOLD", &[]);
            }
        }
        for park in &leg.parks {
            let valet = |action: &str| {
                let texts = [
                    ("Event-Subclass", "valet_parking::info"),
                    ("Action", action),
                    ("Valet-Extension", &park.name),
                ];
                texts.map(|(key, value)| (key, value.to_owned()))
            };
            self.event(no, park.from, "CUSTOM", &valet("hold"));
            if let Some(to) = park.to {
                self.event(no, to, "CUSTOM", &valet("exit"));
            }
        }
        for (service, stay) in &leg.services {
            let application = [
                ("Application", application(*service).to_owned()),
                ("Application-Data", stay.name.to_string()),
            ];
            self.event(no, stay.from, "CHANNEL_EXECUTE", &application);
            if let Some(to) = stay.to {
                self.event(no, to, "CHANNEL_EXECUTE_COMPLETE", &application);
            }
        }
    }

    fn bridges(&mut self, no: LegNo) {
        for (bridge, other) in self.script.bridges_told_by(no) {
            let (own, other) = (self.script.leg(no).id.to_string(), self.script.leg(other).id.to_string());
            let with = [("Bridge-A-Unique-ID", own), ("Bridge-B-Unique-ID", other)];
            self.event(no, bridge.from, "CHANNEL_BRIDGE", &with);
            if let Some(to) = bridge.to {
                self.event(no, to, "CHANNEL_UNBRIDGE", &with);
            }
        }
    }

    fn end(&self, no: LegNo, at: Micros) -> Vec<(&'static str, String)> {
        let leg = self.script.leg(no);
        let mut end = vec![
            ("variable_start_uepoch", leg.created.to_string()),
            ("variable_answer_uepoch", leg.answered.unwrap_or_default().to_string()),
            ("variable_end_uepoch", at.to_string()),
            ("variable_hangup_cause", leg.fields.cause.to_string()),
        ];
        end.extend(
            leg.fields.sip.map(|code| ("variable_proto_specific_hangup_cause", format!("sip:{code}"))),
        );
        end
    }

    fn event(&mut self, no: LegNo, at: Micros, name: &str, more: &[(&str, String)]) {
        let mut headers = headers(self.script, no, at, name);
        headers.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        headers.retain(|(_, value)| !value.is_empty());
        let body = match self.script.pbx.key {
            "us-west" | "pune" => text(&headers),
            _ => {
                let headers = headers.into_iter().map(|(key, value)| (key, Value::from(value)));
                Value::Object(headers.collect::<Map<_, _>>()).to_string().into_bytes()
            }
        };
        self.post.send(at, body);
    }
}

/// What every event of a leg says.
fn headers(script: &Script, no: LegNo, at: Micros, name: &str) -> Vec<(String, String)> {
    let leg = script.leg(no);
    let party = if name == "CHANNEL_CREATE" { leg.party_at_begin() } else { &leg.fields.party };
    let (is_in, side) = (leg.is_in(), leg.fields.side);
    let direction = if is_in { "inbound" } else { "outbound" };
    let dialled = if is_in || !leg.fields.dialled.is_empty() { &leg.fields.dialled } else { &party.number };
    let caller = if is_in { (&*party.number, &*party.name) } else { (&*leg.fields.presented, "") };
    let time = |time: Option<Micros>| time.filter(|time| *time <= at).unwrap_or_default().to_string();
    let mut headers = vec![
        ("Event-Name", name.to_owned()),
        ("Core-UUID", "651a8db2-4f67-4cf8-b622-169e8a482e50".to_owned()),
        ("FreeSWITCH-Switchname", script.pbx.key.to_owned()),
        ("Event-Date-Timestamp", at.to_string()),
        ("Channel-Name", channel(leg)),
        ("Unique-ID", leg.id.to_string()),
        ("Call-Direction", direction.to_owned()),
        ("Caller-Caller-ID-Number", caller.0.to_owned()),
        ("Caller-Caller-ID-Name", caller.1.to_owned()),
        ("Caller-Destination-Number", dialled.to_string()),
        ("Caller-Channel-Name", channel(leg)),
        ("Caller-Context", context(leg).to_owned()),
        ("Caller-Profile-Index", "1".to_owned()),
        ("Caller-Channel-Created-Time", leg.created.to_string()),
        ("Caller-Channel-Progress-Time", time(leg.ringing)),
        ("Caller-Channel-Answered-Time", time(leg.answered)),
        ("variable_uuid", leg.id.to_string()),
        ("variable_direction", direction.to_owned()),
    ];
    if !is_in {
        headers.push(("variable_callee_id_name", party.name.to_string()));
    }
    match (side, is_in) {
        (Some(Side::Internal), true) => headers.push(("variable_user_name", party.number.to_string())),
        (Some(Side::Internal), false) => headers.push(("variable_dialed_user", party.number.to_string())),
        (Some(Side::External), false) => headers.push(("variable_sip_gateway_name", "carrier1".to_owned())),
        _ => {}
    }
    let later = leg.later_links.iter().rev().find(|(since, _)| *since <= at).map(|(_, link)| link);
    for link in later.into_iter().chain(leg.links.iter().filter(|_| later.is_none())) {
        let key = if link.starts_with("i-") { "variable_call_uuid" } else { "variable_originator" };
        headers.push((key, link.to_string()));
    }
    headers.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn channel(leg: &ScriptLeg) -> String {
    let number = &leg.fields.party.number;
    match leg.fields.side {
        Some(Side::Internal) => format!("sofia/internal/{number}@198.51.100.7"),
        Some(Side::External) => format!("sofia/external/{number}@192.0.2.9"),
        Some(Side::Service) => format!("loopback/{number}"),
        None => format!("sofia/pbx/{number}@198.51.100.7"),
    }
}

fn context(leg: &ScriptLeg) -> &'static str {
    match leg.fields.side {
        Some(Side::Internal) => "default",
        Some(Side::External) => "public",
        _ => "",
    }
}

const fn application(service: Service) -> &'static str {
    match service {
        Service::Ivr => "ivr",
        Service::Queue => "callcenter",
        Service::Voicemail => "voicemail",
        Service::Conference => "conference",
        Service::Park => "park",
        Service::Fax => "rxfax",
        Service::Media => "playback",
    }
}

/// `Name: value` a line, the value url-encoded, and an empty line behind the last.
fn text(headers: &[(String, String)]) -> Vec<u8> {
    let mut text = String::new();
    for (name, value) in headers {
        text.push_str(&format!("{name}: "));
        for byte in value.bytes() {
            match byte {
                b'%' | 0..=b' ' | b':' | b'+' | b'@' | b'"' | 0x7f.. => {
                    text.push_str(&format!("%{byte:02X}"))
                }
                _ => text.push(char::from(byte)),
            }
        }
        text.push('\n');
    }
    text.into_bytes()
}
