//! The command line: which commands there are, and what the process answers. The work is in [`crate::commands`].

mod harmless;
mod io;
mod outcome;
mod spinner;
#[cfg(test)]
pub(crate) mod testing;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use harmless::harmless;
pub use io::Io;
pub use outcome::{Failure, Outcome};
pub(crate) use spinner::spinner;

use crate::commands::{
    aggregate, apply, backup, calls, check_config, compare, completions, dead_letters, doctor, enrich,
    explain, import, log_level, mail_test, place, rate, restore, send, serve, simulate, sink, status, tables,
    topics,
};

/// Raw call legs in, one true record per call, webhooks out
#[derive(Debug, Parser)]
#[command(name = "ringpost", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process: intake, records, webhooks
    Serve(serve::Serve),
    /// Turn files of call legs into one record per call
    Aggregate(aggregate::Aggregate),
    /// Send files of call legs to a running server
    Send(send::Send),
    /// Make calls up, as switches would tell them
    Simulate(simulate::Simulate),
    /// Compare records with the expected ones
    Compare(compare::Compare),
    /// Make the store hold what files declare: tenants, platforms, webhooks
    Apply(apply::Apply),
    /// Receive webhooks and print them, or fail on request
    Sink(sink::Sink),
    /// List calls, or show them with time line, legs and requests
    Calls(calls::Calls),
    /// List what was rejected, look at it, send it in again
    DeadLetters(dead_letters::DeadLetters),
    /// Show how a running server is: lag, lanes, what is owed
    Status(status::Look),
    /// Look for what is wrong with this installation
    Doctor(doctor::Doctor),
    /// Copy everything, also while the server runs
    Backup(backup::Backup),
    /// Make a data folder from a backup
    Restore(restore::Restore),
    /// Print the configuration as it comes out, or all that is wrong with it
    CheckConfig(check_config::CheckConfig),
    /// Show or change how much a running server logs
    LogLevel(log_level::Filter),
    /// Send a test mail, and say what came of it
    MailTest(mail_test::MailTest),
    /// Say why a trigger fires for a record, or does not
    Explain(explain::Explain),
    /// Say where numbers are from
    Place(place::Place),
    /// Put contacts, numbers, devices and tariffs into the store
    Import(import::Import),
    /// List the tables that were imported, or remove one
    Tables(tables::Tables),
    /// Make the topics of a log on Kafka, or print the commands that make them
    Topics(topics::Topics),
    /// Have calls of the past enriched again, from the tables as they are now
    Enrich(enrich::Enrich),
    /// Say what a call costs by a tariff, and how that comes about
    Rate(rate::Rate),
    /// Print completions for a shell
    Completions(completions::Completions),
}

/// The whole process.
pub fn main() -> ExitCode {
    let arguments = std::env::args_os();
    ExitCode::from(Io::with_process(|io| run(arguments, io)))
}

/// Runs one command line and says the exit code: 0 fine, 1 failed, 2 usage, 64 mistakes in the configuration.
pub fn run(arguments: impl IntoIterator<Item = OsString>, io: &mut Io<'_>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, io),
    };
    let done = match &cli.command {
        Command::Serve(args) => serve::run(args, io),
        Command::Aggregate(args) => aggregate::run(args, io),
        Command::Apply(args) => apply::run(args, io),
        Command::Send(args) => send::run(args, io),
        Command::Simulate(args) => simulate::run(args, io),
        Command::Compare(args) => compare::run(args, io),
        Command::Calls(args) => calls::run(args, io),
        Command::DeadLetters(args) => dead_letters::run(args, io),
        Command::Sink(args) => sink::run(args, io),
        Command::Status(args) => status::run(args, io),
        Command::Doctor(args) => doctor::run(args, io),
        Command::Backup(args) => backup::run(args, io),
        Command::Restore(args) => restore::run(args, io),
        Command::LogLevel(args) => log_level::run(args, io),
        Command::CheckConfig(args) => check_config::run(args, io),
        Command::MailTest(args) => mail_test::run(args, io),
        Command::Explain(args) => explain::run(args, io),
        Command::Place(args) => place::run(args, io),
        Command::Import(args) => import::run(args, io),
        Command::Tables(args) => tables::run(args, io),
        Command::Topics(args) => topics::run(args, io),
        Command::Enrich(args) => enrich::run(args, io),
        Command::Rate(args) => rate::run(args, io),
        Command::Completions(args) => completions::run(args, io),
    };
    outcome::finish(done, io)
}

/// Help and version go to stdout and are no mistake.
fn usage(error: &clap::Error, io: &mut Io<'_>) -> u8 {
    let text = error.render();
    let wanted = !error.use_stderr();
    let coloured = if wanted { io.stdout_is_terminal } else { io.stderr_is_terminal };
    let text = if coloured { text.ansi().to_string() } else { text.to_string() };
    let out = if wanted { &mut *io.stdout } else { &mut *io.stderr };
    // Nobody is left to tell when this fails.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// The command line as data: for completions and tests.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}
