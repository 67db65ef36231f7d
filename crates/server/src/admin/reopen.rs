//! `POST /reopen`: legs that came too late make the next revision of their call's record. The call is looked up in the store,
//! and goes as a command through the log, to the one who gives out revisions, with all legs that were asked for. The answer
//! tells what became of each letter, a line each.

mod find;

use std::collections::BTreeMap;

use anyhow::Context;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ringpost_bus::Record;
use ringpost_ingest::{Source, decode};
use ringpost_model::{Command, Dialect, Envelope, LegRecord, SessionId};
use ringpost_session::Refusal;
use ringpost_store::{DeadLetterId, Store};
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::enrich::Again;

/// Letters of one question.
pub(crate) const MOST: usize = 200;

/// Which ones, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Numbers of dead letters, at most [`MOST`].
    pub(crate) letters: Vec<u64>,
    /// Whether triggers that take revisions fire.
    #[serde(default)]
    pub(crate) fire: bool,
}

/// A line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    pub(crate) letter: u64,
    /// The call that it goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// Why nothing was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
}

impl Told {
    fn refused(letter: u64, why: impl ToString) -> Self {
        Self { letter, session: None, refused: Some(why.to_string()) }
    }
}

pub(super) async fn reopen(State(state): State<AdminState>, body: Bytes) -> Response {
    let wanted: Wanted = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    if wanted.letters.len() > MOST {
        return (StatusCode::BAD_REQUEST, format!("at most {MOST} letters at once\n")).into_response();
    }
    let Some(again) = state.again else { return super::no_api() };
    match ask(&again, &wanted).await {
        Ok(told) => {
            let line = |one: &Told| serde_json::to_string(one).unwrap_or_default() + "\n";
            let lines: String = told.iter().map(line).collect();
            ([("content-type", "application/x-ndjson")], lines).into_response()
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response(),
    }
}

/// Late legs of one call.
struct Call {
    envelope: Envelope,
    letters: Vec<u64>,
    late: Vec<serde_json::Value>,
}

async fn ask(again: &Again, wanted: &Wanted) -> anyhow::Result<Vec<Told>> {
    let mut told = Vec::new();
    let mut calls = BTreeMap::<SessionId, Call>::new();
    for letter in &wanted.letters {
        let record = match late_leg(&again.store, *letter).await? {
            Ok(record) => record,
            Err(why) => {
                told.push(Told::refused(*letter, why));
                continue;
            }
        };
        let Some(envelope) = find::call_of(&again.store, &record).await? else {
            told.push(Told::refused(*letter, "its call is not in the store any more"));
            continue;
        };
        if envelope.legs.is_empty() {
            told.push(Told::refused(*letter, "its call was too large to keep its legs with its record"));
            continue;
        }
        let value = serde_json::to_value(&record).context("write a leg")?;
        let call = calls.entry(envelope.session);
        let call = call.or_insert(Call { envelope, letters: Vec::new(), late: Vec::new() });
        call.letters.push(*letter);
        call.late.push(value);
    }
    for (session, call) in calls {
        told.extend(command(again, session, call, wanted.fire).await?);
    }
    told.sort_by_key(|one| wanted.letters.iter().position(|letter| *letter == one.letter));
    Ok(told)
}

/// The leg of a letter, if it came too late; or why it cannot be used.
async fn late_leg(store: &Store, id: u64) -> anyhow::Result<Result<LegRecord, &'static str>> {
    let stored = store.dead_letter(DeadLetterId(id)).await.context("read a dead letter")?;
    let Some(stored) = stored else { return Ok(Err("there is none")) };
    let letter = stored.letter;
    if &*letter.reason != Refusal::TooLate.name() {
        return Ok(Err("it is no leg that came too late"));
    }
    if !letter.is_whole() {
        return Ok(Err("only its beginning was kept"));
    }
    let mut records = decode(Dialect::Native, &Source::default(), &letter.body).records;
    Ok(records.pop().ok_or("it is no leg record"))
}

async fn command(again: &Again, session: SessionId, call: Call, fire: bool) -> anyhow::Result<Vec<Told>> {
    let Call { envelope, letters, late } = call;
    let tenant = envelope.tenant.clone();
    let tables = again.store.table_versions(&tenant).await.context("read the versions of tables")?.newest();
    let value = Command::reopen(envelope, late, tables, fire).to_bytes().context("write a command")?;
    let key = bytes::Bytes::copy_from_slice(tenant.as_str().as_bytes());
    let now = (again.clock)();
    let record = Record { key, value: value.into(), timestamp: now.micros() };
    if let Err(error) = (again.append)(vec![record]).await {
        let why = format!("{error:#}");
        return Ok(letters.into_iter().map(|letter| Told::refused(letter, &why)).collect());
    }
    let ids: Vec<DeadLetterId> = letters.iter().copied().map(DeadLetterId).collect();
    again.store.mark_replayed(&ids, now).await.context("mark dead letters as replayed")?;
    let asked = |letter| Told { letter, session: Some(session.to_string()), refused: None };
    Ok(letters.into_iter().map(asked).collect())
}
