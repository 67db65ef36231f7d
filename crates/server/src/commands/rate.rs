//! `ringpost rate`: what a call costs by a tariff, and how that comes about.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use chrono::{DateTime, FixedOffset};
use chrono_tz::Tz;
use clap::{Args, ValueEnum};
use ringpost_enrich::{Mistake, Rated, Rounding, Row, Tariff, rows_from_csv};
use ringpost_model::{RoundingMode, TenantKey, Timestamp};
use ringpost_numbers::{Region, normalise};
use rust_decimal::Decimal;

use crate::cli::{Failure, Io, Outcome, harmless};
use crate::open_store::{load_for_store, open_existing};

/// Arguments of `rate`.
#[derive(Debug, Args)]
#[command(after_help = "\
The tariff is a CSV file. Columns, in any order: prefix, name, band, connect_fee, rate_per_minute, \
minimum_seconds, first_increment, next_increment, days (Mon-Fri), from, to (HH:MM), valid_from, \
valid_to (YYYY-MM-DD). Only prefix and rate_per_minute are needed. The longest prefix decides which \
rows there are; of these the first one holds whose day and time match.

Examples:
  ringpost rate --tariff retail.csv --zone Europe/London --number +442079460000 \\
      --start 2026-03-10T17:59:30Z --duration 90
  ringpost rate --tariff retail.csv --number '020 7946 0000' --region GB --start 2026-03-10T09:00:00Z \\
      --duration 61 --decimals 2
  ringpost rate --tariff Retail --tenant acme --number +442079460000 --start 2026-03-10T09:00:00Z --duration 61")]
pub struct Rate {
    /// File with the rows; with --tenant the name of a tariff in the store
    #[arg(long, value_name = "FILE")]
    pub tariff: String,
    /// Take the tariff that was imported for this tenant
    #[arg(long, value_name = "KEY", conflicts_with_all = ["zone", "currency", "decimals", "rounding", "maximum", "region"])]
    pub tenant: Option<TenantKey>,
    /// Configuration file, with --tenant; without it the defaults hold. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the store (data.dir), with --tenant
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The number that was called
    #[arg(long)]
    pub number: String,
    /// When it was answered, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub start: DateTime<FixedOffset>,
    /// Seconds from answer to end
    #[arg(long, value_name = "SECONDS")]
    pub duration: u32,
    /// Whose wall clock days and times are of
    #[arg(long, default_value = "UTC", value_parser = zone)]
    pub zone: Tz,
    /// Read a number without a country code as of this country
    #[arg(long, value_name = "GB")]
    pub region: Option<String>,
    /// For the output
    #[arg(long, value_name = "ISO 4217", default_value = "")]
    pub currency: String,
    /// Decimals of the cost
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=10))]
    pub decimals: u32,
    /// Which way the cost is rounded, once
    #[arg(long, value_enum, default_value_t = Mode::HalfUp)]
    pub rounding: Mode,
    /// No call costs more
    #[arg(long)]
    pub maximum: Option<Decimal>,
}

/// As [`RoundingMode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// To the nearest, a half up
    HalfUp,
    /// To the nearest, a half to the even neighbour
    HalfEven,
    /// Up
    Up,
    /// Down
    Down,
}

impl From<Mode> for RoundingMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::HalfUp => Self::HalfUp,
            Mode::HalfEven => Self::HalfEven,
            Mode::Up => Self::Up,
            Mode::Down => Self::Down,
        }
    }
}

/// A zone by its name.
pub(super) fn zone(text: &str) -> Result<Tz, String> {
    ringpost_enrich::zone(text).map_err(|error| error.to_string())
}

/// Prints each step, and the cost.
///
/// # Errors
/// A tariff that cannot be read, with each mistake; no row for the number at that time.
pub fn run(args: &Rate, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let (tariff, region) = match &args.tenant {
        Some(tenant) => io.runtime()?.block_on(stored(args, tenant, io))?,
        None => (of_file(args)?, args.region.clone().unwrap_or_default()),
    };
    let region = Some(&*region).filter(|region| !region.is_empty());
    let region = region.map(Region::new).transpose().map_err(anyhow::Error::new)?;
    let read = region.and_then(|region| normalise(&args.number, region));
    let number = read.as_ref().map_or(&*args.number, |number| number.as_str());
    let answered = Timestamp::from_micros(args.start.timestamp_micros());
    let text = explained(&tariff, number, answered, args.duration).map_err(|why| anyhow!(why))?;
    io.stdout.write_all(text.as_bytes())?;
    Ok(Outcome::Fine)
}

fn of_file(args: &Rate) -> Result<Tariff, Failure> {
    let name = &args.tariff;
    let file = File::open(name)
        .with_context(|| format!("open the tariff {name}; one of the store needs --tenant as well"))?;
    let rows = rows_from_csv(file).map_err(|mistakes| anyhow!("{}", list(name, &mistakes)))?;
    let mut tariff = Tariff::new(name, &args.currency, args.zone, rows);
    tariff.rounding = Rounding { decimals: args.decimals, mode: args.rounding.into() };
    tariff.maximum = args.maximum;
    Ok(tariff)
}

/// The tariff of a tenant, and the region in which its numbers are read.
async fn stored(args: &Rate, tenant: &TenantKey, io: &Io<'_>) -> Result<(Tariff, String), Failure> {
    let config = load_for_store(args.config.as_deref(), args.data.as_deref(), io)?;
    let store = open_existing(&config, "").await?;
    let found = store.table_lists(tenant).await.context("read the tariffs");
    let of_tenant = store.tenant(tenant).await.context("read the tenant");
    store.close().await;
    let tariffs = found?.tariffs;
    let Some(list) = tariffs.iter().find(|one| *one.name == *args.tariff) else {
        let names: Vec<_> = tariffs.iter().map(|one| harmless(&one.name)).collect();
        let name = harmless(&args.tariff);
        return Err(anyhow!("{tenant} has no tariff {name}; there are: {}", names.join(", ")).into());
    };
    let tariff =
        Tariff::from_list(list).map_err(|mistakes| anyhow!("{}", self::list(&list.name, &mistakes)))?;
    Ok((tariff, of_tenant?.map_or_else(String::new, |tenant| tenant.region.into())))
}

/// Each step and the cost, or why there is none.
pub(super) fn explained(
    tariff: &Tariff,
    number: &str,
    answered: Timestamp,
    seconds: u32,
) -> Result<String, String> {
    let rated = tariff.rate(number, answered, i64::from(seconds));
    let rated = rated.ok_or_else(|| why_not(tariff, number))?;
    Ok(explain(tariff, number, answered, seconds, &rated))
}

fn list(name: &str, mistakes: &[Mistake]) -> String {
    let line = |it: &Mistake| match &*it.column {
        "" => format!("{name}:{}: {}", it.line, it.wrong),
        column => format!("{name}:{}: {}: {}", it.line, harmless(column), harmless(&it.wrong)),
    };
    mistakes.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn why_not(tariff: &Tariff, number: &str) -> String {
    match tariff.rows_for(number).first() {
        None => format!("no row has a prefix of {number}; a row with an empty prefix is for every number"),
        Some(row) => format!("the rows of prefix {:?} hold on other days or at other times", row.prefix),
    }
}

fn explain(tariff: &Tariff, number: &str, answered: Timestamp, seconds: u32, rated: &Rated<'_>) -> String {
    let first = rated.row;
    let mut text = format!(
        "{}, answered {}, {seconds} s\nprefix {}: {}\n",
        harmless(number),
        answered.to_rfc3339_in(tariff.zone),
        if first.prefix.is_empty() { "(any)" } else { &first.prefix },
        described(first),
    );
    text += &format!(
        "charged {} s: at least {} s, first {} s, then by {} s\n",
        rated.charged, first.minimum_seconds, first.first_increment, first.next_increment,
    );
    if !first.connect_fee.is_zero() {
        text += &format!("  fee          {}\n", first.connect_fee);
    }
    for step in &rated.steps {
        let (from, to, rate) = (step.from, step.from + step.seconds, step.row.rate_per_minute);
        let cost = (rate * Decimal::from(step.seconds) / Decimal::from(60)).round_dp(10).normalize();
        text += &format!(
            "  {from:>5}-{to:<6} {} s at {rate} a minute, {}: {cost}\n",
            step.seconds,
            described(step.row)
        );
    }
    let currency =
        if tariff.currency.is_empty() { String::new() } else { format!(" {}", harmless(&tariff.currency)) };
    text += &format!("cost {}{currency}\n", rated.cost);
    text
}

/// Name and band, as far as there are.
fn described(row: &Row) -> String {
    let parts: Vec<_> = [&row.name, &row.band].into_iter().filter(|part| !part.is_empty()).collect();
    match parts.is_empty() {
        true => "(no name)".to_owned(),
        false => harmless(&parts.into_iter().map(|part| &**part).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::ringpost;

    const RETAIL: &str =
        "prefix,name,band,connect_fee,rate_per_minute,first_increment,next_increment,days,from,to
44,UK,peak,0.05,0.60,60,60,Mon-Fri,08:00,18:00
44,UK,off,0.05,0.06,60,60,,,
";

    fn rate(text: &str, arguments: &[&str]) -> (u8, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("retail.csv");
        std::fs::write(&path, text).unwrap();
        let mut all = vec!["rate", "--tariff", path.to_str().unwrap()];
        all.extend(arguments);
        let (code, out, err) = ringpost(&all, "");
        (code, out, err.replace(folder.path().to_str().unwrap(), ""))
    }

    #[test]
    fn each_step_of_a_price_is_told() {
        let call =
            ["--number", "020 7946 0000", "--region", "GB", "--zone", "Europe/London", "--currency", "GBP"];
        let when = ["--start", "2026-03-10T17:59:30Z", "--duration", "70", "--decimals", "2"];
        let (code, out, err) = rate(RETAIL, &[&call[..], &when[..]].concat());
        assert_eq!((code, &*err), (0, ""));
        insta::assert_snapshot!(out, @r"
        +442079460000, answered 2026-03-10T17:59:30+00:00, 70 s
        prefix 44: UK, peak
        charged 120 s: at least 0 s, first 60 s, then by 60 s
          fee          0.05
              0-30     30 s at 0.60 a minute, UK, peak: 0.3
             30-120    90 s at 0.06 a minute, UK, off: 0.09
        cost 0.44 GBP
        ");
    }

    #[test]
    fn what_has_no_price_says_why() {
        let when = ["--start", "2026-03-10T09:00:00Z", "--duration", "70"];
        let (code, _, err) = rate(RETAIL, &[&["--number", "+4930123456"][..], &when].concat());
        assert!(code == 1 && err.contains("no row has a prefix of +4930123456"), "{err}");
        let (code, _, err) =
            rate("prefix,rate_per_minute\n4x,1\n,\n", &[&["--number", "1"][..], &when].concat());
        assert_eq!(code, 1);
        insta::assert_snapshot!(err);
    }
}
