//! The project's own scripts, which start what is not ours.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// Runs one of `scripts` to its end. Returns what it prints.
pub(crate) fn script(name: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(name);
    let done = Command::new(path).args(arguments).output().with_context(|| format!("run scripts/{name}"))?;
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(done.status.success(), "scripts/{name} {}: {told}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
