//! Legs to the records of their calls.

use std::sync::Arc;

use ringpost_model::{LegRecord, Timestamp};
use ringpost_session::{Config, Machine, Output, Settings};
use serde_json::{Map, Value};

/// The records of the calls, as one offline run prints them.
pub(crate) fn records(legs: impl IntoIterator<Item = LegRecord>) -> Vec<Map<String, Value>> {
    let mut machine = Machine::new(Config::offline(), Arc::new(Settings::default()));
    for leg in legs {
        machine.handle(Timestamp::from_micros(0), leg);
    }
    machine.finish();
    let mut records = Vec::new();
    while let Some(output) = machine.poll() {
        if let Output::Record(envelope) = output {
            let Value::Object(record) = serde_json::to_value(&envelope.cdr).unwrap() else { unreachable!() };
            records.push(record);
        }
    }
    records
}
