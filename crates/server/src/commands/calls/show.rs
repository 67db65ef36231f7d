//! A call as text. What switches and callers sent is made harmless: it moves no cursor and breaks no column.

use std::fmt::Write;

use ringpost_model::{Cdr, Envelope, Leg, LegDirection, NumberName, Side, State, Timestamp};
use ringpost_store::{Attempt, Debt};

use crate::cli::harmless;

/// Width of the bar that stands for a whole call.
const BAR: i64 = 60;

/// One line of the list.
pub(super) fn line(cdr: &Cdr) -> String {
    let start = cdr.start.to_rfc3339_in(cdr.tz);
    let (who, what) = (parties(cdr), seconds(cdr));
    format!("{start}  {:<8}  {who:<44}  {what:<44}  {}", outcome(cdr), cdr.id)
}

/// The head of a page, its time line and its legs.
pub(super) fn page(envelope: &Envelope) -> String {
    let cdr = &envelope.cdr;
    let mut out = String::new();
    let revision = if cdr.rev > 1 { format!(", revision {}", cdr.rev) } else { String::new() };
    let partial = if cdr.partial { ", not all of it is known" } else { "" };
    let _ = writeln!(out, "Call {} of {} on {}{revision}{partial}", cdr.id, envelope.tenant, envelope.pbx);
    let _ = writeln!(out, "  {}  {}: {}", cdr.start.to_rfc3339_in(cdr.tz), outcome(cdr), parties(cdr));
    let _ = writeln!(out, "  {}", seconds(cdr));
    for (what, face) in [("answered by", &cdr.users.answered), ("last with", &cdr.users.last_answered)] {
        if !face.is_empty() {
            let _ = writeln!(out, "  {what} {}", shown(face));
        }
    }
    time_line(&mut out, envelope);
    let _ = writeln!(out, "  Legs");
    for leg in &envelope.legs {
        let _ = writeln!(out, "    {}", of_leg(leg, start_of(envelope)));
    }
    out
}

/// Requests, or that there was none.
pub(super) fn requests(lines: &[String]) -> String {
    if lines.is_empty() {
        return "  No request was made\n\n".to_owned();
    }
    let mut out = "  Requests\n".to_owned();
    for line in lines {
        let _ = writeln!(out, "    {line}");
    }
    out.push('\n');
    out
}

/// One request.
pub(super) fn request(attempt: &Attempt, trigger: &str, line: &str) -> String {
    let took = (attempt.ended.micros() - attempt.started.micros()) / 1_000;
    let status = attempt.status.map_or_else(|| harmless(&attempt.error), |status| status.to_string());
    let at = attempt.started;
    format!(
        "{at}  {}: try {}, {} ({status}) in {took} ms, {line}",
        harmless(trigger),
        attempt.number,
        attempt.class
    )
}

/// One delivery that is owed.
pub(super) fn owed(debt: &Debt, trigger: &str) -> String {
    format!(
        "{}  {}: owed after {} tries, {}",
        debt.due,
        harmless(trigger),
        debt.attempts,
        harmless(&debt.reason)
    )
}

fn time_line(out: &mut String, envelope: &Envelope) {
    let start = start_of(envelope);
    let (Some(first), Some(last)) = (envelope.timeline.first(), envelope.timeline.last()) else { return };
    let whole = (last.to.micros() - first.from.micros()).max(1);
    let bar: String = (0..BAR)
        .map(|at| {
            let micros = first.from.micros() + (2 * at + 1) * whole / (2 * BAR);
            let stretch = envelope.timeline.iter().find(|stretch| micros < stretch.to.micros());
            stretch.map_or(' ', |stretch| sign(stretch.state))
        })
        .collect();
    let _ = writeln!(out, "  Time line   [{bar}]   r ring  T talk  h hold  p park  . other");
    for stretch in &envelope.timeline {
        let (from, to) = (since(start, stretch.from), since(start, stretch.to));
        let legs: Vec<String> = stretch.reason.legs.iter().map(|leg| harmless(leg.as_str())).collect();
        let name = name(stretch.state);
        let _ =
            writeln!(out, "    {from:>9} – {to:>9}  {name:<5}  {} {}", stretch.reason.rule, legs.join(" "));
    }
}

fn start_of(envelope: &Envelope) -> Timestamp {
    envelope.timeline.first().map_or(envelope.cdr.start, |stretch| stretch.from)
}

fn of_leg(leg: &Leg, start: Timestamp) -> String {
    let fields = &leg.fields;
    let direction = match fields.direction {
        Some(LegDirection::In) => "in",
        Some(LegDirection::Out) => "out",
        None => "?",
    };
    let side = match fields.side {
        Some(Side::External) => "external",
        Some(Side::Internal) => "internal",
        Some(Side::Service) => "service",
        None => "unknown",
    };
    let ended = leg.ended.map_or_else(|| "…".to_owned(), |ended| since(start, ended));
    let answered =
        leg.answered.map_or_else(|| "not answered".to_owned(), |at| format!("answered {}", since(start, at)));
    let who = if fields.user.is_empty() { &fields.party } else { &fields.user };
    let cause = harmless(&fields.cause);
    let (id, created) = (harmless(leg.leg.as_str()), since(start, leg.created));
    format!(
        "{id:<24}  {direction:<3}  {side:<8}  {:<32}  {created} – {ended}, {answered}  {cause}",
        shown(who)
    )
    .trim_end()
    .to_owned()
}

fn outcome(cdr: &Cdr) -> &'static str {
    match (cdr.ans, cdr.lost) {
        (true, _) => "answered",
        (_, true) => "lost",
        _ => "no talk",
    }
}

fn parties(cdr: &Cdr) -> String {
    let other = shown(&NumberName { number: cdr.cli.number.clone(), name: cdr.cli.name.clone() });
    let own = shown(&cdr.ddi);
    match cdr.direction.code() {
        1 => format!("{other} called inside"),
        3 => format!("{own} → {other}"),
        _ => format!("{other} → {own}"),
    }
}

fn seconds(cdr: &Cdr) -> String {
    let other = cdr.dur - cdr.ring - cdr.talk - cdr.hold - cdr.park;
    let parts =
        [("ring", cdr.ring), ("talk", cdr.talk), ("hold", cdr.hold), ("park", cdr.park), ("other", other)];
    let parts: Vec<String> =
        parts.iter().filter(|(_, s)| *s > 0).map(|(what, s)| format!("{s} {what}")).collect();
    format!("{} s = {}", cdr.dur, if parts.is_empty() { "0".to_owned() } else { parts.join(" + ") })
}

fn shown(who: &NumberName) -> String {
    match (who.number.is_empty(), who.name.is_empty()) {
        (true, true) => "nobody known".to_owned(),
        (false, true) => harmless(&who.number),
        (true, false) => harmless(&who.name),
        (false, false) => format!("{} ({})", harmless(&who.number), harmless(&who.name)),
    }
}

fn since(start: Timestamp, at: Timestamp) -> String {
    let tenths = (at.micros() - start.micros()).div_euclid(100_000);
    format!("{}.{} s", tenths.div_euclid(10), tenths.rem_euclid(10))
}

const fn sign(state: State) -> char {
    match state {
        State::Ring => 'r',
        State::Talk => 'T',
        State::Hold => 'h',
        State::Park => 'p',
        State::Other => '.',
    }
}

const fn name(state: State) -> &'static str {
    match state {
        State::Ring => "ring",
        State::Talk => "talk",
        State::Hold => "hold",
        State::Park => "park",
        State::Other => "other",
    }
}
