//! A mail server of some 100 lines: RFC 5321 as far as a client needs it, STARTTLS, AUTH PLAIN. It behaves as told.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// How it behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    /// It can encrypt a connection that began in the clear.
    pub(crate) starttls: bool,
    /// It encrypts from the first byte.
    pub(crate) in_tls: bool,
    /// It takes nothing without this user and password.
    pub(crate) login: Option<(&'static str, &'static str)>,
    /// What it says to the login of others, and to mail for some addresses.
    pub(crate) refusals: HashMap<&'static str, &'static str>,
    /// It takes a mail whole and breaks the connection before it says so.
    pub(crate) drops: bool,
    /// It accepts the connection and says nothing.
    pub(crate) silent: bool,
}

/// A mail as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    pub(crate) encrypted: bool,
    pub(crate) user: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    behaviour: Behaviour,
    received: Vec<Received>,
    connections: usize,
}

impl Server {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared { behaviour, ..Shared::default() }));
        let server = Self { address, shared };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.shared.lock().unwrap().connections += 1;
                // A client that leaves in the middle is one of the tests.
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        server
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().unwrap().behaviour = behaviour;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.lock().unwrap().received.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().unwrap().connections
    }

    async fn serve(self, stream: TcpStream) -> io::Result<()> {
        let behaviour = self.shared.lock().unwrap().behaviour.clone();
        if behaviour.silent {
            let mut stream = BufReader::new(stream);
            return stream.read_line(&mut String::new()).await.map(drop);
        }
        if behaviour.in_tls {
            let stream = acceptor().accept(stream).await?;
            return self.talk(stream, &behaviour, true, true).await.map(drop);
        }
        let stream = self.talk(stream, &behaviour, false, true).await?;
        let Some(stream) = stream else { return Ok(()) };
        let stream = acceptor().accept(stream).await?;
        self.talk(stream, &behaviour, true, false).await.map(drop)
    }

    /// Until the client leaves, or asks for encryption: then its stream comes back.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        behaviour: &Behaviour,
        encrypted: bool,
        greets: bool,
    ) -> io::Result<Option<S>> {
        let mut stream = BufReader::new(stream);
        let (mut from, mut to, mut user) = (String::new(), Vec::new(), None);
        if greets {
            stream.write_all(b"220 localhost ready\r\n").await?;
        }
        loop {
            let line = read_line(&mut stream).await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let needs_login = behaviour.login.is_some() && user.is_none();
            let answer = match verb.to_ascii_uppercase().as_str() {
                "EHLO" => ehlo(behaviour, encrypted),
                "STARTTLS" => {
                    stream.write_all(b"220 go on\r\n").await?;
                    return Ok(Some(stream.into_inner()));
                }
                "AUTH" => login(behaviour, rest, &mut user),
                "MAIL" if needs_login => "530 5.7.0 Authentication required".to_owned(),
                "MAIL" => {
                    (from, to) = (address(rest), Vec::new());
                    "250 ok".to_owned()
                }
                "RCPT" => match behaviour.refusals.get(address(rest).as_str()) {
                    Some(refusal) => (*refusal).to_owned(),
                    None => {
                        to.push(address(rest));
                        "250 ok".to_owned()
                    }
                },
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    let text = read_text(&mut stream).await?;
                    if behaviour.drops {
                        return Ok(None);
                    }
                    let (from, to, user) = (from.clone(), to.clone(), user.clone());
                    let received = Received { from, to, text, encrypted, user };
                    self.shared.lock().unwrap().received.push(received);
                    "250 taken".to_owned()
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(None);
                }
                _ => "502 what?".to_owned(),
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }
}

fn ehlo(behaviour: &Behaviour, encrypted: bool) -> String {
    let mut lines = vec!["localhost"];
    if behaviour.starttls && !encrypted {
        lines.push("STARTTLS");
    }
    if behaviour.login.is_some() {
        lines.push("AUTH PLAIN LOGIN");
    }
    let (last, others) = lines.split_last().unwrap();
    let others: String = others.iter().map(|line| format!("250-{line}\r\n")).collect();
    format!("{others}250 {last}")
}

fn login(behaviour: &Behaviour, rest: &str, user: &mut Option<String>) -> String {
    let given = rest.strip_prefix("PLAIN ").unwrap_or_default();
    let decoded = String::from_utf8(STANDARD.decode(given).unwrap_or_default()).unwrap();
    let expected = behaviour.login.map(|(user, password)| format!("\0{user}\0{password}"));
    if expected.as_deref() == Some(&*decoded) {
        *user = behaviour.login.map(|(user, _)| user.to_owned());
        return "235 welcome".to_owned();
    }
    // Some servers repeat what they were given.
    format!("535 5.7.8 not accepted: {given} ({})", decoded.replace('\0', " "))
}

fn address(rest: &str) -> String {
    let inside = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(address, _)| address.to_owned()).unwrap_or_default()
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

/// Until the line with the point, stuffed points taken out.
async fn read_text<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::from_pem_slice(include_bytes!("smtp_server/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("smtp_server/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}
