//! `ringpost enrich`: calls of the past are enriched again, by a running server.

use anyhow::anyhow;
use chrono::{DateTime, FixedOffset};
use clap::Args;
use ringpost_model::TenantKey;

use super::running::{Running, Which};
use crate::admin::enrich::{Progress, Wanted};
use crate::cli::{Failure, Io, Outcome, spinner};

/// Arguments of `enrich`.
#[derive(Debug, Args)]
#[command(after_help = "\
Contacts, numbers, devices and tariffs are looked up again as they are now. A call whose record differs \
by that gets a new revision; the others stay as they are. Nothing fires, unless --fire says so: then \
triggers that take every revision (revisions = \"all\") do. It ends when all is asked for; the server goes \
through it beside its work. Stop it with Ctrl-C: what was asked for is done.

Examples:
  ringpost enrich --tenant acme --from 2026-03-01T00:00:00Z --dry-run
  ringpost enrich --tenant acme --from 2026-03-01T00:00:00Z
  ringpost enrich --number +441632960101 --fire")]
pub struct Enrich {
    /// Only calls of this tenant
    #[arg(long, value_name = "KEY")]
    pub tenant: Option<TenantKey>,
    /// Only calls that began then or later, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub from: Option<DateTime<FixedOffset>>,
    /// Only calls that began before, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub to: Option<DateTime<FixedOffset>>,
    /// Only calls with this number, of the other party or of the tenant, as the record has it
    #[arg(long, value_name = "NUMBER")]
    pub number: Option<String>,
    /// Let triggers fire that take every revision
    #[arg(long)]
    pub fire: bool,
    /// Only count the calls
    #[arg(long)]
    pub dry_run: bool,
    /// Calls a second at most
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    #[command(flatten)]
    which: Which,
}

/// Asks a running server, and shows how far it is.
///
/// # Errors
/// No server answers, or it stops.
pub fn run(args: &Enrich, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let running = Running::find(&args.which, io)?;
    let micros = |time: &DateTime<FixedOffset>| time.timestamp_micros();
    let wanted = Wanted {
        tenant: args.tenant.clone(),
        from: args.from.as_ref().map(micros),
        to: args.to.as_ref().map(micros),
        number: args.number.as_deref().map(Into::into),
        fire: args.fire,
        dry_run: args.dry_run,
        rate: args.rate,
    };
    let body = serde_json::to_string(&wanted).map_err(anyhow::Error::from)?;
    let bar = spinner(io, "calls");
    let mut last = None;
    let followed = io.runtime()?.block_on(running.follow("/enrich", &body, |line| {
        let progress: Progress = serde_json::from_str(line)?;
        bar.set_position(progress.asked);
        last = Some(progress);
        Ok(())
    }));
    bar.finish_and_clear();
    followed?;
    let Progress { asked, unreadable, done, error } =
        last.ok_or_else(|| anyhow!("that is not the admin port of a server"))?;
    if unreadable > 0 {
        writeln!(io.stderr, "{unreadable} records cannot be read and stay as they are")?;
    }
    if let Some(error) = error {
        return Err(anyhow!("after {asked} calls: {error}").into());
    }
    if !done {
        return Err(anyhow!("the server stopped after {asked} calls; ask again for the earlier ones").into());
    }
    if args.dry_run {
        writeln!(io.stdout, "{asked} calls would be enriched again")?;
    } else {
        writeln!(io.stdout, "{asked} calls are enriched again; those that differ get a new revision")?;
    }
    Ok(Outcome::Fine)
}
