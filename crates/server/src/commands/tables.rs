//! `ringpost tables`: what was imported, and its removal.

use anyhow::Context;
use clap::{Args, Subcommand};
use ringpost_model::TenantKey;
use ringpost_store::{Error, Store};

use crate::cli::{Failure, Io, Outcome, harmless};
use crate::config::Config;
use crate::open_store::{StoreFlags, open_existing};

/// Arguments of `tables`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringpost tables list --data /var/lib/ringpost
  ringpost tables remove directory Customers --tenant acme
  ringpost tables remove tariff Retail --tenant acme")]
pub struct Tables {
    #[command(flatten)]
    store: StoreFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List directories, numbers, devices and tariffs of every tenant
    List {
        /// Only of this tenant
        #[arg(long, value_name = "KEY")]
        tenant: Option<TenantKey>,
    },
    /// Remove one
    Remove {
        #[command(subcommand)]
        what: What,
    },
}

#[derive(Debug, Subcommand)]
enum What {
    /// A directory with all its contacts
    Directory(Named),
    /// A tariff
    Tariff(Named),
}

#[derive(Debug, Args)]
struct Named {
    /// As `list` prints it
    name: String,
    /// Whose it is
    #[arg(long, value_name = "KEY")]
    tenant: TenantKey,
}

/// Lists or removes.
///
/// # Errors
/// Mistakes in the configuration, no store, or one that cannot be used.
pub fn run(args: &Tables, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let config = args.store.load(io)?;
    io.runtime()?.block_on(work(&args.command, &config, io))
}

async fn work(command: &Command, config: &Config, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let store = open_existing(config, ", or begin with `apply`").await?;
    let done = match command {
        Command::List { tenant } => list(&store, tenant.as_ref(), io).await,
        Command::Remove { what: What::Directory(named) } => {
            let removed = store.remove_directory(&named.tenant, &named.name).await;
            removed_or_not(removed, named, "directory", io)
        }
        Command::Remove { what: What::Tariff(named) } => {
            let removed = store.remove_tariff(&named.tenant, &named.name).await;
            removed_or_not(removed, named, "tariff", io)
        }
    };
    store.close().await;
    done
}

fn removed_or_not(
    removed: Result<bool, Error>,
    named: &Named,
    what: &str,
    io: &mut Io<'_>,
) -> Result<Outcome, Failure> {
    let name = harmless(&named.name);
    if removed.context("remove a table")? {
        writeln!(io.stdout, "{what} {name} of {} removed", named.tenant)?;
        return Ok(Outcome::Fine);
    }
    writeln!(io.stderr, "{} has no {what} {name}", named.tenant)?;
    Ok(Outcome::No)
}

async fn list(store: &Store, only: Option<&TenantKey>, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let tenants = store.tenants().await.context("read the tenants")?;
    let directories = store.directories(only).await.context("read the directories")?;
    for tenant in tenants.iter().map(|tenant| &tenant.key).filter(|key| only.is_none_or(|only| only == *key))
    {
        for one in directories.iter().filter(|one| one.tenant == *tenant) {
            let (name, changed) =
                (harmless(&one.directory.name), one.changed.to_rfc3339_in(chrono_tz::Tz::UTC));
            writeln!(io.stdout, "{tenant}\tdirectory\t{name}\t{} contacts\t{changed}", one.contacts)?;
        }
        let lists = store.table_lists(tenant).await.context("read the tables")?;
        if !lists.numbers.is_empty() {
            writeln!(io.stdout, "{tenant}\tnumbers\t\t{} numbers", lists.numbers.len())?;
        }
        if !lists.devices.is_empty() {
            writeln!(io.stdout, "{tenant}\tdevices\t\t{} devices", lists.devices.len())?;
        }
        for tariff in &lists.tariffs {
            let rows = tariff.rows.lines().skip(1).filter(|line| !line.trim().is_empty()).count();
            let (name, currency) = (harmless(&tariff.name), harmless(&tariff.currency));
            writeln!(io.stdout, "{tenant}\ttariff\t{name}\t{rows} rows\t{currency}")?;
        }
    }
    Ok(Outcome::Fine)
}
