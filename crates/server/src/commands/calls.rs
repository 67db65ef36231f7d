//! `ringpost calls`: the calls in the store, with their time lines, legs, and what was sent of them.

mod show;

#[cfg(test)]
mod tests;

use anyhow::Context;
use clap::{Args, Subcommand};
use ringpost_model::{Envelope, SessionId, TenantKey};
use ringpost_store::{AttemptFilter, DebtFilter, SessionFilter, Store};

use crate::cli::{Failure, Io, Outcome};
use crate::config::Config;
use crate::open_store::{StoreFlags, open_existing};

/// Requests of one call that are shown.
const REQUESTS: usize = 200;

/// Arguments of `calls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringpost calls list --data /var/lib/ringpost
  ringpost calls list --tenant acme --number +441632960101
  ringpost calls show bc3a390e-966a-554e-b420-1348d1e53c80 --data /var/lib/ringpost
  ringpost calls show --all --data /var/lib/ringpost")]
pub struct Calls {
    #[command(flatten)]
    store: StoreFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them, newest first, a line each
    List(Which),
    /// Show some whole: time line, legs, requests
    Show {
        /// Id of the call, as `list` and the record have it
        #[arg(value_name = "ID", required_unless_present = "all")]
        ids: Vec<SessionId>,
        /// All that `list` would list, oldest first
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        which: Which,
    },
}

/// Which calls.
#[derive(Debug, Args)]
pub struct Which {
    /// Only of this tenant
    #[arg(long, value_name = "KEY")]
    pub tenant: Option<TenantKey>,
    /// Only with this number, of the other party or of the tenant, as the record has it
    #[arg(long, value_name = "NUMBER")]
    pub number: Option<String>,
    /// Only where a user's number or name has this in it
    #[arg(long, value_name = "TEXT")]
    pub user: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
}

impl Which {
    fn filter(&self) -> SessionFilter {
        SessionFilter {
            tenants: self.tenant.iter().cloned().collect(),
            number: self.number.as_deref().map(Into::into),
            user: self.user.as_deref().map(Into::into),
            ..SessionFilter::default()
        }
    }
}

/// Lists or shows.
///
/// # Errors
/// Mistakes in the configuration, no store, or one that cannot be read.
pub fn run(args: &Calls, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let config = args.store.load(io)?;
    io.runtime()?.block_on(print(&args.command, &config, io))
}

async fn print(command: &Command, config: &Config, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let store = open_existing(config, ", or start `serve`").await?;
    let printed = match command {
        Command::List(which) => list(&store, which, io).await,
        Command::Show { ids, all: false, .. } => show(&store, ids, io).await,
        Command::Show { which, .. } => {
            let found = store.sessions(&which.filter(), which.limit).await.context("list calls")?;
            let ids: Vec<_> = found.iter().rev().map(|session| session.id).collect();
            show(&store, &ids, io).await
        }
    };
    store.close().await;
    printed
}

async fn list(store: &Store, which: &Which, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    for session in store.sessions(&which.filter(), which.limit).await.context("list calls")? {
        let stored = store.session(session.id).await.context("read a call")?;
        let Some(stored) = stored else { continue };
        let envelope = Envelope::from_bytes(&stored.envelope).context("read a call")?;
        writeln!(io.stdout, "{}", show::line(&envelope.cdr))?;
    }
    Ok(Outcome::Fine)
}

async fn show(store: &Store, ids: &[SessionId], io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Fine;
    for id in ids {
        let Some(stored) = store.session(*id).await.context("read a call")? else {
            writeln!(io.stderr, "no call {id} is kept")?;
            outcome = Outcome::No;
            continue;
        };
        let envelope = Envelope::from_bytes(&stored.envelope).context("read a call")?;
        io.stdout.write_all(show::page(&envelope).as_bytes())?;
        let requests = requests(store, *id).await?;
        io.stdout.write_all(requests.as_bytes())?;
    }
    Ok(outcome)
}

/// What was sent of a call, and what is still owed.
async fn requests(store: &Store, id: SessionId) -> Result<String, Failure> {
    let filter = AttemptFilter { session: Some(id), ..AttemptFilter::default() };
    let attempts = store.attempts(&filter, REQUESTS).await.context("read requests")?;
    let mut lines = Vec::new();
    for attempt in attempts.iter().rev() {
        let stored = store.attempt(attempt.id).await.context("read a request")?;
        let line = stored.map(|stored| stored.exchange.request_line).unwrap_or_default();
        let trigger = store.trigger(attempt.trigger).await.context("read a trigger")?;
        let name = trigger.map_or_else(|| "(removed)".into(), |stored| stored.trigger.name);
        lines.push(show::request(attempt, &name, &line));
    }
    let filter = DebtFilter { session: Some(id), ..DebtFilter::default() };
    for debt in store.debts(&filter, REQUESTS).await.context("read what is owed")? {
        let trigger = store.trigger(debt.delivery.trigger).await.context("read a trigger")?;
        let name = trigger.map_or_else(|| "(removed)".into(), |stored| stored.trigger.name);
        lines.push(show::owed(&debt, &name));
    }
    Ok(show::requests(&lines))
}
