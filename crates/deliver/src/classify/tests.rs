//! What answers and failures mean.

use serde_json::{Value, json};

use super::*;
use crate::exchange::Failure;
use crate::request::request;
use crate::samples;

/// An exchange that ended at the samples' now.
fn exchange(method: &str, answer: Option<Answer>, failure: Option<FailureKind>) -> Exchange {
    let job = samples::job("https://h.example/in", json!({ "method": method }));
    let request = request(&job, ringpost_model::AttemptId(uuid::Uuid::nil()), samples::now()).unwrap();
    let mut exchange = Exchange::of(&request, samples::now());
    exchange.answer = answer;
    exchange.failure = failure.map(|kind| Failure { kind, text: String::new() });
    exchange
}

fn answer(status: u16, retry_after: Option<&str>) -> Answer {
    let header = |value: &str| ("retry-after".to_owned(), value.to_owned());
    Answer {
        status,
        headers: retry_after.map(header).into_iter().collect(),
        body: String::new(),
        body_cut: false,
    }
}

fn outcome(keys: Value, method: &str, status: u16, retry_after: Option<&str>) -> Outcome {
    let trigger = samples::trigger("https://h.example/in", keys);
    classify(&trigger, &exchange(method, Some(answer(status, retry_after)), None))
}

fn class(status: u16) -> &'static str {
    outcome(json!({}), "POST", status, None).class.name()
}

#[test]
fn every_2xx_is_success_and_nothing_else() {
    for status in [200, 201, 202, 204, 226, 299] {
        assert_eq!(class(status), "success", "{status}");
    }
    for status in [199, 300, 301, 302, 303, 304, 307, 308, 400, 404, 500, 503, 599, 600] {
        assert_ne!(class(status), "success", "{status}");
    }
    assert_eq!(class(302), "redirect");
    assert_eq!(class(404), "http_error");
    assert_eq!(class(503), "http_error");
}

#[test]
fn kazoo_takes_200_and_201_of_a_put() {
    let success = |method, status| outcome(json!({ "success": "kazoo" }), method, status, None).is_success();
    assert!(success("POST", 200) && success("GET", 200) && success("PUT", 200) && success("PUT", 201));
    assert!(!success("POST", 201) && !success("GET", 201) && !success("POST", 202) && !success("PUT", 204));
}

#[test]
fn gone_switches_the_trigger_off_and_is_not_tried_again() {
    let gone = outcome(json!({}), "POST", 410, None);
    assert!(gone.disables_trigger() && !gone.may_retry);
    assert!(!outcome(json!({}), "POST", 404, None).disables_trigger());
}

fn pause(status: u16, retry_after: Option<&str>) -> Option<u64> {
    outcome(json!({}), "POST", status, retry_after).pause.map(|pause| pause.as_secs())
}

#[test]
fn a_receiver_can_ask_for_a_pause_in_seconds_or_by_date_and_gets_60_s_at_most() {
    assert_eq!(pause(429, Some("7")), Some(7));
    assert_eq!(pause(429, Some("60")), Some(60));
    assert_eq!(pause(429, Some("86400")), Some(60));
    assert_eq!(pause(429, Some("99999999999999999999999")), Some(60));
    assert_eq!(pause(503, Some(" 7 ")), Some(7));
    // The samples' now is 09:00:00.
    assert_eq!(pause(429, Some("Tue, 10 Mar 2026 09:00:30 GMT")), Some(30));
    assert_eq!(pause(503, Some("Tue, 10 Mar 2026 10:00:00 GMT")), Some(60));
}

#[test]
fn a_pause_is_never_nothing_or_a_loop_would_begin() {
    assert_eq!(pause(429, None), Some(2));
    assert_eq!(pause(429, Some("soon")), Some(2));
    assert_eq!(pause(429, Some("0")), Some(1));
    assert_eq!(pause(429, Some("Tue, 10 Mar 2026 08:00:00 GMT")), Some(1));
}

#[test]
fn other_answers_pause_nothing() {
    assert_eq!(pause(503, None), None);
    assert_eq!(pause(503, Some("soon")), None);
    for status in [200, 302, 404, 410, 500, 502, 504] {
        assert_eq!(pause(status, Some("7")), None, "{status}");
    }
}

/// By `retryOn`: whether another try is allowed after these, in order.
fn retried(retry_on: &str) -> String {
    let answers = [302, 400, 401, 404, 408, 422, 425, 429, 500, 503, 599, 410].map(|status| {
        let again = outcome(json!({ "retryOn": retry_on }), "POST", status, None).may_retry;
        format!("{status}{}", if again { "+" } else { "-" })
    });
    answers.join(" ")
}

#[test]
fn retry_on_says_after_which_answers() {
    assert_eq!(retried("any"), "302+ 400+ 401+ 404+ 408+ 422+ 425+ 429+ 500+ 503+ 599+ 410-");
    assert_eq!(retried("transient"), "302- 400- 401- 404- 408+ 422- 425+ 429+ 500+ 503+ 599+ 410-");
    assert_eq!(retried("unanswered"), "302- 400- 401- 404- 408- 422- 425- 429- 500- 503- 599- 410-");
}

#[test]
fn what_got_no_answer_may_be_tried_again_by_every_rule() {
    for retry_on in ["any", "transient", "unanswered"] {
        let trigger = samples::trigger("https://h.example/in", json!({ "retryOn": retry_on }));
        for class in Class::ALL {
            let Class::Failed(kind) = class else { continue };
            let outcome = classify(&trigger, &exchange("POST", None, Some(kind)));
            assert_eq!(outcome.class, class);
            let is_over = kind == FailureKind::Unsendable
                || (kind == FailureKind::TokenRefused && retry_on == "transient");
            assert_eq!(outcome.may_retry, !is_over, "{retry_on} {kind:?}");
        }
    }
}

#[test]
fn an_answer_whose_body_does_not_come_whole_is_no_success_but_was_an_answer() {
    for kind in [FailureKind::BodyBroken, FailureKind::Timeout(Phase::Body)] {
        let half = exchange("POST", Some(answer(200, None)), Some(kind));
        let by = |retry_on| {
            classify(&samples::trigger("https://h.example/in", json!({ "retryOn": retry_on })), &half)
        };
        assert_eq!((by("any").class, by("any").status), (Class::Failed(kind), Some(200)));
        assert!(by("any").may_retry && by("transient").may_retry && !by("unanswered").may_retry);
    }
}

#[test]
fn names_of_classes_are_one_each_and_read_back() {
    let mut names = Class::ALL.map(Class::name);
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    for (at, class) in Class::ALL.into_iter().enumerate() {
        assert_eq!((class.index(), Class::from_name(class.name())), (at, Some(class)));
    }
}

#[test]
fn a_token_server_that_is_down_holds_deliveries_and_one_that_refuses_us_says_nothing_of_the_receiver() {
    let trigger = samples::trigger("https://h.example/in", json!({}));
    let sign = |kind| classify(&trigger, &exchange("POST", None, Some(kind))).sign();
    assert_eq!(sign(FailureKind::Token), Sign::Down);
    assert_eq!(sign(FailureKind::Timeout(Phase::Token)), Sign::Down);
    assert_eq!(sign(FailureKind::TokenRefused), Sign::Neutral);
}
