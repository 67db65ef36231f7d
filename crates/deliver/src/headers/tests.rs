//! The headers of a request, to the letter.

use serde_json::{Value, json};

use super::*;
use crate::render::{Rendered, render};
use crate::samples;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn made(url: &str, keys: Value) -> Result<(Rendered, HeaderMap), HeaderError> {
    let (trigger, delivery) = (samples::trigger(url, keys), samples::delivery());
    let rendered = render(&trigger, url, &delivery, &samples::cdr().into()).unwrap();
    let head = Head::of(delivery.owner, &trigger)?;
    let made = head.headers(rendered.content_type, delivery.id, samples::now(), &rendered.payload)?;
    Ok((rendered, made))
}

/// One header a line, by name.
fn lines(headers: &HeaderMap) -> String {
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn every_request_says_who_sends_what_and_signs_it() {
    let (_, headers) = made("https://h.example/in", json!({ "secrets": [SECRET] })).unwrap();
    insta::assert_snapshot!(lines(&headers).replace(AGENT, "ringpost/<version>"), @r"
    accept: */*
    content-type: application/json
    user-agent: ringpost/<version>
    webhook-id: 6aeafed0-01e1-5382-8dda-4cdf56d88d19
    webhook-signature: v1,xDkm2ou76FVVmUtGdcpB7hOsYoCHC9TwED8J2p9aAiw=
    webhook-timestamp: 1773133200
    x-account-id: 00000000-0000-0000-0000-00000000000a
    x-hook-id: 11111111-1111-4111-8111-111111111111
    ");
}

#[test]
fn without_a_secret_there_is_an_id_and_a_time_and_no_signature() {
    let (_, headers) = made("https://h.example/in", json!({ "format": "form" })).unwrap();
    insta::assert_snapshot!(lines(&headers).replace(AGENT, "ringpost/<version>"), @r"
    accept: */*
    content-type: application/x-www-form-urlencoded
    user-agent: ringpost/<version>
    webhook-id: 6aeafed0-01e1-5382-8dda-4cdf56d88d19
    webhook-timestamp: 1773133200
    x-account-id: 00000000-0000-0000-0000-00000000000a
    x-hook-id: 11111111-1111-4111-8111-111111111111
    ");
}

#[test]
fn a_standard_webhooks_library_verifies_what_is_received() {
    use std::time::{SystemTime, UNIX_EPOCH};
    // The library refuses old timestamps, so this one is made now.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::from_micros(i64::try_from(now.as_micros()).unwrap());
    for keys in [json!({}), json!({ "format": "form", "method": "PUT" }), json!({ "method": "GET" })] {
        let mut keys = keys;
        keys["secrets"] = json!(["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", SECRET]);
        let url = "https://h.example/in?theirs=1";
        let (trigger, delivery) = (samples::trigger(url, keys), samples::delivery());
        let rendered = render(&trigger, url, &delivery, &samples::cdr().into()).unwrap();
        let head = Head::of(delivery.owner, &trigger).unwrap();
        let headers = head.headers(rendered.content_type, delivery.id, now, &rendered.payload).unwrap();
        // Of a GET the part of the query that we appended is what is signed.
        let received = match rendered.method {
            ringpost_model::Method::Get => {
                rendered.url.as_str().split_once("theirs=1&").unwrap().1.as_bytes()
            }
            _ => &rendered.payload[..],
        };
        for secret in &trigger.secrets {
            standardwebhooks::Webhook::new(secret).unwrap().verify(received, &headers).unwrap();
        }
        let other = standardwebhooks::Webhook::new("whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB").unwrap();
        assert!(other.verify(received, &headers).is_err());
    }
}

fn authorization(url: &str, keys: Value) -> Option<String> {
    let (_, headers) = made(url, keys).unwrap();
    let value = headers.get(AUTHORIZATION)?;
    assert!(value.is_sensitive());
    Some(value.to_str().unwrap().to_owned())
}

#[test]
fn we_identify_ourselves_as_configured() {
    let url = "https://h.example/in";
    assert_eq!(authorization(url, json!({})), None);
    let basic = json!({ "auth": { "kind": "basic", "user": "Aladdin", "password": "open sesame" } });
    assert_eq!(authorization(url, basic).unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    let bearer =
        json!({ "auth": { "kind": "bearer", "token": "t0ken" }, "headers": { "Authorization": "mine" } });
    assert_eq!(authorization(url, bearer).unwrap(), "Bearer t0ken");
    assert_eq!(authorization(url, json!({ "headers": { "authorization": "Key 1" } })).unwrap(), "Key 1");
}

#[test]
fn user_info_of_the_url_is_sent_as_basic_credentials() {
    let url = "https://Aladdin:open%20sesame@h.example/in";
    assert_eq!(authorization(url, json!({})).unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    let bearer = json!({ "auth": { "kind": "bearer", "token": "t0ken" } });
    assert_eq!(authorization(url, bearer).unwrap(), "Bearer t0ken");
    assert_eq!(authorization(url, json!({ "headers": { "authorization": "Key 1" } })).unwrap(), "Key 1");
}

#[test]
fn headers_that_are_ours_or_the_connections_cannot_be_set() {
    for name in [
        "Host",
        "content-length",
        "Content-Type",
        "Content-Encoding",
        "Connection",
        "Transfer-Encoding",
        "TE",
        "Upgrade",
        "Keep-Alive",
        "Proxy-Authorization",
        "webhook-id",
        "Webhook-Signature",
        "X-Hook-ID",
        "x-account-id",
        "User-Agent",
        "Expect",
        "Trailer",
    ] {
        assert_eq!(check_header(name, "x").unwrap_err(), HeaderError::Reserved(name.to_owned()));
    }
    assert!(check_header("X-Api-Key", "k€y").is_ok());
    assert!(matches!(check_header("bad name", "x"), Err(HeaderError::Name(_))));
}

#[test]
fn a_value_that_would_split_the_request_is_refused_without_being_told() {
    for value in ["a\r\nX-Evil: s3cret", "a\0s3cret", "s3cret\n"] {
        let error = check_header("X-Key", value).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
    let keys = json!({ "auth": { "kind": "bearer", "token": "a\nb" } });
    assert_eq!(
        made("https://h.example/in", keys).unwrap_err(),
        HeaderError::Value("Authorization".to_owned())
    );
}
