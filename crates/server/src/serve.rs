//! The running pipeline: intake, sessions, dispatch in one process.

use crate::config::Config;

/// Runs until a signal asks to stop.
///
/// # Errors
/// What kept it from starting, or ended it.
pub async fn run(config: Config) -> anyhow::Result<()> {
    anyhow::bail!("serve on {}: not built in yet", config.http.listen)
}
