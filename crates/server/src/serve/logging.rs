//! The log on standard error: text for people at a terminal, JSON for machines.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts the log of the process. A second start in one process changes nothing.
///
/// # Errors
/// `log.level` is no filter.
pub(super) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.level).with_context(|| format!("read log.level {:?}", log.level))?;
    let is_terminal = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let as_json = match log.format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    // Fails only where a log was started before.
    let _ = if as_json {
        subscriber.json().flatten_event(true).try_init()
    } else {
        subscriber.with_ansi(is_terminal).with_target(false).try_init()
    };
    Ok(())
}
