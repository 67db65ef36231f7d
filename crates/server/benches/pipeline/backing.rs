//! On what an installation stands: files of its folder; or brokers and a server of PostgreSQL that run already.
//!
//! `RINGPOST_TEST_KAFKA` and `RINGPOST_TEST_POSTGRES` name them, with the folders that `scripts/kafka run` and
//! `scripts/postgres run` tell, by which their processor time is known.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::figures::{cpu_seconds, tree_seconds};

/// Another name for each installation: what an earlier one left is in nobody's way.
static INSTALLATIONS: AtomicUsize = AtomicUsize::new(0);

/// Where log and store are.
pub(crate) struct Backing {
    kafka: Option<Topics>,
    postgres: Option<String>,
}

/// Topics of one installation.
#[derive(Clone)]
pub(crate) struct Topics {
    pub(crate) bootstrap: String,
    pub(crate) prefix: String,
    pub(crate) partitions: u32,
}

impl Backing {
    /// As the environment says, with so many partitions where the log is on brokers.
    pub(crate) fn new(partitions: u32) -> Self {
        let number = INSTALLATIONS.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench_{}_{number}", std::process::id());
        let kafka = std::env::var("RINGPOST_TEST_KAFKA").ok();
        let kafka = kafka.map(|bootstrap| Topics { bootstrap, prefix: format!("{name}."), partitions });
        let postgres = std::env::var("RINGPOST_TEST_POSTGRES").ok().map(|server| database(&server, &name));
        Self { kafka, postgres }
    }

    /// Whether there are brokers.
    pub(crate) fn has_brokers() -> bool {
        std::env::var_os("RINGPOST_TEST_KAFKA").is_some()
    }

    /// None where the log is a file.
    pub(crate) fn topics(&self) -> Option<&Topics> {
        self.kafka.as_ref()
    }

    /// What the configuration says of it, `more` in the section of Kafka.
    pub(crate) fn settings(&self, more: &str) -> String {
        let Some(Topics { bootstrap, prefix, partitions }) = &self.kafka else { return String::new() };
        let tried = std::env::var("BENCH_KAFKA").unwrap_or_default();
        format!(
            "[bus]\nbackend = \"kafka\"\npartitions = {partitions}\n[bus.kafka]\nbootstrap = \"{bootstrap}\"\n\
            prefix = \"{prefix}\"\ninstance = \"bench\"\n{more}\n{tried}\n"
        )
    }

    /// The URL has a password, which no file may hold.
    pub(crate) fn environment(&self, command: &mut Command) {
        if let Some(url) = &self.postgres {
            command.env("RINGPOST_STORE__URL", url);
        }
    }

    /// What it is, for the figures.
    pub(crate) fn name(&self) -> &'static str {
        match (&self.kafka, &self.postgres) {
            (None, None) => "files",
            (Some(_), None) => "Kafka, files",
            (None, Some(_)) => "files, PostgreSQL",
            (Some(_), Some(_)) => "Kafka, PostgreSQL",
        }
    }
}

/// CPU seconds of a process of ours, of PostgreSQL and of the broker: so far, or between two moments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) ours: f64,
    pub(crate) postgres: f64,
    pub(crate) broker: f64,
}

impl Spent {
    /// Until now, by a process that has used so much.
    pub(crate) fn so_far(ours: f64) -> Self {
        let of = |folder: &str, file: &str| {
            let folder = std::env::var_os(folder).map(PathBuf::from)?;
            let text = std::fs::read_to_string(folder.join(file)).ok()?;
            text.lines().next()?.trim().parse::<u32>().ok()
        };
        let postgres = of("RINGPOST_TEST_POSTGRES_DIR", "data/postmaster.pid").map_or(0.0, tree_seconds);
        let broker = of("RINGPOST_TEST_KAFKA_DIR", "node-1.pid").map_or(0.0, cpu_seconds);
        Self { ours, postgres, broker }
    }

    /// From an earlier moment to this one, for each thousand of so many.
    pub(crate) fn per_thousand(self, since: Self, count: usize) -> Self {
        let each = |now: f64, before: f64| (now - before) / count as f64 * 1_000.0;
        Self {
            ours: each(self.ours, since.ours),
            postgres: each(self.postgres, since.postgres),
            broker: each(self.broker, since.broker),
        }
    }
}

/// A database of its own. By the client that comes with the server.
fn database(server: &str, name: &str) -> String {
    let mut psql = Command::new("psql");
    psql.arg(server).args(["-q", "-c"]).arg(format!("CREATE DATABASE {name}")).stdin(Stdio::null());
    let done = psql.output().expect("psql, which comes with PostgreSQL");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (before, _) = server.rsplit_once('/').expect("a URL with a database");
    format!("{before}/{name}")
}
