//! `[mail]`: where mail goes out, from whom, to whom, about what. Off unless `smtp` is set.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use ringpost_model::EventName;
use url::{Host, Url};

use super::document::Given;
use super::mistake::Wrong;
use super::reader::Reader;
use super::sections::Secret;
use super::setting::{Setting, quoted, shown, text};

/// Ports where none is written: submission (RFC 6409), and submission in TLS (RFC 8314).
const SUBMISSION: u16 = 587;
const SUBMISSION_IN_TLS: u16 = 465;
/// A week: who wants less is better off without mail.
const RAREST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Mail to people.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// The server that takes mail; none = no mail is sent.
    pub smtp: Option<SmtpServer>,
    /// Whether `smtp://` is encrypted before anything is said.
    pub starttls: Starttls,
    /// Who we are to the server; none = it does not ask.
    pub user: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// The password itself; only from the environment. It wins over the file.
    pub password: Option<MailPassword>,
    /// PEM files of roots that are trusted beside the platform's.
    pub extra_roots: Vec<PathBuf>,
    /// Sender.
    pub from: Option<Mailbox>,
    /// Who is told.
    pub to: Vec<Mailbox>,
    /// What is told.
    pub events: Vec<EventName>,
    /// Of one trigger and event one mail in so long.
    pub at_most_every: Duration,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            smtp: None,
            starttls: Starttls::Required,
            user: None,
            password_file: None,
            password: None,
            extra_roots: Vec::new(),
            from: None,
            to: Vec::new(),
            events: EventName::ALL.into_iter().filter(|event| event.is_notice()).collect(),
            at_most_every: Duration::from_secs(3600),
        }
    }
}

/// A server that takes mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    /// `smtps`: TLS from the first byte.
    pub in_tls: bool,
    /// Name or address.
    pub host: Host,
    /// Port.
    pub port: u16,
}

impl SmtpServer {
    /// What is sent to it stays on this machine.
    fn is_this_machine(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => *address == Ipv4Addr::LOCALHOST,
            Host::Ipv6(address) => *address == Ipv6Addr::LOCALHOST,
        }
    }
}

impl fmt::Display for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.in_tls { "smtps" } else { "smtp" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// Whether a connection that begins in the clear is encrypted. There is no "if it can be": who sits between could
/// answer that it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starttls {
    /// A server that cannot is not used.
    Required,
    /// Everything is readable on the way.
    Off,
}

/// The password of the mail server, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MailPassword(pub Secret);

impl fmt::Debug for MailPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) fn resolve(reader: &mut Reader, mail: &mut Mail) {
    reader.set("mail.smtp", &mut mail.smtp);
    reader.set("mail.starttls", &mut mail.starttls);
    reader.set("mail.user", &mut mail.user);
    reader.set("mail.password_file", &mut mail.password_file);
    reader.set("mail.password", &mut mail.password);
    reader.set_list("mail.extra_roots", &mut mail.extra_roots);
    reader.set("mail.from", &mut mail.from);
    reader.set_list("mail.to", &mut mail.to);
    reader.set_list("mail.events", &mut mail.events);
    reader.set_within("mail.at_most_every", &mut mail.at_most_every, Duration::ZERO..=RAREST);
    missing(reader, mail);
    password(reader, mail);
}

/// A half of what is needed sends nothing, and nobody would be told.
fn missing(reader: &mut Reader, mail: &Mail) {
    if mail.smtp.is_none() {
        for (key, is_set) in [("mail.from", mail.from.is_some()), ("mail.to", !mail.to.is_empty())] {
            if is_set && !reader.has_mistake("mail.smtp") {
                let instead = "write mail.smtp, such as \"smtp://mail.example.com\"";
                reader.contradiction(key, "mail.smtp is missing, so no mail is sent", instead);
            }
        }
        return;
    }
    if mail.from.is_none() && !reader.has_mistake("mail.from") {
        let instead = "write who the mails are from: mail.from = \"ringpost@example.com\"";
        reader.contradiction("mail.smtp", "mail.from is missing", instead);
    }
    if mail.to.is_empty() && !reader.has_mistake("mail.to") {
        let instead = "write who is told: mail.to = [\"ops@example.com\"]";
        reader.contradiction("mail.smtp", "mail.to is missing", instead);
    }
}

fn password(reader: &mut Reader, mail: &Mail) {
    let has_password = mail.password.is_some() || mail.password_file.is_some();
    let is_readable = mail.smtp.as_ref().is_some_and(|server| !server.in_tls && !server.is_this_machine());
    if mail.user.is_some() && !has_password && !reader.has_mistake("mail.password") {
        let instead = "name a file by mail.password_file, or set RINGPOST_MAIL__PASSWORD";
        reader.contradiction("mail.user", "the user has no password", instead);
    }
    if mail.user.is_none() && has_password {
        let key = if mail.password.is_some() { "mail.password" } else { "mail.password_file" };
        reader.contradiction(key, "a password without mail.user is not used", "write mail.user too");
    }
    if has_password && is_readable && mail.starttls == Starttls::Off {
        let instead = "leave mail.starttls out, or write smtps:// where the server wants TLS at once";
        reader.contradiction("mail.starttls", "the password would be readable on the way", instead);
    }
}

impl Setting for SmtpServer {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead =
            "write \"smtp://mail.example.com\" (port 587) or \"smtps://mail.example.com\" (port 465)";
        let written = text(given, instead)?;
        // A password may be in it: what is written is not repeated.
        let wrong = || Wrong::new("no address of a mail server", instead);
        let url = Url::parse(written.trim()).map_err(|_| wrong())?;
        let in_tls = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            other => return Err(Wrong::new(format!("{other:?} is not smtp"), instead)),
        };
        if !url.username().is_empty() || url.password().is_some() {
            let instead = "write the user as mail.user; see mail.password_file for the password";
            return Err(Wrong::new("a user or password does not belong here", instead));
        }
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        // To the standard the host of a scheme it does not know is any text.
        let host = url.host_str().filter(|_| is_bare).ok_or_else(wrong)?;
        let host = Host::parse(host).map_err(|_| wrong())?;
        let port = url.port().unwrap_or(if in_tls { SUBMISSION_IN_TLS } else { SUBMISSION });
        Ok(Self { in_tls, host, port })
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for Starttls {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write \"required\", or \"off\" for a server on this machine";
        match text(given, instead)? {
            "required" => Ok(Self::Required),
            "off" => Ok(Self::Off),
            _ => Err(Wrong::new(format!("{} is neither", shown(given)), instead)),
        }
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::Required => "required",
            Self::Off => "off",
        })
    }
}

impl Setting for MailPassword {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let Given::Bare(text) = given else {
            let instead = "put it into a file named by mail.password_file, or into RINGPOST_MAIL__PASSWORD";
            return Err(Wrong::new("a secret does not belong in this file", instead));
        };
        if text.is_empty() {
            return Err(Wrong::new("an empty password", "leave the variable out, or mail.user too"));
        }
        Ok(Self(Secret(text.clone())))
    }

    fn show(&self) -> String {
        quoted("…")
    }
}

impl Setting for Mailbox {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write \"ops@example.com\", or \"Ringpost <ringpost@example.com>\"";
        let address = text(given, instead)?;
        address
            .trim()
            .parse()
            .map_err(|_| Wrong::new(format!("{} is no mail address", shown(given)), instead))
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for EventName {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let known = Self::ALL.into_iter().filter(|event| event.is_notice());
        let names: Vec<&str> = known.clone().map(Self::name).collect();
        let instead = format!("write {}", names.join(", "));
        let name = text(given, &instead)?.trim();
        let wrong = || Wrong::new(format!("{} is nothing that mail tells", shown(given)), &instead);
        known.into_iter().find(|event| event.name() == name).ok_or_else(wrong)
    }

    fn show(&self) -> String {
        quoted(self.name())
    }
}

#[cfg(test)]
mod tests;
