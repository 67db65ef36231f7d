//! A script as call detail records: a row for each two channels that met, for each that was called in vain, and for a
//! caller with whom nobody spoke.

use ringpost_model::Service;

use super::plain::channel;
use super::text::{self, Shape};
use crate::script::{LegNo, Micros, Script, ScriptLeg, Stay};

/// In the order of `Master.csv` with all that `cdr.conf` can add to it.
const COLUMNS: [&str; 21] = [
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
    "uniqueid",
    "userfield",
    "peeraccount",
    "linkedid",
    "sequence",
];

/// A path between two channels, or from one to an application.
struct Path {
    from: LegNo,
    to: Option<LegNo>,
    start: Micros,
    answer: Option<Micros>,
    end: Micros,
    disposition: &'static str,
    app: (&'static str, String),
}

/// All rows of a call.
pub(super) fn rows(script: &Script) -> Vec<u8> {
    let paths = paths(script);
    let rows: Vec<Vec<String>> =
        paths.iter().enumerate().map(|(number, path)| path.texts(script, number)).collect();
    text::write(Shape::of(script.pbx), &COLUMNS, &rows)
}

fn paths(script: &Script) -> Vec<Path> {
    let last = script.legs.iter().filter_map(|leg| leg.ended).max().unwrap_or_default();
    let ended = |no: LegNo| script.leg(no).ended.unwrap_or(last);
    let is_person = |no: &LegNo| script.leg(*no).fields.service.is_none();
    let mut paths: Vec<Path> = Vec::new();
    for bridge in script.bridges.iter().filter(|bridge| is_person(&bridge.first) && is_person(&bridge.second))
    {
        let (mut from, mut to) = (bridge.first, bridge.second);
        let age = |no: LegNo| (script.leg(no).created, no);
        if (script.leg(from).is_in(), age(to)) < (script.leg(to).is_in(), age(from)) {
            (from, to) = (to, from);
        }
        let end = bridge.to.unwrap_or(ended(from).min(ended(to)));
        let answer = script.leg(to).answered.unwrap_or(bridge.from).max(bridge.from);
        paths.push(Path {
            from,
            to: Some(to),
            start: script.leg(to).created.max(script.leg(from).created),
            answer: Some(answer),
            end,
            disposition: "ANSWERED",
            app: ("Dial", String::new()),
        });
    }
    paths.extend((0..script.legs.len()).map(LegNo).flat_map(|no| to_services(script, no, ended(no))));
    for no in (0..script.legs.len()).map(LegNo).filter(is_person) {
        let met = paths.iter().any(|path| path.from == no || path.to == Some(no));
        if !met {
            paths.push(in_vain(script, no, ended(no)));
        }
    }
    stretch(script, &mut paths, &ended);
    paths.sort_by_key(|path| (path.start, path.from, path.to));
    paths
}

fn in_vain(script: &Script, no: LegNo, end: Micros) -> Path {
    let leg = script.leg(no);
    let (from, to) = if leg.is_in() || no.0 == 0 { (no, None) } else { (LegNo(0), Some(no)) };
    let disposition = if &*leg.fields.cause == "USER_BUSY" { "BUSY" } else { "NO ANSWER" };
    Path { from, to, start: leg.created, answer: None, end, disposition, app: ("Dial", String::new()) }
}

/// A queue's row ends where its caller is taken away from it.
fn to_services(script: &Script, no: LegNo, ended: Micros) -> Vec<Path> {
    let stays = script.leg(no).services.iter();
    let path = |(service, stay): &(Service, Stay)| Path {
        from: no,
        to: None,
        start: stay.from,
        answer: Some(stay.from),
        end: stay.to.unwrap_or(ended).min(ended),
        disposition: "ANSWERED",
        app: (app(*service), stay.name.to_string()),
    };
    stays.map(path).collect()
}

fn app(service: Service) -> &'static str {
    match service {
        Service::Queue => "Queue",
        Service::Voicemail => "VoiceMail",
        Service::Conference => "ConfBridge",
        Service::Fax => "ReceiveFAX",
        _ => "BackGround",
    }
}

/// A channel's rows reach from its begin to its end.
fn stretch(script: &Script, paths: &mut Vec<Path>, ended: &dyn Fn(LegNo) -> Micros) {
    let mut rests = Vec::new();

    for no in (0..script.legs.len()).map(LegNo) {
        let own = |path: &&mut Path| path.from == no;
        if let Some(first) = paths.iter_mut().filter(own).min_by_key(|path| path.start) {
            first.start = script.leg(no).created;
        }
        let last = paths.iter().filter(|path| path.from == no).map(|path| path.end).max();
        if let Some(start) = last.filter(|last| *last < ended(no)) {
            let app = ("Hangup", String::new());
            let end = ended(no);
            rests.push(Path {
                from: no,
                to: None,
                start,
                answer: Some(start),
                end,
                disposition: "ANSWERED",
                app,
            });
        }
    }
    paths.append(&mut rests);
}

impl Path {
    fn texts(&self, script: &Script, number: usize) -> Vec<String> {
        let (pbx, from) = (script.pbx, script.leg(self.from));
        let to = self.to.map(|no| (script.leg(no), no.0));
        let seconds = |micros: Micros| (micros / 1_000_000).to_string();
        let time = |at: Micros| text::time(pbx, at / 1_000_000 * 1_000_000);
        let context = if from.is_in() && !from.is_internal() { "from-trunk" } else { "from-internal" };
        let linked = script.legs[0].id.as_str().split('/').next().unwrap_or_default();
        let texts = [
            "",
            &from.fields.party.number,
            dialled(from, to),
            context,
            &format!("\"{}\" <{}>", from.fields.party.name, from.fields.party.number),
            &channel(from, self.from.0),
            &to.map(|(leg, place)| channel(leg, place)).unwrap_or_default(),
            self.app.0,
            &self.app.1,
            &time(self.start),
            &self.answer.map(time).unwrap_or_default(),
            &time(self.end),
            &seconds(self.end - self.start),
            &seconds(self.answer.map_or(0, |answer| self.end - answer)),
            self.disposition,
            "DOCUMENTATION",
            &format!("{linked}.{}", self.from.0),
            "",
            "",
            linked,
            &number.to_string(),
        ];
        texts.map(str::to_owned).to_vec()
    }
}

fn dialled<'a>(from: &'a ScriptLeg, to: Option<(&'a ScriptLeg, usize)>) -> &'a str {
    match to {
        Some((leg, _)) if !from.is_in() || (from.is_internal() && !leg.is_internal()) => {
            &leg.fields.party.number
        }
        _ => &from.fields.dialled,
    }
}
