//! `ringpost check-config`: the configuration as it comes out, or all that is wrong with it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::{Failure, Io, Outcome};
use crate::config::{self, DEFAULT_TOML, Flags, Place, Settled};

/// Arguments of `check-config`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints every setting and where it comes from. With mistakes it prints all of them instead, each \
with file, line and column, and what to write instead; the exit code is then 64.

Examples:
  ringpost check-config /etc/ringpost.toml
  ringpost check-config --changed
  ringpost check-config --default > ringpost.toml")]
pub struct CheckConfig {
    /// Configuration file; without it defaults and environment. Environment: RINGPOST_CONFIG
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print the documented default instead, as a file to start from
    #[arg(long)]
    pub default: bool,
    /// Only what differs from the default
    #[arg(long)]
    pub changed: bool,
}

/// Prints the resolved configuration, each value with its origin.
///
/// # Errors
/// All mistakes at once.
pub fn run(args: &CheckConfig, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    if args.default {
        io.stdout.write_all(DEFAULT_TOML.as_bytes())?;
        return Ok(Outcome::Fine);
    }
    let file = args.file.clone().or_else(|| io.variable("RINGPOST_CONFIG").map(PathBuf::from));
    let loaded = config::load(file.as_deref(), &io.variables, &Flags::default())?;
    let mut settled = loaded.settled;
    if args.changed {
        settled.retain(|settled| settled.place != Place::Default);
    }
    print(&settled, io.stdout)?;
    Ok(Outcome::Fine)
}

/// TOML again, so that the output can be used as a file.
fn print(settled: &[Settled], out: &mut dyn Write) -> std::io::Result<()> {
    let lines: Vec<String> = settled.iter().map(line).collect();
    let width = lines.iter().map(|line| line.chars().count()).filter(|width| *width < 60).max();
    let width = width.unwrap_or_default();
    let mut current = "";
    for (settled, line) in settled.iter().zip(&lines) {
        let section = settled.key.rsplit_once('.').map_or("", |(section, _)| section);
        if section != current {
            let gap = if current.is_empty() { "" } else { "\n" };
            // One of several: `source.file[0]`.
            let several = section.split_once('[').map(|(name, _)| format!("[{name}]"));
            writeln!(out, "{gap}[{}]", several.as_deref().unwrap_or(section))?;
            current = section;
        }
        writeln!(out, "{line:width$}  # {}", settled.place)?;
    }
    Ok(())
}

fn line(settled: &Settled) -> String {
    let key = settled.key.rsplit_once('.').map_or(settled.key.as_str(), |(_, key)| key);
    // What is not set, or secret, cannot be written in the file: it stays a comment.
    let comment = if matches!(settled.value.as_str(), "none" | "\"…\"") { "# " } else { "" };
    format!("{comment}{key} = {}", settled.value)
}
