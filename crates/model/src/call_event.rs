//! What happens during a call, told while it happens (live-events.md): put out by `session` beside records.

use serde::{Deserialize, Serialize};

use crate::{LegId, PbxKey, Service, SessionId, TenantKey, Text, Timestamp};

/// One call event, format 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEvent {
    /// Format, always 1.
    pub v: u8,
    /// Whose call.
    pub tenant: TenantKey,
    /// Of which platform.
    pub pbx: PbxKey,
    /// The session as known at that moment; its id may change until its record is out.
    pub session: SessionId,
    /// On which leg.
    pub leg: LegId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: CallEventKind,
}

/// What happened. One of each kind per leg (per interval for hold, park, bridge and service) is put out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[expect(missing_docs, reason = "the names are those of the table in live-events.md")]
pub enum CallEventKind {
    LegCreated,
    LegRinging,
    LegAnswered,
    LegBridged {
        with: LegId,
    },
    LegUnbridged {
        with: LegId,
    },
    LegHeld,
    LegResumed,
    LegParked {
        slot: Text,
    },
    LegRetrieved,
    ServiceStarted {
        service: Service,
        name: Text,
    },
    ServiceEnded {
        service: Service,
        name: Text,
    },
    LegEnded {
        cause: Text,
    },
    /// First alert of the session.
    CallRinging,
    /// First talk of the session.
    CallAnswered,
    /// The session closed.
    CallHangup,
}
