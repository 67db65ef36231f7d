//! What becomes of a body: records to be stored, dead letters, and what the sender is told.

use std::fmt;
use std::time::Duration;

use ringpost_ingest::{Reason, Reject, Source, decode};
use ringpost_model::{Dialect, LegRecord, PbxKey};

use crate::access::{Access, Grant, Standing};

/// Where accepted legs and dead letters go. An edge: the log and the store in the process, a value in tests.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Makes records and dead letters durable, all or none, before it returns.
    ///
    /// # Errors
    /// Nothing of it is stored, and when to try again.
    fn store(&self, delivered: Delivered) -> impl Future<Output = Result<(), NotStored>> + Send;
}

/// Everything that one request brought.
#[derive(Debug, Clone, Default)]
pub struct Delivered {
    /// In what it was written.
    pub dialect: Dialect,
    /// To be joined into sessions.
    pub records: Vec<LegRecord>,
    /// To be kept for a person to look at.
    pub dead_letters: Vec<DeadLetter>,
}

/// An element that was refused, with all that is needed to try it again.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// In what it was written.
    pub dialect: Dialect,
    /// Who sent it.
    pub pbx: PbxKey,
    /// Why it was refused.
    pub refusal: Refusal,
    /// Where in the request it stood, in words.
    pub position: String,
    /// As it came.
    pub bytes: Vec<u8>,
}

/// Why an element was refused.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// It cannot be read.
    Unreadable(Reason),
    /// Its pbx or tenant is not the token's.
    Forbidden(String),
    /// Nobody knows its tenant.
    UnknownTenant(String),
}

impl Refusal {
    /// One word, for a label or a column: the set is small and fixed.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Forbidden(_) => "forbidden",
            Self::UnknownTenant(_) => "unknown tenant",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(reason) => reason.fmt(f),
            Self::Forbidden(why) | Self::UnknownTenant(why) => f.write_str(why),
        }
    }
}

/// Legs could not be made durable: the sender keeps them and tries again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct NotStored {
    /// For the sender; holds nothing secret.
    pub reason: String,
    /// When to try again.
    pub retry_after: Duration,
}

/// Reads a body and judges every record of it under the grant.
pub(crate) fn judge(access: &Access, grant: &Grant, content_type: Option<&str>, body: &[u8]) -> Delivered {
    let source = Source { tenant: grant.tenant.clone(), pbx: Some(grant.pbx.clone()), content_type };
    let decoded = decode(grant.dialect, &source, body);
    let mut delivered = Delivered { dialect: grant.dialect, ..Delivered::default() };
    delivered.dead_letters.extend(decoded.rejects.into_iter().map(|reject| unreadable(grant, reject)));
    for record in decoded.records {
        match refusal(access, grant, &record) {
            None => delivered.records.push(record),
            Some(refusal) => delivered.dead_letters.push(refused(grant, &record, refusal)),
        }
    }
    delivered
}

fn unreadable(grant: &Grant, reject: Reject) -> DeadLetter {
    DeadLetter {
        dialect: grant.dialect,
        pbx: grant.pbx.clone(),
        position: reject.position.to_string(),
        bytes: reject.bytes,
        refusal: Refusal::Unreadable(reject.reason),
    }
}

fn refusal(access: &Access, grant: &Grant, record: &LegRecord) -> Option<Refusal> {
    if record.pbx != grant.pbx {
        let why = format!("the leg is of pbx {}, the token is of {}", record.pbx, grant.pbx);
        return Some(Refusal::Forbidden(why));
    }
    match access.standing(grant, &record.tenant) {
        Standing::Allowed => None,
        Standing::Forbidden => {
            let why =
                format!("the leg is of tenant {}, pbx {} may not speak for it", record.tenant, grant.pbx);
            Some(Refusal::Forbidden(why))
        }
        Standing::Unknown => {
            let why = format!("no tenant has the key {}; add it, then replay this", record.tenant);
            Some(Refusal::UnknownTenant(why))
        }
    }
}

/// A record that could be read is kept in format 1, whatever it was written in: so it can be replayed.
fn refused(grant: &Grant, record: &LegRecord, refusal: Refusal) -> DeadLetter {
    DeadLetter {
        dialect: Dialect::Native,
        pbx: grant.pbx.clone(),
        position: format!("leg {}", record.leg),
        bytes: serde_json::to_vec(record).expect("a leg record has only text keys"),
        refusal,
    }
}
