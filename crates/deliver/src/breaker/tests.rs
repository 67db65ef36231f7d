//! A receiver's story as text in, what the breaker makes of it as text out; and what holds for every story.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

mod stories;

const CONCURRENCY: usize = 16;

fn delivery(number: u128) -> DeliveryId {
    DeliveryId(Uuid::from_u128(number))
}

fn seconds(seconds: f64) -> Timestamp {
    Timestamp::from_micros((seconds * 1e6) as i64)
}

/// A try in a story: time in seconds, sign, number of the delivery, and what else: `p` a probe, `n` does not count.
fn told(text: &str) -> Told<'static> {
    let mut parts = text.split(' ');
    let now = seconds(parts.next().unwrap().parse().unwrap());
    let sign = match parts.next().unwrap() {
        "up" => Sign::Up,
        "down" => Sign::Down,
        "neutral" => Sign::Neutral,
        other => panic!("{other}"),
    };
    let delivery = delivery(parts.next().unwrap().parse().unwrap());
    let rest: Vec<&str> = parts.collect();
    let (probe, counts) = (rest.contains(&"p"), !rest.contains(&"n"));
    Told { now, delivery, sign, probe, counts, reason: "answered 500" }
}

/// The state in a few words.
fn words(breaker: &Breaker) -> String {
    let at = |time: &Timestamp| time.micros() / 1_000_000;
    match breaker {
        Breaker::Healthy => "healthy".to_owned(),
        Breaker::Failing { run } => format!("failing {} since {}", run.failures, at(&run.since)),
        Breaker::Open { since, probe_at, wait, .. } => {
            format!("open since {} probe at {} wait {}", at(since), at(probe_at), wait / 1_000_000)
        }
        Breaker::Ramping { since, limit, done, wait } => {
            format!("ramping since {} {done} of {limit} wait {}", at(since), wait / 1_000_000)
        }
    }
}

/// Tells a story, a line a try; gives step and state after each.
fn story_from(mut breaker: Breaker, tries: &[&str]) -> (Breaker, Vec<String>) {
    let mut lines = Vec::new();
    for line in tries {
        let (next, step) = tell(&breaker, &told(line), CONCURRENCY, &Limits::default());
        lines.push(format!("{step:?}: {}", words(&next)));
        breaker = next;
    }
    (breaker, lines)
}

fn story(tries: &[&str]) -> Vec<String> {
    story_from(Breaker::Healthy, tries).1
}

fn last(tries: &[&str]) -> String {
    story(tries).pop().unwrap()
}

/// Four failures of two deliveries in a minute.
const DOWN: [&str; 4] = ["0 down 1", "2 down 1", "60 down 2", "62 down 2"];

fn opened() -> Breaker {
    story_from(Breaker::Healthy, &DOWN).0
}

#[test]
fn few_failures_of_two_deliveries_open_the_lane_after_a_minute() {
    assert_eq!(
        story(&DOWN),
        [
            "Noted: failing 1 since 0",
            "Noted: failing 2 since 0",
            "Noted: failing 3 since 0",
            "Opened: open since 0 probe at 67 wait 5",
        ]
    );
    assert_eq!(last(&["0 down 1", "2 down 1", "57 down 2", "59 down 2"]), "Noted: failing 4 since 0");
    let one_delivery = ["0 down 1", "60 down 1", "120 down 1", "180 down 1", "240 down 1"];
    assert_eq!(last(&one_delivery), "Noted: failing 5 since 0", "the receiver may stumble over this one");
}

#[test]
fn many_failures_open_the_lane_after_half_a_minute() {
    let fails = |distance: f64, count: usize| -> String {
        let lines: Vec<String> = (0..count).map(|at| format!("{} down {at}", at as f64 * distance)).collect();
        last(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(fails(0.1, 300), "Noted: failing 300 since 0", "a restart is over within 30 s");
    assert_eq!(fails(0.1, 301), "Opened: open since 0 probe at 35 wait 5");
    assert_eq!(fails(1.6, 19), "Noted: failing 19 since 0");
    assert_eq!(fails(1.6, 20), "Opened: open since 0 probe at 35 wait 5");
}

#[test]
fn many_failures_of_one_delivery_alone_open_the_lane_too() {
    let lines: Vec<String> = (0..20).map(|at| format!("{} down 1", at * 2)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(last(&lines), "Opened: open since 0 probe at 43 wait 5");
}

#[test]
fn a_success_breaks_the_run_and_what_failed_stays_failed() {
    let lines = ["0 down 1", "2 down 1", "30 up 3", "60 down 2", "62 down 2", "90 down 4"];
    assert_eq!(story(&lines)[2..4], ["RunBroken: healthy", "Noted: failing 1 since 60"]);
    assert_eq!(last(&lines), "Noted: failing 3 since 60");
}

#[test]
fn probes_go_further_apart_while_the_receiver_is_down() {
    let mut breaker = opened();
    let mut waits = Vec::new();
    for _ in 0..8 {
        let Breaker::Open { probe_at, .. } = &breaker else { panic!("{breaker:?}") };
        let probe = Told { now: *probe_at, ..told("0 down 1 p") };
        let (next, step) = tell(&breaker, &probe, CONCURRENCY, &Limits::default());
        let Breaker::Open { since, probe_at, wait, .. } = &next else { panic!("{next:?}") };
        assert_eq!((step, since.micros()), (Step::StillOpen, 0));
        assert_eq!(probe_at.micros() - probe.now.micros(), *wait);
        waits.push(wait / 1_000_000);
        breaker = next;
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn only_probes_move_the_next_probe() {
    // Requests that were in flight when the lane opened, and those of triggers that do not hold.
    let (after, lines) = story_from(opened(), &["63 down 3", "64 neutral 3", "65 down 4 n"]);
    assert_eq!(lines, ["Nothing: open since 0 probe at 67 wait 5"; 3]);
    assert_eq!(after, opened());
}

#[test]
fn a_probe_that_did_not_reach_the_receiver_is_followed_by_another_after_the_same_wait() {
    let (_, lines) = story_from(opened(), &["67 neutral 1 p", "72 down 1 p", "82 neutral 1 p"]);
    assert_eq!(
        lines,
        [
            "StillOpen: open since 0 probe at 72 wait 5",
            "StillOpen: open since 0 probe at 82 wait 10",
            "StillOpen: open since 0 probe at 92 wait 10",
        ]
    );
}

#[test]
fn a_receiver_that_is_back_gets_one_two_four_at_a_time() {
    let mut tries = vec!["67 up 1 p"];
    tries.extend(["68 up 1"; 15]);
    let (after, lines) = story_from(opened(), &tries);
    assert_eq!(after, Breaker::Healthy);
    let acts: Vec<&str> =
        lines.iter().map(String::as_str).filter(|line| !line.starts_with("Noted")).collect();
    assert_eq!(
        acts,
        [
            "Ramps: ramping since 0 0 of 1 wait 5",
            "Ramps: ramping since 0 0 of 2 wait 5",
            "Ramps: ramping since 0 0 of 4 wait 5",
            "Ramps: ramping since 0 0 of 8 wait 5",
            "Recovered: healthy",
        ]
    );
}

#[test]
fn any_success_closes_the_lane_not_only_a_probe() {
    let (_, lines) = story_from(opened(), &["63 up 9 n"]);
    assert_eq!(lines, ["Ramps: ramping since 0 0 of 1 wait 5"]);
}

#[test]
fn a_lane_of_one_request_at_a_time_recovers_at_once() {
    let (breaker, step) = tell(&opened(), &told("67 up 1 p"), 1, &Limits::default());
    assert_eq!((breaker, step), (Breaker::Healthy, Step::Recovered));
}

/// Down for so long that probes are 160 s apart, then back.
fn back_after_long() -> Breaker {
    let (breaker, _) = story_from(
        opened(),
        &["67 down 1 p", "77 down 1 p", "97 down 1 p", "137 down 1 p", "217 down 1 p", "377 up 1 p"],
    );
    assert_eq!(words(&breaker), "ramping since 0 0 of 1 wait 160");
    breaker
}

#[test]
fn a_receiver_that_is_down_again_at_once_waits_longer_than_before() {
    let (_, lines) = story_from(back_after_long(), &["378 down 2", "678 up 2 p", "679 down 2"]);
    assert_eq!(
        lines,
        [
            "Opened: open since 0 probe at 678 wait 300",
            "Ramps: ramping since 0 0 of 1 wait 300",
            "Opened: open since 0 probe at 979 wait 300",
        ]
    );
}

#[test]
fn a_receiver_that_answered_more_and_more_is_asked_sooner() {
    let tries = ["378 up 2", "379 up 2", "379 up 2", "380 up 2", "380 up 2", "380 down 2"];
    let (_, lines) = story_from(back_after_long(), &tries);
    assert_eq!(lines[0], "Ramps: ramping since 0 0 of 2 wait 80");
    assert_eq!(lines[2], "Ramps: ramping since 0 0 of 4 wait 40");
    assert_eq!(lines[5], "Opened: open since 0 probe at 460 wait 80");
}

#[test]
fn failures_that_do_not_count_change_nothing() {
    let mut tries: Vec<String> = (0..100).map(|at| format!("{at} down {at} n")).collect();
    assert_eq!(last(&tries.iter().map(String::as_str).collect::<Vec<_>>()), "Nothing: healthy");
    tries.insert(0, "0 down 1".to_owned());
    let lines: Vec<&str> = tries.iter().map(String::as_str).collect();
    assert_eq!(last(&lines), "Nothing: failing 1 since 0");
    let (_, lines) = story_from(back_after_long(), &["378 down 1 n", "378 neutral 1"]);
    assert_eq!(lines, ["Nothing: ramping since 0 0 of 1 wait 160"; 2]);
}

#[test]
fn the_probe_of_a_delivery_whose_failures_do_not_count_is_a_probe() {
    let (_, lines) = story_from(opened(), &["67 down 1 p n"]);
    assert_eq!(lines, ["StillOpen: open since 0 probe at 77 wait 10"]);
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_a_lane_from_opening() {
    let tries = ["7200 down 1", "0 down 2", "2 down 2", "61 down 3"];
    assert_eq!(last(&tries), "Opened: open since 0 probe at 66 wait 5");
}

#[test]
fn the_reason_shown_is_that_of_the_last_try_that_reached_for_the_receiver() {
    let reason = |breaker: &Breaker| match breaker {
        Breaker::Open { reason, .. } => reason.to_string(),
        other => panic!("{other:?}"),
    };
    let probe = |line, reason| Told { reason, ..told(line) };
    let limits = Limits::default();
    let (refused, _) = tell(&opened(), &probe("67 neutral 1 p", "a header is not allowed"), 16, &limits);
    assert_eq!(reason(&refused), "answered 500");
    let (down, _) = tell(&refused, &probe("72 down 1 p", "connect: refused"), 16, &limits);
    assert_eq!(reason(&down), "connect: refused");
}
