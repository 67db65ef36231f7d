//! `faults`: simulated traffic through the real `ringpost serve` on real brokers and a real database, to a receiver over HTTP,
//! and meanwhile one thing goes wrong over and over. After each run the records that readers of what is committed see are
//! held against the truth, and what the receiver was told against the records.
//!
//! No part of the product is replaced here, and no broker is mocked. What a run did, what it read and what every process
//! said stays in the folder that is given.

mod brokers;
mod fault;
mod feed;
mod instance;
mod judge;
mod odd;
mod outcome;
mod postgres;
mod proxy;
mod receiver;
mod run;
mod script;
mod strike;
mod table;
mod told;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use fault::Fault;
use outcome::Outcome;
use run::Plan;

/// Faults on the real parts: records exactly once, deliveries at least once and in order, whatever goes wrong.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder for all that runs leave behind: seeds, logs, what was read.
    #[arg(long, value_name = "DIR")]
    keep: PathBuf,
    /// Begin no further run after so many seconds.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// The first seed; each run has the next one. A seed says what goes wrong when, and which calls there are.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these, one after the other, over and over.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Fault>,
    /// Seconds of traffic in each run.
    #[arg(long, default_value_t = 45)]
    traffic: u64,
    /// Calls in each run.
    #[arg(long, default_value_t = 1_500)]
    calls: u64,
    /// The binary.
    #[arg(long, default_value = "target/debug/ringpost")]
    binary: PathBuf,
}

fn main() -> ExitCode {
    match all(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::from(70)
        }
    }
}

/// Whether every run was as promised.
fn all(arguments: &Arguments) -> anyhow::Result<bool> {
    let faults = match arguments.only.is_empty() {
        // What most can be seen by comes first.
        true => Fault::value_variants().iter().rev().copied().collect(),
        false => arguments.only.clone(),
    };
    std::fs::create_dir_all(&arguments.keep)?;
    let keep = arguments.keep.canonicalize()?;
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (turn, fault) in faults.iter().cycle().enumerate() {
        if turn > 0 && Instant::now() >= end {
            break;
        }
        let seed = arguments.seed + turn as u64;
        let plan = Plan {
            fault: *fault,
            seed,
            folder: keep.join(format!("{seed}-{fault}")),
            traffic: Duration::from_secs(arguments.traffic),
            calls: arguments.calls,
            binary: arguments.binary.canonicalize()?,
        };
        let outcome = run::run(&plan)?;
        eprintln!("{outcome}");
        outcomes.push(outcome);
        std::fs::write(keep.join("table.md"), table::of(&outcomes))?;
    }
    print!("{}", table::of(&outcomes));
    Ok(outcomes.iter().all(Outcome::is_as_promised))
}

/// Waits: for a fault to do its worst, for a process, for what comes next.
#[expect(clippy::disallowed_methods, reason = "real processes in real time, and nothing that would tell")]
fn pause(so_long: Duration) {
    std::thread::sleep(so_long);
}
