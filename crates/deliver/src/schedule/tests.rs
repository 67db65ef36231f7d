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
    schedule(&trigger, &outcome, Tries { used, first: Some(seconds(90)) }, seconds(99), seconds(100))
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

#[test]
fn a_receiver_that_only_ever_asks_for_pauses_is_given_up_after_a_day() {
    let throttled =
        Outcome { class: Class::Throttled, status: Some(429), may_retry: true, pause: Some(MAX_HOLD) };
    let trigger = samples::trigger("https://h.example/in", json!({}));
    let day = i64::try_from(MAX_HOLD.as_secs()).unwrap();
    let after = |ended| {
        let tries = Tries { used: 0, first: Some(seconds(0)) };
        schedule(&trigger, &throttled, tries, seconds(ended - 1), seconds(ended))
    };
    assert!(matches!(after(day - 1), Next::Wait { .. }));
    assert_eq!(after(day), Next::Failed);
    let first_ever = schedule(&trigger, &throttled, Tries::NONE, seconds(day), seconds(day + 1));
    assert!(matches!(first_ever, Next::Wait { .. }));
}
