//! A leg told by whole records: once, as a snapshot before, or in a wrong edition that a later one replaces.

use ringpost_model::{Hold, LegRecord, LegReport, Park, Report, ServiceStay, Text};

use super::{Seen, Told, arrival, as_bridge, blank, time};
use crate::dice::Dice;
use crate::script::{MS, Micros, S, Script, ScriptLeg};

/// What comes besides the plain record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Nothing,
    /// Told once while the leg was alive.
    Snapshot,
    /// A first edition with mistakes, replaced by a later `rev`.
    Wrong,
    /// The same record twice: the first without its last times.
    Unfinished,
    /// Twice with different causes and equal stamps: the greater text counts (sessions.md 1, Merging).
    Undecided,
}

/// `beside_events`: the leg's events are told too, by a part of the switch that is nearer to the call.
pub(super) fn report(
    script: &Script,
    leg: &ScriptLeg,
    seen: &[Seen],
    beside_events: bool,
    dice: &mut Dice,
    told: &mut Vec<Told>,
) {
    let extra = dice.weighted(&[
        (84, Extra::Nothing),
        (5, Extra::Snapshot),
        (5, Extra::Wrong),
        (3, Extra::Unfinished),
        (3, Extra::Undecided),
    ]);
    let mut record = whole(script, leg, seen);
    if beside_events && dice.percent(40) {
        let slack = dice.between(MS, 60 * MS);
        with_report(&mut record, |report| inexact(report, slack));
    }
    let written = leg.ended.unwrap_or(leg.created + S);
    let stamped = dice.percent(40);
    if let (true, Report::Leg(report)) = (stamped || leg.ended.is_none(), &mut record.report) {
        report.at = Some(time(written + dice.between(0, 5 * MS)));
    }
    let arrives = written + arrival::delay(dice);
    match extra {
        Extra::Nothing => (),
        Extra::Snapshot => snapshot(&record, leg, seen, dice, told),
        Extra::Wrong => {
            told.push(wrong_edition(&record, arrives, dice));
            with_report(&mut record, |report| report.rev = 1);
        }
        Extra::Unfinished => told.push(unfinished(&record, arrives)),
        Extra::Undecided => told.extend(undecided(&record, arrives)),
    }
    let later = if extra == Extra::Nothing { 0 } else { dice.between(MS, 60 * S) };
    told.push(Told { at: arrives + later, record, last: true });
}

fn with_report(record: &mut LegRecord, change: impl FnOnce(&mut LegReport)) {
    if let Report::Leg(report) = &mut record.report {
        change(report);
    }
}

/// Written by a part of the switch that hears of everything a little later, and closes its books a little earlier:
/// the earliest begin and the latest end count.
fn inexact(report: &mut LegReport, slack: i64) {
    let later = |time: &mut Option<ringpost_model::Timestamp>| *time = time.map(|at| at.plus_micros(slack));
    later(&mut report.created);
    later(&mut report.ringing);
    later(&mut report.answered);
    report.ended = report.ended.map(|at| at.plus_micros(-slack));
}

/// All that is known of the leg.
fn whole(script: &Script, leg: &ScriptLeg, seen: &[Seen]) -> LegRecord {
    let report = LegReport {
        rev: 0,
        at: None,
        created: Some(time(leg.created)),
        ringing: leg.ringing.map(time),
        answered: leg.answered.map(time),
        ended: leg.ended.map(time),
        bridges: seen.iter().map(as_bridge).collect(),
        holds: leg.holds.iter().map(|(from, to)| Hold { from: time(*from), to: to.map(time) }).collect(),
        parks: leg
            .parks
            .iter()
            .map(|park| Park { from: time(park.from), to: park.to.map(time), slot: park.name.clone() })
            .collect(),
        services: leg
            .services
            .iter()
            .map(|(service, stay)| ServiceStay {
                service: *service,
                from: time(stay.from),
                to: stay.to.map(time),
                name: stay.name.clone(),
                outcome: stay.outcome.clone(),
            })
            .collect(),
    };
    let mut record = blank(script, leg, Report::Leg(report));
    record.fields = leg.fields.clone();
    record.links = leg.links.clone();
    record.links.extend(leg.later_links.iter().map(|(_, link)| link.clone()));
    record.recordings = leg.recordings.clone();
    record.tags = leg.tags.iter().cloned().collect();
    record
}

/// As the leg stood at some moment of its life.
fn snapshot(record: &LegRecord, leg: &ScriptLeg, seen: &[Seen], dice: &mut Dice, told: &mut Vec<Told>) {
    let Some(ended) = leg.ended.filter(|ended| *ended > leg.created + MS) else { return };
    let at = dice.between(leg.created, ended - MS);
    let mut early = record.clone();
    early.fields.cause = Text::default();
    early.fields.sip = None;
    early.recordings.clear();
    let later: Vec<Text> =
        leg.later_links.iter().filter(|(when, _)| *when > at).map(|(_, link)| link.clone()).collect();
    early.links.retain(|link| !later.contains(link));
    let known = |when: Micros| when <= at;
    with_report(&mut early, |report| {
        report.at = Some(time(at));
        report.ended = None;
        report.ringing = leg.ringing.filter(|when| known(*when)).map(time);
        report.answered = leg.answered.filter(|when| known(*when)).map(time);
        report.bridges = seen.iter().filter(|bridge| known(bridge.from)).map(as_bridge).collect();
        report.holds.retain(|hold| known(hold.from.micros()));
        report.parks.retain(|park| known(park.from.micros()));
        report.services.retain(|stay| known(stay.from.micros()));
        let open = |to: &mut Option<ringpost_model::Timestamp>| *to = to.filter(|to| known(to.micros()));
        report.bridges.iter_mut().for_each(|bridge| open(&mut bridge.to));
        report.holds.iter_mut().for_each(|hold| open(&mut hold.to));
        report.parks.iter_mut().for_each(|park| open(&mut park.to));
        report.services.iter_mut().for_each(|stay| open(&mut stay.to));
    });
    told.push(Told { at: at + arrival::delay(dice), record: early, last: false });
}

/// Wrong in much, but not in what ties it to its call.
fn wrong_edition(record: &LegRecord, at: Micros, dice: &mut Dice) -> Told {
    let mut wrong = record.clone();
    wrong.fields.cause = "RECOVERY_ON_TIMER_EXPIRE".into();
    wrong.recordings = vec!["rec-wrong".into()];
    let late = dice.between(0, 3 * S);
    with_report(&mut wrong, |report| {
        report.at = None;
        report.ended = report.ended.map(|ended| ended.plus_micros(late));
        report.holds.clear();
        report.parks.clear();
        report.services.clear();
        for bridge in &mut report.bridges {
            bridge.to = None;
        }
    });
    Told { at, record: wrong, last: false }
}

/// The same edition, written too early: its last times are missing or too small.
fn unfinished(record: &LegRecord, at: Micros) -> Told {
    let mut early = record.clone();
    early.fields.cause = Text::default();
    early.recordings.clear();
    early.tags.clear();
    with_report(&mut early, |report| {
        for (place, bridge) in report.bridges.iter_mut().enumerate() {
            let shorter =
                bridge.to.map(|to| bridge.from.plus_micros((to.micros() - bridge.from.micros()) / 2));
            bridge.to = shorter.filter(|_| place % 2 == 0);
        }
        for hold in &mut report.holds {
            hold.to = None;
        }
    });
    Told { at, record: early, last: false }
}

fn undecided(record: &LegRecord, at: Micros) -> Option<Told> {
    let mut other = record.clone();
    if other.fields.cause.is_empty() {
        return None;
    }
    // Smaller in byte order than every cause that a script gives.
    other.fields.cause = "ALLOTTED_TIMEOUT".into();
    Some(Told { at, record: other, last: false })
}
