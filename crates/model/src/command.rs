//! Commands: records among the legs that do not come from a switch. Only the worker that owns a tenant's partition gives
//! out revisions, so what wants one asks there (architecture.md, The log).

use serde::{Deserialize, Serialize};

use crate::Envelope;

/// How every command begins as it is written; no leg record does.
const BEGIN: &[u8] = br#"{"command":"#;

/// What is wanted, and of which record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// What.
    pub command: Wanted,
    /// Format, always 1.
    pub v: u8,
    /// Whether triggers that take revisions fire for what comes of it.
    #[serde(default)]
    pub fire: bool,
    /// Number of the last change of the tenant's tables when it was asked for: older ones will not do.
    #[serde(default)]
    pub tables: u64,
    /// The record as it went out last.
    pub envelope: Envelope,
    /// Leg records, format 1, that came too late for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<serde_json::Value>,
}

/// What can be wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// Enrich the record again from the tables as they are now. A new revision comes of it only where something differs.
    Enrich,
    /// Work the record out anew with the legs that came too late for it, and enrich it. Likewise.
    Reopen,
}

/// Why bytes are no command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Not what we write.
    #[error("read a command")]
    Json(#[from] serde_json::Error),
    /// Written by a later version of ringpost.
    #[error("read a command: format {0}, this version knows 1; upgrade this process first")]
    Version(u8),
}

impl Command {
    /// Asks for a record to be enriched again.
    pub fn enrich(envelope: Envelope, tables: u64, fire: bool) -> Self {
        Self { command: Wanted::Enrich, v: 1, fire, tables, envelope, late: Vec::new() }
    }

    /// Asks for the next revision of a record whose call is closed, with leg records that came too late for it.
    pub fn reopen(envelope: Envelope, late: Vec<serde_json::Value>, tables: u64, fire: bool) -> Self {
        Self { command: Wanted::Reopen, v: 1, fire, tables, envelope, late }
    }

    /// Whether a record of the log is one.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(BEGIN)
    }

    /// As it stands in the log.
    ///
    /// # Errors
    /// Only what serde_json reports, which no command causes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Reads what [`Command::to_bytes`] wrote.
    ///
    /// # Errors
    /// Other JSON, or another format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CommandError> {
        let command: Self = serde_json::from_slice(bytes)?;
        let newest = command.v.max(command.envelope.v);
        if newest == 1 { Ok(command) } else { Err(CommandError::Version(newest)) }
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;
    use crate::{Cdr, Context, PbxKey, Rate, SessionId, TenantKey, Timestamp};

    #[test]
    fn a_command_comes_back_as_it_was_with_every_decimal() {
        let mut cdr = Cdr::empty(SessionId(Uuid::nil()));
        let now = Timestamp::from_micros(1_773_133_200_000_000);
        (cdr.start, cdr.end) = (now, now);
        let cost: Decimal = "0.30000000000000000001".parse().unwrap();
        cdr.rate = Some(Rate { cost, band: "".into(), name: "n".into() });
        let envelope = Envelope {
            v: 1,
            tenant: TenantKey::new("acme").unwrap(),
            pbx: PbxKey::new("k1").unwrap(),
            session: cdr.id,
            rev: 1,
            emitted: now,
            cdr,
            context: Context::default(),
            legs: Vec::new(),
            timeline: Vec::new(),
            tables: std::collections::BTreeMap::new(),
            cut: Vec::new(),
            quiet: false,
        };
        let command = Command::enrich(envelope, 7, true);
        let bytes = command.to_bytes().unwrap();
        assert!(Command::is_one(&bytes));
        assert_eq!(Command::from_bytes(&bytes).unwrap(), command);
        assert!(!Command::is_one(br#"{"v":1,"kind":"leg"}"#));
        let later = String::from_utf8(bytes).unwrap().replacen("\"v\":1", "\"v\":2", 1);
        let error = Command::from_bytes(later.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "read a command: format 2, this version knows 1; upgrade this process first"
        );
    }
}
