//! The way to the mail server (RFC 5321). One connection for what is due, closed after it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::Message;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;

use crate::config::{Mail, SmtpServer, Starttls};

/// From name to login. A server that is well needs a second.
const CONNECT: Duration = Duration::from_secs(30);
/// One mail. Some servers look through it before they answer; RFC 5321 would wait for ten minutes.
const HAND_OVER: Duration = Duration::from_secs(120);
/// Of a server's words so many characters are told.
const WORDS: usize = 300;

/// Why a mail was not taken. Everything is tried again later: a mistake in a mailbox or an account gets mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PostError {
    /// No connection, or none that is encrypted.
    #[error("reach the mail server {server}: {reason}")]
    Unreached {
        /// Which.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server does not know us.
    #[error("log in at the mail server {server}: {reason}")]
    LogIn {
        /// Where.
        server: String,
        /// Its words.
        reason: String,
    },
    /// The connection stands, the mail was not taken.
    #[error("hand a mail to {server}: {reason}")]
    NotTaken {
        /// To which.
        server: String,
        /// Its words.
        reason: String,
    },
}

impl PostError {
    /// It concerns every mail, not only this one.
    pub(super) fn is_of_server(&self) -> bool {
        !matches!(self, Self::NotTaken { .. })
    }
}

/// A mail server, ready to be connected to.
pub(crate) struct Post {
    server: SmtpServer,
    /// None = everything stays readable.
    tls: Option<TlsParameters>,
    login: Option<Login>,
    hello: ClientId,
}

struct Login {
    user: String,
    password: String,
}

/// A connection, logged in.
pub(crate) struct Connection<'a> {
    post: &'a Post,
    smtp: AsyncSmtpConnection,
}

impl Post {
    /// Reads the password and the roots. None where mail is not configured.
    ///
    /// # Errors
    /// A file that is named cannot be read, or holds something else.
    pub(crate) fn new(mail: &Mail) -> anyhow::Result<Option<Self>> {
        let Some(server) = mail.smtp.clone() else { return Ok(None) };
        let is_encrypted = server.in_tls || mail.starttls == Starttls::Required;
        let tls = if is_encrypted { Some(tls(&server, mail)?) } else { None };
        let login = match &mail.user {
            Some(user) => Some(Login { user: user.clone(), password: password(mail)? }),
            None => None,
        };
        Ok(Some(Self { server, tls, login, hello: hello() }))
    }

    /// Connects, encrypts, logs in.
    ///
    /// # Errors
    /// See [`PostError`].
    pub(crate) async fn connect(&self) -> Result<Connection<'_>, PostError> {
        let connected = tokio::time::timeout(CONNECT, self.connect_in_time()).await;
        connected.unwrap_or_else(|_| Err(self.unreached(format!("no answer within {} s", CONNECT.as_secs()))))
    }

    async fn connect_in_time(&self) -> Result<Connection<'_>, PostError> {
        let address = (self.server.host.to_string(), self.server.port);
        // An IPv6 address is written in brackets only where a port follows.
        let address = (address.0.trim_matches(['[', ']']), address.1);
        let at_once = self.tls.clone().filter(|_| self.server.in_tls);
        let connected =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), &self.hello, at_once, None).await;
        let mut smtp = connected.map_err(|error| self.unreached(self.words(&error)))?;
        if let Some(tls) = self.tls.clone().filter(|_| !self.server.in_tls) {
            if !smtp.can_starttls() {
                smtp.abort().await;
                let reason = "it offers no encryption (STARTTLS), which mail.starttls requires";
                return Err(self.unreached(reason.to_owned()));
            }
            let encrypted = smtp.starttls(tls, &self.hello).await;
            encrypted.map_err(|error| self.unreached(self.words(&error)))?;
        }
        if let Some(Login { user, password }) = &self.login {
            let credentials = Credentials::new(user.clone(), password.clone());
            if let Err(error) = smtp.auth(DEFAULT_MECHANISMS, &credentials).await {
                let reason = self.words(&error);
                smtp.abort().await;
                return Err(PostError::LogIn { server: self.server.to_string(), reason });
            }
        }
        Ok(Connection { post: self, smtp })
    }

    /// The mail itself cannot be put together.
    pub(super) fn no_letter(&self, error: &anyhow::Error) -> PostError {
        PostError::NotTaken { server: self.server.to_string(), reason: format!("{error:#}") }
    }

    fn unreached(&self, reason: String) -> PostError {
        PostError::Unreached { server: self.server.to_string(), reason }
    }

    /// What the server or the system says, on one line, without our password should the server repeat it.
    fn words(&self, error: &smtp::Error) -> String {
        let mut text = error.to_string();
        for secret in self.login.iter().flat_map(Login::spellings) {
            text = text.replace(&secret, "…");
        }
        // Each of its layers says so once.
        while let Some(rest) = text.strip_prefix("Connection error: ") {
            text = rest.to_owned();
        }
        let words = text.split(|c: char| c.is_whitespace() || c.is_control());
        let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        line.chars().take(WORDS).collect()
    }
}

impl Login {
    /// The password as it travels.
    fn spellings(&self) -> [String; 3] {
        let plain = format!("\0{}\0{}", self.user, self.password);
        [STANDARD.encode(plain), STANDARD.encode(&self.password), self.password.clone()]
    }
}

impl Connection<'_> {
    /// Hands one mail over. After an error the connection is of no use any more.
    ///
    /// # Errors
    /// The server did not take it, or not in time.
    pub(crate) async fn send(&mut self, letter: &Message) -> Result<(), PostError> {
        let bytes = letter.formatted();
        let sending = self.smtp.send(letter.envelope(), &bytes);
        let reason = match tokio::time::timeout(HAND_OVER, sending).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => self.post.words(&error),
            Err(_) => format!("no answer within {} s", HAND_OVER.as_secs()),
        };
        Err(PostError::NotTaken { server: self.post.server.to_string(), reason })
    }

    /// Says good-bye. Nothing depends on the answer.
    pub(crate) async fn quit(mut self) {
        let _ = tokio::time::timeout(CONNECT, self.smtp.quit()).await;
    }
}

fn tls(server: &SmtpServer, mail: &Mail) -> anyhow::Result<TlsParameters> {
    let name = server.host.to_string();
    let mut tls = TlsParametersBuilder::new(name.trim_matches(['[', ']']).to_owned());
    for path in &mail.extra_roots {
        tls = tls.add_root_certificate(root(path)?);
    }
    tls.build().context("set up TLS for mail")
}

fn root(path: &Path) -> anyhow::Result<Certificate> {
    let what = || format!("read roots from {} (mail.extra_roots)", path.display());
    let pem = fs::read(path).with_context(what)?;
    let certificates = ringpost_deliver::roots_from_pem(&pem).with_context(what)?;
    anyhow::ensure!(!certificates.is_empty(), "{}: no certificate in it", what());
    Certificate::from_pem(&pem).with_context(what)
}

fn password(mail: &Mail) -> anyhow::Result<String> {
    if let Some(password) = &mail.password {
        return Ok(password.0.0.clone());
    }
    let path = mail.password_file.as_deref().context("find the password of mail.user")?;
    let what = || format!("read the password from {} (mail.password_file)", path.display());
    let text = fs::read_to_string(path).with_context(what)?;
    let password = text.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!password.is_empty(), "{}: the file is empty", what());
    Ok(password.to_owned())
}

/// The name of this machine, where it is whole; else the literal of an address, which RFC 5321 (4.1.4) has for
/// clients without a name. Half a name, such as that of a container, is what strict servers refuse.
fn hello() -> ClientId {
    match ClientId::default() {
        ClientId::Domain(name) if !name.contains('.') => ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST),
        whole => whole,
    }
}
