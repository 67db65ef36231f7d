//! The state as changes by key: what the bus keeps together with the outputs, and reads back at restart.
//!
//! Keys: `m` the time of the stream; `s…` a live or kept session, under the leg it began with; `d…` a stub; `r…` a
//! revision given to a record that was enriched again. All but the first name the tenant ([`super::whose()`]).
//! Values begin with their format's version. An unknown version is an error: the state must not be lost by a
//! step back to an older program.

use std::sync::Arc;

use ringpost_model::{PbxKey, SessionId, TenantKey};
use uuid::Uuid;

use super::stubs::{Stub, StubLeg};
use super::{Machine, Place, Wake};
use crate::config::Config;
use crate::pack::{Reader, records, signed, text, unsigned};
use crate::settings::Settings;
use crate::space::{Emitted, NONE, Naming, Phase, Told};

/// Format of the values written.
pub(super) const VERSION: u8 = 1;

/// Key of the time of the stream.
pub(super) const META: &[u8] = b"m";

/// A value to keep under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Given at birth; it never changes.
    pub key: Vec<u8>,
    /// None = delete.
    pub value: Option<Vec<u8>>,
}

/// Why a kept state cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Written by another version.
    #[error(
        "restore the state under key {key:?}: format {version}, this version knows {VERSION}; run the version that wrote it"
    )]
    Version {
        /// In which value.
        key: String,
        /// What it says.
        version: u8,
    },
    /// Not what we write.
    #[error("restore the state under key {key:?}: the value is damaged; rebuild the state from the log")]
    Damaged {
        /// In which value.
        key: String,
    },
}

impl Machine {
    /// A machine that goes on where another one's state was kept. Counters begin at 0.
    ///
    /// # Errors
    /// A value of another version, or a damaged one.
    pub fn restore(
        config: Config,
        settings: Arc<Settings>,
        state: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, RestoreError> {
        let mut machine = Self::new(config, settings);
        let mut stubs = Vec::new();
        for (key, value) in state {
            let shown = || String::from_utf8_lossy(&key).into_owned();
            let (version, body) =
                value.split_first().ok_or_else(|| RestoreError::Damaged { key: shown() })?;
            if *version != VERSION {
                return Err(RestoreError::Version { key: shown(), version: *version });
            }
            let mut reader = Reader { bytes: body };
            let read = match key.first() {
                Some(b'm') => reader.signed().map(|now| machine.now = now),
                Some(b's') => machine.read_session(&mut reader),
                Some(b'r') => machine.read_given(&key, &mut reader),
                Some(b'd') => decode_stub(&key, &mut reader).map(|stub| stubs.push(stub)),
                _ => None,
            };
            read.ok_or_else(|| RestoreError::Damaged { key: shown() })?;
        }
        stubs.sort_by(|a, b| (a.until, &a.key).cmp(&(b.until, &b.key)));
        for stub in stubs {
            machine.revisions.emitted(stub.id, stub.rev);
            machine.stubs.add(stub);
        }
        machine.set_timers();
        Ok(machine)
    }

    /// What changed since the last call: to be kept together with the outputs since then, or not at all.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let mut changes: std::collections::BTreeMap<Vec<u8>, Option<Vec<u8>>> =
            std::mem::take(&mut self.other_changes);
        for place in std::mem::take(&mut self.dirty) {
            changes.insert(self.state_key(place), Some(self.encode_session(place)));
        }
        if !changes.is_empty() {
            let mut now = vec![VERSION];
            signed(&mut now, self.now);
            changes.insert(META.to_vec(), Some(now));
        }
        changes.into_iter().map(|(key, value)| Change { key, value }).collect()
    }

    /// The key of a session in the kept state.
    pub(super) fn state_key(&self, place: Place) -> Vec<u8> {
        let here = &self.spaces[place.0 as usize];
        let birth = &here.legs[here.sessions[place.1].birth].id;
        let mut key = vec![b's'];
        for part in [here.tenant.as_str(), here.pbx.as_str(), birth] {
            key.push(0x1f);
            key.extend_from_slice(part.as_bytes());
        }
        key
    }

    fn encode_session(&self, place: Place) -> Vec<u8> {
        let here = &self.spaces[place.0 as usize];
        let session = &here.sessions[place.1];
        let mut bytes = Vec::with_capacity(session.bytes + 64);
        bytes.push(VERSION);
        text(&mut bytes, here.tenant.as_str());
        text(&mut bytes, here.pbx.as_str());
        text(&mut bytes, &here.legs[session.birth].id);
        match session.phase {
            Phase::Open { .. } => bytes.push(0),
            Phase::Kept { due, until } => {
                bytes.push(1);
                signed(&mut bytes, due);
                signed(&mut bytes, until);
            }
        }
        let flags = [session.full, session.told.ringing, session.told.answered, session.told.hangup];
        bytes.push(flags.iter().enumerate().map(|(at, flag)| u8::from(*flag) << at).sum());
        unsigned(&mut bytes, session.legs.len() as u64);
        for leg in &session.legs {
            let known = &here.legs[*leg];
            text(&mut bytes, &known.id);
            signed(&mut bytes, known.touched);
            unsigned(&mut bytes, u64::from(known.glue));
            unsigned(&mut bytes, known.packed.len() as u64);
            bytes.extend_from_slice(&known.packed);
        }
        unsigned(&mut bytes, session.emitted.len() as u64);
        for emitted in &session.emitted {
            unsigned(&mut bytes, u64::from(emitted.glue));
            unsigned(&mut bytes, u64::from(emitted.rev));
            bytes.extend_from_slice(emitted.id.0.as_bytes());
            bytes.extend_from_slice(emitted.print.as_bytes());
            unsigned(&mut bytes, emitted.replaces.len() as u64);
            emitted.replaces.iter().for_each(|id| bytes.extend_from_slice(id.0.as_bytes()));
        }
        self.encode_links(place, &mut bytes);
        bytes
    }

    /// Of the links that the session's legs carry: which are broken, and whom the others had refused.
    fn encode_links(&self, place: Place, bytes: &mut Vec<u8>) {
        let here = &self.spaces[place.0 as usize];
        let legs = here.sessions[place.1].legs.iter();
        let mut marked: Vec<Box<str>> =
            legs.flat_map(|leg| Naming::of(&here.legs[*leg].packed).links).collect();
        marked
            .retain(|text| here.links.get(text).is_some_and(|link| link.broken || !link.refused.is_empty()));
        marked.sort_unstable();
        marked.dedup();
        unsigned(bytes, marked.len() as u64);
        for link in marked.iter().filter_map(|text| here.links.get_key_value(text)) {
            text(bytes, link.0);
            bytes.push(u8::from(link.1.broken));
            unsigned(bytes, link.1.refused.len() as u64);
            link.1.refused.iter().for_each(|hash| bytes.extend_from_slice(&hash.to_be_bytes()));
        }
    }

    fn read_session(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let tenant = TenantKey::new(reader.text()?).ok()?;
        let pbx = PbxKey::new(reader.text()?).ok()?;
        let birth_id = reader.text()?;
        let phase = match reader.byte()? {
            0 => Phase::Open { due: i64::MAX, complete: false },
            _ => Phase::Kept { due: reader.signed()?, until: reader.signed()? },
        };
        let flags = reader.byte()?;
        let space = self.space(&tenant, &pbx);
        let mut legs = Vec::new();
        for _ in 0..reader.unsigned()? {
            legs.push(self.read_leg(space, reader)?);
        }
        let here = &mut self.spaces[space as usize];
        let birth = *here.by_id.get(birth_id)?;
        let session = here.add_session(legs, birth, phase);
        let flag = |at: u8| flags & (1 << at) != 0;
        here.sessions[session].full = flag(0);
        here.sessions[session].told = Told { ringing: flag(1), answered: flag(2), hangup: flag(3) };
        for _ in 0..reader.unsigned()? {
            let emitted = read_emitted(reader)?;
            here.last_glue = here.last_glue.max(emitted.glue);
            self.revisions.emitted(emitted.id, emitted.rev);
            emitted.replaces.iter().for_each(|absorbed| self.revisions.absorbed(*absorbed));
            here.sessions[session].emitted.push(emitted);
        }
        for _ in 0..reader.unsigned()? {
            let link = here.links.get_mut(reader.text()?)?;
            link.broken = reader.byte()? == 1;
            for _ in 0..reader.unsigned()? {
                let hash = read_hash(reader)?;
                if !link.refused.contains(&hash) {
                    link.refused.push(hash);
                }
            }
        }
        Some(())
    }

    fn read_leg(&mut self, space: u32, reader: &mut Reader<'_>) -> Option<u32> {
        let here = &mut self.spaces[space as usize];
        let id = reader.text()?;
        let touched = reader.signed()?;
        let glue = u32::try_from(reader.unsigned()?).ok()?;
        let length = usize::try_from(reader.unsigned()?).ok()?;
        let packed = reader.take(length)?;
        let leg = here.add_leg(id);
        let _ = here.index(leg, &Naming::of(packed));
        let rev = records(packed).filter_map(|(record, _)| record.rev).max().unwrap_or_default();
        here.set_records(leg, packed.to_vec(), rev);
        here.legs[leg].touched = touched;
        here.legs[leg].glue = glue;
        here.last_glue = here.last_glue.max(glue);
        Some(leg)
    }

    /// Due times need all sessions, since one may lack a leg that another one has.
    fn set_timers(&mut self) {
        for space in 0..self.spaces.len() as u32 {
            let here = &self.spaces[space as usize];
            debug_assert!(here.legs.iter().all(|(_, known)| known.session != NONE));
            let sessions: Vec<(u32, Phase)> =
                here.sessions.iter().map(|(session, of)| (session, of.phase)).collect();
            for (session, phase) in sessions {
                match phase {
                    Phase::Open { .. } => self.schedule((space, session)),
                    Phase::Kept { until, .. } => {
                        self.spaces[space as usize].kept += 1;
                        self.timers.insert((until, Wake::Forget, (space, session)));
                    }
                }
            }
        }
        self.dirty.clear();
    }
}

fn read_emitted(reader: &mut Reader<'_>) -> Option<Emitted> {
    let glue = u32::try_from(reader.unsigned()?).ok()?;
    let rev = u32::try_from(reader.unsigned()?).ok()?;
    let id = SessionId(read_uuid(reader)?);
    let print = read_uuid(reader)?;
    let mut replaces = Vec::new();
    for _ in 0..reader.unsigned()? {
        replaces.push(SessionId(read_uuid(reader)?));
    }
    Some(Emitted { glue, id, rev, print, replaces })
}

fn read_hash(reader: &mut Reader<'_>) -> Option<u64> {
    Some(u64::from_be_bytes(reader.take(8)?.try_into().ok()?))
}

pub(super) fn read_uuid(reader: &mut Reader<'_>) -> Option<Uuid> {
    Uuid::from_slice(reader.take(16)?).ok()
}

/// The value of a stub.
pub(super) fn encode_stub(stub: &Stub) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    signed(&mut bytes, stub.until);
    bytes.extend_from_slice(stub.id.0.as_bytes());
    unsigned(&mut bytes, u64::from(stub.rev));
    unsigned(&mut bytes, stub.legs.len() as u64);
    for leg in &stub.legs {
        bytes.extend_from_slice(&leg.hash.to_be_bytes());
        unsigned(&mut bytes, leg.rev);
        bytes.push(u8::from(leg.ties));
        unsigned(&mut bytes, leg.records.len() as u64);
        leg.records.iter().for_each(|hash| bytes.extend_from_slice(&hash.to_be_bytes()));
    }
    bytes
}

fn decode_stub(key: &[u8], reader: &mut Reader<'_>) -> Option<Stub> {
    let until = reader.signed()?;
    let id = SessionId(read_uuid(reader)?);
    let rev = u32::try_from(reader.unsigned()?).ok()?;
    let mut legs = Vec::new();
    for _ in 0..reader.unsigned()? {
        let (of_leg, edition, ties) = (read_hash(reader)?, reader.unsigned()?, reader.byte()? == 1);
        let mut hashes = Vec::new();
        for _ in 0..reader.unsigned()? {
            hashes.push(read_hash(reader)?);
        }
        legs.push(StubLeg { hash: of_leg, rev: edition, ties, records: hashes });
    }
    Some(Stub { key: key.to_vec(), until, id, rev, legs })
}
