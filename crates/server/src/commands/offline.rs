//! What the offline commands share: the machine's settings without a store.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use ringpost_model::Pbx;
use ringpost_session::{Config, Settings};

use crate::cli::{Failure, Io};
use crate::config::{self, Flags, Sessions};
use crate::resources::{self, Known, read, read_folder};

/// Settings of a whole input at once, or of one in order of time. With a configuration its `[sessions]` hold, caps
/// included; without one nothing is capped.
pub(crate) fn machine_config(file: Option<&Path>, stream: bool, io: &Io<'_>) -> Result<Config, Failure> {
    let base = if stream { Config::offline_stream() } else { Config::offline() };
    let Some(file) = file else { return Ok(base) };
    let loaded = config::load(Some(file), &io.variables, &Flags::default())?;
    Ok(with_sessions(base, &loaded.config.sessions))
}

fn with_sessions(base: Config, sessions: &Sessions) -> Config {
    Config {
        settle: micros(sessions.settle),
        gap: micros(sessions.gap),
        max_idle: micros(sessions.max_idle),
        late: micros(sessions.late),
        max_legs: sessions.max_legs,
        max_session_bytes: sessions.max_session_bytes.as_usize(),
        max_live: sessions.max_live,
        ..base
    }
}

/// A duration as the pure crates count it.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Tenants and platforms from files, and the platforms as they are declared; without files UTC, no region, default
/// thresholds.
pub(crate) fn settings(folder: Option<&Path>, io: &Io<'_>) -> Result<(Settings, Vec<Pbx>), Failure> {
    let Some(folder) = folder else { return Ok((Settings::default(), Vec::new())) };
    let files = read_folder(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut read = read(&files, &io.variables);
    // Triggers are not looked at here; a mistake in one is told by `apply`.
    resources::check(&files, &mut read, &Known::default(), &|_, _| Vec::new());
    if !read.mistakes.is_empty() {
        return Err(read.mistakes.into());
    }
    let tenants: Vec<_> = read.resources.tenants.into_iter().map(|tenant| tenant.what).collect();
    let pbxs: Vec<_> = read.resources.pbxs.into_iter().map(|pbx| pbx.what.pbx).collect();
    let settings = Settings::new(&tenants, &pbxs).context("use the tenants and platforms")?;
    Ok((settings, pbxs))
}
