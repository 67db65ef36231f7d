//! Reads leg records (NDJSON, native dialect) on standard input and prints the session records, one a line: by id,
//! or with `--stream` in the order of closing. `--envelope` prints the whole envelopes, `--stats` the counters.

use std::io::{Read, Write};
use std::sync::Arc;

use ringpost_ingest::{Source, decode};
use ringpost_model::{Dialect, Timestamp};
use ringpost_session::{Config, Machine, Output, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| options.iter().any(|option| option == name);
    let config = if has("--stream") { Config::offline_stream() } else { Config::offline() };
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let decoded = decode(Dialect::Native, &Source::default(), &input);
    for reject in &decoded.rejects {
        eprintln!("rejected: {:?}", reject.reason);
    }
    let mut machine = Machine::new(config, Arc::new(Settings::default()));
    let mut now = Timestamp::default();
    for record in decoded.records {
        now = now.max(record.stream_time());
        machine.handle(now, record);
    }
    machine.finish();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    while let Some(output) = machine.poll() {
        match output {
            Output::Record(envelope) if has("--envelope") => {
                out.write_all(&envelope.to_bytes()?)?;
                out.write_all(b"\n")?;
            }
            Output::Record(envelope) => {
                serde_json::to_writer(&mut out, &envelope.cdr)?;
                out.write_all(b"\n")?;
            }
            Output::DeadLetter { record, reason } => eprintln!("dead letter {reason}: {}", record.leg),
            Output::Event(_) => {}
        }
    }
    if has("--stats") {
        eprintln!("{:?}", machine.stats());
    }
    Ok(())
}
