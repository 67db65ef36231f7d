//! Golden payloads, and that PHP and Rack read the same data back.

use proptest::prelude::*;
use ringpost_model::ContactField;
use serde_json::{Map, Value, json};

use super::*;
use crate::samples;

mod notices;
mod receivers;

const URL: &str = "https://hooks.example/in";

fn rendered(url: &str, keys: Value) -> Rendered {
    let trigger = samples::trigger(url, keys);
    render(&trigger, url, &samples::delivery(), &samples::cdr().into()).unwrap()
}

fn text(rendered: &Rendered) -> String {
    String::from_utf8(rendered.payload.to_vec()).unwrap()
}

/// One pair a line.
fn lines(rendered: &Rendered) -> String {
    text(rendered).replace('&', "\n")
}

fn custom() -> Value {
    json!({ "hook": "post call", "ключ": "a+b&c=d" })
}

#[test]
fn json_is_seed_002_key_by_key() {
    let rendered = rendered(URL, json!({ "customData": custom() }));
    assert_eq!(rendered.content_type, Some("application/json"));
    insta::assert_snapshot!("json", text(&rendered));
}

#[test]
fn form_is_nested_with_bare_brackets_and_exact_decimals() {
    let rendered = rendered(URL, json!({ "format": "form", "customData": custom() }));
    assert_eq!(rendered.content_type, Some("application/x-www-form-urlencoded"));
    insta::assert_snapshot!("form", lines(&rendered));
}

#[test]
fn get_carries_the_pairs_of_the_form_in_its_url() {
    let rendered = rendered(URL, json!({ "method": "GET", "customData": custom() }));
    assert_eq!(rendered.content_type, None);
    insta::assert_snapshot!("get", rendered.url.as_str().replace('&', "\n&"));
    assert_eq!(rendered.url.as_str(), format!("{URL}?{}", text(&rendered)));
}

#[test]
fn a_revision_that_no_longer_matches_says_so_beside_the_record() {
    let mut delivery = samples::delivery();
    delivery.matches = false;
    let trigger = samples::trigger(URL, json!({}));
    let rendered = render(&trigger, URL, &delivery, &Cdr::empty(delivery.session).into()).unwrap();
    insta::assert_snapshot!("no_longer_matches", text(&rendered));
}

#[test]
fn every_try_renders_the_same_bytes() {
    for keys in
        [json!({}), json!({ "format": "form" }), json!({ "method": "GET" }), json!({ "method": "PUT" })]
    {
        assert_eq!(rendered(URL, keys.clone()), rendered(URL, keys));
    }
}

#[test]
fn a_signed_url_stays_as_it_is_to_the_byte() {
    let signed = [
        "https://prod.logic.azure.com:443/workflows/a/triggers/manual/paths/invoke?api-version=2016-10-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=aB%2bc%2F-_~d%3D",
        "https://hooks.example/in?a=%zz&&b&=c&d=e+f%20g&h=(!*;@$,/?:)",
        "https://hooks.example/in?flag",
    ];
    for url in signed {
        let rendered = rendered(url, json!({ "method": "GET" }));
        let expected = url.replace(":443", "");
        let appended = text(&rendered);
        assert_eq!(rendered.url.as_str(), format!("{expected}&{appended}"));
        for (method, format) in [("POST", "json"), ("PUT", "form")] {
            let rendered = self::rendered(url, json!({ "method": method, "format": format }));
            assert_eq!(rendered.url.as_str(), expected);
        }
    }
}

#[test]
fn a_query_that_is_empty_or_open_gets_no_second_joiner() {
    for (url, joined) in [
        ("https://h.example/in?", "https://h.example/in?"),
        ("https://h.example/in?a=1&", "https://h.example/in?a=1&"),
    ] {
        let rendered = rendered(url, json!({ "method": "GET" }));
        assert_eq!(rendered.url.as_str(), format!("{joined}{}", text(&rendered)));
    }
}

#[test]
fn keys_of_the_receiver_are_not_repeated() {
    let url =
        "https://h.example/in?id=theirs&cdr%5Bdur%5D=theirs&cdr[tags]=theirs&customData[sig]=x&truncated=0";
    let keys = json!({ "method": "GET", "customData": { "sig": "ours", "other": "ours" } });
    let appended = lines(&rendered(url, keys));
    let keys: Vec<&str> =
        appended.lines().filter_map(|line| line.split_once('=')).map(|(key, _)| key).collect();
    assert!(keys.contains(&"tenantId") && keys.contains(&"cdr[id]") && keys.contains(&"customData[other]"));
    for theirs in ["id", "cdr[dur]", "cdr[tags][Support]", "customData[sig]"] {
        assert!(!keys.contains(&theirs), "{theirs}");
    }
}

#[test]
fn a_key_of_the_receiver_above_or_below_ours_is_not_replaced_by_php() {
    let whole = rendered("https://h.example/in?cdr=theirs", json!({ "method": "GET" }));
    assert!(!text(&whole).contains("cdr["), "PHP would make cdr an array and forget the receiver's");
    let below = rendered("https://h.example/in?cdr[cause][x]=theirs", json!({ "method": "GET" }));
    assert!(!text(&below).contains("cdr[cause]=") && text(&below).contains("cdr[dur]=70"));
    let alike = rendered("https://h.example/in?cdrs=1&cd=2&tenantI=3", json!({ "method": "GET" }));
    assert!(text(&alike).contains("cdr[id]=") && text(&alike).contains("tenantId="));
}

#[test]
fn a_fragment_and_user_info_do_not_travel_in_the_url() {
    let rendered = rendered("https://user:pass@h.example/in?a=1#part", json!({ "method": "GET" }));
    assert!(rendered.url.as_str().starts_with("https://h.example/in?a=1&triggerId="));
    assert!(!rendered.url.as_str().contains('#'));
}

/// A record whose parts have these sizes when encoded, more or less.
fn wide(matches: usize, tags: usize, recordings: usize, cause: usize) -> Cdr {
    let mut cdr = samples::cdr();
    cdr.directory_matches[0].fields = [(ContactField::FullName, "m".repeat(matches).into())].into();
    cdr.tags = [("t".into(), "t".repeat(tags).into())].into();
    cdr.recording_ids = vec!["r".repeat(recordings).into()];
    cdr.cause = "c".repeat(cause).into();
    cdr
}

fn get(url: &str, cdr: &Cdr) -> Result<Rendered, RenderError> {
    let trigger = samples::trigger(url, json!({ "method": "GET" }));
    render(&trigger, url, &samples::delivery(), &cdr.clone().into())
}

/// Which of the parts that may be dropped are there, and whether the mark is.
fn parts(cdr: &Cdr) -> String {
    let rendered = get(URL, cdr).unwrap();
    assert!(rendered.url.as_str().len() <= URL_BYTES);
    let text = text(&rendered);
    let marks = ["cdr[directoryMatches]", "cdr[tags]", "cdr[recordingIds]", "truncated=1"];
    marks.map(|mark| if text.contains(mark) { mark } else { "-" }).join(" ")
}

#[test]
fn a_url_that_is_too_long_loses_matches_then_tags_then_recordings_and_says_so() {
    assert_eq!(parts(&wide(4_000, 10, 10, 10)), "cdr[directoryMatches] cdr[tags] cdr[recordingIds] -");
    assert_eq!(parts(&wide(8_000, 10, 10, 10)), "- cdr[tags] cdr[recordingIds] truncated=1");
    assert_eq!(parts(&wide(8_000, 8_000, 10, 10)), "- - cdr[recordingIds] truncated=1");
    assert_eq!(parts(&wide(10, 10, 8_000, 10)), "- - - truncated=1");
    assert_eq!(parts(&wide(10, 8_000, 10, 10)), "- - cdr[recordingIds] truncated=1");
}

#[test]
fn a_url_that_stays_too_long_is_a_failure_with_that_reason() {
    let error = get(URL, &wide(10, 10, 10, 8_000)).unwrap_err();
    assert!(matches!(error, RenderError::TooLong { bytes: 8_001.., limit: URL_BYTES }), "{error}");
    let long = format!("{URL}?token={}", "x".repeat(8_000));
    let error = get(&long, &samples::cdr()).unwrap_err();
    assert!(matches!(error, RenderError::TooLong { .. }) && !error.to_string().contains("xxx"), "{error}");
}

#[test]
fn the_limit_is_met_to_the_byte() {
    let bare = get(URL, &wide(1, 1, 1, 1)).unwrap().url.as_str().len();
    let room = URL_BYTES - bare;
    assert_eq!(get(URL, &wide(1 + room, 1, 1, 1)).unwrap().url.as_str().len(), URL_BYTES);
    assert!(text(&get(URL, &wide(2 + room, 1, 1, 1)).unwrap()).ends_with("&truncated=1"));
}

#[test]
fn what_is_no_url_is_an_error_that_does_not_tell_it() {
    for url in ["", "hooks.example/secret", "https://", "mailto:a@secret", "https://h.example:99999/secret"] {
        let trigger = samples::trigger(url, json!({}));
        let error = render(&trigger, url, &samples::delivery(), &samples::cdr().into()).unwrap_err();
        assert!(matches!(error, RenderError::Url(_)), "{url}: {error}");
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
}

/// The document with every scalar as text: what a receiver of a form can get back at best.
fn as_texts(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            Value::Object(entries.into_iter().map(|(key, value)| (key, as_texts(value))).collect())
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(as_texts).collect()),
        Value::String(text) => Value::String(text),
        other => Value::String(other.to_string()),
    }
}

/// Forms know no difference between a list and an object with the keys 0, 1, 2 …
fn lists_as_objects(value: Value) -> Value {
    match value {
        Value::Array(elements) => {
            let entries = elements.into_iter().enumerate();
            Value::Object(entries.map(|(at, value)| (at.to_string(), lists_as_objects(value))).collect())
        }
        Value::Object(entries) => {
            Value::Object(entries.into_iter().map(|(key, value)| (key, lists_as_objects(value))).collect())
        }
        scalar => scalar,
    }
}

/// The document as sent as JSON, numbers as their digits: serde_json would read a decimal as a float.
fn document(cdr: &Cdr, keys: Value) -> Value {
    let trigger = samples::trigger(URL, keys);
    let json = render(&trigger, URL, &samples::delivery(), &cdr.clone().into()).unwrap();
    let mut document: Value = serde_json::from_slice(&json.payload).unwrap();
    if let Some(rate) = &cdr.rate {
        document["cdr"]["rateCost"] = Value::String(rate.cost.to_string());
    }
    lists_as_objects(as_texts(document))
}

fn form_text(cdr: &Cdr, mut keys: Value) -> String {
    keys["format"] = json!("form");
    let trigger = samples::trigger(URL, keys);
    text(&render(&trigger, URL, &samples::delivery(), &cdr.clone().into()).unwrap())
}

#[test]
fn php_reads_the_form_back() {
    let keys = json!({ "customData": custom() });
    let form = form_text(&samples::cdr(), keys.clone());
    assert_eq!(lists_as_objects(receivers::php(&form)), document(&samples::cdr(), keys));
}

#[test]
fn rack_reads_the_form_back() {
    let keys = json!({ "customData": custom() });
    let form = form_text(&samples::cdr(), keys.clone());
    assert_eq!(lists_as_objects(receivers::rack(&form)), document(&samples::cdr(), keys));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Brackets in a key are the one thing that neither can read back.
    #[test]
    fn any_text_comes_back_from_php_and_rack(
        name in "\\PC{1,12}",
        tags in proptest::collection::btree_map("[^\\[\\]\\x00]{1,8}", "\\PC{1,8}", 0..4),
        custom in proptest::collection::btree_map("[^\\[\\]\\x00]{1,8}", "\\PC{0,8}", 0..4),
        recordings in proptest::collection::vec("\\PC{1,8}", 0..3),
    ) {
        let mut cdr = samples::cdr();
        cdr.cli.name = name.into();
        cdr.tags = tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        cdr.recording_ids = recordings.into_iter().map(Into::into).collect();
        let keys = json!({ "customData": custom.into_iter().map(|(key, value)| (key, json!(value))).collect::<Map<_, _>>() });
        let form = form_text(&cdr, keys.clone());
        let expected = document(&cdr, keys);
        prop_assert_eq!(lists_as_objects(receivers::php(&form)), expected.clone());
        prop_assert_eq!(lists_as_objects(receivers::rack(&form)), expected);
    }
}
