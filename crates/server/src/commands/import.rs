//! `ringpost import`: contacts, numbers, devices and tariffs out of files into the store. A running server takes them
//! over within seconds.

mod contacts;
mod lists;
mod report;
mod tariff;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use ringpost_enrich::{Encoding, FileFormat, decoded};
use ringpost_model::{Tenant, TenantKey};
use ringpost_numbers::Region;
use ringpost_store::Store;

use crate::cli::{Failure, Io, Outcome};
use crate::config::Config;
use crate::open_store::{StoreFlags, open_existing};

/// A file is read whole: a million contacts are a fifth of this.
const FILE_BYTES: u64 = 1 << 30;

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(after_help = "\
An import puts a whole table in the place of the former one, or changes nothing: with a bad row \
nothing is imported, unless --skip-bad says so. Look first with --preview. Numbers without a country \
code are read in the tenant's region. What the columns are called: docs/tables.md.

Examples:
  ringpost import contacts crm.csv --tenant acme --directory Customers --preview
  ringpost import contacts phone.vcf --tenant acme --directory Customers --merge
  ringpost import numbers ddis.csv --tenant acme
  ringpost import devices desks.csv --tenant acme
  ringpost import tariff retail.csv --tenant acme --name Retail --currency GBP --zone Europe/London \\
      --preview --number '020 7946 0000' --duration 90")]
pub struct Import {
    #[command(flatten)]
    store: StoreFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Who the callers are: CSV, vCard or JSON into a directory
    Contacts(contacts::Contacts),
    /// Names of your public numbers: CSV or JSON with number, name
    Numbers(Input),
    /// Who sits at which device: CSV or JSON with number, name, userNumber, userName, agentNumber, agentName, groups
    Devices(Input),
    /// What calls cost: CSV, as for `ringpost rate`
    Tariff(tariff::TariffFile),
}

/// The file, and whose it is.
#[derive(Debug, Args)]
pub struct Input {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Whose table it is
    #[arg(long, value_name = "KEY")]
    pub tenant: TenantKey,
    /// How the file is written; without it, it is found out
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Only show what would come of it
    #[arg(long)]
    pub preview: bool,
}

/// As [`FileFormat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A header, then rows; separated by comma, semicolon or tab
    Csv,
    /// Cards of contacts
    Vcard,
    /// A list of objects, or one on each line
    Json,
}

impl From<Format> for FileFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Vcard => Self::Vcard,
            Format::Json => Self::Json,
        }
    }
}

/// Imports, or shows what would come of it.
///
/// # Errors
/// A file or a store that cannot be read or written, an unknown tenant.
pub fn run(args: &Import, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let config = args.store.load(io)?;
    io.runtime()?.block_on(import(&args.command, &config, io))
}

async fn import(command: &Command, config: &Config, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let store = open_existing(config, ", or begin with `apply`").await?;
    let done = match command {
        Command::Contacts(args) => contacts::import(args, &store, io).await,
        Command::Numbers(input) => lists::numbers(input, &store, io).await,
        Command::Devices(input) => lists::devices(input, &store, io).await,
        Command::Tariff(args) => tariff::import(args, &store, io).await,
    };
    store.close().await;
    done
}

/// The text of a file, and how it is written.
struct Source {
    /// For messages.
    name: String,
    text: String,
    format: FileFormat,
}

impl Source {
    fn read(input: &Input, io: &mut Io<'_>) -> Result<Self, Failure> {
        let name = input.file.display().to_string();
        let mut bytes = Vec::new();
        let read = if input.file == Path::new("-") {
            (&mut *io.stdin).take(FILE_BYTES + 1).read_to_end(&mut bytes)
        } else {
            let file = File::open(&input.file).with_context(|| format!("open {name}"))?;
            file.take(FILE_BYTES + 1).read_to_end(&mut bytes)
        };
        read.with_context(|| format!("read {name}"))?;
        if bytes.len() as u64 > FILE_BYTES {
            return Err(anyhow!("{name} is larger than 1 GiB: split it over directories").into());
        }
        let (text, encoding) = decoded(&bytes);
        if encoding == Encoding::Windows1252 {
            writeln!(io.stderr, "{name} is no UTF-8: read as Windows-1252")?;
        }
        let format = input.format.map_or_else(|| FileFormat::guess(&text), FileFormat::from);
        Ok(Self { name, text: text.into_owned(), format })
    }
}

/// The tenant as it is configured.
async fn tenant_of(store: &Store, key: &TenantKey) -> Result<Tenant, Failure> {
    let tenant = store.tenant(key).await.context("read the tenant")?;
    let missing = || anyhow!("there is no tenant {key}: declare it with `ringpost apply` first");
    Ok(tenant.ok_or_else(missing)?)
}

fn region_of(tenant: &Tenant) -> Result<Option<Region>, Failure> {
    let region = Some(&*tenant.region).filter(|region| !region.is_empty());
    Ok(region.map(Region::new).transpose().context("read the tenant's region")?)
}
