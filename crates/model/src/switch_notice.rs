//! What a switch tells beside calls: a fax came, a message was left, a user was changed (live-events.md, Events a
//! trigger can name). Read in `ingest`; triggers can be told of it as it is.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{LegId, PbxKey, TenantKey, Text, Timestamp};

/// One notice of a switch, format 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SwitchNotice {
    /// Format, always 1.
    pub v: u8,
    /// Whose it is.
    pub tenant: TenantKey,
    /// Which platform told it.
    pub pbx: PbxKey,
    /// The event that a trigger names.
    pub event: SwitchEvent,
    /// What it is by the switch's own name: `voicemail_new`, `doc_edited`.
    pub name: Text,
    /// When it happened, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The leg that it is about, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<LegId>,
    /// All that it says, under names in small letters with underscores; without secrets.
    pub data: Map<String, Value>,
}

/// Events of a switch that are no call events (live-events.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the table in live-events.md")]
pub enum SwitchEvent {
    InboundFax,
    InboundFaxError,
    OutboundFax,
    OutboundFaxError,
    Object,
    Notifications,
    Sms,
    Mms,
    Callflow,
}

impl SwitchEvent {
    /// Every event.
    pub const ALL: [Self; 9] = [
        Self::InboundFax,
        Self::InboundFaxError,
        Self::OutboundFax,
        Self::OutboundFaxError,
        Self::Object,
        Self::Notifications,
        Self::Sms,
        Self::Mms,
        Self::Callflow,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InboundFax => "inbound_fax",
            Self::InboundFaxError => "inbound_fax_error",
            Self::OutboundFax => "outbound_fax",
            Self::OutboundFaxError => "outbound_fax_error",
            Self::Object => "object",
            Self::Notifications => "notifications",
            Self::Sms => "sms",
            Self::Mms => "mms",
            Self::Callflow => "callflow",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_written_by_its_name() {
        for event in SwitchEvent::ALL {
            assert_eq!(serde_json::to_string(&event).unwrap(), format!("\"{}\"", event.name()));
        }
    }

    #[test]
    fn a_notice_is_read_as_it_was_written() {
        let written = r#"{"v":1,"tenant":"acme","pbx":"k1","event":"inbound_fax","name":"inbound_fax","at":1773133200000000,"leg":"a","data":{"fax_id":"f","fax_info":{"fax_success":true}}}"#;
        let notice: SwitchNotice = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&notice).unwrap(), written);
    }
}
