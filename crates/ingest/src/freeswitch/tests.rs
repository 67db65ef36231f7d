//! Documents in, legs out: every wrapping, every missing part.

use std::fmt::Write;

use base64::Engine;
use ringpost_model::{Dialect, LegRecord, PartyNames, PbxKey, Side, SideRules, TenantKey};

use crate::{Decoded, Reason, Source, decode};

const HELD: &str = include_str!("../../fixtures/freeswitch-cdr/incoming-held.json");
const ENCODED: &str = include_str!("../../fixtures/freeswitch-cdr/outgoing-encoded.json");

fn source() -> Source<'static> {
    let tenant = Some(TenantKey::new("acme").unwrap());
    Source { tenant, pbx: Some(PbxKey::new("fs1").unwrap()), ..Source::default() }
}

fn all(body: &str) -> Decoded {
    decode(Dialect::FreeswitchCdr, &source(), body.as_bytes())
}

fn legs(body: &str) -> Vec<LegRecord> {
    let decoded = all(body);
    assert_eq!(decoded.rejects, [], "{body}");
    decoded.records
}

/// As FreeSWITCH encodes: what is encoded already stays as it is.
fn url_encode(text: &str) -> String {
    let mut encoded = String::new();
    for (at, byte) in text.bytes().enumerate() {
        let is_escape = byte == b'%' && text.as_bytes()[at + 1..].iter().take(2).all(u8::is_ascii_hexdigit);
        let is_unsafe = !(b' '..=b'~').contains(&byte) || b"\r\n #%&+:;<=>?@[\\]^`{|}\"".contains(&byte);
        if is_unsafe && !is_escape {
            write!(encoded, "%{byte:02X}").unwrap();
        } else {
            encoded.push(byte as char);
        }
    }
    encoded
}

fn compact(document: &str) -> String {
    serde_json::from_str::<Box<serde_json::value::RawValue>>(document).unwrap();
    let node: serde_json::Value = serde_json::from_str(document).unwrap();
    node.to_string()
}

#[test]
fn every_wrapping_of_a_document_gives_the_same_legs() {
    let expected = legs(HELD);
    assert_eq!(expected.len(), 2);
    let raw = compact(HELD);
    let base64 = base64::engine::general_purpose::STANDARD.encode(&raw);
    let lines: Vec<&str> =
        base64.as_bytes().chunks(72).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("cdr", HELD).finish();
    for body in [
        raw.clone(),
        format!("cdr={}", url_encode(&raw)),
        format!("uuid=a_1&cdr={}&x=1", url_encode(&raw)),
        url_encode(&raw),
        form,
        format!("cdr={raw}"),
        format!("cdr={HELD}"),
        format!("cdr={base64}"),
        base64.clone(),
        format!("cdr={}\n", lines.join("\n")),
        format!("[{raw}]"),
        format!("\u{feff}{raw}\n"),
    ] {
        assert_eq!(legs(&body), expected, "{}", &body[..60]);
    }
}

#[test]
fn encoded_values_are_undone_once() {
    let raw = compact(HELD);
    let mut document: serde_json::Value = serde_json::from_str(HELD).unwrap();
    for (_, value) in document["variables"].as_object_mut().unwrap() {
        *value = url_encode(value.as_str().unwrap()).into();
    }
    let encoded = document.to_string();
    assert_ne!(encoded, raw);
    assert_eq!(legs(&encoded), legs(HELD));
    // Both encodings on: undoing the form undoes the values as well and leaves no JSON; it is mended.
    assert_eq!(legs(&format!("cdr={}", url_encode(&encoded))), legs(HELD));
}

#[test]
fn documents_stand_in_a_file_in_any_layout() {
    let two = [legs(HELD), legs(ENCODED)].concat();
    let held = compact(HELD);
    let encoded = ENCODED.trim();
    let forms = format!("cdr={}\ncdr={}\n", url_encode(&held), url_encode(encoded));
    for file in [
        format!("{HELD}{ENCODED}"),
        format!("{held}{encoded}"),
        format!("{held}\n{encoded}\n"),
        format!("[{HELD},\n{encoded}]"),
        forms,
    ] {
        assert_eq!(legs(&file), two);
    }
}

#[test]
fn a_switch_of_several_tenants_names_them_in_a_variable() {
    let nobody = Source::default();
    let tenant = |variables: &str| {
        let document = format!(
            r#"{{"switchname":"fs9","variables":{{"uuid":"u","start_uepoch":"1773133200000000"{variables}}}}}"#
        );
        let decoded = decode(Dialect::FreeswitchCdr, &nobody, document.as_bytes());
        match decoded.records.first() {
            Some(leg) => format!("{} {}", leg.tenant, leg.pbx),
            None => decoded.rejects[0].reason.to_string(),
        }
    };
    assert_eq!(tenant(r#","domain_name":"acme.example.org""#), "acme.example.org fs9");
    assert_eq!(tenant(r#","domain_name":"other","ringpost_tenant":"acme""#), "acme fs9");
    insta::assert_snapshot!(tenant(r#","domain_name":"[2001:db8::1]""#), @r#"variables.domain_name: a tenant is 1 to 64 of A-Z a-z 0-9 . _ -, got "[2001:db8::1]""#);
    insta::assert_snapshot!(tenant(""), @"variables.ringpost_tenant: missing; this switch serves several tenants: set the channel variable ringpost_tenant, or domain_name, on every call, or give the pbx one tenant");
}

#[test]
fn why_documents_are_bad() {
    let mut report = String::new();
    for body in [
        "{}",
        "[5]",
        "nonsense",
        "a=1&b=2",
        "cdr=",
        "cdr=%7B%22variables%22%3A",
        "cdr=eyJ*",
        r#"{"variables":{"uuid":"u","start_uepoch":"1773133200000000"}"#,
        r#"{"callflow":[]}"#,
        r#"{"callflow":[{"times":{"created_time":"1773133200000000"}}]}"#,
        r#"{"variables":[]}"#,
        r#"{"variables":{}}"#,
        r#"{"variables":{"uuid":""}}"#,
        r#"{"variables":{"uuid":"u"}}"#,
        r#"{"variables":{"uuid":"u","start_uepoch":"0"}}"#,
        r#"{"variables":{"uuid":"u","start_uepoch":"soon"}}"#,
        r#"{"variables":{"uuid":"u","start_uepoch":"1773133200"}}"#,
        r#"{"variables":{"uuid":"u","start_epoch":"99999999999999"}}"#,
        r#"{"v":1,"kind":"leg"}"#,
    ] {
        let decoded = all(body);
        assert_eq!(decoded.records, [], "{body}");
        let reason =
            decoded.rejects.first().map(|reject| format!("{}: {}", reject.reason.code(), reject.reason));
        writeln!(report, "{body}\n    {}", reason.unwrap_or_else(|| "no element".to_owned())).unwrap();
    }
    insta::assert_snapshot!(report);
}

#[test]
fn a_document_of_little_is_a_leg_of_little() {
    let leg = |document: &str| serde_json::to_string(&legs(document)[0]).unwrap();
    insta::assert_snapshot!(
        leg(r#"{"variables":{"uuid":"u","start_epoch":1773133200,"end_epoch":"1773133260"}}"#),
        @r#"{"v":1,"kind":"leg","tenant":"acme","pbx":"fs1","leg":"u","rev":1,"created":1773133200000000,"ended":1773133260000000}"#
    );
    insta::assert_snapshot!(
        leg(r#"{"variables":{"uuid":"u","start_stamp":"2026-03-10 09:00:00","app":null,"x":{"y":[1]}},"app_log":5,"callflow":"x"}"#),
        @r#"{"v":1,"kind":"leg","tenant":"acme","pbx":"fs1","leg":"u","rev":1,"created":1773133200000000}"#
    );
    assert_eq!(all(r#"{"variables":{"uuid":"u","start_stamp":"2026-03-10 09:00:00"}}"#).notes.local_times, 1);
}

#[test]
fn one_bad_document_never_loses_its_neighbours() {
    let held = compact(HELD);
    for bad in ["{}", "{", "nonsense", "cdr=%7B", r#"{"variables":{"uuid":"#] {
        let decoded = all(&format!("{held}\n{bad}\n{held}\n"));
        assert_eq!((decoded.accepted, decoded.rejects.len()), (2, 1), "{bad}");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(70), "]".repeat(70));
    assert_eq!(all(&deep).rejects[0].reason, Reason::TooDeep);
}

#[test]
fn a_held_call_as_legs() {
    let written: Vec<String> = legs(HELD).iter().map(|leg| serde_json::to_string(leg).unwrap()).collect();
    insta::assert_snapshot!(written.join("\n"));
}

#[test]
fn a_recording_is_one_that_was_executed() {
    let document = |apps: &str| {
        format!(
            r#"{{"variables":{{"uuid":"u","start_uepoch":"1773133200000000"}},"app_log":{{"applications":[{apps}]}},
            "callflow":[{{"extension":{{"applications":[{{"app_name":"record_session","app_data":"/r/never.wav"}}]}}}}]}}"#
        )
    };
    let recordings = |apps: &str| {
        let leg = legs(&document(apps)).remove(0);
        leg.recordings.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(recordings(""), "");
    assert_eq!(recordings(r#"{"app_name":"bind_meta_app","app_data":"2 b s record_session::/r/x.wav"}"#), "");
    assert_eq!(recordings(r#"{"app_name":"record_session","app_data":"/r/a b/c d.wav"}"#), "c d");
    assert_eq!(
        recordings(r#"{"app_name":"record_session","app_data":"{x=1}/r/call.2026.mp3 +600"}"#),
        "call.2026"
    );
    assert_eq!(recordings(r#"{"app_name":"record","app_data":"/r/msg.wav 60 200"}"#), "msg");
}

#[test]
fn a_park_with_something_behind_it_is_none() {
    let parks = |apps: &str| {
        let document = format!(
            r#"{{"variables":{{"uuid":"u","start_uepoch":"1773133200000000","end_uepoch":"1773133260000000"}},
            "app_log":{{"applications":[{apps}]}}}}"#
        );
        let leg = legs(&document).remove(0);
        serde_json::to_value(&leg).unwrap().get("parks").map_or("none".to_owned(), ToString::to_string)
    };
    let app = |name: &str, data: &str, second: u32| {
        format!(r#"{{"app_name":"{name}","app_data":"{data}","app_stamp":"17731332{second:02}000000"}}"#)
    };
    assert_eq!(parks(&app("park", "", 1)), r#"[{"from":1773133201000000}]"#);
    assert_eq!(parks(&[app("park", "", 1), app("set", "a=b", 2)].join(",")), "none");
    assert_eq!(
        parks(&[app("valet_park", "lot 5901", 1), app("hangup", "", 9)].join(",")),
        r#"[{"from":1773133201000000,"slot":"5901","to":1773133209000000}]"#
    );
}

#[test]
fn a_gateway_to_another_house_is_what_the_platform_says_it_is() {
    let document = r#"{"variables":{"uuid":"u","direction":"outbound","start_uepoch":"1773133200000000",
        "sip_gateway_name":"branch-leeds","callee_id_number":"2001"}}"#;
    let side = |rules: &SideRules| {
        let source = Source { sides: rules, ..source() };
        decode(Dialect::FreeswitchCdr, &source, document.as_bytes()).records[0].fields.side
    };
    let branches = PartyNames { gateways: Some(vec!["branch-*".into()]), ..PartyNames::default() };
    let rules = SideRules { internal: branches, ..SideRules::default() };
    assert_eq!(side(&SideRules::default()), Some(Side::External));
    assert_eq!(side(&rules), Some(Side::Internal));
}

#[test]
fn voicemail_behind_a_loopback_is_voicemail() {
    let document = r#"{"variables":{"uuid":"u","start_uepoch":"1773133200000000","answer_uepoch":"1773133210000000",
        "end_uepoch":"1773133260000000","bridge_uepoch":"1773133210000000","last_bridge_to":"l",
        "originated_legs":"l;Outbound Call;app=voicemail:default example.org 1002"},
        "app_log":{"applications":[{"app_name":"bridge","app_data":"loopback/app=voicemail:default example.org 1002"}]}}"#;
    let written = serde_json::to_string(&legs(document)[1]).unwrap();
    assert!(written.contains(r#""side":"service","service":"voicemail""#), "{written}");
}
