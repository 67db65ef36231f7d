//! A tariff: its rows as CSV, and what holds for all of them.

use anyhow::{Context, anyhow};
use chrono_tz::Tz;
use clap::{Args, ValueEnum};
use ringpost_enrich::{Tariff, rows_from_csv};
use ringpost_model::{PriceList, TariffDirection};
use ringpost_numbers::normalise;
use ringpost_store::{Store, Written};
use rust_decimal::Decimal;

use super::lists::good;
use super::{Input, Source, region_of, tenant_of};
use crate::cli::{Failure, Io, Outcome, harmless};
use crate::clock;
use crate::commands::rate::{self, Mode};

/// Longest name of a tariff, in bytes.
const NAME_BYTES: usize = 200;
/// Largest file: it is kept as it is, and read with the tenant's other tables.
const FILE_BYTES: usize = 64 << 20;

/// Arguments of `import tariff`.
#[derive(Debug, Args)]
pub(super) struct TariffFile {
    #[command(flatten)]
    input: Input,
    /// What it is called; one of that name is replaced. Where several would do, the first by name is taken
    #[arg(long)]
    name: String,
    /// Of its prices
    #[arg(long, value_name = "ISO 4217", default_value = "")]
    currency: String,
    /// Whose wall clock days and times are of; without it the tenant's
    #[arg(long, value_parser = rate::zone)]
    zone: Option<Tz>,
    /// Which calls it is for
    #[arg(long, value_enum, default_value_t = Direction::Outgoing)]
    direction: Direction,
    /// Decimals of a cost
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=10))]
    decimals: u32,
    /// Which way a cost is rounded, once
    #[arg(long, value_enum, default_value_t = Mode::HalfUp)]
    rounding: Mode,
    /// No call costs more
    #[arg(long)]
    maximum: Option<Decimal>,
    /// With --preview: what a call to this number would cost now
    #[arg(long, requires = "preview")]
    number: Option<String>,
    /// With --number: seconds from answer to end
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    duration: u32,
}

/// As [`TariffDirection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// Outgoing calls, and those from outside to outside, by the number dialled
    Outgoing,
    /// Incoming calls, by your own number that was called
    Incoming,
}

pub(super) async fn import(args: &TariffFile, store: &Store, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    if args.name.trim().is_empty() || args.name.len() > NAME_BYTES {
        return Err(Failure::Usage(format!("--name: a name of 1 to {NAME_BYTES} bytes")));
    }
    let tenant = tenant_of(store, &args.input.tenant).await?;
    let source = Source::read(&args.input, io)?;
    if source.text.len() > FILE_BYTES {
        return Err(anyhow!("{} is larger than 64 MiB: split the tariff", source.name).into());
    }
    let rows = good(&source, rows_from_csv(source.text.as_bytes()), io)?;
    if rows.is_empty() {
        return Err(anyhow!("{} has no rows", source.name).into());
    }
    let list = PriceList {
        name: args.name.as_str().into(),
        currency: args.currency.as_str().into(),
        zone: args.zone.or(tenant.zone).unwrap_or(Tz::UTC),
        direction: match args.direction {
            Direction::Outgoing => TariffDirection::Outgoing,
            Direction::Incoming => TariffDirection::Incoming,
        },
        decimals: args.decimals,
        rounding: args.rounding.into(),
        maximum: args.maximum,
        rows: source.text.as_str().into(),
    };
    let name = harmless(&args.name);
    if args.input.preview {
        if let Some(typed) = &args.number {
            let read = region_of(&tenant)?.and_then(|region| normalise(typed, region));
            let number = read.as_ref().map_or(&**typed, |number| number.as_str());
            let tariff = Tariff::from_list(&list).map_err(|_| anyhow!("the rows cannot be read again"))?;
            let text = rate::explained(&tariff, number, clock::now(), args.duration);
            io.stdout.write_all(text.map_err(|why| anyhow!(why))?.as_bytes())?;
        }
        writeln!(io.stdout, "{name}: {} rows; nothing was imported: this was a preview", rows.len())?;
        return Ok(Outcome::Fine);
    }
    let written =
        store.put_tariff(&args.input.tenant, &list, clock::now()).await.context("save the tariff")?;
    let done = match written {
        Written::Made => "made",
        Written::Changed => "changed",
        Written::Same => "as before",
    };
    writeln!(io.stdout, "{name}: {} rows, {done}", rows.len())?;
    Ok(Outcome::Fine)
}
