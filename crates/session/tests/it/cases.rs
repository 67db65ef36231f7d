//! The worked cases: legs in, records out, as `ringpost aggregate` prints them.

use std::path::Path;
use std::sync::Arc;

use ringpost_ingest::{Source, decode};
use ringpost_model::{Dialect, Timestamp};
use ringpost_session::{Config, Machine, Output, Settings};
use serde_json::Value;

fn records(legs: &[Value], stream: bool) -> Vec<String> {
    let lines: Vec<String> = legs.iter().map(Value::to_string).collect();
    let decoded = decode(Dialect::Native, &Source::default(), lines.join("\n").as_bytes());
    assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects);
    let config = if stream { Config::offline_stream() } else { Config::offline() };
    let mut machine = Machine::new(config, Arc::new(Settings::default()));
    let mut now = Timestamp::default();
    for record in decoded.records {
        now = now.max(record.stream_time());
        machine.handle(now, record);
    }
    machine.finish();
    let outputs = std::iter::from_fn(|| machine.poll()).filter_map(|output| match output {
        Output::Record(envelope) => Some(serde_json::to_string(&envelope.cdr).expect("a record is printed")),
        _ => None,
    });
    outputs.collect()
}

#[test]
fn every_worked_case_prints_the_expected_records() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cases");
    let mut checked = 0;
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let case: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let stream = case["stream"].as_bool().unwrap_or_default();
        let found = records(case["legs"].as_array().unwrap(), stream);
        let found: Vec<Value> = found.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        assert_eq!(&Value::Array(found), &case["expect"], "{}", file.display());
        checked += 1;
    }
    assert!(checked >= 8, "only {checked} cases found");
}
