//! What becomes of a body: records to be stored, dead letters, and what the sender is told.

use std::fmt;
use std::time::Duration;

use ringpost_ingest::{Reason, Reject, Source, decode};
use ringpost_model::{Dialect, LegRecord, PbxKey, SwitchNotice, TenantKey, Timestamp};

use crate::access::{Access, Grant, Standing};

/// Where accepted legs and dead letters go. An edge: the log and the store in the process, a value in tests.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Makes records and dead letters durable, all or none, before it returns.
    ///
    /// # Errors
    /// Nothing of it is stored, and when to try again.
    fn store(&self, delivered: Delivered) -> impl Future<Output = Result<(), NotStored>> + Send;

    /// What time it is: when a request arrived, for messages without a time of their own.
    fn now(&self) -> Timestamp;
}

/// Everything that one request, or one reading of a file, brought.
#[derive(Debug, Clone, Default)]
pub struct Delivered {
    /// In what it was written.
    pub dialect: Dialect,
    /// Elements that could be read. Rows of a table may say nothing.
    pub read: u64,
    /// To be joined into sessions.
    pub records: Vec<LegRecord>,
    /// What the switch tells beside calls.
    pub notices: Vec<SwitchNotice>,
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
    /// By which input it came, in words.
    pub input: String,
    /// Where in the input it stood, in words.
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
    /// How a tenant's standing is told to whoever sent `what` of it; none = it is allowed.
    pub(crate) fn of(what: &str, grant: &Grant, tenant: &TenantKey, standing: Standing) -> Option<Self> {
        match standing {
            Standing::Allowed => None,
            Standing::Forbidden => {
                let why = format!("the {what} is of tenant {tenant}, pbx {} may not speak for it", grant.pbx);
                Some(Self::Forbidden(why))
            }
            Standing::Unknown => {
                let why = format!("no tenant has the key {tenant}; add it, then replay this");
                Some(Self::UnknownTenant(why))
            }
        }
    }

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
pub(crate) fn judge(
    access: &Access,
    grant: &Grant,
    content_type: Option<&str>,
    received: Timestamp,
    body: &[u8],
) -> Delivered {
    let source = Source { content_type, received: Some(received), ..grant.source() };
    let decoded = decode(grant.dialect, &source, body);
    let judge = Judge { access, grant, input: &format!("http {}", grant.pbx) };
    let read = decoded.accepted + decoded.notes.headers;
    let mut delivered = Delivered { dialect: grant.dialect, read, ..Delivered::default() };
    for reject in decoded.rejects {
        let position = reject.position.to_string();
        delivered.dead_letters.push(judge.unreadable(reject, position));
    }
    for record in decoded.records {
        let position = format!("leg {}", record.leg);
        judge.record(record, || position, &mut delivered);
    }
    for notice in decoded.notices {
        let position = format!("notice {}", notice.name);
        judge.notice(notice, || position, &mut delivered);
    }
    delivered
}

/// Judges what one input brings.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// Which tenants there are.
    pub access: &'a Access,
    /// What the input may write.
    pub grant: &'a Grant,
    /// Names it in dead letters: `http k1`, `file /var/log/cdr.json`.
    pub input: &'a str,
}

impl Judge<'_> {
    /// The dead letter of an element that cannot be read. `position`: where in the input it stands, in words.
    pub fn unreadable(&self, reject: Reject, position: String) -> DeadLetter {
        DeadLetter {
            dialect: self.grant.dialect,
            pbx: self.grant.pbx.clone(),
            input: self.input.to_owned(),
            position,
            bytes: reject.bytes,
            refusal: Refusal::Unreadable(reject.reason),
        }
    }

    /// Adds a record to what is delivered: to the records, or with the reason to the dead letters. There it is kept in
    /// format 1, whatever it was written in: so it can be replayed.
    pub fn record(&self, record: LegRecord, position: impl FnOnce() -> String, delivered: &mut Delivered) {
        let Some(refusal) = self.refusal("leg", &record.pbx, &record.tenant) else {
            return delivered.records.push(record);
        };
        delivered.dead_letters.push(DeadLetter {
            dialect: Dialect::Native,
            pbx: self.grant.pbx.clone(),
            input: self.input.to_owned(),
            position: position(),
            bytes: serde_json::to_vec(&record).expect("a leg record has only text keys"),
            refusal,
        });
    }

    /// Adds a notice likewise. In the dead letters it is kept as the switch would tell it, without its secrets.
    pub fn notice(&self, notice: SwitchNotice, position: impl FnOnce() -> String, delivered: &mut Delivered) {
        let Some(refusal) = self.refusal("notice", &notice.pbx, &notice.tenant) else {
            return delivered.notices.push(notice);
        };
        delivered.dead_letters.push(DeadLetter {
            dialect: self.grant.dialect,
            pbx: self.grant.pbx.clone(),
            input: self.input.to_owned(),
            position: position(),
            bytes: serde_json::to_vec(&notice.data).expect("JSON was read from JSON"),
            refusal,
        });
    }

    fn refusal(&self, what: &str, pbx: &PbxKey, tenant: &TenantKey) -> Option<Refusal> {
        let grant = self.grant;
        if *pbx != grant.pbx {
            let why = format!("the {what} is of pbx {pbx}, what it came by is of {}", grant.pbx);
            return Some(Refusal::Forbidden(why));
        }
        Refusal::of(what, grant, tenant, self.access.standing(grant, tenant))
    }
}
