//! The envelope, format 1: a record on its way from `session` to `dispatch` and into the store
//! (architecture.md, The log).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Cdr, Leg, LegId, PbxKey, SessionId, TenantKey, Text, Timestamp};

/// Largest envelope, in bytes: under a broker's usual limit of 1 MB with room for headers.
const ENVELOPE_BYTES: usize = 900 * 1024;

/// One revision of one call's record, with what templates, filters and pages need beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Format, always 1.
    pub v: u8,
    /// Whose call.
    pub tenant: TenantKey,
    /// Of which platform.
    pub pbx: PbxKey,
    /// Session id, the same as `cdr.id`.
    pub session: SessionId,
    /// Revision, from 1.
    pub rev: u32,
    /// When the session closed, in time of the stream.
    pub emitted: Timestamp,
    /// The record.
    pub cdr: Cdr,
    /// What is no key of the record.
    #[serde(default)]
    pub context: Context,
    /// The merged legs, by creation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legs: Vec<Leg>,
    /// Every instant of the session once, by time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Stretch>,
    /// Versions of the tables that it was enriched from, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<Text, u64>,
    /// Which parts were cut because the envelope was too large: `timeline`, then `legs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<Text>,
    /// It fires nothing: it was made anew without being asked to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
}

/// What templates and filters need beyond the record (live-events.md, the field list).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Context {
    /// What the root dialled.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub dialled: Text,
    /// The caller number that was shown to the far party.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub presented: Text,
    /// The customer leg's final SIP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<u16>,
    /// Name of the last queue.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub queue_name: Text,
    /// How the last queue was left: `answered`, `timeout`, `abandoned`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub queue_outcome: Text,
    /// Name of the last IVR.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub ivr_name: Text,
}

/// A state of the time line, by priority (sessions.md 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The customer leg is parked.
    Park,
    /// Somebody pressed hold.
    Hold,
    /// Two parties are connected.
    Talk,
    /// A target leg alerts.
    Ring,
    /// Announcements, IVR, voicemail, queue music, post-dial delay.
    Other,
}

/// An interval of the time line, half-open, in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Begin.
    pub from: Timestamp,
    /// End, excluded.
    pub to: Timestamp,
    /// What it counts as.
    pub state: State,
    /// Why.
    pub reason: Reason,
}

/// Why an instant has its state: which rule of sessions.md 3, and on which legs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Name of the rule, e.g. `customer-parked`, `all-partners-on-hold`, `bridged`, `alerting`.
    pub rule: Text,
    /// The legs it was found on, in byte order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legs: Vec<LegId>,
}

/// Why bytes are no envelope, or an envelope could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not what we write.
    #[error("read the envelope of a record")]
    Json(#[source] serde_json::Error),
    /// Written by a later version of ringpost.
    #[error("read the envelope of a record: format {0}, this version knows 1; upgrade this process first")]
    Version(u8),
}

impl Envelope {
    /// Compact JSON of at most 900 KB: what is too much is cut, first the time line, then the legs, and marked.
    ///
    /// # Errors
    /// Only what serde_json reports, which no envelope causes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        let whole = serde_json::to_vec(self).map_err(EnvelopeError::Json)?;
        if whole.len() <= ENVELOPE_BYTES {
            return Ok(whole);
        }
        let mut shorter = self.clone();
        shorter.timeline.clear();
        shorter.cut.push("timeline".into());
        let without_timeline = serde_json::to_vec(&shorter).map_err(EnvelopeError::Json)?;
        if without_timeline.len() <= ENVELOPE_BYTES {
            return Ok(without_timeline);
        }
        shorter.legs.clear();
        shorter.cut.push("legs".into());
        serde_json::to_vec(&shorter).map_err(EnvelopeError::Json)
    }

    /// Reads what [`Envelope::to_bytes`] wrote.
    ///
    /// # Errors
    /// Other JSON, or another format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let envelope: Self = serde_json::from_slice(bytes).map_err(EnvelopeError::Json)?;
        if envelope.v == 1 { Ok(envelope) } else { Err(EnvelopeError::Version(envelope.v)) }
    }
}
