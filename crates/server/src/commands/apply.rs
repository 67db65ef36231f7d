//! `ringpost apply`: what files declare becomes what the store holds (docs/apply.md).

mod plan;
mod state;
mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use ringpost_deliver::{certificate_warning, check_certificate};
use ringpost_model::{Timestamp, Trigger};
use ringpost_numbers::Region;
use ringpost_trigger::{Compiled, Policy};

use crate::cli::{Failure, Io, Outcome};
use crate::clock;
use crate::config::Config;
use crate::open_store::{load_for_store, open_store, store_exists};
use crate::resources::{Known, Read, Resources, check, read, read_folder};
use plan::{Plan, plan};
use state::State;

/// Arguments of `apply`.
#[derive(Debug, Args)]
#[command(after_help = "\
Files are TOML or JSON with lists of tenant, pbx and trigger; docs/apply.md has every key. Applying the \
same files again changes nothing. All mistakes are told at once, and then nothing is written. A running \
server works with what is new within two seconds.

Examples:
  ringpost apply -f resources/ --data /var/lib/ringpost --dry-run
  ringpost apply -f resources/ --data /var/lib/ringpost
  ringpost apply -f resources/ --config ringpost.toml --prune

resources/acme.toml:
  [[tenant]]
  key = \"acme\"
  zone = \"Europe/London\"
  region = \"GB\"

  [[pbx]]
  key = \"fs1\"
  tenant = \"acme\"
  dialect = \"freeswitch-cdr\"
  tokens = [{ env = \"FS1_TOKEN\" }]

  [[trigger]]
  tenant = \"acme\"
  name = \"CRM\"
  url = \"https://crm.example/calls\"
  filters = [{ field = \"dir\", op = \"eq\", value = \"incoming\" }]")]
pub struct Apply {
    /// Folder with the files, or one file
    #[arg(long = "file", short, value_name = "DIR")]
    pub file: PathBuf,
    /// Configuration file; without it the defaults hold. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the store (data.dir)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Remove what the files do not have
    #[arg(long)]
    pub prune: bool,
}

/// Prints the plan, and carries it out.
///
/// # Errors
/// Mistakes in configuration or files, or a store that cannot be used.
pub fn run(args: &Apply, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let config = load_for_store(args.config.as_deref(), args.data.as_deref(), io)?;
    let files = read_folder(&args.file).with_context(|| format!("read {}", args.file.display()))?;
    if files.is_empty() {
        return Err(anyhow::anyhow!("{} holds no *.toml and no *.json", args.file.display()).into());
    }
    let declared = read(&files, &io.variables);
    io.runtime()?.block_on(async {
        // A dry run makes no store, and a mistake in the files is told before one is made.
        let store = if store_exists(&config) { Some(open_store(&config).await?) } else { None };
        let state = match &store {
            Some(store) => State::load(store).await?,
            None => State::default(),
        };
        let resources = checked(args, &config, &files, declared, &state)?;
        io.stderr.write_all(warnings(&resources, clock::now()).as_bytes())?;
        let plan = plan(resources, state, args.prune);
        io.stdout.write_all(plan.text(io.stdout_is_terminal).as_bytes())?;
        if !args.dry_run && plan.changes() > 0 {
            let store = match store {
                Some(store) => store,
                None => open_store(&config).await?,
            };
            let done = write::write(&plan, &store, clock::now()).await;
            store.close().await;
            done?;
        }
        io.stdout.write_all(ending(args, &plan).as_bytes())?;
        Ok(Outcome::Fine)
    })
}

fn checked(
    args: &Apply,
    config: &Config,
    files: &crate::resources::Files,
    mut declared: Read,
    state: &State,
) -> Result<Resources, Failure> {
    // What is to be pruned is nobody's parent or owner any more.
    let known = if args.prune { Known::default() } else { Known { tenants: state.tenants.clone() } };
    let policy = Policy { allow_http: config.delivery.allow_http };
    check(files, &mut declared, &known, &|trigger, region| judge(trigger, region, &policy));
    if declared.mistakes.is_empty() { Ok(declared.resources) } else { Err(declared.mistakes.into()) }
}

/// Pointers and messages of what is wrong with a trigger.
fn judge(trigger: &Trigger, region: &str, policy: &Policy) -> Vec<(String, String)> {
    // A region that is none has been told at the tenant.
    let region = Region::new(region).ok();
    let mut errors = ringpost_trigger::check(trigger, policy);
    errors.extend(Compiled::new(&trigger.filters, region).err().unwrap_or_default());
    let mut mistakes: Vec<_> = errors.into_iter().map(|error| (error.pointer, error.message)).collect();
    if let Err(error) = check_certificate(&trigger.auth) {
        mistakes.push((format!("/auth/{}", error.part()), error.to_string()));
    }
    mistakes
}

/// What is no mistake, and should be known.
fn warnings(resources: &Resources, now: Timestamp) -> String {
    let warned = resources.triggers.iter().filter_map(|declared| {
        let trigger = &declared.what.trigger;
        let warning = certificate_warning(&trigger.auth, now)?;
        Some(format!("warning: trigger {:?}: {warning}\n", &*trigger.name))
    });
    warned.collect()
}

fn ending(args: &Apply, plan: &Plan) -> String {
    let counts = plan.counts();
    match (args.dry_run, plan.changes()) {
        (_, 0) => format!("{counts}; nothing to do\n"),
        (true, _) => format!("{counts}; dry run, nothing written\n"),
        (false, _) => format!("{counts}; done\n"),
    }
}
