//! Where messages go: standard output, one a line, or a running server, in batches by pbx.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::bail;
use ringpost_model::{Dialect, PbxKey};
use ringpost_simulate::Message;

use super::Simulate;
use crate::cli::Failure;
use crate::sender::{Sender, Sent};

/// A batch goes out at this size, or when the pace pauses: far below the intake's limit.
const BATCH_BYTES: usize = 256 * 1024;

pub(super) struct Target {
    dialect: Dialect,
    server: Option<Server>,
}

struct Server {
    sender: Sender,
    /// For every pbx without one of its own.
    token: Option<String>,
    tokens: BTreeMap<String, String>,
    waiting: BTreeMap<PbxKey, Vec<u8>>,
    sent: Sent,
}

impl Target {
    pub(super) fn new(args: &Simulate) -> Result<Self, Failure> {
        let server = args.to.as_deref().map(|to| Server::new(to, &args.token)).transpose()?;
        Ok(Self { dialect: args.dialect, server })
    }

    pub(super) async fn take(&mut self, message: Message, out: &mut dyn Write) -> Result<(), Failure> {
        let Some(server) = &mut self.server else {
            out.write_all(&message.body)?;
            out.write_all(b"\n")?;
            return Ok(());
        };
        let waiting = server.waiting.entry(message.pbx.clone()).or_default();
        waiting.extend_from_slice(&message.body);
        waiting.push(b'\n');
        if waiting.len() >= BATCH_BYTES {
            let body = std::mem::take(waiting);
            server.send(&message.pbx, self.dialect, &body).await?;
        }
        Ok(())
    }

    /// Nothing waits any more.
    pub(super) async fn flush(&mut self, out: &mut dyn Write) -> Result<(), Failure> {
        out.flush()?;
        let Some(server) = &mut self.server else { return Ok(()) };
        for (pbx, body) in std::mem::take(&mut server.waiting) {
            server.send(&pbx, self.dialect, &body).await?;
        }
        Ok(())
    }

    /// What the server made of it.
    pub(super) fn summary(&self) -> String {
        let Some(server) = &self.server else { return String::new() };
        format!(", {} legs taken in, {} refused", server.sent.legs, server.sent.rejected)
    }
}

impl Server {
    fn new(to: &str, given: &[String]) -> anyhow::Result<Self> {
        let mut tokens = BTreeMap::new();
        let mut token = None;
        for text in given {
            match text.split_once('=') {
                Some((pbx, token)) => drop(tokens.insert(pbx.to_owned(), token.to_owned())),
                None => token = Some(text.clone()),
            }
        }
        if token.is_none() && tokens.is_empty() {
            bail!("a server wants a token: --token TOKEN, or --token PBX=TOKEN for each pbx");
        }
        Ok(Self { sender: Sender::new(to)?, token, tokens, waiting: BTreeMap::new(), sent: Sent::default() })
    }

    async fn send(&mut self, pbx: &PbxKey, dialect: Dialect, body: &[u8]) -> anyhow::Result<()> {
        if body.is_empty() {
            return Ok(());
        }
        let Some(token) = self.tokens.get(pbx.as_str()).or(self.token.as_ref()) else {
            bail!("no token for pbx {pbx}: add --token {pbx}=TOKEN");
        };
        match self.sender.post(pbx, token, dialect, body).await? {
            Ok(sent) => {
                self.sent.legs += sent.legs;
                self.sent.rejected += sent.rejected;
                Ok(())
            }
            Err(refused) => bail!("pbx {pbx}: {refused}"),
        }
    }
}
