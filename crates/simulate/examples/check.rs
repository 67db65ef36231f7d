//! Simulated traffic through the machine, compared with the truth; exits with 1 where they differ:
//! `cargo run --release -p ringpost-simulate --example check -- CALLS SEED [offline|stream] [DIALECT] [SHOWN]`.

use std::process::ExitCode;
use std::sync::Arc;

use ringpost_ingest::{Source, decode};
use ringpost_model::{Cdr, Dialect};
use ringpost_session::{Config, Machine, Output, Settings};
use ringpost_simulate::{Message, Params, Run, Simulation, compare};

/// How many cases of each kind are shown, where nothing else is asked for.
const SHOWN: u64 = 5;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |place: usize, default| args.get(place).and_then(|text| text.parse().ok()).unwrap_or(default);
    let run = if args.get(2).is_some_and(|text| text == "stream") { Run::Stream } else { Run::Offline };
    let dialect: Dialect = args.get(3).and_then(|text| text.parse().ok()).unwrap_or_default();
    let params = Params { calls: number(0, 2_000), seed: number(1, 1), dialect, ..Params::default() };
    let (truth, records) = play(Simulation::new(params), dialect, run);
    let shown = usize::try_from(number(4, SHOWN)).unwrap_or(usize::MAX);
    let report = compare(truth.iter().map(String::as_str), records.iter().map(String::as_str), run, shown);
    print!("{report}");
    if report.is_equal() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Printed records: the expected ones, and what the machine makes of the messages.
fn play(mut simulation: Simulation, dialect: Dialect, run: Run) -> (Vec<String>, Vec<String>) {
    let config = match run {
        Run::Offline => Config::offline(),
        Run::Stream => Config { changes: false, events: false, ..Config::default() },
    };
    let mut machine = Machine::new(config, Arc::new(Settings::default()));
    let (mut truth, mut records) = (Vec::new(), Vec::new());
    while let Some(message) = simulation.next() {
        while let Some(expected) = simulation.next_truth() {
            truth.push(print(&expected.cdr));
        }
        hand_in(&mut machine, dialect, &message);
        drain(&mut machine, &mut records);
    }
    machine.finish();
    drain(&mut machine, &mut records);
    (truth, records)
}

fn hand_in(machine: &mut Machine, dialect: Dialect, message: &Message) {
    let source = Source {
        tenant: Some(message.tenant.clone()),
        pbx: Some(message.pbx.clone()),
        content_type: Some("application/json"),
    };
    let decoded = decode(dialect, &source, &message.body);
    for reject in &decoded.rejects {
        println!("rejected: {reject}: {}", String::from_utf8_lossy(&message.body));
    }
    for record in decoded.records {
        machine.handle(message.at, record);
    }
}

fn drain(machine: &mut Machine, records: &mut Vec<String>) {
    while let Some(output) = machine.poll() {
        match output {
            Output::Record(envelope) => records.push(print(&envelope.cdr)),
            Output::Event(_) => (),
            Output::DeadLetter { record, reason } => println!("dead letter: {reason}: {}", record.leg),
        }
    }
}

fn print(cdr: &Cdr) -> String {
    serde_json::to_string(cdr).expect("a record is always JSON")
}
