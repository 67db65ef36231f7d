//! What a trigger that listens for a notice is sent.

use ringpost_model::EventName;
use serde_json::{Value, json};

use super::{URL, custom, lines, receivers, text};
use crate::content::Content;
use crate::render::{Rendered, render};
use crate::samples;

fn rendered_of(keys: Value, content: &Content) -> Rendered {
    let mut trigger = samples::trigger(URL, keys);
    trigger.event = EventName::DeliveryExhausted;
    let Content::Notice(notice) = content else { panic!("a notice is rendered") };
    let delivery = samples::delivery_of_notice(notice, &trigger);
    render(&trigger, URL, &delivery, content).unwrap()
}

fn rendered(keys: Value) -> Rendered {
    rendered_of(keys, &samples::notice().into())
}

#[test]
fn json_has_the_event_and_the_notice_in_the_place_of_a_call() {
    insta::assert_snapshot!("notice_json", text(&rendered(json!({ "customData": custom() }))));
}

#[test]
fn form_has_the_same_pairs() {
    let rendered = rendered(json!({ "format": "form", "customData": custom() }));
    assert_eq!(rendered.content_type, Some("application/x-www-form-urlencoded"));
    insta::assert_snapshot!("notice_form", lines(&rendered));
}

#[test]
fn get_has_them_in_its_url() {
    let rendered = rendered(json!({ "method": "GET", "customData": custom() }));
    let as_form = self::rendered(json!({ "format": "form", "customData": custom() }));
    assert_eq!(rendered.url.as_str(), format!("{URL}?{}", text(&as_form)));
}

#[test]
fn a_receiver_that_is_down_is_told_with_the_time_and_what_waits() {
    let mut notice = samples::notice();
    notice.event = EventName::TriggerFailing;
    (notice.delivery, notice.session, notice.attempts) = (None, None, None);
    (notice.since, notice.owed) = (Some(samples::now()), Some(37));
    insta::assert_snapshot!("notice_failing", text(&rendered_of(json!({}), &notice.into())));
}

#[test]
fn php_and_rack_read_the_form_back() {
    let json: Value = serde_json::from_slice(&rendered(json!({})).payload).unwrap();
    let form = text(&rendered(json!({ "format": "form" })));
    for read in [receivers::php(&form), receivers::rack(&form)] {
        assert_eq!(read["event"], json["event"]);
        assert_eq!(read["notice"]["triggerName"], json["notice"]["triggerName"]);
        assert_eq!(read["notice"]["url"], json["notice"]["url"]);
        assert_eq!(read["notice"]["attempts"], json!("2"));
    }
}
