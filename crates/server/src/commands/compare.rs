//! `ringpost compare`: the records of a run beside the expected ones, key by key.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ringpost_simulate::{Run, compare};

use crate::cli::{Failure, Io, Outcome};

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[command(after_help = "\
Both files hold one record a line, in any order. Exit code 1 where they differ. Keys that enrichment adds \
are not compared.

Example:
  ringpost compare truth.ndjson records.ndjson")]
pub struct Compare {
    /// Expected records, as `simulate --truth` writes them
    #[arg(value_name = "TRUTH")]
    pub truth: PathBuf,
    /// Records, as `aggregate` prints them; - is standard input
    #[arg(value_name = "RECORDS")]
    pub records: PathBuf,
    /// The records are of `aggregate --stream` or of webhooks: of several revisions the last one counts
    #[arg(long)]
    pub stream: bool,
    /// How many differences are shown
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub show: usize,
}

/// Compares.
///
/// # Errors
/// A file that cannot be read.
pub fn run(args: &Compare, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let truth = read(&args.truth, io.stdin)?;
    let records = read(&args.records, io.stdin)?;
    let run = if args.stream { Run::Stream } else { Run::Offline };
    let report = compare(truth.lines(), records.lines(), run, args.show);
    write!(io.stdout, "{report}")?;
    Ok(if report.is_equal() { Outcome::Fine } else { Outcome::No })
}

fn read(path: &Path, stdin: &mut dyn Read) -> Result<String, Failure> {
    let mut text = String::new();
    let done = if path.as_os_str() == "-" {
        stdin.read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    done.with_context(|| format!("read {}", path.display()))?;
    Ok(text)
}
