//! `ringpost serve`: everything in one process, or some of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::runtime::Runtime;

use crate::cli::{Failure, Io, Outcome};
use crate::config::{self, Flags};

/// For calls that block when all else has ended. Everything that matters has been waited for by then.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing else need be started: log, store and queues are files in the data folder. What a tenant, \
a platform and a webhook are is declared with `ringpost apply`, before or while it runs. SIGTERM \
and SIGINT end it; what is owed is delivered after the next start.

With the log on Kafka the work can be shared among processes: each has the roles that --roles names
(docs/roles.md), and as many processes may have a role as there are partitions.

Every setting can also come from the environment: RINGPOST_HTTP__LISTEN is http.listen.

Examples:
  ringpost serve
  ringpost serve --data /var/lib/ringpost --listen 0.0.0.0:8080
  ringpost serve --config /etc/ringpost.toml
  ringpost serve --config /etc/ringpost.toml --roles aggregate,dispatch
  RINGPOST_LOG__LEVEL=debug ringpost serve")]
pub struct Serve {
    /// Configuration file; without it the defaults hold. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of journal and store, made when missing (data.dir)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address and port of the intake, such as 0.0.0.0:8080 (http.listen)
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<String>,
    /// Address and port of /livez, /readyz and /metrics (admin.listen)
    #[arg(long, value_name = "IP:PORT")]
    pub admin: Option<String>,
    /// What this process does: some of ingest, aggregate, dispatch and api, parted by commas; without it all
    /// (serve.roles)
    #[arg(long, value_name = "ROLE,…")]
    pub roles: Option<String>,
}

impl Serve {
    fn flags(&self) -> Flags {
        Flags::default()
            .with("data.dir", "--data", self.data.as_ref().map(|dir| dir.display().to_string()))
            .with("http.listen", "--listen", self.listen.clone())
            .with("admin.listen", "--admin", self.admin.clone())
            .with("serve.roles", "--roles", self.roles.clone())
    }
}

/// Runs until a signal asks to stop.
///
/// # Errors
/// Mistakes in the configuration, or what kept the server from starting.
pub fn run(args: &Serve, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let file = args.config.clone().or_else(|| io.variable("RINGPOST_CONFIG").map(PathBuf::from));
    let loaded = config::load(file.as_deref(), &io.variables, &args.flags())?;
    to_the_end(io.runtime()?, crate::serve::run(loaded.config))?;
    Ok(Outcome::Fine)
}

/// Runs a server until it has ended, and leaves behind whatever hangs then: a call into a client of brokers, or of a
/// disk, that never returns, is no reason for a process not to end.
fn to_the_end<T>(runtime: Runtime, server: impl Future<Output = T>) -> T {
    let ended = runtime.block_on(server);
    runtime.shutdown_timeout(LAST_CALLS);
    ended
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_process_ends_though_a_call_into_a_client_of_brokers_never_returns() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (brokers, answer) = mpsc::channel::<()>();
        let ended = to_the_end(runtime, async {
            tokio::task::spawn_blocking(move || answer.recv());
            "stopped"
        });
        assert_eq!(ended, "stopped");
        // Until now it hung.
        drop(brokers);
    }
}
