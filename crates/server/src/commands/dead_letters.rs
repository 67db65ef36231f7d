//! `ringpost dead-letters`: what was rejected, to look at and to send in again.

mod replay;
mod show;

#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};
use ringpost_model::{PbxKey, TenantKey};
use ringpost_store::{DeadLetterFilter, DeadLetterId, Store};

use crate::cli::{Failure, Io, Outcome};
use crate::open_store::{StoreFlags, open_store, store_exists};

/// Arguments of `dead-letters`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringpost dead-letters list --data /var/lib/ringpost
  ringpost dead-letters show 17 --data /var/lib/ringpost
  ringpost dead-letters replay 17 --data /var/lib/ringpost --to http://127.0.0.1:8080")]
pub struct DeadLetters {
    #[command(flatten)]
    store: StoreFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them, newest first
    #[command(after_help = "\
Examples:
  ringpost dead-letters list --data /var/lib/ringpost
  ringpost dead-letters list --pbx fs1 --reason \"leg: missing\"")]
    List(List),
    /// Print one whole
    #[command(after_help = "\
Example:
  ringpost dead-letters show 17 --data /var/lib/ringpost")]
    Show {
        /// Number, as `list` prints it
        #[arg(value_name = "ID")]
        id: u64,
        /// Only the input itself, byte for byte
        #[arg(long)]
        raw: bool,
    },
    /// Send them in again, through the intake of a running server
    #[command(after_help = "\
What is taken in is marked, and listed no more. What is refused once more stays as it is.

A leg that came too late is refused as too_late: its call is closed and forgotten. With --reopen the
call's record is worked out anew from the legs that are kept with it and from this one, and where it
differs goes out as the next revision. Nothing fires for it, unless --fire says so.

Examples:
  ringpost dead-letters replay --all --reason too_late --reopen
  ringpost dead-letters replay 17 18 --data /var/lib/ringpost --to http://127.0.0.1:8080
  ringpost dead-letters replay --all --pbx fs1 --to http://127.0.0.1:8080")]
    Replay(replay::Replay),
}

/// Which ones.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    which: Which,
    /// Also those that were sent in again
    #[arg(long)]
    pub replayed: bool,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// Only those before this number: the last of the page before
    #[arg(long, value_name = "ID")]
    pub before: Option<u64>,
}

#[derive(Debug, Args)]
struct Which {
    /// Of this tenant
    #[arg(long, value_name = "KEY")]
    tenant: Option<TenantKey>,
    /// From this pbx
    #[arg(long, value_name = "KEY")]
    pbx: Option<PbxKey>,
    /// With exactly this reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Which {
    fn filter(&self) -> DeadLetterFilter {
        DeadLetterFilter {
            tenant: self.tenant.clone(),
            pbx: self.pbx.clone(),
            reason: self.reason.as_deref().map(Into::into),
            ..DeadLetterFilter::default()
        }
    }
}

/// Lists, shows or replays.
///
/// # Errors
/// A store that is not there or cannot be read, a server that cannot be reached.
pub fn run(args: &DeadLetters, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let config = args.store.load(io)?;
    if !store_exists(&config) {
        let folder = config.data.dir.display();
        return Err(
            anyhow::anyhow!("{folder} holds no store; name its folder with --data or --config").into()
        );
    }
    io.runtime()?.block_on(async {
        let store = open_store(&config).await?;
        let done = match &args.command {
            Command::List(args) => list(args, &store, io).await,
            Command::Show { id, raw } => show::one(DeadLetterId(*id), *raw, &store, io).await,
            Command::Replay(args) => replay::replay(args, &store, &config, io).await,
        };
        store.close().await;
        done
    })
}

async fn list(args: &List, store: &Store, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let mut filter = args.which.filter();
    filter.replayed = args.replayed;
    filter.before = args.before.map(DeadLetterId);
    let letters = store.dead_letters(&filter, args.limit).await.map_err(anyhow::Error::from)?;
    let mut rows = Vec::with_capacity(letters.len());
    for stored in letters {
        // Lists come without bodies; a page of them is read one by one.
        let whole = store.dead_letter(stored.id).await.map_err(anyhow::Error::from)?;
        rows.push(whole.unwrap_or(stored));
    }
    io.stdout.write_all(show::table(&rows, io.stdout_is_terminal).as_bytes())?;
    Ok(Outcome::Fine)
}
