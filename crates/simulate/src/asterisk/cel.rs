//! A script as rows of channel event logging.

use ringpost_model::Service;
use serde_json::json;

use super::plain::{cause, channel};
use super::text::{self, Shape};
use crate::dice::Dice;
use crate::script::{LegNo, MS, Micros, Script, ScriptBridge, ScriptLeg};

/// In the order of `cel_custom.conf` as it is shipped.
const COLUMNS: [&str; 20] = [
    "eventtype",
    "eventtime",
    "cid_name",
    "cid_num",
    "cid_ani",
    "cid_rdnis",
    "cid_dnid",
    "exten",
    "context",
    "channame",
    "appname",
    "appdata",
    "amaflags",
    "accountcode",
    "uniqueid",
    "linkedid",
    "peer",
    "userfield",
    "userdeftype",
    "extra",
];

/// A row before it is written.
struct Row<'a> {
    at: Micros,
    event: &'static str,
    channel: &'a Channel,
    app: (&'static str, String),
    extra: String,
}

/// A channel as its rows name it.
#[derive(Clone)]
struct Channel {
    id: String,
    name: String,
    /// Number and name of its first row, and of all others.
    first: (String, String),
    later: (String, String),
    exten: String,
    context: &'static str,
    linked: String,
    /// When the linked id of the call that it joins takes the place of its own.
    joins: Option<(Micros, String)>,
}

struct Writer<'a, 'd> {
    script: &'a Script,
    dice: &'d mut Dice,
    channels: &'a [Channel],
    rows: Vec<Row<'a>>,
}

/// All rows of a call.
pub(super) fn rows(script: &Script, dice: &mut Dice) -> Vec<u8> {
    let names_bridges = script.pbx.key != "pune";
    let mut channels: Vec<Channel> =
        (0..script.legs.len()).map(|place| of_leg(script, LegNo(place), dice)).collect();
    let pairs = if names_bridges { pairs(script, dice, &mut channels) } else { Vec::new() };
    let mut writer = Writer { script, dice, channels: &channels, rows: Vec::new() };
    for place in (0..script.legs.len()).filter(|place| script.legs[*place].fields.service.is_none()) {
        writer.life(place);
    }
    for (number, bridge) in script.bridges.iter().enumerate() {
        match pairs.iter().find(|(of, _)| *of == number) {
            Some((_, half)) => writer.bridged_through(number, bridge, *half),
            None => writer.bridged(number, bridge),
        }
    }
    writer.finish(names_bridges)
}

fn of_leg(script: &Script, no: LegNo, dice: &mut Dice) -> Channel {
    let leg = script.leg(no);
    let first = &script.legs[0];
    let party = (leg.fields.party.number.to_string(), leg.fields.party.name.to_string());
    let is_external = !leg.is_internal();
    let begins_without = is_external && !leg.is_in() && dice.percent(50);
    let is_ruled = is_external && leg.is_in() && dice.percent(30);
    let number = match () {
        () if begins_without => String::new(),
        () if is_ruled => format!("00{}", party.0.trim_start_matches('+')),
        () => party.0.clone(),
    };
    let dialled = leg.fields.dialled.to_string();
    let exten = match leg.is_in() {
        true if !dialled.is_empty() => dialled,
        // A desk enters by dialling something; an agent logs in.
        true => "*45".to_owned(),
        false => "s".to_owned(),
    };
    let joined = script.bridges.iter().filter(|bridge| bridge.first == no || bridge.second == no);
    let joins = joined.map(|bridge| bridge.from).min().map(|at| (at, first.id.to_string()));
    let linked = if leg.is_in() { &leg.id } else { &first.id };
    Channel {
        id: leg.id.to_string(),
        name: channel(leg, no.0),
        first: (number, party.1.clone()),
        later: party,
        exten,
        context: if is_external && leg.is_in() { "from-trunk" } else { "from-internal" },
        linked: linked.to_string(),
        joins: joins.filter(|_| leg.is_in() && no.0 > 0),
    }
}

/// Some desks are called through a pair of Local channels: which bridges go through which pair.
fn pairs(script: &Script, dice: &mut Dice, channels: &mut Vec<Channel>) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (number, bridge) in script.bridges.iter().enumerate() {
        let ends = [bridge.first, bridge.second].map(|no| script.leg(no));
        let is_plain =
            ends.iter().all(|leg| leg.fields.service.is_none()) && ends.iter().any(|leg| !leg.is_in());
        if !is_plain || !dice.percent(15) {
            continue;
        }
        pairs.push((number, channels.len()));
        let id = &script.legs[0].id;
        let begin = ends[0].created.max(ends[1].created);
        for half in 1..=2 {
            channels.push(Channel {
                id: format!(
                    "{}-{}.{}",
                    id.as_str().rsplit_once('-').map_or("a", |(name, _)| name),
                    begin / 1_000_000,
                    500 + 2 * number + half
                ),
                name: format!("Local/{}@from-internal-{number:08x};{half}", ends[1].fields.party.number),
                first: (String::new(), String::new()),
                later: ("1999".into(), "Nobody".into()),
                exten: "s".into(),
                context: "from-internal",
                linked: id.to_string(),
                joins: None,
            });
        }
    }
    pairs
}

impl<'a> Writer<'a, '_> {
    fn row(&mut self, place: usize, at: Micros, event: &'static str) -> &mut Row<'a> {
        let channel = &self.channels[place];
        self.rows.push(Row { at, event, channel, app: ("", String::new()), extra: String::new() });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    /// From the first row of a leg to its last.
    fn life(&mut self, place: usize) {
        let leg = &self.script.legs[place];
        self.row(place, leg.created, "CHAN_START");
        if self.channels[place].first.0 != self.channels[place].later.0 && leg.is_in() {
            self.row(place, leg.created + 1, "APP_START").app = ("Dial", "PJSIP/desk,30".into());
        }
        if let Some(answered) = leg.answered {
            self.row(place, answered, "ANSWER");
        }
        self.services(place, leg);
        for park in &leg.parks {
            self.row(place, park.from, "PARK_START").extra = json!({"parking_lot": park.name}).to_string();
            if let Some(to) = park.to {
                self.row(place, to, "PARK_END").extra = json!({"reason": "ParkedCallUnparked"}).to_string();
            }
        }
        for id in &leg.recordings {
            let extra = json!({"filename": format!("/var/spool/asterisk/monitor/{id}.wav")}).to_string();
            self.row(place, leg.created + 2, "MIXMONITOR_START").extra = extra;
        }
        let Some(ended) = leg.ended else { return };
        let early = self.dice.between(0, MS).min(ended - leg.created);
        let (number, _) = cause(&leg.fields.cause);
        self.row(place, ended - early, "HANGUP").extra =
            json!({"hangupcause": number, "hangupsource": "", "dialstatus": ""}).to_string();
        self.row(place, ended, "CHAN_END");
        if self.dice.percent(20) {
            self.row(place, ended, "LINKEDID_END");
        }
    }

    fn services(&mut self, place: usize, leg: &ScriptLeg) {
        for (number, (service, stay)) in leg.services.iter().enumerate() {
            let app = match service {
                Service::Queue => "Queue",
                Service::Voicemail => "VoiceMail",
                Service::Fax => "ReceiveFAX",
                Service::Conference => {
                    let id = format!("room-{}-{number}", leg.id);
                    self.row(place, stay.from, "BRIDGE_ENTER").extra = bridge_extra(&id, "softmix");
                    if let Some(to) = stay.to {
                        self.row(place, to, "BRIDGE_EXIT").extra = bridge_extra(&id, "softmix");
                    }
                    continue;
                }
                _ => continue,
            };
            self.row(place, stay.from, "APP_START").app = (app, format!("{},rt", stay.name));
            if let Some(to) = stay.to {
                self.row(place, to, "APP_END").app = (app, format!("{},rt", stay.name));
            }
        }
    }

    fn bridged(&mut self, number: usize, bridge: &ScriptBridge) {
        let id = format!("b{number}-{}", self.script.legs[0].id);
        for no in [bridge.first, bridge.second] {
            self.stay(no.0, &id, bridge.from, self.until(bridge));
        }
    }

    /// When the first of the two leaves; none = both stay to their ends.
    fn until(&self, bridge: &ScriptBridge) -> Option<Micros> {
        let ends = [bridge.first, bridge.second].map(|no| self.script.leg(no).ended);
        bridge.to.or(ends.into_iter().flatten().min())
    }

    fn stay(&mut self, place: usize, id: &str, from: Micros, to: Option<Micros>) {
        self.row(place, from, "BRIDGE_ENTER").extra = bridge_extra(id, "simple_bridge");
        if let Some(to) = to {
            self.row(place, to, "BRIDGE_EXIT").extra = bridge_extra(id, "simple_bridge");
        }
    }

    /// The two are bridged with the halves of a pair.
    fn bridged_through(&mut self, number: usize, bridge: &ScriptBridge, half: usize) {
        let to = self.until(bridge);
        let ends = [bridge.first, bridge.second].map(|no| self.script.leg(no));
        let begin = ends[0].created.max(ends[1].created);
        let end = to.unwrap_or(bridge.from).max(bridge.from) + self.dice.between(0, 200 * MS);
        for (turn, no) in [bridge.first, bridge.second].into_iter().enumerate() {
            let id = format!("b{number}.{turn}-{}", self.script.legs[0].id);
            self.row(half + turn, begin, "CHAN_START");
            self.stay(no.0, &id, bridge.from, to);
            self.stay(half + turn, &id, bridge.from, to);
            if to.is_some() {
                self.row(half + turn, end, "CHAN_END");
            }
        }
    }

    /// By time or newest first, some out of order, some twice.
    fn finish(mut self, names_bridges: bool) -> Vec<u8> {
        let pbx = self.script.pbx;
        self.rows.sort_by_key(|row| row.at);
        let mut rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.texts(self.script, names_bridges)).collect();
        if pbx.key == "k1" {
            rows.reverse();
        }
        for _ in 0..self.dice.below(3) {
            let count = u64::try_from(rows.len()).unwrap_or(1);
            let (from, to) = (self.dice.below(count) as usize, self.dice.below(count) as usize);
            if self.dice.percent(50) { rows.swap(from, to) } else { rows.push(rows[from].clone()) }
        }
        text::write(Shape::of(pbx), &COLUMNS, &rows)
    }
}

fn bridge_extra(id: &str, technology: &str) -> String {
    json!({"bridge_id": id, "bridge_technology": technology}).to_string()
}

impl Row<'_> {
    fn texts(&self, script: &Script, names_bridges: bool) -> Vec<String> {
        let channel = self.channel;
        let (number, name) = if self.event == "CHAN_START" { &channel.first } else { &channel.later };
        let linked = match &channel.joins {
            Some((at, linked)) if self.at > *at => linked,
            _ => &channel.linked,
        };
        let is_bridge = self.event.starts_with("BRIDGE") && self.extra.contains("simple_bridge");
        let extra = if is_bridge && !names_bridges { String::new() } else { self.extra.clone() };
        let texts = [
            self.event,
            &text::time(script.pbx, self.at),
            name,
            number,
            "",
            "",
            "",
            &channel.exten,
            channel.context,
            &channel.name,
            self.app.0,
            &self.app.1,
            "3",
            "",
            &channel.id,
            linked,
            "",
            "",
            "",
            &extra,
        ];
        texts.map(str::to_owned).to_vec()
    }
}
