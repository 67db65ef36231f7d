//! Kazoo's messages to finished records: what a tenant reads of a call, whichever way and order they come in.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::path::Path;

use ringpost_ingest::{Decoded, Source, decode};
use ringpost_model::{Dialect, PartyNames, PbxKey, Side, SideRules, TenantKey, Timestamp};
use serde_json::{Map, Value, json};

#[path = "support/calls.rs"]
mod calls;
#[path = "support/fixtures.rs"]
mod fixtures;

use calls::records;
use fixtures::{files, fixture, fixtures, told};

fn source() -> Source<'static> {
    Source { tenant: TenantKey::new("acme").ok(), pbx: PbxKey::new("kz1").ok(), ..Source::default() }
}

fn read(bytes: &[u8]) -> Decoded {
    decode(Dialect::Kazoo, &source(), bytes)
}

/// One line a fixture; the calls begin at 09:00 on 2026-03-10. Worked out by hand from the times in them.
#[test]
fn calls_of_every_way_come_out_as_they_happened() {
    let mut out = String::new();
    for (name, bytes) in fixtures(Dialect::Kazoo) {
        let decoded = read(&bytes);
        assert_eq!(decoded.rejects, [], "{name}");
        let records = records(decoded.records);
        assert_eq!(records.len(), 1, "{name}: {records:#?}");
        writeln!(out, "{name}: {}", told(&records[0])).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn the_order_in_which_messages_come_does_not_matter() {
    for (name, bytes) in fixtures(Dialect::Kazoo) {
        let legs = read(&bytes).records;
        let expected = records(legs.clone());
        assert_eq!(records(legs.into_iter().rev()), expected, "{name}");
    }
}

/// What each message says, before anything is put together.
#[test]
fn legs_of_a_call_on_the_bus() {
    let legs = read(&fixture(Dialect::Kazoo, "internal-held.ndjson")).records;
    let lines: Vec<String> = legs.iter().map(|leg| serde_json::to_string(leg).unwrap()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

fn destroy() -> Value {
    let last = fixture(Dialect::Kazoo, "internal-held.ndjson");
    serde_json::from_slice(last.trim_ascii_end().split(|byte| *byte == b'\n').next_back().unwrap()).unwrap()
}

/// `Call-ID` → `call_id`, `callid`, `callId`.
fn spelled(value: &Value, spell: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (spell(key), spelled(value, spell)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        Value::Bool(flag) => flag.to_string().into(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), as_text(value))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

#[test]
fn every_spelling_and_wrapping_of_a_message_says_the_same() {
    let message = destroy();
    let expected = read(message.to_string().as_bytes());
    assert_eq!((expected.records.len(), expected.rejects.len()), (2, 0));
    let snake = |key: &str| key.to_lowercase().replace('-', "_");
    let bare = |key: &str| key.replace('-', "");
    let bodies = [
        spelled(&message, &snake).to_string(),
        spelled(&message, &bare).to_string(),
        as_text(&message).to_string(),
        serde_json::to_string_pretty(&message).unwrap(),
        json!([message]).to_string(),
        json!({ "data": [message], "status": "success" }).to_string(),
        json!({ "action": "event", "name": "CHANNEL_DESTROY", "data": spelled(&message, &snake) })
            .to_string(),
        json!({ "name": "CHANNEL_DESTROY", "args": message }).to_string(),
        json!({ "exchange": "callevt", "payload": message.to_string() }).to_string(),
    ];
    for body in bodies {
        let decoded = read(body.as_bytes());
        assert_eq!(decoded.rejects, [], "{body}");
        assert_eq!(decoded.records, expected.records, "{body}");
    }
}

#[test]
fn an_answer_as_it_happened_counts_before_the_one_that_the_end_tells_in_seconds() {
    let fixture = fixture(Dialect::Kazoo, "internal-held.ndjson");
    let lines: Vec<&[u8]> = fixture.trim_ascii_end().split(|byte| *byte == b'\n').collect();
    let answered = |lines: &[&[u8]]| {
        let records = records(read(&lines.join(&b'\n')).records);
        (records[0]["answer"].clone(), records[0]["talk"].clone(), records[0]["ring"].clone())
    };
    assert_eq!(answered(&lines), (json!("2026-03-10T09:00:06+00:00"), json!(17), json!(6)));
    let ends: Vec<&[u8]> = lines[lines.len() - 2..].to_vec();
    assert_eq!(answered(&ends), (json!("2026-03-10T09:00:06+00:00"), json!(25), json!(6)));
}

fn reason(body: &str) -> String {
    let decoded = decode(Dialect::Kazoo, &Source { tenant: None, ..source() }, body.as_bytes());
    assert_eq!((decoded.records.len(), decoded.rejects.len()), (0, 1), "{body}");
    decoded.rejects[0].reason.to_string()
}

#[test]
fn a_message_that_says_no_leg_says_why() {
    let reasons = [
        r#"{"a":1}"#,
        r#"{"Call-ID":"a"}"#,
        r#"{"Event-Name":"CHANNEL_CREATE","Account-ID":"x"}"#,
        r#"{"Event-Name":"CHANNEL_CREATE","Call-ID":"a","Timestamp":63940352400}"#,
        r#"{"Event-Name":"CHANNEL_CREATE","Call-ID":"a","Account-ID":"x y"}"#,
        r#"{"Event-Name":"CHANNEL_ANSWER","Call-ID":"a","Account-ID":"x","Timestamp":"soon"}"#,
        r#"{"Event-Name":"CHANNEL_ANSWER","Call-ID":"a","Account-ID":"x","Timestamp":1}"#,
        r#"{"event_name":"PARK_PARKED","call_id":"a","account_id":"x","parking_slot":1}"#,
        r#"[["a"]]"#,
        "<xml/>",
    ];
    let reasons: Vec<String> = reasons.iter().map(|body| reason(body)).collect();
    insta::assert_snapshot!(reasons.join("\n"));
}

#[test]
fn a_park_without_a_time_happens_when_it_arrives() {
    let received = Timestamp::parse("2026-03-10T09:00:15Z").ok();
    let body = br#"{"event_name":"PARK_PARKED","call_id":"a","parking_slot":1}"#;
    let decoded = decode(Dialect::Kazoo, &Source { received, ..source() }, body);
    let record = serde_json::to_value(&decoded.records[0]).unwrap();
    assert_eq!(
        (&record["event"], &record["slot"], &record["at"]),
        (&json!("parked"), &json!("1"), &json!(1_773_133_215_000_000_i64))
    );
}

/// Legs that Kazoo sends to another of its nodes keep their id.
#[test]
fn one_call_id_on_two_nodes_is_two_legs_of_one_call() {
    let id = "3f8d3557-e3b7-4bd2-b253-81c905d474cd";
    let leg = |direction: &str, node: &str| {
        let message = json!({ "Event-Name": "CHANNEL_CREATE", "Call-ID": id, "Call-Direction": direction,
            "Timestamp": 63_940_352_400_i64, "Switch-Nodename": format!("freeswitch@{node}") });
        read(message.to_string().as_bytes()).records.remove(0)
    };
    let (placed, came_in) = (leg("outbound", "fs1"), leg("inbound", "fs2"));
    assert_eq!((placed.leg.as_str(), came_in.leg.as_str()), (id, format!("fs2/{id}").as_str()));
    assert_eq!(came_in.links, [id.into()]);
}

/// Kazoo says abandoned where the caller hangs up in the park, and where the call flow goes on after it.
#[test]
fn a_park_that_is_abandoned_is_over() {
    let id = "MzQ1@192.0.2.10";
    let message = |name: &str, second: i64, more: Value| {
        let mut message = json!({ "Event-Name": name, "Event-Category": "call_event", "Call-ID": id,
            "Timestamp": 63_940_352_400_i64 + second, "Custom-Channel-Vars": {} });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message.to_string()
    };
    let node = json!({ "Call-Direction": "inbound", "Switch-Nodename": "freeswitch@fs1",
        "Custom-Channel-Vars": { "Resource-Type": "offnet-origination" } });
    let input = [
        message("CHANNEL_CREATE", 0, node.clone()),
        message("PARK_PARKED", 5, json!({ "Parking-Slot": 101 })),
        message("PARK_ABANDONED", 15, json!({ "Parking-Slot": "101" })),
        message("CHANNEL_DESTROY", 40, node),
    ];
    let records = records(read(input.join("\n").as_bytes()).records);
    assert_eq!((records.len(), &records[0]["park"]), (1, &json!(10)), "{records:?}");
    assert!(!records[0].contains_key("lostinPark"), "the call went on after its park: {records:?}");
}

/// A report on the bus has the switch's own times; beside them those in whole seconds do not count.
#[test]
fn a_report_with_the_switchs_own_times_is_exact() {
    let begin = 1_773_133_200_000_000_i64;
    let times = json!({ "created_time": begin.to_string(), "progress_time": (begin + 1_100_000).to_string(),
        "progress_media_time": "0", "answered_time": (begin + 10_240_000).to_string() });
    let report = json!({ "Event-Category": "cdr", "Event-Name": "report", "Call-ID": "b", "Call-Direction": "outbound",
        "Timestamp": 63_940_352_431_i64, "Channel-Created-Time": begin, "Duration-Seconds": 30, "Billing-Seconds": 21,
        "Custom-Application-Vars": { "topic": "sales" }, "Extended-Data": { "Channel-CallFlow": [{ "times": times }] } });
    let lines: Vec<String> = read(report.to_string().as_bytes())
        .records
        .iter()
        .map(|leg| serde_json::to_string(leg).unwrap())
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_resource_to_another_house_is_what_the_platform_says_it_is() {
    let message = json!({ "Event-Name": "CHANNEL_CREATE", "Call-ID": "a", "Call-Direction": "outbound",
        "Timestamp": 63_940_352_400_i64,
        "Custom-Channel-Vars": { "Resource-Type": "offnet-termination", "Resource-ID": "leeds" } })
    .to_string();
    let names = PartyNames { gateways: Some(vec!["leeds".into()]), ..PartyNames::default() };
    let rules = SideRules { internal: names, ..SideRules::default() };
    let side = |sides: &SideRules| {
        decode(Dialect::Kazoo, &Source { sides, ..source() }, message.as_bytes()).records[0].fields.side
    };
    assert_eq!(side(&SideRules::default()), Some(Side::External));
    assert_eq!(side(&rules), Some(Side::Internal));
}

/// Whatever is no call's: faxes, voicemails, new users, changed documents, text messages, call flows.
#[test]
fn notices_are_told_beside_legs_and_without_secrets() {
    let notices = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz/kazoo/notices.json");
    let decoded = read(&std::fs::read(notices).unwrap());
    assert_eq!((decoded.records.len(), decoded.accepted, decoded.rejects.len()), (0, 8, 0));
    let written: Vec<String> =
        decoded.notices.iter().map(|notice| serde_json::to_string(notice).unwrap()).collect();
    insta::assert_snapshot!(written.join("\n"));
}

/// Published samples of webhooks, which are not part of this project.
#[test]
fn published_samples_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/kazoo");
    for (name, bytes) in files(&folder) {
        let decoded = decode(
            Dialect::Kazoo,
            &Source { received: Some(Timestamp::from_micros(1_773_133_200_000_000)), ..source() },
            &bytes,
        );
        assert_eq!(decoded.rejects, [], "{name}");
        let is_of_call = !name.contains("object") && !name.contains("notifications");
        assert_eq!(decoded.records.is_empty(), !is_of_call, "{name}: {:?}", decoded.records);
        assert_eq!(decoded.notices.is_empty(), is_of_call, "{name}: {:?}", decoded.notices);
    }
}
