//! `ringpost status`: how a running server is, at a glance.

mod show;

#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::Args;
use reqwest::Method;

use super::running::{Running, Which};
use crate::admin::status::{FORMAT, Status};
use crate::cli::{Failure, Io, Outcome};
use crate::clock;

/// The server measures as often.
const EVERY: Duration = Duration::from_secs(1);
/// Clears what is left of a longer line, or of a longer page.
const END_OF_LINE: &str = "\u{1b}[K\n";
const REST_OF_PAGE: &str = "\u{1b}[J";
const HOME: &str = "\u{1b}[H";

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
What to look for: lag that grows (the machine is too slow), lanes that are open (a receiver is down, \
its deliveries wait and lose nothing), deliveries owed whose oldest is due for long, dead letters \
(`ringpost dead-letters list` says why), a queue near its bound.

State of a lane: failing, its last requests failed; open, it counts as down and is probed; ramping, it \
answers again and gets more and more; paused, its receiver asked for a pause.

Exit code 0 when the server is ready, 1 when it is not or does not answer.

Examples:
  ringpost status
  ringpost status --watch --admin http://10.0.0.5:8081
  ringpost status --json | jq .lanes.troubled")]
pub struct Look {
    /// Print it anew each second; in place on a terminal
    #[arg(long, short)]
    pub watch: bool,
    /// Print the document as it comes: /status of the admin port
    #[arg(long, conflicts_with = "watch")]
    pub json: bool,
    #[command(flatten)]
    which: Which,
}

/// Prints it.
///
/// # Errors
/// No server answers.
pub fn run(args: &Look, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let running = Running::find(&args.which, io)?;
    let runtime = io.runtime()?;
    if args.watch {
        return runtime.block_on(watch(&running, io));
    }
    let text = runtime.block_on(running.ask(Method::GET, "/status", None))?;
    let status = read(&text)?;
    if args.json {
        io.stdout.write_all(text.as_bytes())?;
    } else {
        io.stdout.write_all(show::page(&status, clock::now(), io.stdout_is_terminal).as_bytes())?;
    }
    Ok(if status.readiness == "ready" { Outcome::Fine } else { Outcome::No })
}

/// Until the reader leaves or a signal ends it. A server that is away for a while ends nothing.
async fn watch(running: &Running, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let in_place = io.stdout_is_terminal;
    if in_place {
        write!(io.stdout, "{HOME}{REST_OF_PAGE}")?;
    }
    loop {
        let page = match running.ask(Method::GET, "/status", None).await {
            Ok(text) => show::page(&read(&text)?, clock::now(), in_place),
            Err(error) => format!("{error:#}\n"),
        };
        if in_place {
            // Written over, not cleared and written: that would flicker.
            let page = page.replace('\n', END_OF_LINE);
            write!(io.stdout, "{HOME}{page}{REST_OF_PAGE}")?;
        } else {
            writeln!(io.stdout, "{page}")?;
        }
        io.stdout.flush()?;
        tokio::time::sleep(EVERY).await;
    }
}

fn read(text: &str) -> anyhow::Result<Status> {
    let version = serde_json::from_str::<serde_json::Value>(text).ok().and_then(|all| all["v"].as_u64());
    match version {
        Some(version) if version == u64::from(FORMAT) => Ok(serde_json::from_str(text)?),
        Some(version) => anyhow::bail!(
            "the server's status has format {version}, this program knows {FORMAT}: use the same version"
        ),
        None => anyhow::bail!("that is not the admin port of a server"),
    }
}
