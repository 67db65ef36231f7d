//! What a message is: which event of a call, a record of a call, or something that says nothing of a leg.

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
        Ok(Self::named(&name.to_ascii_uppercase().replace('-', "_")))
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "CHANNEL_CREATE" => Self::Created,
            "CHANNEL_PROGRESS" | "CHANNEL_PROGRESS_MEDIA" => Self::Ringing,
            "CHANNEL_ANSWER" => Self::Answered,
            "CHANNEL_BRIDGE" => Self::Bridged,
            "CHANNEL_UNBRIDGE" => Self::Unbridged,
            "CHANNEL_HOLD" => Self::Held,
            "CHANNEL_UNHOLD" => Self::Resumed,
            "PARK_PARKED" => Self::Parked,
            "PARK_RETRIEVED" => Self::Retrieved,
            // Kazoo says abandoned also where the call goes on, so this ends no park: the leg's end does.
            "PARK_ABANDONED"
            | "CHANNEL_TRANSFEROR"
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
