//! FreeSWITCH's events to finished records: what a tenant reads of a call, whichever way and order they come in.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::path::Path;

use ringpost_ingest::{Decoded, Source, decode, frames};
use ringpost_model::{Dialect, PbxKey, TenantKey};
use serde_json::{Map, Value};

#[path = "support/calls.rs"]
mod calls;
#[path = "support/fixtures.rs"]
mod fixtures;

use calls::records;
use fixtures::{fixture, fixtures, told};

fn source() -> Source<'static> {
    Source { tenant: TenantKey::new("acme").ok(), pbx: PbxKey::new("fs1").ok(), ..Source::default() }
}

fn read(bytes: &[u8]) -> Decoded {
    decode(Dialect::FreeswitchEvent, &source(), bytes)
}

/// One line a fixture; the calls begin at 09:00 on 2026-03-10. Worked out by hand from the times in them.
#[test]
fn calls_of_every_way_come_out_as_they_happened() {
    let mut out = String::new();
    for (name, bytes) in fixtures(Dialect::FreeswitchEvent) {
        let decoded = read(&bytes);
        assert_eq!(decoded.rejects, [], "{name}");
        let records = records(decoded.records);
        assert_eq!(records.len(), 1, "{name}: {records:#?}");
        writeln!(out, "{name}: {}", told(&records[0])).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn the_order_in_which_events_come_does_not_matter() {
    for (name, bytes) in fixtures(Dialect::FreeswitchEvent) {
        let legs = read(&bytes).records;
        let expected = records(legs.clone());
        assert_eq!(records(legs.into_iter().rev()), expected, "{name}");
    }
}

/// What each event says, before anything is put together.
#[test]
fn legs_of_a_held_call() {
    let legs = read(&fixture(Dialect::FreeswitchEvent, "incoming-held.ndjson")).records;
    let lines: Vec<String> = legs.iter().map(|leg| serde_json::to_string(leg).unwrap()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn text_of_the_event_socket_says_what_json_says() {
    let text = fixture(Dialect::FreeswitchEvent, "outgoing-socket.txt");
    let decoded = read(&text);
    assert_eq!((decoded.accepted, decoded.notes.passed_over, decoded.rejects.len()), (18, 9, 0));
    let json: Vec<String> = frames(Dialect::FreeswitchEvent, &text)
        .filter(|frame| frame.bytes.starts_with(b"Event-Name"))
        .map(|frame| {
            let text = String::from_utf8(frame.bytes.to_vec()).unwrap();
            let entries = text.lines().filter_map(|line| line.split_once(": "));
            let decoded =
                |value: &str| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
            let headers: Map<_, _> =
                entries.map(|(name, value)| (name.to_owned(), decoded(value).into())).collect();
            Value::Object(headers).to_string()
        })
        .collect();
    assert_eq!(read(json.join("\n").as_bytes()).records, decoded.records);
    let crlf = String::from_utf8(text).unwrap().replace('\n', "\r\n");
    assert_eq!(read(crlf.as_bytes()).records, decoded.records);
}

#[test]
fn an_event_that_says_no_leg_says_why() {
    let reasons = [
        r#"{"a":1}"#,
        r#"{"Event-Name":"CHANNEL_CREATE"}"#,
        r#"{"Event-Name":"CHANNEL_CREATE","Unique-ID":"a"}"#,
        r#"{"Event-Name":"CHANNEL_HANGUP_COMPLETE","Unique-ID":"a","variable_start_uepoch":"soon","Event-Date-Timestamp":"1773133200000000"}"#,
        r#"[["a"]]"#,
        "hello",
        "a: b\nc: d",
    ];
    let reasons: Vec<String> = reasons
        .iter()
        .map(|body| {
            let decoded = read(body.as_bytes());
            assert_eq!((decoded.records.len(), decoded.rejects.len()), (0, 1), "{body}");
            decoded.rejects[0].reason.to_string()
        })
        .collect();
    insta::assert_snapshot!(reasons.join("\n"));
}

/// Worked out by hand: created …728.471153, answered and bridged …728.971147, ended …794.010851, far leg created
/// …728.950627.
#[test]
fn a_real_event_of_a_hang_up() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/samples/freeswitch-event/hangup-complete.txt");
    let Ok(bytes) = std::fs::read(path) else { return };
    let decoded = read(&bytes);
    assert_eq!((decoded.rejects.len(), decoded.records.len()), (0, 3));
    let records = records(decoded.records);
    let expected = "ans=1 ansDevNum=1003 answer=2015-07-07T14:52:08+00:00 cause=NORMAL_CLEARING cliName=1001 \
        cliNum=1001 dir=1 dur=66 end=2015-07-07T14:53:14+00:00 fRngDevNum=1003 lAnsDevNum=1003 lRngDevNum=1003 \
        start=2015-07-07T14:52:08+00:00 talk=66 type=1";
    assert_eq!(told(&records[0]), expected);
}

/// Events that clients of the event socket cut down still name their leg somewhere.
#[test]
fn a_leg_is_known_by_any_of_its_ids() {
    for key in ["Unique-ID", "Caller-Unique-ID", "variable_uuid"] {
        let event = format!(
            r#"{{"Event-Name":"CHANNEL_CREATE","{key}":"a","Event-Date-Timestamp":"1773133200000000"}}"#
        );
        let decoded = read(event.as_bytes());
        assert_eq!(decoded.records.first().map(|leg| leg.leg.as_str()), Some("a"), "{key}");
    }
}

/// Worked out by hand: talk from 6.26 to 15.4, hold to 20.2. The desk hangs up, and the caller is asked how it was: that is no talk with the desk. The last event of the caller's
/// leg says only that its last bridge was with the desk.
#[test]
fn what_comes_after_a_bridge_is_no_talk() {
    let fixture = String::from_utf8(fixture(Dialect::FreeswitchEvent, "incoming-held.ndjson")).unwrap();
    let desk_leaves = |line: &str| {
        let is_of_desk =
            line.contains(r#""Unique-ID": "6b0e3a52-0000-4000-8000-00000000000b", "Call-Direction"#);
        let ends_talk = is_of_desk || line.contains("CHANNEL_UNBRIDGE");
        if ends_talk {
            line.replace("17731332402", "17731332202").replace("17731332401", "17731332201")
        } else {
            line.to_owned()
        }
    };
    let lines: Vec<String> = fixture.lines().map(desk_leaves).collect();
    let records = records(read(lines.join("\n").as_bytes()).records);
    let expected = "ans=1 ansDevNum=1002 answer=2026-03-10T09:00:06+00:00 cause=NORMAL_CLEARING cliName=Ann Caller \
        cliNum=+441632960111 ddiNum=+441632960100 dir=2 dur=40 end=2026-03-10T09:00:40+00:00 fRngDevNum=1002 hasRec=1 \
        hold=5 lAnsDevNum=1002 lRngDevNum=1002 recordingIds=[\"r-9001\"] ring=5 short=1 \
        start=2026-03-10T09:00:00+00:00 talk=9 type=2";
    assert_eq!(told(&records[0]), expected);
}
