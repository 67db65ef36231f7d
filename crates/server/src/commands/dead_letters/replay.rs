//! Sends dead letters in again. Without a token of its own it makes one for the pbx and revokes it afterwards:
//! whoever can open the store may do so anyway.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use ringpost_model::{Dialect, PbxKey};
use ringpost_session::Refusal;
use ringpost_store::{DeadLetterId, Store, StoredDeadLetter, TokenId, new_token};

use super::Which;
use crate::admin::reopen::{MOST, Told, Wanted};
use crate::cli::{Failure, Io, Outcome, harmless};
use crate::clock;
use crate::commands::running::Running;
use crate::config::Config;
use crate::sender::{Refused as AtServer, Sender};

/// Between two looks whether the server knows a new token; it looks for changes every second.
const PAUSE: Duration = Duration::from_millis(250);
/// Looks before a server is taken for another store's.
const LOOKS: u32 = 40;
/// Letters read at once.
const PAGE: usize = 500;

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Numbers, as `list` prints them
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<u64>,
    /// All that were not sent in again yet
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    which: Which,
    /// The running server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    to: String,
    /// Token of its intake; without one a token is made and revoked again
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Also legs that came too late: each makes the next revision of its call's record
    #[arg(long)]
    reopen: bool,
    /// With --reopen: let triggers fire that take every revision
    #[arg(long, requires = "reopen")]
    fire: bool,
    /// With --reopen: admin port of the server; without it the one of the configuration, on this machine
    #[arg(long, value_name = "URL", requires = "reopen")]
    admin: Option<String>,
}

pub(super) async fn replay(
    args: &Replay,
    store: &Store,
    config: &Config,
    io: &mut Io<'_>,
) -> Result<Outcome, Failure> {
    let sender = Sender::new(&args.to)?;
    let mut tokens = Tokens { given: args.token.clone(), made: None };
    let mut counts = Counts::default();
    let done = each(args, store, &sender, &mut tokens, &mut counts, io).await;
    tokens.revoke(store).await?;
    done?;
    if !counts.late.is_empty() {
        let running = Running::at(args.admin.as_deref(), config.admin.listen)?;
        reopen(&running, args.fire, &mut counts, io).await?;
    }
    writeln!(
        io.stderr,
        "{} taken in, {} refused again, {} cannot be sent",
        counts.taken, counts.refused, counts.skipped
    )?;
    Ok(if counts.refused + counts.skipped == 0 { Outcome::Fine } else { Outcome::No })
}

#[derive(Debug, Default)]
struct Counts {
    taken: u64,
    refused: u64,
    skipped: u64,
    /// Those whose calls are to be opened again.
    late: Vec<u64>,
}

/// Asks the server for the next revisions. All legs of a call go together, as far as they are asked for at once.
async fn reopen(running: &Running, fire: bool, counts: &mut Counts, io: &mut Io<'_>) -> Result<(), Failure> {
    for letters in std::mem::take(&mut counts.late).chunks(MOST) {
        let wanted = Wanted { letters: letters.to_vec(), fire };
        let body = serde_json::to_string(&wanted).map_err(anyhow::Error::from)?;
        let answer = running.ask(Method::POST, "/reopen", Some(&body)).await?;
        for line in answer.lines() {
            let told: Told = serde_json::from_str(line).map_err(anyhow::Error::from)?;
            let letter = told.letter;
            match (told.session, told.refused) {
                (Some(session), None) => {
                    counts.taken += 1;
                    writeln!(io.stdout, "{letter}\treopens {session}")?;
                }
                (_, why) => {
                    counts.skipped += 1;
                    writeln!(io.stdout, "{letter}\tcannot be sent: {}", harmless(&why.unwrap_or_default()))?;
                }
            }
        }
    }
    Ok(())
}

async fn each(
    args: &Replay,
    store: &Store,
    sender: &Sender,
    tokens: &mut Tokens,
    counts: &mut Counts,
    io: &mut Io<'_>,
) -> Result<(), Failure> {
    if !args.all {
        for id in &args.ids {
            one(DeadLetterId(*id), args, store, sender, tokens, counts, io).await?;
        }
        return Ok(());
    }
    let mut filter = args.which.filter();
    loop {
        let page = store.dead_letters(&filter, PAGE).await.map_err(anyhow::Error::from)?;
        let Some(last) = page.last() else { return Ok(()) };
        filter.before = Some(last.id);
        for stored in &page {
            one(stored.id, args, store, sender, tokens, counts, io).await?;
        }
    }
}

async fn one(
    id: DeadLetterId,
    args: &Replay,
    store: &Store,
    sender: &Sender,
    tokens: &mut Tokens,
    counts: &mut Counts,
    io: &mut Io<'_>,
) -> Result<(), Failure> {
    let stored = store.dead_letter(id).await.map_err(anyhow::Error::from)?;
    let is_late = stored.as_ref().is_some_and(|stored| &*stored.letter.reason == Refusal::TooLate.name());
    if is_late && args.reopen {
        counts.late.push(id.0);
        return Ok(());
    }
    let stored = if is_late {
        Err("its call is closed; --reopen makes the next revision of it")
    } else {
        stored.ok_or("there is none")
    };
    let sendable = stored.and_then(|stored| Sendable::new(&stored));
    let sendable = match sendable {
        Ok(sendable) => sendable,
        Err(why) => {
            counts.skipped += 1;
            writeln!(io.stdout, "{id}\tcannot be sent: {why}")?;
            return Ok(());
        }
    };
    match tokens.send(store, sender, &sendable).await? {
        Ok(()) => {
            store.mark_replayed(&[id], clock::now()).await.map_err(anyhow::Error::from)?;
            counts.taken += 1;
            writeln!(io.stdout, "{id}\ttaken in")?;
        }
        Err(refused) => {
            counts.refused += 1;
            writeln!(io.stdout, "{id}\trefused again: {refused}")?;
        }
    }
    Ok(())
}

/// What a request needs.
struct Sendable {
    pbx: PbxKey,
    dialect: Dialect,
    body: Vec<u8>,
}

impl Sendable {
    fn new(stored: &StoredDeadLetter) -> Result<Self, &'static str> {
        let letter = &stored.letter;
        if !letter.is_whole() {
            return Err("only its beginning was kept");
        }
        let pbx = letter.pbx.clone().ok_or("its pbx is not known")?;
        let dialect = letter.dialect.parse().map_err(|_| "its dialect is not known to this version")?;
        Ok(Self { pbx, dialect, body: letter.body.clone() })
    }
}

struct Tokens {
    given: Option<String>,
    /// Of the last pbx; letters of one pbx come together mostly.
    made: Option<(PbxKey, String, TokenId)>,
}

impl Tokens {
    async fn send(
        &mut self,
        store: &Store,
        sender: &Sender,
        sendable: &Sendable,
    ) -> Result<Result<(), AtServer>, Failure> {
        if let Some(token) = &self.given {
            return post(sender, token, sendable).await;
        }
        let is_known = self.made.as_ref().is_some_and(|(pbx, ..)| *pbx == sendable.pbx);
        if !is_known {
            self.revoke(store).await?;
            let token = new_token().map_err(anyhow::Error::from)?;
            let saved =
                store.put_ingest_token(&token, &sendable.pbx, None, "dead-letters replay", clock::now());
            let (id, _) = saved.await.map_err(anyhow::Error::from)?;
            self.made = Some((sendable.pbx.clone(), token, id));
        }
        let Some((_, token, _)) = &self.made else { unreachable!("it has just been made") };
        let mut looks = 0;
        loop {
            let sent = post(sender, token, sendable).await?;
            let unknown_yet = matches!(&sent, Err(refused) if refused.status == 401) && looks < LOOKS;
            if !unknown_yet {
                return Ok(sent);
            }
            looks += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn revoke(&mut self, store: &Store) -> Result<(), Failure> {
        if let Some((_, _, id)) = self.made.take() {
            store.revoke_ingest_token(id, clock::now()).await.map_err(anyhow::Error::from)?;
        }
        Ok(())
    }
}

async fn post(sender: &Sender, token: &str, sendable: &Sendable) -> Result<Result<(), AtServer>, Failure> {
    let sent = sender.post(&sendable.pbx, token, sendable.dialect, &sendable.body).await?;
    Ok(sent.map(drop))
}
