//! `ringpost doctor`: looks for what is wrong with an installation, and says what to do about it. It changes nothing,
//! and works beside a running server.

mod finding;
mod folder;
mod kafka;
mod network;
mod store;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::{Failure, Io, Outcome};
use crate::config::Backend;
use crate::open_store::load_for_store;

use finding::{Finding, page};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
It looks at the configuration, the data folder and its key (who can read them, whether the disk \
writes), the clock (whether it ran backwards), the ports, limits of the process, and the store. It \
changes nothing, and can be run beside a server.

--receivers asks the name servers for every receiver of an enabled webhook, applies the address rules of \
[delivery], and connects; nothing is sent. --deep reads every page of journal and store.

Exit code 0 when there is no problem (warnings are none), 1 when there is one, 64 for mistakes in the \
configuration.

Examples:
  ringpost doctor --config /etc/ringpost.toml
  ringpost doctor --data /var/lib/ringpost --receivers --deep
  ringpost doctor --json | jq '.[] | select(.state == \"problem\")'")]
pub struct Doctor {
    /// Configuration file; without it the defaults hold. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data folder (data.dir)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Look receivers up and connect to them
    #[arg(long)]
    pub receivers: bool,
    /// Read all of journal and store
    #[arg(long)]
    pub deep: bool,
    /// Print what was found as a JSON list
    #[arg(long)]
    pub json: bool,
}

/// Looks, and prints.
///
/// # Errors
/// Mistakes in the configuration.
pub fn run(args: &Doctor, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let config = load_for_store(args.config.as_deref(), args.data.as_deref(), io)?;
    let mut findings = vec![Finding::ok("configuration", "no mistakes")];
    findings.extend(folder::look(&config));
    findings.extend(network::ports(&config));
    findings.push(network::files(&config));
    let receivers = args.receivers;
    let runtime = io.runtime()?;
    if config.bus.backend == Backend::Kafka {
        findings.extend(runtime.block_on(kafka::look(&config)));
    }
    findings.extend(runtime.block_on(store::look(&config, args.deep, receivers)));
    if args.json {
        writeln!(io.stdout, "{}", serde_json::to_string(&findings).context("write what was found")?)?;
    } else {
        io.stdout.write_all(page(&findings, io.stdout_is_terminal).as_bytes())?;
    }
    let is_bad = findings.iter().any(Finding::is_problem);
    Ok(if is_bad { Outcome::No } else { Outcome::Fine })
}
