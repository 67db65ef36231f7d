//! The log on standard error: text for people at a terminal, JSON for machines.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::{Log, LogFormat};

/// Starts the log of the process. A second start in one process changes nothing.
///
/// # Errors
/// `log.level` is no filter.
pub(super) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = filter(&log.level)?;
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

/// What libraries tell in detail may hold what is secret: heads of requests, paths of URLs, values of rows.
const NEVER_IN_DETAIL: [&str; 7] =
    ["h2", "hyper", "hyper_util", "hickory_proto", "reqwest", "rustls", "sqlx"];

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let mut filter = EnvFilter::try_new(level).with_context(|| format!("read log.level {level:?}"))?;
    let shows_detail = filter.max_level_hint().is_none_or(|most| most > LevelFilter::INFO);
    if shows_detail {
        for library in NEVER_IN_DETAIL {
            filter = filter.add_directive(format!("{library}=info").parse().context("cap a library's log")?);
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_level_makes_libraries_tell_heads_and_urls() {
        for level in ["trace", "debug", "info,hyper=trace", "reqwest=debug"] {
            let text = filter(level).unwrap().to_string();
            for library in NEVER_IN_DETAIL {
                assert!(text.split(',').any(|part| part == format!("{library}=info")), "{level}: {text}");
            }
            assert!(!text.contains("hyper=trace") && !text.contains("reqwest=debug"), "{text}");
        }
        assert_eq!(filter("warn").unwrap().to_string(), "warn");
    }
}
