//! What is left of a forgotten session: enough to tell a repeat from a late leg (architecture.md, Late repeats).

use std::collections::VecDeque;

use crate::hash::Map;
use ringpost_model::SessionId;

use super::{Machine, Place, Refusal};
use crate::pack::records;
use crate::slab::Slab;
use crate::space::{Naming, Space};

/// Whether a leg that is not known can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// Said before the session was forgotten.
    Repeat,
    Refused(Refusal),
}

/// One forgotten session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stub {
    /// Its key in the kept state.
    pub(super) key: Vec<u8>,
    pub(super) until: i64,
    pub(super) id: SessionId,
    pub(super) rev: u32,
    pub(super) legs: Vec<StubLeg>,
}

/// One leg of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StubLeg {
    pub(super) hash: u64,
    /// Greatest edition.
    pub(super) rev: u64,
    /// Whether a bridge with it ties.
    pub(super) ties: bool,
    /// Hashes of its records.
    pub(super) records: Vec<u64>,
}

/// All stubs of a partition, oldest first.
#[derive(Debug, Default)]
pub(super) struct Stubs {
    stubs: Slab<Stub>,
    /// Which stub, which leg of it.
    by_leg: Map<u64, (u32, u32)>,
    order: VecDeque<u32>,
    legs: usize,
}

impl Stubs {
    pub(super) fn legs(&self) -> usize {
        self.legs
    }

    pub(super) fn add(&mut self, stub: Stub) {
        self.legs += stub.legs.len();
        let hashes: Vec<u64> = stub.legs.iter().map(|leg| leg.hash).collect();
        let at = self.stubs.insert(stub);
        for (leg, hash) in hashes.into_iter().enumerate() {
            self.by_leg.insert(hash, (at, leg as u32));
        }
        self.order.push_back(at);
    }

    /// Takes out the oldest stub that is too old or too much.
    fn expire(&mut self, now: i64, most_legs: usize) -> Option<Stub> {
        let at = *self.order.front()?;
        if self.stubs[at].until > now && self.legs <= most_legs {
            return None;
        }
        self.order.pop_front();
        let stub = self.stubs.remove(at)?;
        self.legs -= stub.legs.len();
        for leg in &stub.legs {
            if self.by_leg.get(&leg.hash).is_some_and(|(owner, _)| *owner == at) {
                self.by_leg.remove(&leg.hash);
            }
        }
        Some(stub)
    }

    fn leg(&self, hash: u64) -> Option<&StubLeg> {
        let (stub, leg) = self.by_leg.get(&hash)?;
        self.stubs[*stub].legs.get(*leg as usize)
    }

    /// Adds a leg, or a record of one, to the stub that has another one. Tells what is to be kept; none = there is no such
    /// stub.
    pub(super) fn learn(&mut self, of: u64, new: &StubLeg) -> Option<(Vec<u8>, Vec<u8>)> {
        let at = self.by_leg.get(&of)?.0;
        let stub = &mut self.stubs[at];
        match stub.legs.iter_mut().find(|leg| leg.hash == new.hash) {
            Some(known) => {
                known.rev = known.rev.max(new.rev);
                known.records.extend(&new.records);
            }
            None => {
                self.by_leg.insert(new.hash, (at, stub.legs.len() as u32));
                stub.legs.push(new.clone());
                self.legs += 1;
            }
        }
        Some((stub.key.clone(), super::state::encode_stub(stub)))
    }

    /// Judges a record of a leg that is not known.
    pub(super) fn judge(&self, space: &Space, id: &str, packed: &[u8], said: &Naming, ties: bool) -> Verdict {
        if self.by_leg.is_empty() {
            return Verdict::Taken;
        }
        if let Some(stub) = self.leg(leg_hash(space, id)) {
            let edition = records(packed).find_map(|(record, _)| record.rev);
            let said_before =
                stub.records.contains(&fnv(packed)) || edition.is_some_and(|rev| rev < stub.rev);
            return if said_before { Verdict::Repeat } else { Verdict::Refused(Refusal::TooLate) };
        }
        let linked = said.links.iter().any(|link| self.leg(leg_hash(space, link)).is_some());
        let bridged =
            ties && said.names.iter().any(|name| self.leg(leg_hash(space, name)).is_some_and(|leg| leg.ties));
        if linked || bridged { Verdict::Refused(Refusal::TooLate) } else { Verdict::Taken }
    }
}

impl Machine {
    /// Leaves a stub of a session that is about to be forgotten.
    pub(super) fn leave_stub(&mut self, place: Place, at: i64) {
        let here = &self.spaces[place.0 as usize];
        let Some(dedupe) = self.config.dedupe else {
            for emitted in &here.sessions[place.1].emitted {
                self.revisions.forgotten(emitted.id);
            }
            return;
        };
        let session = &here.sessions[place.1];
        let legs = session.legs.iter().map(|leg| {
            let known = &here.legs[*leg];
            StubLeg {
                hash: leg_hash(here, &known.id),
                rev: known.rev,
                ties: known.kind.ties(),
                records: records(&known.packed).map(|(_, framed)| fnv(framed)).collect(),
            }
        });
        let legs = legs.collect();
        let id = here.session_id(place.1);
        let rev = session.emitted.first().map_or(0, |emitted| emitted.rev);
        let until = at.saturating_add(dedupe);
        // A leg id may be used again once its stub is gone; the time keeps the keys of two stubs apart.
        let mut key = vec![b'd'];
        key.extend_from_slice(&fnv(&self.state_key(place)).to_be_bytes());
        key.extend_from_slice(&until.to_be_bytes());
        key.extend_from_slice(here.tenant.as_str().as_bytes());
        let stub = Stub { key, until, id, rev, legs };
        if self.config.changes {
            self.other_changes.insert(stub.key.clone(), Some(super::state::encode_stub(&stub)));
        }
        self.stubs.add(stub);
    }

    pub(super) fn expire_stubs(&mut self) {
        while let Some(stub) = self.stubs.expire(self.now, self.config.dedupe_legs) {
            self.revisions.forgotten(stub.id);
            if self.config.changes {
                self.other_changes.insert(stub.key, None);
            }
        }
    }
}

/// Hash of a leg's whole name.
pub(super) fn leg_hash(space: &Space, id: &str) -> u64 {
    let mut hash = Fnv::default();
    for part in [space.tenant.as_str(), space.pbx.as_str(), id] {
        hash.write(part.as_bytes());
        hash.write(&[0x1f]);
    }
    hash.finish()
}

/// Hash of bytes, the same in every process and version.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = Fnv::default();
    hash.write(bytes);
    hash.finish()
}

/// FNV-1a with 64 bits, mixed at the end. `ahash` is faster but differs from machine to machine.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }
}
