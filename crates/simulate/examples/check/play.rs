//! Plays a simulation through the decoder and the machine, in one process.

use std::sync::Arc;

use ringpost_ingest::{Source, decode};
use ringpost_model::{Cdr, Dialect};
use ringpost_session::{Config, Machine, Output, Settings};
use ringpost_simulate::{Message, Params, Report, Run, Simulation, compare};

/// Simulates, runs the machine, and compares; what was rejected or refused is told besides.
pub(crate) fn play(params: Params, run: Run, shown: usize) -> (Report, Vec<String>) {
    let config = match run {
        Run::Offline => Config::offline(),
        Run::Stream => Config { changes: false, events: false, ..Config::default() },
    };
    let dialect = params.dialect;
    let mut player = Player {
        machine: Machine::new(config, Arc::new(Settings::default())),
        records: Vec::new(),
        refused: Vec::new(),
    };
    let mut simulation = Simulation::new(params);
    let mut truth = Vec::new();
    while let Some(message) = simulation.next() {
        while let Some(expected) = simulation.next_truth() {
            truth.push(print(&expected.cdr));
        }
        player.hand_in(dialect, &message);
        player.drain();
    }
    player.machine.finish();
    player.drain();
    let report =
        compare(truth.iter().map(String::as_str), player.records.iter().map(String::as_str), run, shown);
    (report, player.refused)
}

struct Player {
    machine: Machine,
    records: Vec<String>,
    refused: Vec<String>,
}

impl Player {
    fn hand_in(&mut self, dialect: Dialect, message: &Message) {
        let source = Source {
            tenant: Some(message.tenant.clone()),
            pbx: Some(message.pbx.clone()),
            content_type: Some("application/json"),
            zone: None,
            header: None,
            sides: Default::default(),
            received: None,
            is_named: false,
        };
        let decoded = decode(dialect, &source, &message.body);
        for reject in &decoded.rejects {
            self.refused.push(format!("rejected: {reject}: {}", String::from_utf8_lossy(&message.body)));
        }
        for record in decoded.records {
            self.machine.handle(message.at, record);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Record(envelope) => self.records.push(print(&envelope.cdr)),
                Output::Event(_) => (),
                Output::DeadLetter { record, reason } => {
                    self.refused.push(format!("dead letter: {reason}: {}", record.leg));
                }
            }
        }
    }
}

fn print(cdr: &Cdr) -> String {
    serde_json::to_string(cdr).expect("a record is always JSON")
}
