//! A real PostgreSQL, by the project's own script.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::script::script;

const POSTGRES: &str = "postgres";

/// A server that runs; gone with its owner.
pub(crate) struct Postgres {
    /// With the password in it.
    pub(crate) url: String,
    dir: String,
    keep: PathBuf,
}

impl Postgres {
    /// In a folder of its own: its processes belong to somebody who may not enter any. What it logs is kept in `keep`.
    pub(crate) fn start(keep: &Path) -> anyhow::Result<Self> {
        let out = script(POSTGRES, &["start", "--no-fsync", "yes"])?;
        let word = |name: &str| out.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let url = word("url ").context("the script tells no URL")?;
        let dir = word("dir ").context("the script tells no folder")?;
        Ok(Self { url, dir, keep: keep.to_owned() })
    }

    /// `kill -9` of all its processes.
    pub(crate) fn kill(&self) -> anyhow::Result<()> {
        script(POSTGRES, &["kill", &self.dir]).map(drop)
    }

    /// Stops it as for an upgrade: whoever is connected is cut off.
    pub(crate) fn away(&self) -> anyhow::Result<()> {
        script(POSTGRES, &["away", &self.dir]).map(drop)
    }

    /// Starts it again, and waits until it answers.
    pub(crate) fn again(&self) -> anyhow::Result<()> {
        script(POSTGRES, &["again", &self.dir]).map(drop)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        _ = std::fs::copy(Path::new(&self.dir).join("server.log"), self.keep.join("postgres.log"));
        if let Err(error) = script(POSTGRES, &["stop", &self.dir]) {
            eprintln!("faults: the database in {} may still run: {error:#}", self.dir);
        }
    }
}
