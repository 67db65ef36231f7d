//! Dialect `kazoo`: call events and call detail records of Kazoo, from its message bus or as its webhooks post them
//! (enrichment-and-dialects.md 2, seed-systems.md 4).
//!
//! An event says one thing of one leg. What its end says of its begin is in whole seconds, and so counts only until
//! something more exact comes: see `events`.

mod body;
mod event;
mod fields;
mod legs;
mod message;
mod notice;
mod side;
mod times;

use ringpost_model::{PbxKey, TenantKey};
use serde_json::Value;

use crate::decoded::{Decoded, Notes, Source};
use crate::node::{self, Node};
use crate::reason::Reason;
use event::Event;
use message::Message;

const SWITCH: &str = "Kazoo";

/// Decodes one message, JSON or a form, and adds what it says.
pub(crate) fn decode(source: &Source<'_>, bytes: &[u8], decoded: &mut Decoded) -> Result<(), Reason> {
    let is_json = matches!(bytes.first(), Some(b'{' | b'['));
    let told = if is_json {
        node::read(bytes, |node, invalid_utf8| {
            let notes = Notes { invalid_utf8, ..Notes::default() };
            // As the bus's own tools print a message: its bytes are a text in it.
            let payload = node.text_of("payload").filter(|payload| payload.trim_start().starts_with('{'));
            match payload {
                Some(payload) => node::read(payload.as_bytes(), |inner, _| {
                    of_body(source, inner, &|| whole(payload.as_bytes(), inner), notes)
                }),
                None => of_body(source, node, &|| whole(bytes, node), notes),
            }
        })
    } else {
        let form = body::form(bytes)?;
        of_body(source, &form, &|| notice::as_texts(&form), Notes::default())
    }?;
    decoded.records.extend(told.records);
    decoded.notices.extend(told.notices);
    decoded.notes.add(told.notes);
    Ok(())
}

/// What a message says, with its numbers as numbers.
fn whole(bytes: &[u8], node: &Node<'_>) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| notice::as_texts(node))
}

/// One message, or the list of them that Kazoo's API answers with.
fn of_body(
    source: &Source<'_>,
    node: &Node<'_>,
    whole: &dyn Fn() -> Value,
    notes: Notes,
) -> Result<Decoded, Reason> {
    if !matches!(node, Node::Object(_)) {
        return Err(Reason::NotAnObject("something else"));
    }
    let mut told = Decoded { notes, ..Decoded::default() };
    match node.get("data") {
        Some(Node::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                of_message(source, &Message::read(item), &|| notice::as_texts(item), &mut told)
                    .map_err(|reason| reason.inside(&format!("data[{index}]")))?;
            }
        }
        _ => of_message(source, &Message::read(node), whole, &mut told)?,
    }
    Ok(told)
}

fn of_message(
    source: &Source<'_>,
    message: &Message<'_>,
    whole: &dyn Fn() -> Value,
    told: &mut Decoded,
) -> Result<(), Reason> {
    let event = Event::of(message);
    let notice = notice::event(message).filter(|_| !matches!(event, Ok(Some(_))));
    if let Some(notice) = notice {
        let owner = (tenant(source, message)?, pbx(source, message)?);
        told.notices.push(notice::read(message, notice, owner, whole()));
        return Ok(());
    }
    let Some(event) = event? else {
        told.notes.passed_over += 1;
        return Ok(());
    };
    let owner = (tenant(source, message)?, pbx(source, message)?);
    told.records.extend(legs::records(source, message, event, owner)?);
    Ok(())
}

/// The source's tenant; on a cluster, the account of the message.
fn tenant(source: &Source<'_>, message: &Message<'_>) -> Result<TenantKey, Reason> {
    if let Some(tenant) = &source.tenant {
        return Ok(tenant.clone());
    }
    let remedy =
        "; an event without an account is nobody's: leave such calls out, or give the pbx one tenant";
    let account = message.of_leg("accountid");
    let account = account.ok_or(Reason::Missing { path: "Account-ID".to_owned(), remedy })?;
    TenantKey::new(account).map_err(|_| Reason::no_tenant("Account-ID", account))
}

fn pbx(source: &Source<'_>, message: &Message<'_>) -> Result<PbxKey, Reason> {
    if let Some(pbx) = &source.pbx {
        return Ok(pbx.clone());
    }
    let remedy = "; a message does not say which platform wrote it: name the pbx";
    let missing = || Reason::Missing { path: "cluster_id".to_owned(), remedy };
    message.text("clusterid").and_then(|cluster| PbxKey::new(cluster).ok()).ok_or_else(missing)
}
