//! Documents of FreeSWITCH to finished records: what a tenant reads of a call whose switch wrote only A legs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use ringpost_ingest::{Decoded, Source, decode};
use ringpost_model::{Dialect, PbxKey, TenantKey};
use serde_json::{Map, Value};

#[path = "support/calls.rs"]
mod calls;

fn read(documents: &[&[u8]]) -> Decoded {
    let source = Source {
        tenant: Some(TenantKey::new("acme").unwrap()),
        pbx: Some(PbxKey::new("fs1").unwrap()),
        ..Source::default()
    };
    decode(Dialect::FreeswitchCdr, &source, &documents.join(&b'\n'))
}

/// The records of the calls, as one offline run prints them.
fn records(documents: &[&[u8]]) -> Vec<Map<String, Value>> {
    let decoded = read(documents);
    assert_eq!(decoded.rejects, []);
    calls::records(decoded.records)
}

/// Some keys of the only record, as `key=value`, absent ones left out.
fn check(documents: &[&[u8]], keys: &str, expected: &str) {
    let records = records(documents);
    assert_eq!(records.len(), 1, "{records:#?}");
    let shown: Vec<String> = keys
        .split_whitespace()
        .filter_map(|key| Some(format!("{key}={}", records[0].get(key)?.to_string().trim_matches('"'))))
        .collect();
    assert_eq!(shown.join(" "), expected, "{:#?}", records[0]);
}

const TIMES: &str = "start answer end dur ring talk hold park ans lost short cause dir type partial";
const WHO: &str = "cliNum cliName ddiNum fRngDevNum lRngDevNum ansDevNum lAnsDevNum";

/// Real documents that are not part of this project; without them there is nothing to compare.
fn sample(name: &str) -> Option<Vec<u8>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/freeswitch-cdr").join(name);
    std::fs::read(path).ok()
}

/// Worked out by hand: created …344.534355, progress 344.594267, answered and bridged 347.954373, hold from
/// 348.363496 to (clamped) 415.494269, ended 415.494269. Borders cut to seconds: ring 344–347, talk 347–348,
/// hold 348–415.
#[test]
fn a_real_call_that_was_almost_all_hold() {
    let Some(document) = sample("hold-callflow-list.json") else { return };
    check(
        &[&document],
        TIMES,
        "start=2018-01-11T10:25:44+00:00 answer=2018-01-11T10:25:47+00:00 end=2018-01-11T10:26:55+00:00 dur=71 \
         ring=3 talk=1 hold=67 ans=1 short=1 cause=NORMAL_CLEARING dir=1 type=1",
    );
    check(
        &[&document],
        WHO,
        "cliNum=1001 cliName=1001 fRngDevNum=1002 lRngDevNum=1002 ansDevNum=1002 lAnsDevNum=1002",
    );
}

/// Worked out by hand: created …854.385581, progress 854.505584, answered and bridged 856.285587, ended 860.205563;
/// two contacts of `dan` rang, one lost the race. Nothing says which side the profile `ipbxas` is on.
#[test]
fn a_real_call_of_2013_with_callflow_twice() {
    let Some(document) = sample("answered-4s-duplicate-callflow.json") else { return };
    check(
        &[&document],
        TIMES,
        "start=2013-08-04T09:50:54+00:00 answer=2013-08-04T09:50:56+00:00 end=2013-08-04T09:51:00+00:00 dur=6 \
         ring=2 talk=4 ans=1 short=1 cause=NORMAL_CLEARING dir=0 type=0",
    );
    check(
        &[&document],
        WHO,
        "cliNum=dan cliName=dan fRngDevNum=dan lRngDevNum=dan ansDevNum=dan lAnsDevNum=dan",
    );
    assert_eq!(read(&[&document]).records.len(), 3);
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/freeswitch-cdr").join(name);
    std::fs::read(path).unwrap()
}

/// The record of the calls in some fixtures, which begin at 09:00 on 2026-03-10; the expected values are worked out
/// by hand from the times in the documents.
fn call(names: &[&str], keys: &str, expected: &str) {
    let documents: Vec<Vec<u8>> = names.iter().map(|name| fixture(name)).collect();
    let documents: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
    check(&documents, keys, expected);
    let reversed: Vec<&[u8]> = documents.into_iter().rev().collect();
    check(&reversed, keys, expected);
}

const SUMS: &str = "dur ring talk hold park ans lost lostinPark aban short cause dir type partial";

#[test]
fn an_incoming_call_that_the_caller_put_on_hold_twice() {
    call(
        &["incoming-held.json"],
        TIMES,
        "start=2026-03-10T09:00:00+00:00 answer=2026-03-10T09:00:06+00:00 end=2026-03-10T09:00:40+00:00 dur=40 \
         ring=5 talk=21 hold=13 ans=1 cause=NORMAL_CLEARING dir=2 type=2",
    );
    call(
        &["incoming-held.json"],
        WHO,
        "cliNum=+441614960001 cliName=Ann Caller ddiNum=+441614960100 fRngDevNum=1002 lRngDevNum=1002 \
         ansDevNum=1002 lAnsDevNum=1002",
    );
}

#[test]
fn an_outgoing_call_of_2013_with_encoded_values_and_callflow_twice() {
    call(
        &["outgoing-encoded.json"],
        TIMES,
        "start=2026-03-10T09:00:01+00:00 answer=2026-03-10T09:00:09+00:00 end=2026-03-10T09:00:20+00:00 dur=19 \
         ring=5 talk=11 ans=1 cause=NORMAL_CLEARING dir=3 type=2",
    );
    call(
        &["outgoing-encoded.json"],
        WHO,
        "cliNum=01632960777 ddiNum=+441614960100 fRngDevNum=1001 lRngDevNum=1001 ansDevNum=1001 lAnsDevNum=1001",
    );
}

#[test]
fn desks_tried_in_turn_ring_until_the_next_is_tried_and_voicemail_is_no_answer() {
    call(&["hunt-voicemail.json"], SUMS, "dur=50 ring=20 lost=1 cause=NORMAL_CLEARING dir=2 type=2");
    call(
        &["hunt-voicemail.json"],
        WHO,
        "cliNum=+441614960003 ddiNum=+441614960100 fRngDevNum=1002 lRngDevNum=1002",
    );
}

#[test]
fn a_blind_transfer_rings_and_talks_twice() {
    call(&["blind-transfer.json"], SUMS, "dur=40 ring=12 talk=27 ans=1 cause=NORMAL_CLEARING dir=2 type=2");
    call(
        &["blind-transfer.json"],
        WHO,
        "cliNum=+441614960005 ddiNum=+441614960100 fRngDevNum=1002 lRngDevNum=1004 ansDevNum=1002 lAnsDevNum=1004",
    );
}

#[test]
fn a_queue_answers_long_before_an_agent_does() {
    let keys = "dur ring talk ans dir ansDevNum ansAgtNum ansGroupName recordingIds";
    call(
        &["queue-member.json", "queue-agent.json"],
        keys,
        "dur=60 ring=9 talk=28 ans=1 dir=2 ansDevNum=1006 ansAgtNum=1006 ansGroupName=support recordingIds=[\"r-7001\"]",
    );
    // Without the agent's own document nobody knows when it began to ring.
    call(
        &["queue-member.json"],
        keys,
        "dur=60 talk=29 ans=1 dir=2 ansDevNum=1006 ansAgtNum=1006 ansGroupName=support recordingIds=[\"r-7001\"]",
    );
}

#[test]
fn a_parked_call_is_retrieved_by_another_device() {
    call(
        &["valet-parked.json", "valet-retrieved.json"],
        SUMS,
        "dur=70 ring=3 talk=26 park=40 ans=1 cause=NORMAL_CLEARING dir=2 type=2",
    );
    call(
        &["valet-parked.json", "valet-retrieved.json"],
        WHO,
        "cliNum=+441614960008 ddiNum=+441614960100 fRngDevNum=1002 lRngDevNum=1002 ansDevNum=1002 lAnsDevNum=1009",
    );
}

#[test]
fn a_caller_who_gives_up_is_lost_and_comes_in_though_no_direction_is_said() {
    call(&["cancelled.json"], SUMS, "dur=3 ring=3 lost=1 aban=1 cause=ORIGINATOR_CANCEL dir=2 type=2");
    call(
        &["cancelled.json"],
        WHO,
        "cliNum=anonymous cliName=Anonymous ddiNum=+441614960100 fRngDevNum=1002 lRngDevNum=1002",
    );
}

#[test]
fn a_far_legs_own_document_counts_instead_of_what_the_other_says() {
    call(&["both-a.json"], SUMS, "dur=30 ring=4 talk=25 ans=1 cause=NORMAL_CLEARING dir=2 type=2");
    call(
        &["both-a.json", "both-b.json"],
        SUMS,
        "dur=30 ring=4 talk=16 hold=8 ans=1 cause=NORMAL_CLEARING dir=2 type=2",
    );
}

#[test]
fn a_caller_in_a_conference_talks() {
    call(&["conference.json"], SUMS, "dur=61 talk=60 ans=1 cause=NORMAL_CLEARING dir=2 type=2");
}
