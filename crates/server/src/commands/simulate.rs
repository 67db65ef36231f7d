//! `ringpost simulate`: calls that never were, as switches would tell them, with the record of each.

mod pace;
mod target;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ringpost_model::{Dialect, PbxKey, TenantKey, Timestamp};
use ringpost_simulate::{Params, Simulation};

use crate::cli::{Failure, Io, Outcome};
use pace::Pace;
use target::Target;

/// Arguments of `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
The same calls, seed, dialect and start give the same bytes on every machine. Messages come in order of \
arrival, as a switch would write them: late, doubled, some as events and some as whole legs.

Examples:
  ringpost simulate --calls 1000 --seed 1 --truth truth.ndjson > legs.ndjson
  ringpost aggregate legs.ndjson > records.ndjson
  ringpost compare truth.ndjson records.ndjson

  ringpost simulate --dialect freeswitch-cdr --pbx k1 --truth truth.ndjson > cdrs.ndjson
  ringpost aggregate --dialect freeswitch-cdr --tenant acme --pbx k1 cdrs.ndjson
                          documents do not name their platform: one at a time

  ringpost simulate --calls 100000 --rate 500 --to http://127.0.0.1:8080 --token \"$TOKEN\"
                          to a running server, 500 messages a second")]
pub struct Simulate {
    /// How many calls
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1_000)]
    pub calls: u64,
    /// Another seed, other calls
    #[arg(long, short, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// What the messages are written in: native, freeswitch-cdr, freeswitch-event, kazoo, asterisk-cel, asterisk-cdr
    #[arg(long, value_name = "DIALECT", default_value = "native")]
    pub dialect: Dialect,
    /// Only the calls of this platform; without it all are mixed, as native records may be
    #[arg(long, value_name = "KEY")]
    pub pbx: Option<PbxKey>,
    /// Messages a second; without it as fast as can be
    #[arg(long, value_name = "R", value_parser = rate)]
    pub rate: Option<f64>,
    /// Begin of the day of the calls, such as 2026-03-10T00:00:00Z; else the day Europe's clocks went back
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub start: Option<Timestamp>,
    /// Write the expected record of each call here, one a line
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// Post the messages to a running server instead of printing them
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// Token of the server's intake; PBX=TOKEN for one pbx, several times
    #[arg(long, value_name = "TOKEN", requires = "to")]
    pub token: Vec<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite());
    rate.ok_or_else(|| "write a number above 0, such as 100 or 0.5".to_owned())
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

/// Makes calls up and tells them.
///
/// # Errors
/// Output that cannot be written, a server that cannot be reached.
pub fn run(args: &Simulate, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let mut params =
        Params { calls: args.calls, seed: args.seed, dialect: args.dialect, ..Params::default() };
    params.start = args.start.unwrap_or(params.start);
    let mut truth = args.truth.as_deref().map(create).transpose()?;
    let mut target = Target::new(args)?;
    let runtime = io.runtime()?;
    let mut simulation = Simulation::new(params);
    let mut counts = Counts::default();
    let wanted = |pbx: &PbxKey| args.pbx.as_ref().is_none_or(|only| only == pbx);
    runtime.block_on(async {
        let pace = Pace::new(args.rate);
        while let Some(message) = simulation.next() {
            while let Some(expected) = simulation.next_truth() {
                if !wanted(&expected.pbx) {
                    continue;
                }
                counts.calls += 1;
                write_truth(&mut truth, &expected.cdr)?;
            }
            if !wanted(&message.pbx) {
                continue;
            }
            counts.platforms.insert((message.tenant.clone(), message.pbx.clone()));
            if pace.must_wait(counts.messages) {
                target.flush(io.stdout).await?;
                pace.wait(counts.messages).await;
            }
            counts.messages += 1;
            target.take(message, io.stdout).await?;
        }
        target.flush(io.stdout).await
    })?;
    if let Some(mut truth) = truth {
        truth.flush().context("write the expected records")?;
    }
    io.stdout.flush()?;
    writeln!(io.stderr, "{} calls, {} messages{}", counts.calls, counts.messages, target.summary())?;
    let mixed = args.dialect != Dialect::Native && args.to.is_none() && counts.platforms.len() > 1;
    if mixed {
        let all: Vec<String> =
            counts.platforms.iter().map(|(tenant, pbx)| format!("{pbx} of {tenant}")).collect();
        writeln!(
            io.stderr,
            "documents of several platforms are mixed, choose one with --pbx: {}",
            all.join(", ")
        )?;
    }
    Ok(Outcome::Fine)
}

#[derive(Debug, Default)]
struct Counts {
    calls: u64,
    messages: u64,
    platforms: BTreeSet<(TenantKey, PbxKey)>,
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    Ok(BufWriter::new(file))
}

fn write_truth(truth: &mut Option<BufWriter<File>>, cdr: &ringpost_model::Cdr) -> Result<(), Failure> {
    let Some(file) = truth else { return Ok(()) };
    serde_json::to_writer(&mut *file, cdr).context("write the expected records")?;
    file.write_all(b"\n").context("write the expected records")?;
    Ok(())
}
