//! `ringpost mail-test`: sends one test mail and says what came of it.

use std::path::PathBuf;

use clap::Args;
use lettre::message::Mailbox;

use crate::cli::{Failure, Io, Outcome};
use crate::clock;
use crate::config::{self, Flags, Mail};
use crate::serve::mail::{Post, test_letter};

/// Arguments of `mail-test`.
#[derive(Debug, Args)]
#[command(after_help = "\
Uses the section [mail] of the configuration: server, encryption, login, sender. Every address of \
mail.to gets one mail; each line says what the server answered. The exit code is 1 when one was \
not taken.

Examples:
  ringpost mail-test --config /etc/ringpost.toml
  ringpost mail-test --config /etc/ringpost.toml --to me@example.com")]
pub struct MailTest {
    /// Configuration file; without it defaults and environment. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Send it here, and not to mail.to
    #[arg(long, value_name = "ADDRESS")]
    pub to: Vec<Mailbox>,
}

/// Sends it, one connection for all.
///
/// # Errors
/// Mistakes in the configuration, or files it names that cannot be read.
pub fn run(args: &MailTest, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let file = args.config.clone().or_else(|| io.variable("RINGPOST_CONFIG").map(PathBuf::from));
    let mail = config::load(file.as_deref(), &io.variables, &Flags::default())?.config.mail;
    let (Some(post), Some(from)) = (Post::new(&mail)?, &mail.from) else {
        let wrong = "no mail is sent: mail.smtp is not set; `ringpost check-config --default` shows the section [mail]";
        return Err(Failure::Mistakes(wrong.to_owned()));
    };
    let to = if args.to.is_empty() { &mail.to } else { &args.to };
    let runtime = io.runtime()?;
    let mut all_taken = true;
    for to in to {
        let sent = runtime.block_on(send(&post, from, to))?;
        all_taken &= sent.is_ok();
        writeln!(io.stdout, "{}", line(&mail, to, sent))?;
    }
    Ok(if all_taken { Outcome::Fine } else { Outcome::No })
}

/// A connection each: a refused address would spoil it for the next one.
async fn send(post: &Post, from: &Mailbox, to: &Mailbox) -> anyhow::Result<Result<(), String>> {
    let letter = test_letter(from, to, clock::now())?;
    let mut connection = match post.connect().await {
        Ok(connection) => connection,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let sent = connection.send(&letter).await;
    if sent.is_ok() {
        connection.quit().await;
    }
    Ok(sent.map_err(|error| error.to_string()))
}

fn line(mail: &Mail, to: &Mailbox, sent: Result<(), String>) -> String {
    let server = mail.smtp.as_ref().map(ToString::to_string).unwrap_or_default();
    match sent {
        Ok(()) => format!("{to}: taken by {server}; look whether it arrives, in the folder for junk too"),
        Err(error) => format!("{to}: failed to {error}"),
    }
}

#[cfg(test)]
mod tests;
