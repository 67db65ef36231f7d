//! `ringpost aggregate`: legs from files in, one record per call out, with the very code that `serve` runs.

mod rejects;
mod summary;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use ringpost_enrich::Places;
use ringpost_ingest::{Decoded, Source};
use ringpost_model::{Dialect, LegRecord, PbxKey, TenantKey, Timestamp};
use ringpost_session::{Machine, Output};

use super::input::{Chunk, Inputs, Reader};
use super::offline;
use crate::cli::{Failure, Io, Outcome};
use rejects::Rejects;
use summary::Summary;

/// Arguments of `aggregate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Records go to standard output, one a line, and a summary to standard error. What cannot be read is \
counted and never stops the run.

Without --stream nothing closes before the end of the input, its order does not matter, and records \
come out by id. With --stream the input is in order of time, calls close as the time of their legs \
passes, and memory is bounded by the calls that are live: input of any size passes.

Examples:
  ringpost aggregate legs.ndjson
  zcat legs-*.ndjson.gz | ringpost aggregate --stream > records.ndjson
  ringpost aggregate --dialect freeswitch-cdr --tenant acme --pbx fs1 cdr/*.json
  ringpost aggregate --dialect asterisk-cel /var/log/asterisk/cel-custom/Master.csv
  ringpost aggregate --dialect auto --tenant acme --pbx fs1 calls/*
  ringpost aggregate --resources resources/ --rejects rejects.ndjson legs.ndjson")]
pub struct Aggregate {
    /// What the input is written in: native, freeswitch-cdr, freeswitch-event, kazoo, asterisk-cel, asterisk-cdr;
    /// auto finds it out, for each file
    #[arg(long, value_name = "DIALECT", default_value = "native")]
    pub dialect: Wanted,
    /// Whose calls these are; native records say it themselves
    #[arg(long, value_name = "KEY", default_value = "default")]
    pub tenant: TenantKey,
    /// Which platform wrote them; native records say it themselves
    #[arg(long, value_name = "KEY", default_value = "default")]
    pub pbx: PbxKey,
    /// Configuration, for its section sessions; without it the defaults, and no limits of size
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Files of tenants and platforms as `apply` takes them: zones, regions, names, thresholds, sides
    #[arg(long, value_name = "DIR")]
    pub resources: Option<PathBuf>,
    /// Write what could not be read here, one line of JSON each: reason, position, bytes
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// The input is in order of time: close calls on the way
    #[arg(long)]
    pub stream: bool,
    /// No summary
    #[arg(long, short)]
    pub quiet: bool,
    /// Files; none, or -, is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What the input is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// What its first bytes look like.
    Auto,
    /// This.
    Of(Dialect),
}

impl std::str::FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            Ok(Self::Auto)
        } else {
            text.parse().map(Self::Of).map_err(|error| format!("{error}, auto"))
        }
    }
}

/// Reads all input and prints its records.
///
/// # Errors
/// Input that cannot be opened or read, output that cannot be written, mistakes in the configuration.
pub fn run(args: &Aggregate, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let config = offline::machine_config(args.config.as_deref(), args.stream, io)?;
    let (settings, pbxs) = offline::settings(args.resources.as_deref(), io)?;
    let pbx = pbxs.iter().find(|pbx| pbx.key == args.pbx);
    let source = Source {
        tenant: Some(args.tenant.clone()),
        pbx: Some(args.pbx.clone()),
        content_type: None,
        zone: settings.resolve(&args.tenant, &args.pbx).pbx_zone,
        header: None,
        sides: pbx.map(|pbx| &pbx.sides).unwrap_or_default(),
        received: None,
        is_named: false,
    };
    let dialect = match args.dialect {
        Wanted::Auto => None,
        Wanted::Of(dialect) => Some(dialect),
    };
    let mut inputs = Inputs::open(&args.files, dialect)?;
    let rejects = Rejects::open(args.rejects.as_deref())?;
    let progress = inputs.progress(io.stderr_is_terminal);
    let mut run = Run {
        machine: Machine::new(config, Arc::new(settings)),
        rejects,
        summary: Summary::default(),
        now: Timestamp::default(),
        places: Places::default(),
        line: Vec::new(),
    };
    let mut decoded = Decoded::default();
    while let Some(chunk) = inputs.next(io.stdin)? {
        progress.inc(chunk.bytes);
        run.chunk(&source, chunk, &mut decoded, io.stdout)?;
    }
    run.machine.finish();
    run.print(io.stdout)?;
    io.stdout.flush()?;
    run.rejects.finish()?;
    progress.finish_and_clear();
    if !args.quiet {
        for (name, dialect) in &inputs.found {
            writeln!(io.stderr, "{name} is read as {dialect}")?;
        }
        let text = run.summary.text(&run.machine.stats(), args.stream);
        io.stderr.write_all(text.as_bytes())?;
    }
    Ok(Outcome::Fine)
}

/// What a run works on.
struct Run {
    machine: Machine,
    rejects: Rejects,
    summary: Summary,
    /// The greatest time of a record so far: the time of the stream.
    now: Timestamp,
    places: Places,
    /// Of the record being printed; kept for its memory.
    line: Vec<u8>,
}

impl Run {
    fn chunk(
        &mut self,
        source: &Source<'_>,
        chunk: Chunk<'_>,
        decoded: &mut Decoded,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let Reader { splitter, decoder } = chunk.reader;
        while let Some(frame) = splitter.next() {
            decoder.frame(source, &frame, decoded);
            self.decoded(chunk.name, decoded, out)?;
        }
        if chunk.is_last {
            decoder.finish(decoded);
            self.decoded(chunk.name, decoded, out)?;
        }
        self.summary.notes.add(std::mem::take(&mut decoded.notes));
        self.summary.elements += std::mem::take(&mut decoded.accepted);
        Ok(())
    }

    fn decoded(&mut self, name: &str, decoded: &mut Decoded, out: &mut dyn Write) -> Result<(), Failure> {
        for reject in decoded.rejects.drain(..) {
            self.summary.rejected(reject.reason.code());
            self.rejects.input(name, &reject)?;
        }
        self.summary.notices += decoded.notices.drain(..).len() as u64;
        for record in decoded.records.drain(..) {
            self.record(record, out)?;
        }
        Ok(())
    }

    fn record(&mut self, record: LegRecord, out: &mut dyn Write) -> Result<(), Failure> {
        let time = record.stream_time();
        self.summary.out_of_order += u64::from(time < self.now);
        self.now = self.now.max(time);
        self.machine.handle(self.now, record);
        self.print(out)
    }

    /// Writes what the machine has put out.
    fn print(&mut self, out: &mut dyn Write) -> Result<(), Failure> {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Record(mut envelope) => {
                    self.places.enrich(&mut envelope.cdr);
                    self.line.clear();
                    serde_json::to_writer(&mut self.line, &envelope.cdr).context("write a record as JSON")?;
                    self.line.push(b'\n');
                    out.write_all(&self.line)?;
                }
                Output::DeadLetter { record, reason } => self.rejects.record(&record, &reason.to_string())?,
                Output::Event(_) => {}
            }
        }
        Ok(())
    }
}
