//! Simulated traffic through the machine, compared with the truth; exits with 1 where they differ:
//! `cargo run --release -p ringpost-simulate --example check -- CALLS SEED [offline|stream] [DIALECT] [SHOWN]`.

mod play;

use std::process::ExitCode;

use ringpost_simulate::{Params, Run};

/// How many cases of each kind are shown, where nothing else is asked for.
const SHOWN: u64 = 5;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |place: usize, default| args.get(place).and_then(|text| text.parse().ok()).unwrap_or(default);
    let run = if args.get(2).is_some_and(|text| text == "stream") { Run::Stream } else { Run::Offline };
    let dialect = args.get(3).and_then(|text| text.parse().ok()).unwrap_or_default();
    let params = Params { calls: number(0, 2_000), seed: number(1, 1), dialect, ..Params::default() };
    let shown = usize::try_from(number(4, SHOWN)).unwrap_or(usize::MAX);
    let (report, refused) = play::play(params, run, shown);
    for line in &refused {
        println!("{line}");
    }
    print!("{report}");
    if report.is_equal() && refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
