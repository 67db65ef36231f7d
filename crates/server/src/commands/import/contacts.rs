//! Contacts into a directory: all of it anew, or merged one by one.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use indicatif::ProgressBar;
use ringpost_enrich::{ContactReader, FileFormat};
use ringpost_model::{Contact, TenantKey};
use ringpost_store::{Store, Written};

use super::report::Report;
use super::{Input, Source, region_of, tenant_of};
use crate::cli::{Failure, Io, Outcome, harmless, spinner};
use crate::clock;

/// Contacts of one transaction: few enough that a running server waits for none of them.
const STEP: usize = 1_000;
/// Contacts that a preview shows.
const SHOWN: u64 = 5;
/// Longest name of a directory, in bytes.
const NAME_BYTES: usize = 200;

/// Arguments of `import contacts`.
#[derive(Debug, Args)]
pub(super) struct Contacts {
    #[command(flatten)]
    input: Input,
    /// The directory that they are of; it is made when there is none
    #[arg(long, value_name = "NAME")]
    directory: String,
    /// Make and change contacts, and let those stay that are not in the file
    #[arg(long)]
    merge: bool,
    /// Import the good rows although there are bad ones
    #[arg(long)]
    skip_bad: bool,
    /// Write every bad row's mistake here, as JSON lines
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

pub(super) async fn import(args: &Contacts, store: &Store, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    if args.directory.trim().is_empty() || args.directory.len() > NAME_BYTES {
        return Err(Failure::Usage(format!("--directory: a name of 1 to {NAME_BYTES} bytes")));
    }
    let tenant = tenant_of(store, &args.input.tenant).await?;
    let region = region_of(&tenant)?;
    let source = Source::read(&args.input, io)?;
    let mut report = Report::new(&source.name, args.rejects.as_deref())?;
    let reader = ContactReader::new(&source.text, source.format, region);
    let reader = reader.map_err(|mistake| anyhow!("{}:{}: {}", source.name, mistake.line, mistake.wrong))?;
    let before = count(store, args).await?;
    let mut rows = Rows { reader, report: &mut report, format: source.format, read: 0 };
    if args.input.preview {
        return preview(args, &mut rows, before, io);
    }
    let progress = spinner(io, "contacts");
    let done = if args.merge && before.is_some() {
        merge(args, store, &mut rows, &progress, io).await
    } else {
        replace(args, store, &mut rows, &progress, io).await
    };
    progress.finish_and_clear();
    rows.report.finish(io)?;
    match done? {
        Some(text) => {
            writeln!(io.stdout, "{}: {text}", harmless(&args.directory))?;
            tell_notes(&rows, io)?;
            Ok(if rows.report.mistakes == 0 { Outcome::Fine } else { Outcome::No })
        }
        None => {
            let bad = rows.report.mistakes;
            Err(anyhow!("nothing was imported: {bad} bad rows; correct them, or say --skip-bad").into())
        }
    }
}

/// Rows of the file; bad ones are told and left out.
struct Rows<'a> {
    reader: ContactReader<'a>,
    report: &'a mut Report,
    format: FileFormat,
    read: u64,
}

impl Rows<'_> {
    fn next(&mut self, io: &mut Io<'_>) -> Result<Option<Contact>, Failure> {
        loop {
            match self.reader.next() {
                None => return Ok(None),
                Some(Ok(contact)) => {
                    self.read += 1;
                    return Ok(Some(contact));
                }
                Some(Err(mistake)) => self.report.tell(&mistake, io)?,
            }
        }
    }
}

/// None: there are bad rows, and nothing was imported.
async fn replace(
    args: &Contacts,
    store: &Store,
    rows: &mut Rows<'_>,
    progress: &ProgressBar,
    io: &mut Io<'_>,
) -> Result<Option<String>, Failure> {
    let tenant = &args.input.tenant;
    let mut import =
        store.begin_contacts(tenant, &args.directory, clock::now()).await.context("begin the import")?;
    let mut step = Vec::with_capacity(STEP);
    loop {
        let contact = rows.next(io)?;
        let is_over = contact.is_none();
        step.extend(contact);
        // With a bad row the rest is read only to tell what is wrong with it.
        let is_refused = rows.report.mistakes > 0 && !args.skip_bad;
        if is_refused {
            step.clear();
        }
        if step.len() == STEP || (is_over && !step.is_empty()) {
            store.stage_contacts(&mut import, &step).await.context("import contacts")?;
            progress.inc(step.len() as u64);
            step.clear();
        }
        if is_over && is_refused {
            store.abandon_contacts(import).await.context("give the import up")?;
            return Ok(None);
        }
        if is_over {
            let count = store.finish_contacts(import, clock::now()).await.context("end the import")?;
            return Ok(Some(format!("{count} contacts")));
        }
    }
}

async fn merge(
    args: &Contacts,
    store: &Store,
    rows: &mut Rows<'_>,
    progress: &ProgressBar,
    io: &mut Io<'_>,
) -> Result<Option<String>, Failure> {
    // Read whole before the first is written: a bad row changes nothing.
    let mut contacts = Vec::new();
    while let Some(contact) = rows.next(io)? {
        contacts.push(contact);
    }
    if rows.report.mistakes > 0 && !args.skip_bad {
        return Ok(None);
    }
    let (mut made, mut changed) = (0, 0);
    for contact in &contacts {
        let put = store.put_contact(&args.input.tenant, &args.directory, contact, clock::now());
        match put.await.context("save a contact")? {
            Written::Made => made += 1,
            Written::Changed => changed += 1,
            Written::Same => {}
        }
        progress.inc(1);
    }
    Ok(Some(format!("{made} new contacts, {changed} changed, {} as before", contacts.len() - made - changed)))
}

fn preview(
    args: &Contacts,
    rows: &mut Rows<'_>,
    before: Option<u64>,
    io: &mut Io<'_>,
) -> Result<Outcome, Failure> {
    while let Some(contact) = rows.next(io)? {
        if rows.read <= SHOWN {
            writeln!(io.stdout, "{}", harmless(&contact.id))?;
            for (field, text) in &contact.fields {
                writeln!(io.stdout, "  {:12} {}", field.name(), harmless(text))?;
            }
        }
    }
    rows.report.finish(io)?;
    let name = harmless(&args.directory);
    writeln!(io.stdout, "{} contacts in the file ({})", rows.read, rows.format)?;
    tell_notes(rows, io)?;
    let bad = rows.report.mistakes;
    if bad > 0 {
        writeln!(io.stdout, "{bad} bad rows")?;
    }
    match before {
        Some(count) if args.merge => {
            writeln!(io.stdout, "{name} has {count} contacts: they stay or are changed")?
        }
        Some(count) => writeln!(io.stdout, "{name} has {count} contacts: the file takes their place")?,
        None => writeln!(io.stdout, "{name} would be made")?,
    }
    writeln!(io.stdout, "nothing was imported: this was a preview")?;
    Ok(if bad == 0 { Outcome::Fine } else { Outcome::No })
}

fn tell_notes(rows: &Rows<'_>, io: &mut Io<'_>) -> Result<(), Failure> {
    let notes = rows.reader.notes();
    writeln!(io.stdout, "  {} numbers", notes.numbers)?;
    let lines = [
        (notes.as_typed, "that are no valid number: kept as typed, they match only themselves"),
        (notes.without_number, "contacts without a number: no call finds them"),
        (notes.repeated, "rows that were in the file before, word for word: left out"),
    ];
    for (count, what) in lines.into_iter().filter(|(count, _)| *count > 0) {
        writeln!(io.stdout, "  {count} {what}")?;
    }
    if !rows.reader.ignored().is_empty() {
        let columns: Vec<_> = rows.reader.ignored().iter().map(|column| harmless(column)).collect();
        writeln!(io.stdout, "  columns that are no field of a contact: {}", columns.join(", "))?;
    }
    Ok(())
}

/// How many contacts the directory has; none = there is no such directory.
async fn count(store: &Store, args: &Contacts) -> Result<Option<u64>, Failure> {
    let tenant: &TenantKey = &args.input.tenant;
    let directories = store.directories(Some(tenant)).await.context("read the directories")?;
    let own = directories.iter().find(|one| *one.directory.name == *args.directory);
    Ok(own.map(|one| one.contacts))
}
