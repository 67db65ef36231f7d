//! `ringpost explain`: why a trigger fires for a record, or does not. The same code decides as in `serve`.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ringpost_model::{Cdr, Filter, TriggerId};
use ringpost_numbers::Region;
use ringpost_trigger::{Compiled, Explained};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::{Failure, Io, Outcome};
use crate::config::{Mistake, Positions};
use crate::open_store::{load_for_store, open_store, store_exists};
use crate::resources::{Reading, TriggerNode, document, filters_of, trigger_nodes};

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
The trigger is a file as `apply` takes it, or one trigger alone, as TOML or JSON; of the latter only \
`filters` is looked at. Or it is the id of one in the store. The session is a record as `aggregate` \
prints it, a webhook's payload, or a stored envelope; of several, one a line, each is explained.

Examples:
  ringpost explain --trigger crm.toml --session record.json
  ringpost explain --trigger 4f9caf1f-ff80-510f-b730-e271ae7d62b9 --data /var/lib/ringpost -s record.json
  ringpost aggregate legs.ndjson | ringpost explain --trigger resources.toml --name CRM --session -")]
pub struct Explain {
    /// File with the trigger, or its id in the store
    #[arg(long, short, value_name = "FILE|ID")]
    pub trigger: PathBuf,
    /// Which trigger, where the file holds several
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// File with the record; - is standard input
    #[arg(long, short, value_name = "FILE")]
    pub session: PathBuf,
    /// Region in which numbers without a country code are read; else the tenant's, where the file has it
    #[arg(long, value_name = "GB")]
    pub region: Option<String>,
    /// Configuration file, for the store of an id. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the store of an id (data.dir)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl Explain {
    /// The id, where it is one and no file has its name.
    fn id(&self) -> Option<TriggerId> {
        let id = self.trigger.to_str()?.parse().ok()?;
        (!self.trigger.exists()).then_some(id)
    }
}

/// Says of each filter whether it held, and on what value.
///
/// # Errors
/// A file that cannot be read, a trigger whose filters mean nothing, a record that is none.
pub fn run(args: &Explain, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let asked = match args.id() {
        Some(id) => stored(id, args, io)?,
        None => asked(args, io)?,
    };
    let text = read(&args.session, io.stdin)?;
    let name = args.session.display().to_string();
    let mut many = 0;
    for part in serde_json::Deserializer::from_str(&text).into_iter::<&RawValue>() {
        let part = part.with_context(|| format!("read {name} as JSON"))?;
        let cdr = record(part.get()).with_context(|| format!("read a record in {name}"))?;
        let explained = asked.compiled.explain(&cdr);
        io.stdout.write_all(page(&asked, &cdr, &explained, io.stdout_is_terminal).as_bytes())?;
        many += 1;
    }
    if many == 0 {
        return Err(anyhow::anyhow!("{name} holds no record").into());
    }
    Ok(Outcome::Fine)
}

struct Asked {
    name: String,
    filters: Vec<Filter>,
    compiled: Compiled,
}

/// From the store, in its owner's region.
fn stored(id: TriggerId, args: &Explain, io: &Io<'_>) -> Result<Asked, Failure> {
    let config = load_for_store(args.config.as_deref(), args.data.as_deref(), io)?;
    if !store_exists(&config) {
        let folder = config.data.dir.display();
        return Err(
            anyhow::anyhow!("{folder} holds no store; name its folder with --data or --config").into()
        );
    }
    let found = io.runtime()?.block_on(async {
        let store = open_store(&config).await?;
        let found = store.trigger(id).await?.with_context(|| format!("there is no trigger {id}"))?;
        let owner = store.tenant(&found.tenant).await?;
        store.close().await;
        anyhow::Ok((found.trigger, owner.map(|tenant| tenant.region).unwrap_or_default()))
    });
    let (trigger, owners_region) = found?;
    let region =
        region(args.region.as_deref().or(Some(&*owners_region).filter(|region| !region.is_empty())))?;
    let compiled = Compiled::new(&trigger.filters, region);
    let compiled = compiled.map_err(|errors| anyhow::anyhow!("{id} does not compile: {}", errors[0]))?;
    Ok(Asked { name: trigger.name.into(), filters: trigger.filters, compiled })
}

fn region(code: Option<&str>) -> Result<Option<Region>, Failure> {
    code.map(Region::new).transpose().map_err(|error| Failure::Usage(format!("--region: {error}")))
}

fn asked(args: &Explain, io: &mut Io<'_>) -> Result<Asked, Failure> {
    let text = read(&args.trigger, io.stdin)?;
    let file = args.trigger.display().to_string();
    let node = document(&args.trigger, &file, &text, &Positions::new(&file, &text))?;
    let found = choose(trigger_nodes(&node), args)?;
    let region = region(args.region.as_deref().or(found.region))?;
    let positions = Positions::new(&file, &text);
    let folder = std::path::Path::new("");
    let mut reading = Reading { positions, variables: &io.variables, folder, mistakes: Vec::new() };
    let filters = filters_of(&mut reading, found.node);
    if !reading.mistakes.is_empty() {
        return Err(reading.mistakes.into());
    }
    let compiled = Compiled::new(&filters, region).map_err(|errors| {
        let of_error = |error: ringpost_trigger::FilterError| Mistake {
            place: reading.positions.place(found.node.position_of(&error.pointer)),
            key: error.pointer,
            wrong: error.message,
            instead: String::new(),
        };
        Failure::from(errors.into_iter().map(of_error).collect::<Vec<_>>())
    })?;
    Ok(Asked { name: found.name.to_owned(), filters, compiled })
}

fn choose<'a>(mut found: Vec<TriggerNode<'a>>, args: &Explain) -> Result<TriggerNode<'a>, Failure> {
    let all: Vec<String> = found.iter().map(|trigger| format!("{:?}", trigger.name)).collect();
    if let Some(name) = &args.name {
        found.retain(|trigger| trigger.name == name);
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        _ if all.is_empty() => Err(Failure::Usage(format!("{} holds no trigger", args.trigger.display()))),
        _ => Err(Failure::Usage(format!("name one with --name: {}", all.join(", ")))),
    }
}

fn read(path: &Path, stdin: &mut dyn Read) -> Result<String, Failure> {
    let mut text = String::new();
    let done = if path.as_os_str() == "-" {
        stdin.read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    done.with_context(|| format!("read {}", path.display()))?;
    Ok(text)
}

/// A record alone, or inside a payload or an envelope.
fn record(json: &str) -> Result<Cdr, serde_json::Error> {
    #[derive(Deserialize)]
    struct Around<'a> {
        #[serde(borrow)]
        cdr: Option<&'a RawValue>,
    }
    let around: Around<'_> = serde_json::from_str(json)?;
    serde_json::from_str(around.cdr.map_or(json, RawValue::get))
}

fn page(asked: &Asked, cdr: &Cdr, explained: &[Explained], coloured: bool) -> String {
    let mut out = format!("trigger {:?}, record {}\n", asked.name, cdr.id);
    let conditions: Vec<String> = asked.filters.iter().map(condition).collect();
    let width = conditions.iter().map(|text| text.chars().count()).max().unwrap_or_default();
    for (condition, explained) in conditions.iter().zip(explained) {
        let held = match (explained.held, coloured) {
            (true, false) => "yes",
            (false, false) => "no ",
            (true, true) => "\u{1b}[32myes\u{1b}[0m",
            (false, true) => "\u{1b}[31mno \u{1b}[0m",
        };
        let _ = writeln!(out, "  {held}  {condition:width$}  {}", explained.value);
    }
    let failed = explained.iter().filter(|explained| !explained.held).count();
    let _ = match (failed, explained.len()) {
        (0, 0) => writeln!(out, "fires: it has no filters"),
        (0, all) => writeln!(out, "fires: all {all} filters hold"),
        (failed, all) => writeln!(out, "does not fire: {failed} of {all} filters do not hold"),
    };
    out
}

/// A filter as a person would say it.
fn condition(filter: &Filter) -> String {
    let not = if filter.not { "not " } else { "" };
    let value = filter.value.as_ref().map(|value| format!(" {}", value.get())).unwrap_or_default();
    let case = if filter.case_sensitive { " (case-sensitive)" } else { "" };
    format!("{not}{} {}{value}{case}", filter.field, filter.op)
}

#[cfg(test)]
mod tests;
