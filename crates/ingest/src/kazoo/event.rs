//! What a message is: which event of a call, a record of a call, or something that says nothing of a leg.

use ringpost_model::Service;

use super::SWITCH;
use super::message::Message;
use crate::reason::Reason;

/// What a message tells of its leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Created,
    Ringing,
    Answered,
    Bridged,
    Unbridged,
    Held,
    Resumed,
    Parked,
    Retrieved,
    /// Begins to execute this, which takes no leg of its own.
    Executes(Service),
    /// Leaves it.
    Executed(Service),
    /// Fields and links, nothing else.
    Updated,
    /// The leg's end, with what is known of all of it.
    Ended,
}

impl Event {
    /// None: the message says nothing of a leg.
    pub(super) fn of(message: &Message<'_>) -> Result<Option<Self>, Reason> {
        let name = message.name();
        let is_record = message.text("pvttype") == Some("cdr") || message.text("durationseconds").is_some();
        let Some(name) = name else {
            let of_call = message.text("callid").is_some();
            return match (of_call && is_record, of_call) {
                (true, _) => Ok(Some(Self::Ended)),
                (_, true) => Err(Reason::Missing { path: "Event-Name".to_owned(), remedy: "" }),
                _ => {
                    Err(Reason::NotOfDialect { switch: SWITCH, why: "it has neither Event-Name nor Call-ID" })
                }
            };
        };
        let name = name.to_ascii_uppercase().replace('-', "_");
        // The bus says only what kind of report it is.
        let is_report = name == "REPORT" && message.text("eventcategory") == Some("cdr");
        Ok(if is_report { Some(Self::Ended) } else { Self::named(&name, message) })
    }

    fn named(name: &str, message: &Message<'_>) -> Option<Self> {
        Some(match name {
            "CHANNEL_CREATE" => Self::Created,
            "CHANNEL_PROGRESS" | "CHANNEL_PROGRESS_MEDIA" => Self::Ringing,
            "CHANNEL_ANSWER" => Self::Answered,
            "CHANNEL_BRIDGE" => Self::Bridged,
            "CHANNEL_UNBRIDGE" => Self::Unbridged,
            "CHANNEL_HOLD" => Self::Held,
            "CHANNEL_UNHOLD" => Self::Resumed,
            "PARK_PARKED" => Self::Parked,
            // Kazoo says abandoned where the caller hangs up, and where the call flow goes on: either way it is over.
            "PARK_RETRIEVED" | "PARK_ABANDONED" => Self::Retrieved,
            "CHANNEL_EXECUTE" => Self::Executes(executed(message)?),
            "CHANNEL_EXECUTE_COMPLETE" => Self::Executed(executed(message)?),
            "CHANNEL_TRANSFEROR"
            | "CHANNEL_TRANSFEREE"
            | "CHANNEL_REPLACED"
            | "CHANNEL_PICKUP"
            | "CHANNEL_INTERCEPTED"
            | "CHANNEL_DATA"
            | "CALL_UPDATE" => Self::Updated,
            // The node that the leg was on is gone, and the leg with it.
            "CHANNEL_DESTROY" | "CHANNEL_DISCONNECTED" | "CDR" | "KZ_CDR" => Self::Ended,
            _ => return None,
        })
    }
}

/// Applications that are services; all others are only steps of the call flow.
fn executed(message: &Message<'_>) -> Option<Service> {
    match message.first(&["rawapplicationname", "applicationname"])? {
        "conference" => Some(Service::Conference),
        "rxfax" | "txfax" | "fax" | "receive_fax" => Some(Service::Fax),
        _ => None,
    }
}
