//! Public numbers and devices: small tables, replaced whole.

use anyhow::{Context, anyhow};
use ringpost_enrich::{Mistake, devices_from_file, numbers_from_file};
use ringpost_store::Store;

use super::report::Report;
use super::{Input, Source, region_of, tenant_of};
use crate::cli::{Failure, Io, Outcome, harmless};

/// Rows that a preview shows.
const SHOWN: usize = 5;

pub(super) async fn numbers(input: &Input, store: &Store, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let region = region_of(&tenant_of(store, &input.tenant).await?)?;
    let source = Source::read(input, io)?;
    let numbers = good(&source, numbers_from_file(&source.text, source.format, region), io)?;
    if input.preview {
        for one in numbers.iter().take(SHOWN) {
            writeln!(io.stdout, "{} {}", harmless(&one.number), harmless(&one.name))?;
        }
        return previewed(numbers.len(), "numbers", io);
    }
    store.put_numbers(&input.tenant, &numbers).await.context("save the numbers")?;
    writeln!(io.stdout, "{} numbers", numbers.len())?;
    Ok(Outcome::Fine)
}

pub(super) async fn devices(input: &Input, store: &Store, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    tenant_of(store, &input.tenant).await?;
    let source = Source::read(input, io)?;
    let devices = good(&source, devices_from_file(&source.text, source.format), io)?;
    if input.preview {
        for one in devices.iter().take(SHOWN) {
            let parts = [
                &one.number,
                &one.name,
                &one.user.number,
                &one.user.name,
                &one.agent.number,
                &one.agent.name,
            ];
            let parts = parts.into_iter().filter(|part| !part.is_empty()).map(|part| harmless(part));
            writeln!(io.stdout, "{}", parts.collect::<Vec<_>>().join(", "))?;
        }
        return previewed(devices.len(), "devices", io);
    }
    store.put_devices(&input.tenant, &devices).await.context("save the devices")?;
    writeln!(io.stdout, "{} devices", devices.len())?;
    Ok(Outcome::Fine)
}

fn previewed(count: usize, what: &str, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    writeln!(io.stdout, "{count} {what} in the file; they would take the place of those there are")?;
    writeln!(io.stdout, "nothing was imported: this was a preview")?;
    Ok(Outcome::Fine)
}

/// The rows, or every mistake.
pub(super) fn good<T>(
    source: &Source,
    rows: Result<Vec<T>, Vec<Mistake>>,
    io: &mut Io<'_>,
) -> Result<Vec<T>, Failure> {
    let mistakes = match rows {
        Ok(rows) => return Ok(rows),
        Err(mistakes) => mistakes,
    };
    let mut report = Report::new(&source.name, None)?;
    for mistake in &mistakes {
        report.tell(mistake, io)?;
    }
    report.finish(io)?;
    Err(anyhow!("nothing was imported: {} mistakes; correct them", mistakes.len()).into())
}
