//! `ringpost send`: files of legs to a running server, through its intake.

mod batch;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Args;
use ringpost_model::{Dialect, PbxKey};

use super::input::Inputs;
use crate::cli::{Failure, Io, Outcome, harmless};
use crate::sender::{Sender, Sent};
use batch::Batch;

/// Arguments of `send`.
#[derive(Debug, Args)]
#[command(after_help = "\
Elements that are refused are among the server's dead letters; each is printed with its file, \
line and byte, the first 20 of a request. A server that cannot store now is waited for. What is \
sent once more, by another run, says nothing new.

Exit code 0 when everything was taken in, 1 when something was refused or the server went away.

Examples:
  ringpost send --pbx k1 --token \"$TOKEN\" legs.ndjson
  zcat cdr-*.json.gz | ringpost send --pbx fs1 --dialect freeswitch-cdr --token \"$TOKEN\" -")]
pub struct Send {
    /// The platform that they are of
    #[arg(long, value_name = "KEY")]
    pub pbx: PbxKey,
    /// What the input is written in, as the pbx is declared: native, freeswitch-cdr, freeswitch-event, kazoo, asterisk-cel, asterisk-cdr
    #[arg(long, value_name = "DIALECT", default_value = "native")]
    pub dialect: Dialect,
    /// The running server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub to: String,
    /// Token of the pbx. Environment: RINGPOST_TOKEN
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// No summary
    #[arg(long, short)]
    pub quiet: bool,
    /// Files; none, or -, is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Sends everything.
///
/// # Errors
/// Input that cannot be opened or read, a server that cannot be reached or refuses the sender.
pub fn run(args: &Send, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let token = args.token.clone().or_else(|| io.variable("RINGPOST_TOKEN").map(str::to_owned));
    let Some(token) = token else {
        return Err(anyhow::anyhow!("a server wants a token: --token TOKEN, or RINGPOST_TOKEN").into());
    };
    let sender = Sender::new(&args.to)?;
    let mut inputs = Inputs::open(&args.files, Some(args.dialect))?;
    let progress = inputs.progress(io.stderr_is_terminal);
    let runtime = io.runtime()?;
    let mut run = Run { args, sender, token, batch: Batch::new(args.dialect), sent: Sent::default() };
    let done = runtime.block_on(async {
        while let Some(chunk) = inputs.next(io.stdin)? {
            progress.inc(chunk.bytes);
            while let Some(frame) = chunk.reader.splitter.next() {
                if !run.batch.has_room_for(&frame) {
                    run.post(io.stdout).await?;
                }
                if let Some(why) = run.batch.add(chunk.name, &frame) {
                    run.refuse(why, io.stdout)?;
                }
            }
            if chunk.is_last {
                run.post(io.stdout).await?;
                run.batch.begin_input();
            }
        }
        Ok::<_, Failure>(())
    });
    progress.finish_and_clear();
    io.stdout.flush()?;
    // Also where it broke off: what was answered is on the server's disk.
    if !args.quiet {
        let Sent { legs, rejected, .. } = run.sent;
        writeln!(io.stderr, "{legs} legs taken in, {rejected} elements refused")?;
    }
    done?;
    Ok(if run.sent.rejected == 0 { Outcome::Fine } else { Outcome::No })
}

/// What a run works on.
struct Run<'a> {
    args: &'a Send,
    sender: Sender,
    token: String,
    batch: Batch,
    sent: Sent,
}

impl Run<'_> {
    async fn post(&mut self, out: &mut dyn std::io::Write) -> Result<(), Failure> {
        let Some(body) = self.batch.body() else { return Ok(()) };
        let posted = self.sender.post(&self.args.pbx, &self.token, self.args.dialect, body).await;
        let posted = posted.map_err(|error| error.context(self.batch.place()))?;
        let (rejected, told) = match posted {
            Ok(sent) => {
                self.sent.legs += sent.legs;
                (sent.rejected, sent.reasons)
            }
            Err(refused) if refused.refused > 0 => (refused.refused, refused.rejected),
            Err(refused) => return Err(anyhow::Error::new(refused).context(self.batch.place()).into()),
        };
        self.sent.rejected += rejected;
        for one in &told {
            let place = self.batch.in_file(&one.position);
            writeln!(out, "{}: {}", harmless(&place), harmless(&one.reason))?;
        }
        let more = rejected.saturating_sub(told.len() as u64);
        if more > 0 {
            writeln!(out, "{more} more were refused; `ringpost dead-letters list` has them")?;
        }
        self.batch.clear();
        Ok(())
    }

    /// It is not even sent.
    fn refuse(&mut self, why: String, out: &mut dyn std::io::Write) -> Result<(), Failure> {
        self.sent.rejected += 1;
        writeln!(out, "{}", harmless(&why))?;
        Ok(())
    }
}
