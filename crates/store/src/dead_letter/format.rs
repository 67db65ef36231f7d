//! A dead letter as a record of its topic: JSON, format 1.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ringpost_model::{PbxKey, TenantKey, Text, Timestamp};
use serde::{Deserialize, Serialize};

use crate::dead_letter::DeadLetter;
use crate::error::Error;

#[derive(Serialize, Deserialize)]
struct Record {
    v: u8,
    position: Text,
    received: Timestamp,
    reason: Text,
    dialect: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pbx: Option<PbxKey>,
    length: u64,
    sha256: String,
    /// Base64: input may be anything.
    body: String,
}

/// Bytes that are no dead letter.
#[derive(Debug, thiserror::Error)]
enum NoDeadLetter {
    #[error("format {0}, this version knows 1; upgrade this process first")]
    Version(u8),
    #[error("the body is no base64")]
    Body(#[source] base64::DecodeError),
    #[error("the hash is no SHA-256")]
    Hash,
}

impl DeadLetter {
    /// As a record of the topic.
    pub fn to_bytes(&self) -> Vec<u8> {
        let record = Record {
            v: 1,
            position: self.position.clone(),
            received: self.received,
            reason: self.reason.clone(),
            dialect: self.dialect.clone(),
            tenant: self.tenant.clone(),
            pbx: self.pbx.clone(),
            length: self.length,
            sha256: STANDARD.encode(self.sha256),
            body: STANDARD.encode(&self.body),
        };
        serde_json::to_vec(&record).expect("texts and numbers are always JSON")
    }

    /// Reads what [`DeadLetter::to_bytes`] wrote.
    ///
    /// # Errors
    /// Anything else, or another format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let record: Record = serde_json::from_slice(bytes).map_err(damaged)?;
        if record.v != 1 {
            return Err(damaged(NoDeadLetter::Version(record.v)));
        }
        let decode = |text| STANDARD.decode(text).map_err(|error| damaged(NoDeadLetter::Body(error)));
        let sha256 = decode(&record.sha256)?.try_into().map_err(|_| damaged(NoDeadLetter::Hash))?;
        Ok(Self {
            position: record.position,
            received: record.received,
            reason: record.reason,
            dialect: record.dialect,
            tenant: record.tenant,
            pbx: record.pbx,
            length: record.length,
            sha256,
            body: decode(&record.body)?,
        })
    }
}

fn damaged<E: std::error::Error + Send + Sync + 'static>(source: E) -> Error {
    Error::Damaged { what: "read a dead letter", row: "a record".to_owned(), source: Arc::new(source) }
}
