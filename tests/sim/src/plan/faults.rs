//! What goes wrong: moods of receivers, weather over the disks, crashes, jumps of the clock, tight limits.

use std::collections::BTreeMap;
use std::time::Duration;

use ringpost::pipeline::BacklogLimits;
use ringpost_deliver::{LaneConfig, Limits};

use crate::dice::Dice;
use crate::receiver::{Mood, Moods};
use crate::weather::{Fault, Forecast, Window};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// On the spot.
    Crash,
    /// As on SIGTERM.
    Term,
    /// As on SIGSTOP: it does not end, but stands still.
    Still,
}

/// A process ends, and starts again; or stands still, and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Halt {
    /// When.
    pub at: Duration,
    /// How.
    pub how: Stop,
    /// After so long it starts again, or goes on.
    pub away: Duration,
    /// Which of several.
    pub instance: usize,
}

fn at(span: Duration, dice: &mut Dice) -> Duration {
    Duration::from_micros(dice.below(span.as_micros() as u64))
}

pub(super) fn moods(hosts: &[String], span: Duration, dice: &mut Dice) -> BTreeMap<String, Moods> {
    hosts.iter().map(|host| (host.clone(), moods_of_one(span, dice))).collect()
}

fn moods_of_one(span: Duration, dice: &mut Dice) -> Moods {
    let mut moods = vec![(Duration::ZERO, mood(dice))];
    for _ in 0..dice.below(5) {
        moods.push((at(span, dice), mood(dice)));
    }
    // Every receiver is well in the end.
    moods.push((span, Mood::Well));
    moods.sort_by_key(|(from, _)| *from);
    moods
}

fn mood(dice: &mut Dice) -> Mood {
    match dice.below(20) {
        0..=7 => Mood::Well,
        8 | 9 => Mood::Slow,
        10..=12 => Mood::Flaky(dice.between(5, 60)),
        13 => Mood::Answers(*dice.pick(&[500, 502, 404, 301, 503, 410])),
        14 => Mood::Hangs,
        15 | 16 => Mood::Down,
        17 | 18 => Mood::Busy(*dice.pick(&[0, 3, 30, 600])),
        _ => Mood::Lies,
    }
}

pub(super) fn lanes(dice: &mut Dice) -> LaneConfig {
    let day = LaneConfig::default().max_hold;
    let max_hold = *dice.pick(&[day, day, Duration::from_secs(45)]);
    if dice.percent(40) {
        return LaneConfig { max_hold, ..LaneConfig::default() };
    }
    LaneConfig {
        max_hold,
        concurrency: *dice.pick(&[1, 2, 4, 16]),
        per_origin: *dice.pick(&[1, 2, 8, 256]),
        queue: *dice.pick(&[1, 4, 256]),
        jobs: *dice.pick(&[4, 20, 100_000]),
        reports: *dice.pick(&[1, 4, 1_024]),
        ..LaneConfig::default()
    }
}

pub(super) fn backlog(dice: &mut Dice) -> BacklogLimits {
    if dice.percent(90) { BacklogLimits::default() } else { BacklogLimits { trigger: 3, tenant: 5 } }
}

/// Mostly as configured by default; sometimes so tight that few calls open a lane.
pub(super) fn breaker(dice: &mut Dice) -> Limits {
    let seconds = Duration::from_secs;
    match dice.below(3) {
        0 => Limits::default(),
        1 => Limits { many: 3, many_over: seconds(2), few: 2, few_over: seconds(5), ..Limits::default() },
        _ => Limits { many: 6, many_over: seconds(5), few_over: seconds(15), ..Limits::default() },
    }
}

pub(super) fn forecast(is_bad: bool, span: Duration, dice: &mut Dice) -> Forecast {
    let mut windows = Vec::new();
    if is_bad {
        for _ in 0..dice.below(3) {
            let from = at(span, dice);
            let to = from + Duration::from_secs(dice.between(1, 40));
            let fault = *dice.pick(&[Fault::Fails, Fault::Full, Fault::Slow]);
            windows.push(Window { from, to: to.min(span), fault });
        }
    }
    let rate = |dice: &mut Dice, rates: &[u64]| if is_bad { *dice.pick(rates) } else { 0 };
    Forecast {
        windows,
        fails: rate(dice, &[0, 5, 50]),
        lost_answers: rate(dice, &[0, 5, 50]),
        slow: rate(dice, &[0, 5, 50]),
        until: span,
    }
}

pub(super) fn halts(span: Duration, dice: &mut Dice) -> Vec<Halt> {
    let count = *dice.pick(&[0, 0, 1, 2, 4, 10]);
    let mut halts: Vec<Halt> = (0..count)
        .map(|_| Halt {
            at: at(span, dice),
            how: if dice.percent(75) { Stop::Crash } else { Stop::Term },
            away: Duration::from_millis(*dice.pick(&[0, 50, 1_000, 8_000, 25_000])),
            instance: 0,
        })
        .collect();
    halts.sort_by_key(|halt| halt.at);
    halts
}

/// The same of several processes. Some stand still, mostly for longer than their group waits for them.
pub(super) fn halts_of(instances: usize, span: Duration, dice: &mut Dice) -> Vec<Halt> {
    let count = *dice.pick(&[1, 2, 4, 10, 20]);
    let mut halts: Vec<Halt> = (0..count)
        .map(|_| Halt {
            at: at(span, dice),
            how: *dice.pick(&[Stop::Crash, Stop::Crash, Stop::Term, Stop::Still]),
            away: Duration::from_millis(*dice.pick(&[0, 50, 1_000, 8_000, 15_000, 25_000, 60_000])),
            instance: dice.below(instances as u64) as usize,
        })
        .collect();
    halts.sort_by_key(|halt| halt.at);
    halts
}

pub(super) fn jumps(span: Duration, dice: &mut Dice) -> Vec<(Duration, i64)> {
    let count = *dice.pick(&[0, 0, 0, 1, 3]);
    let jump = |dice: &mut Dice| {
        let micros = dice.between(1_000, 20_000_000) as i64;
        (at(span, dice), if dice.percent(50) { micros } else { -micros })
    };
    let mut jumps: Vec<(Duration, i64)> = (0..count).map(|_| jump(dice)).collect();
    jumps.sort_by_key(|(at, _)| *at);
    jumps
}
