//! Documents of FreeSWITCH to finished records: what a tenant reads of a call whose switch wrote only A legs.

use std::path::Path;
use std::sync::Arc;

use ringpost_ingest::{Decoded, Source, decode};
use ringpost_model::{Dialect, PbxKey, TenantKey, Timestamp};
use ringpost_session::{Config, Machine, Output, Settings};
use serde_json::Value;

fn read(documents: &[&[u8]]) -> Decoded {
    let source = Source {
        tenant: Some(TenantKey::new("acme").unwrap()),
        pbx: Some(PbxKey::new("fs1").unwrap()),
        content_type: None,
    };
    decode(Dialect::FreeswitchCdr, &source, &documents.join(&b'\n'))
}

/// The records of the calls, as one offline run prints them.
fn records(documents: &[&[u8]]) -> Vec<Value> {
    let decoded = read(documents);
    assert_eq!(decoded.rejects, []);
    let mut machine = Machine::new(Config::offline(), Arc::new(Settings::default()));
    for record in decoded.records {
        machine.handle(Timestamp::from_micros(0), record);
    }
    machine.finish();
    let mut records = Vec::new();
    while let Some(output) = machine.poll() {
        if let Output::Record(envelope) = output {
            records.push(serde_json::to_value(&envelope.cdr).unwrap());
        }
    }
    records
}

/// Some keys of the only record, as `key=value`, absent ones left out.
fn check(documents: &[&[u8]], keys: &str, expected: &str) {
    let records = records(documents);
    assert_eq!(records.len(), 1, "{records:#?}");
    let shown: Vec<String> = keys
        .split_whitespace()
        .filter_map(|key| Some(format!("{key}={}", records[0].get(key)?.to_string().trim_matches('"'))))
        .collect();
    assert_eq!(shown.join(" "), expected, "{:#}", records[0]);
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
