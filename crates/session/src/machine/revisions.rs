//! Which revision of each session went out last, and revisions given to records that were made elsewhere: a record that
//! is enriched again (architecture.md, The log: only the worker that owns the partition gives out revisions).

use std::collections::BTreeSet;

use ringpost_model::{SessionId, TenantKey, Timestamp};

use super::Machine;
use super::state::{VERSION, read_uuid};
use crate::hash::Map;
use crate::pack::{Reader, signed, unsigned};

/// How long a given revision is known where stubs are not kept, in microseconds: a day.
const KEPT: i64 = 24 * 3600 * 1_000_000;
/// An absorbed session gets no revision of its own any more.
const ABSORBED: u32 = u32::MAX;

/// Revisions by session, of live, kept and forgotten ones.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    last: Map<SessionId, u32>,
    given: Map<SessionId, Given>,
    order: BTreeSet<(i64, SessionId)>,
}

#[derive(Debug)]
struct Given {
    rev: u32,
    until: i64,
    /// Its key in the kept state.
    key: Vec<u8>,
}

impl Revisions {
    /// A record went out.
    pub(super) fn emitted(&mut self, session: SessionId, rev: u32) {
        self.last.insert(session, rev);
    }

    /// A session has become part of another one.
    pub(super) fn absorbed(&mut self, session: SessionId) {
        self.last.insert(session, ABSORBED);
    }

    /// A session is forgotten, and its stub too.
    pub(super) fn forgotten(&mut self, session: SessionId) {
        self.last.remove(&session);
    }

    /// The revision that was given last to a record made elsewhere; 0 = none.
    pub(super) fn given(&self, session: SessionId) -> u32 {
        self.given.get(&session).map_or(0, |given| given.rev)
    }

    /// Tells what was given before.
    fn give(&mut self, session: SessionId, given: Given) -> Option<Given> {
        let until = given.until;
        let before = self.given.insert(session, given);
        if let Some(before) = &before {
            self.order.remove(&(before.until, session));
        }
        self.order.insert((until, session));
        before
    }

    fn expire(&mut self, now: i64) -> Option<Given> {
        let (until, session) = *self.order.first()?;
        if until > now {
            return None;
        }
        self.order.remove(&(until, session));
        self.given.remove(&session)
    }
}

impl Machine {
    /// Gives the next revision to a record that was made anew from revision `rev` of a tenant's session: kept, forgotten,
    /// or known to nobody any more. None: `rev` is not the last one. What comes after it has gone out, or the session is
    /// part of another one by now, so that this record is not to go out at all.
    pub fn amend(&mut self, now: Timestamp, tenant: &TenantKey, session: SessionId, rev: u32) -> Option<u32> {
        self.handle_timeout(now);
        let revisions = &mut self.revisions;
        let last = revisions.last.get(&session).copied().unwrap_or(0).max(revisions.given(session));
        if last > rev {
            self.stats.stale_amendments += 1;
            return None;
        }
        let next = rev.checked_add(1)?;
        let until = self.now.saturating_add(self.config.dedupe.unwrap_or(KEPT));
        let key = key(session, tenant);
        let before = self.revisions.give(session, Given { rev: next, until, key: key.clone() });
        if self.config.changes {
            // Older versions gave it a key that does not name the tenant.
            self.other_changes.extend(before.map(|before| (before.key, None)));
            self.other_changes.insert(key, Some(value(next, until)));
        }
        self.stats.emitted += 1;
        self.stats.revisions += 1;
        Some(next)
    }

    pub(super) fn expire_given(&mut self) {
        while let Some(given) = self.revisions.expire(self.now) {
            if self.config.changes {
                self.other_changes.insert(given.key, None);
            }
        }
    }

    /// Reads what [`value`] wrote.
    pub(super) fn read_given(&mut self, key: &[u8], reader: &mut Reader<'_>) -> Option<()> {
        let session = SessionId(read_uuid(&mut Reader { bytes: key.get(1..)? })?);
        let rev = u32::try_from(reader.unsigned()?).ok()?;
        let given = Given { rev, until: reader.signed()?, key: key.to_vec() };
        self.revisions.give(session, given);
        Some(())
    }
}

fn key(session: SessionId, tenant: &TenantKey) -> Vec<u8> {
    let mut key = vec![b'r'];
    key.extend_from_slice(session.0.as_bytes());
    key.extend_from_slice(tenant.as_str().as_bytes());
    key
}

fn value(rev: u32, until: i64) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    unsigned(&mut bytes, u64::from(rev));
    signed(&mut bytes, until);
    bytes
}
