//! Notices: faxes, messages, changed documents and what else Kazoo tells beside calls.

use ringpost_model::{LegId, PbxKey, SwitchEvent, SwitchNotice, TenantKey};
use serde_json::{Map, Value};

use super::message::Message;
use super::times;
use crate::node::Node;

/// Keys whose values let somebody in.
const SECRETS: [&str; 8] = [
    "password",
    "password_reset_link",
    "account_api_key",
    "api_key",
    "auth_token",
    "payment_token",
    "pvt_md5_auth",
    "pvt_sha1_auth",
];

/// When it happened, by the keys of the different kinds.
const TIMES: [&str; 4] = ["timestamp", "eventtimestamp", "faxtimestamp", "voicemailtimestamp"];

/// Which notice a message is, if it is one.
pub(super) fn event(message: &Message<'_>) -> Option<SwitchEvent> {
    let name = message.name().or(message.text("action")).unwrap_or_default().to_ascii_lowercase();
    let category = message.text("eventcategory").unwrap_or_default();
    let event = match name.as_str() {
        "inbound_fax" => SwitchEvent::InboundFax,
        "inbound_fax_error" => SwitchEvent::InboundFaxError,
        "outbound_fax" => SwitchEvent::OutboundFax,
        "outbound_fax_error" | "outbound_smtp_fax_error" => SwitchEvent::OutboundFaxError,
        "doc_created" | "doc_edited" | "doc_deleted" => SwitchEvent::Object,
        "webhook" | "callflow" => SwitchEvent::Callflow,
        "sms" => SwitchEvent::Sms,
        "mms" => SwitchEvent::Mms,
        _ if category == "notification" => SwitchEvent::Notifications,
        _ => {
            return of_message(message, category)
                .or_else(|| of_callflow(message))
                .or_else(|| of_signed(message));
        }
    };
    Some(event)
}

/// A text message; the webhook of one names no event.
fn of_message(message: &Message<'_>, category: &str) -> Option<SwitchEvent> {
    let has_ends = message.text("from").is_some() && message.text("to").is_some();
    let kind = message.first(&["type", "messagetype"]).unwrap_or_default();
    match (category, kind) {
        _ if !has_ends => None,
        ("sms", _) | ("" | "message", "sms") => Some(SwitchEvent::Sms),
        ("mms", _) | ("" | "message", "mms") => Some(SwitchEvent::Mms),
        _ => None,
    }
}

/// The call as a call flow's action posts it: no event, but where the flow stands.
fn of_callflow(message: &Message<'_>) -> Option<SwitchEvent> {
    let is_of_flow = ["fetchid", "callbridged", "messageleft"].iter().any(|key| message.text(key).is_some());
    let is_record = message.text("durationseconds").is_some();
    let is_callflow =
        message.name().is_none() && message.text("callid").is_some() && is_of_flow && !is_record;
    is_callflow.then_some(SwitchEvent::Callflow)
}

/// A signed webhook leaves the category out. Notices have names in small letters, events of calls in capitals.
fn of_signed(message: &Message<'_>) -> Option<SwitchEvent> {
    let is_unknown = message.text("eventcategory").is_none();
    let name = message.outer_name().filter(|_| is_unknown)?;
    (!name.contains(|char: char| char.is_ascii_uppercase())).then_some(SwitchEvent::Notifications)
}

/// The notice, with all that the message says.
pub(super) fn read(
    message: &Message<'_>,
    event: SwitchEvent,
    (tenant, pbx): (TenantKey, PbxKey),
    all: Value,
) -> SwitchNotice {
    let name = message.name().or(message.text("action")).unwrap_or(event.name());
    let said = TIMES.iter().find_map(|key| times::instant(message.text(key)?)?.ok());
    let leg = message.text("callid").and_then(|id| LegId::new(id).ok());
    let name = name.to_ascii_lowercase().into();
    SwitchNotice { v: 1, tenant, pbx, event, name, at: said, leg, data: data(all) }
}

/// What the message says, as Kazoo's webhooks tell it: names in small letters with underscores, nothing where nothing
/// is said; and no secrets.
fn data(all: Value) -> Map<String, Value> {
    let Value::Object(mut data) = normal(all) else { return Map::new() };
    let is_bare = ["call_id", "event_name", "hook_event"].iter().any(|key| data.contains_key(*key));
    for wrapped in ["data", "args"] {
        if let Some(Value::Object(inner)) = data.get_mut(wrapped).filter(|_| !is_bare) {
            return std::mem::take(inner);
        }
    }
    data
}

fn normal(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let named = entries.into_iter().map(|(key, value)| (key.to_lowercase().replace('-', "_"), value));
            let said = named.filter(|(key, value)| !value.is_null() && !SECRETS.contains(&key.as_str()));
            Value::Object(said.map(|(key, value)| (key, normal(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(normal).collect()),
        value => value,
    }
}

/// A tree of which it is not known any more what was a number: all its values are texts.
pub(super) fn as_texts(node: &Node<'_>) -> Value {
    match node {
        Node::Nothing => Value::Null,
        Node::Text(text) => Value::String(text.to_string()),
        Node::List(items) => Value::Array(items.iter().map(as_texts).collect()),
        Node::Object(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.to_string(), as_texts(value))).collect())
        }
    }
}
