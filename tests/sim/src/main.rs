//! `sim FIRST`: one seed, with everything that happened in it. `sim FIRST COUNT`: so many seeds from there on, with a
//! line of progress; ends with 1 where a seed failed, and says how to see it again. `--several`: with several processes
//! on one log, as on Kafka.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringpost_sim::{Outcome, Progress, run, run_many, run_several};

/// A kind of worlds: what it is called by, and how one is run.
type Kind = (&'static str, fn(u64, bool) -> Outcome);

fn main() -> ExitCode {
    let several = std::env::args().any(|argument| argument == "--several");
    let kind: Kind = if several { ("sim-several", run_several) } else { ("sim", run) };
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    match numbers[..] {
        [seed] => show(kind, seed),
        [first, count] => many(kind, first, count),
        _ => {
            eprintln!("usage: sim [--several] FIRST [COUNT]");
            ExitCode::from(64)
        }
    }
}

fn show(kind: Kind, seed: u64) -> ExitCode {
    let outcome = kind.1(seed, true);
    let mut out = std::io::stdout().lock();
    for line in &outcome.lines {
        // A reader that has seen enough is no failure.
        _ = writeln!(out, "{line}");
    }
    _ = writeln!(out, "{}", outcome.counts);
    tell(kind, &outcome)
}

fn many(kind: Kind, first: u64, count: u64) -> ExitCode {
    let began = Instant::now();
    let mut told = began;
    let progress = |progress: &Progress| {
        if told.elapsed() >= Duration::from_secs(5) {
            told = Instant::now();
            let (done, failed) = (progress.done, progress.failed.len());
            eprintln!("{done} of {count} seeds, {failed} failed, {:.0} s", began.elapsed().as_secs_f64());
        }
    };
    let end = run_many(first..first + count, kind.1, progress);
    println!("{} seeds in {:.1} s\n{}", end.done, began.elapsed().as_secs_f64(), end.counts);
    if end.failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    for outcome in end.failed.iter().take(20) {
        tell(kind, outcome);
    }
    ExitCode::FAILURE
}

fn tell((name, _): Kind, outcome: &Outcome) -> ExitCode {
    if outcome.wrong.is_empty() {
        println!(
            "seed {}: all is well ({:016x}, {} steps)",
            outcome.seed, outcome.fingerprint.0, outcome.fingerprint.1
        );
        return ExitCode::SUCCESS;
    }
    println!("seed {} FAILED; `make {name} SEEDS=1 START={}` shows it again", outcome.seed, outcome.seed);
    for wrong in outcome.wrong.iter().take(8) {
        println!("  {wrong}");
    }
    ExitCode::FAILURE
}
