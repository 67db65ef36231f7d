//! The log on standard error: text for people at a terminal, JSON for machines. How much is logged can be changed
//! while the process runs.

use std::io::IsTerminal;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Context;
use tracing::info;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{Log, LogFormat};

/// The one log of the process, once it is started: it is global, as that of `tracing` is.
static RUNNING: OnceLock<Running> = OnceLock::new();

struct Running {
    handle: reload::Handle<EnvFilter, Registry>,
    configured: String,
    current: Mutex<String>,
}

/// Starts the log of the process. A second start in one process changes nothing.
///
/// # Errors
/// `log.level` is no filter.
pub(super) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = filter(&log.level).with_context(|| format!("read log.level {:?}", log.level))?;
    let (filter, handle) = reload::Layer::new(filter);
    let is_terminal = std::io::stderr().is_terminal();
    let as_json = match log.format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let filtered = tracing_subscriber::registry().with(filter);
    let to_stderr = fmt::layer().with_writer(std::io::stderr);
    let started = if as_json {
        filtered.with(to_stderr.json().flatten_event(true)).try_init()
    } else {
        filtered.with(to_stderr.with_ansi(is_terminal).with_target(false)).try_init()
    };
    // Fails only where a log was started before.
    if started.is_ok() {
        let (configured, current) = (log.level.clone(), Mutex::new(log.level.clone()));
        // Empty until now: only one start succeeds.
        let _ = RUNNING.set(Running { handle, configured, current });
    }
    Ok(())
}

/// What holds now, and what the configuration says; none without a log.
pub(crate) fn levels() -> Option<(String, String)> {
    let running = RUNNING.get()?;
    let current = running.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Some((current, running.configured.clone()))
}

/// Logs as this filter says from now on. It holds until the process ends.
///
/// # Errors
/// It is no filter, or there is no log.
pub(crate) fn change(level: &str) -> anyhow::Result<()> {
    let filter = filter(level)?;
    let running = RUNNING.get().context("this process has no log of its own")?;
    let mut current = running.current.lock().unwrap_or_else(PoisonError::into_inner);
    let former = std::mem::replace(&mut *current, level.to_owned());
    // Told before and after, so that it is seen whatever the two levels are.
    info!(former, level, "the log level changes");
    running.handle.reload(filter).context("change the log level")?;
    info!(former, level, "the log level was changed");
    Ok(())
}

/// Logs as configured again.
///
/// # Errors
/// There is no log.
pub(crate) fn reset() -> anyhow::Result<()> {
    let running = RUNNING.get().context("this process has no log of its own")?;
    change(&running.configured)
}

/// What libraries tell in detail may hold what is secret: heads of requests, paths of URLs, values of rows.
const NEVER_IN_DETAIL: [&str; 7] =
    ["h2", "hyper", "hyper_util", "hickory_proto", "reqwest", "rustls", "sqlx"];

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    const HOW: &str = "write off, error, warn, info, debug or trace, or of some parts as in \
                       info,ringpost_deliver=debug";
    if let Some(word) = level.split(',').map(str::trim).find(|word| !is_level(word) && !has_level(word)) {
        anyhow::bail!("{word:?} is no level: {HOW}");
    }
    let mut filter = EnvFilter::try_new(level).with_context(|| format!("{level:?} is no filter: {HOW}"))?;
    let shows_detail = filter.max_level_hint().is_none_or(|most| most > LevelFilter::INFO);
    if shows_detail {
        for library in NEVER_IN_DETAIL {
            filter = filter.add_directive(format!("{library}=info").parse().context("cap a library's log")?);
        }
    }
    Ok(filter)
}

/// A lone word that is no level would be read as the name of a part, and silence everything else: a slip of the pen
/// must not.
fn is_level(word: &str) -> bool {
    !word.is_empty() && word.parse::<LevelFilter>().is_ok()
}

fn has_level(word: &str) -> bool {
    word.rsplit_once('=').is_some_and(|(_, level)| is_level(level))
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

    #[test]
    fn a_slip_of_the_pen_is_told_and_silences_nothing() {
        for (level, word) in
            [("degub", "degub"), ("", ""), ("info,,", ""), ("info,ringpost=loud", "ringpost=loud")]
        {
            let text = filter(level).unwrap_err().to_string();
            let expected =
                format!("{word:?} is no level: write off, error, warn, info, debug or trace, or of some");
            assert!(text.starts_with(&expected), "{level:?}: {text}");
        }
    }
}
