//! When a delivery is tried again.

use serde_json::json;

use super::*;
use crate::classify::Class;
use crate::exchange::FailureKind;
use crate::samples;

const FAILED: Outcome =
    Outcome { class: Class::Failed(FailureKind::Connect), status: None, may_retry: true, pause: None };

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn next(retries: u8, outcome: Outcome, used: u32) -> Next {
    let trigger = samples::trigger("https://h.example/in", json!({ "retries": retries }));
    let before = Tries { used, first: Some(seconds(90)) };
    let tried = Tried { before, started: seconds(99), ended: seconds(100), last: false };
    schedule(&trigger, &outcome, tried, MAX_HOLD)
}

#[test]
fn retry_n_starts_n_times_two_seconds_after_try_n_ended() {
    for used in 0..10 {
        let at = seconds(100 + 2 * (i64::from(used) + 1));
        assert_eq!(next(10, FAILED, used), Next::Retry { at, used: used + 1 });
    }
    assert_eq!(next(10, FAILED, 10), Next::Failed);
}

#[test]
fn tries_are_the_first_and_the_retries() {
    assert_eq!(next(0, FAILED, 0), Next::Failed);
    assert_eq!(next(1, FAILED, 0), Next::Retry { at: seconds(102), used: 1 });
    assert_eq!(next(1, FAILED, 1), Next::Failed);
}

#[test]
fn what_must_not_be_retried_is_over_and_what_succeeded_is_done() {
    assert_eq!(next(10, Outcome { may_retry: false, ..FAILED }, 0), Next::Failed);
    let success = Outcome { class: Class::Success, status: Some(200), may_retry: false, pause: None };
    assert_eq!(next(10, success, 0), Next::Done);
}

#[test]
fn a_pause_that_the_receiver_asks_for_uses_no_try_up() {
    let throttled = Outcome {
        class: Class::Throttled,
        status: Some(429),
        may_retry: false,
        pause: Some(Duration::from_secs(7)),
    };
    assert_eq!(next(0, throttled, 0), Next::Wait { until: seconds(107), used: 0 });
    assert_eq!(next(3, throttled, 3), Next::Wait { until: seconds(107), used: 3 });
}

/// The try that ends then, of a delivery first tried at 0.
fn at_the_end(ended: i64, outcome: &Outcome, last: bool) -> Next {
    let trigger = samples::trigger("https://h.example/in", json!({ "retries": 10 }));
    let before = Tries { used: 0, first: Some(seconds(0)) };
    let tried = Tried { before, started: seconds(ended - 1), ended: seconds(ended), last };
    schedule(&trigger, outcome, tried, Duration::from_secs(100))
}

#[test]
fn a_try_that_ends_after_the_longest_hold_is_the_last_whatever_it_came_to() {
    let pause = Some(Duration::from_secs(60));
    let throttled = Outcome { class: Class::Throttled, status: Some(429), may_retry: true, pause };
    assert!(matches!(at_the_end(99, &throttled, false), Next::Wait { .. }));
    assert!(matches!(at_the_end(99, &FAILED, false), Next::Retry { .. }));
    for outcome in [throttled, FAILED] {
        assert_eq!(at_the_end(100, &outcome, false), Next::Failed);
        assert_eq!(at_the_end(50, &outcome, true), Next::Failed, "made as the last one");
    }
    let success = Outcome { class: Class::Success, status: Some(200), may_retry: false, pause: None };
    assert_eq!(at_the_end(1_000, &success, true), Next::Done);
}

#[test]
fn the_hold_counts_from_the_first_try_and_not_from_the_call() {
    let trigger = samples::trigger("https://h.example/in", json!({}));
    let tried = Tried { before: Tries::NONE, started: seconds(999), ended: seconds(1_000), last: false };
    let next = schedule(&trigger, &FAILED, tried, Duration::from_secs(100));
    assert_eq!(next, Next::Retry { at: seconds(1_002), used: 1 });
}
