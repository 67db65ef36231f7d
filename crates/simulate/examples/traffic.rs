//! Prints a day's messages, and writes the expected records to a file:
//! `cargo run --release -p ringpost-simulate --example traffic -- CALLS SEED TRUTH_FILE [DIALECT]`.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use ringpost_simulate::{Params, Simulation};

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |place: usize, default| args.get(place).and_then(|text| text.parse().ok()).unwrap_or(default);
    let dialect = args.get(3).and_then(|text| text.parse().ok()).unwrap_or_default();
    let params = Params { calls: number(0, 100), seed: number(1, 1), dialect, ..Params::default() };
    let path = args.get(2).map_or("/dev/null", String::as_str);
    let mut truth = BufWriter::new(File::create(path)?);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut simulation = Simulation::new(params);
    while let Some(message) = simulation.next() {
        out.write_all(&message.body)?;
        out.write_all(b"\n")?;
        while let Some(expected) = simulation.next_truth() {
            serde_json::to_writer(&mut truth, &expected.cdr)?;
            truth.write_all(b"\n")?;
        }
    }
    out.flush()?;
    truth.flush()
}
