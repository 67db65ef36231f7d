//! `ringpost log-level`: how much a running server logs.

use clap::Args;
use reqwest::Method;

use super::running::{Running, Which};
use crate::admin::log_level::LogLevel;
use crate::cli::{Failure, Io, Outcome, harmless};

/// Arguments of `log-level`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a filter it prints the one that holds. A change holds until the next one, or until the \
server is started again; the configuration (log.level) stays as it is. A filter is a level (off, \
error, warn, info, debug, trace), or one for some parts. What libraries would tell in detail (heads of \
requests, values of rows) is never logged.

Examples:
  ringpost log-level
  ringpost log-level debug
  ringpost log-level info,ringpost_deliver=debug --admin http://10.0.0.5:8081
  ringpost log-level --reset")]
pub struct Filter {
    /// What is logged from now on
    #[arg(value_name = "FILTER", conflicts_with = "reset")]
    pub filter: Option<String>,
    /// As configured again
    #[arg(long)]
    pub reset: bool,
    #[command(flatten)]
    which: Which,
}

/// Prints or changes it.
///
/// # Errors
/// No server answers, or it is no filter.
pub fn run(args: &Filter, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let running = Running::find(&args.which, io)?;
    let (method, body) = match (&args.filter, args.reset) {
        (Some(filter), _) => (Method::PUT, Some(filter.as_str())),
        (None, true) => (Method::DELETE, None),
        (None, false) => (Method::GET, None),
    };
    let answer = io.runtime()?.block_on(running.ask(method, "/log-level", body))?;
    let LogLevel { level, configured } = serde_json::from_str(&answer)
        .map_err(|_| anyhow::anyhow!("that is not the admin port of a server"))?;
    let note = if level == configured {
        " (as configured)".to_owned()
    } else {
        format!(" (configured: {})", harmless(&configured))
    };
    writeln!(io.stdout, "{}{note}", harmless(&level))?;
    Ok(Outcome::Fine)
}
