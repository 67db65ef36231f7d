//! `sim FIRST`: one seed, with everything that happened in it. `sim FIRST COUNT`: so many seeds from there on, with a
//! line of progress; ends with 1 where a seed failed, and says how to see it again.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringpost_sim::{Outcome, Progress, run, run_many};

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    match numbers[..] {
        [seed] => show(seed),
        [first, count] => many(first, count),
        _ => {
            eprintln!("usage: sim FIRST [COUNT]");
            ExitCode::from(64)
        }
    }
}

fn show(seed: u64) -> ExitCode {
    let outcome = run(seed, true);
    let mut out = std::io::stdout().lock();
    for line in &outcome.lines {
        // A reader that has seen enough is no failure.
        _ = writeln!(out, "{line}");
    }
    _ = writeln!(out, "{}", outcome.counts);
    tell(&outcome)
}

fn many(first: u64, count: u64) -> ExitCode {
    let began = Instant::now();
    let mut told = began;
    let progress = |progress: &Progress| {
        if told.elapsed() >= Duration::from_secs(5) {
            told = Instant::now();
            let (done, failed) = (progress.done, progress.failed.len());
            eprintln!("{done} of {count} seeds, {failed} failed, {:.0} s", began.elapsed().as_secs_f64());
        }
    };
    let end = run_many(first..first + count, progress);
    println!("{} seeds in {:.1} s\n{}", end.done, began.elapsed().as_secs_f64(), end.counts);
    if end.failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    for outcome in end.failed.iter().take(20) {
        tell(outcome);
    }
    ExitCode::FAILURE
}

fn tell(outcome: &Outcome) -> ExitCode {
    if outcome.wrong.is_empty() {
        println!(
            "seed {}: all is well ({:016x}, {} steps)",
            outcome.seed, outcome.fingerprint.0, outcome.fingerprint.1
        );
        return ExitCode::SUCCESS;
    }
    println!("seed {} FAILED; `make sim SEEDS=1 START={}` shows it again", outcome.seed, outcome.seed);
    for wrong in outcome.wrong.iter().take(8) {
        println!("  {wrong}");
    }
    ExitCode::FAILURE
}
