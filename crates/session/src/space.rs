//! All legs and sessions known of one tenant on one pbx, and the indexes that tie them. Sessions never cross it.

use std::sync::Arc;

use crate::hash::Map;
use ringpost_model::{LegDirection, PbxKey, SessionId, TenantKey};
use uuid::Uuid;

use crate::merge::{Merged, merge};
use crate::pack::records;
use crate::parties::{Kind, kind};
use crate::roles::{Candidate, root};
use crate::settings::PbxSettings;
use crate::slab::Slab;

mod bridges;
mod ties;

pub(crate) use ties::Naming;

/// No session yet.
pub(crate) const NONE: u32 = u32::MAX;

/// What is kept of one leg.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) id: Arc<str>,
    /// Its records, packed one after another; of `leg` records only those of the greatest edition.
    pub(crate) packed: Vec<u8>,
    pub(crate) rev: u64,
    pub(crate) created: i64,
    pub(crate) has_ended: bool,
    pub(crate) kind: Kind,
    pub(crate) is_in: bool,
    /// Time of the stream when it last changed, or when another session's record made its session complete.
    pub(crate) touched: i64,
    pub(crate) session: u32,
    /// Legs that closed together share one; 0 = never closed.
    pub(crate) glue: u32,
}

impl Known {
    pub(crate) fn merged(&self) -> Merged<'_> {
        merge(records(&self.packed).map(|(record, _)| record))
    }

    fn candidate(&self) -> Candidate<'_> {
        let is_person = self.kind == Kind::Person;
        Candidate { created: self.created, id: &self.id, is_person, is_in: self.is_in }
    }
}

/// A link, and who carries it.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) carriers: Vec<u32>,
    /// Carried by too many: ties nobody.
    pub(crate) broken: bool,
    /// Hashes of legs that carried it and were refused because their session was full.
    pub(crate) refused: Vec<u64>,
}

/// Where a session stands. Times are of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for more; closes at `due`.
    Open { due: i64, complete: bool },
    /// Closed at `due`, forgotten at `until`.
    Kept { due: i64, until: i64 },
}

/// A record that went out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Emitted {
    /// Which of the session's legs it was made of.
    pub(crate) glue: u32,
    pub(crate) id: SessionId,
    pub(crate) rev: u32,
    /// Hash of the record without its revision.
    pub(crate) print: Uuid,
    pub(crate) replaces: Vec<SessionId>,
}

/// Call events that a session puts out once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Told {
    pub(crate) ringing: bool,
    pub(crate) answered: bool,
    pub(crate) hangup: bool,
}

/// Legs that belong together.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) legs: Vec<u32>,
    /// The leg it began with, which gives its key in the state.
    pub(crate) birth: u32,
    pub(crate) phase: Phase,
    pub(crate) emitted: Vec<Emitted>,
    pub(crate) bytes: usize,
    /// Reached a cap: takes no further legs.
    pub(crate) full: bool,
    pub(crate) told: Told,
}

/// How far a session is from closing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// The last change to one of its legs.
    pub(crate) touched: i64,
    pub(crate) all_ended: bool,
    /// A leg named in its bridges is not known.
    pub(crate) lacks_named: bool,
    pub(crate) has_in_person: bool,
    pub(crate) complete: bool,
}

impl Standing {
    /// Nothing is missing but legs that its bridges name.
    pub(crate) const fn waits_for_named(&self) -> bool {
        self.all_ended && self.has_in_person && self.lacks_named
    }
}

/// One tenant on one pbx.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) tenant: TenantKey,
    pub(crate) pbx: PbxKey,
    pub(crate) settings: Arc<PbxSettings>,
    pub(crate) legs: Slab<Known>,
    pub(crate) by_id: Map<Arc<str>, u32>,
    pub(crate) links: Map<Box<str>, Link>,
    /// Which legs name a leg id in their bridges.
    pub(crate) namers: Map<Box<str>, Vec<u32>>,
    pub(crate) sessions: Slab<Session>,
    /// How many of them are closed, and kept.
    pub(crate) kept: usize,
    pub(crate) last_glue: u32,
}

impl Space {
    pub(crate) fn new(tenant: TenantKey, pbx: PbxKey, settings: Arc<PbxSettings>) -> Self {
        Self {
            tenant,
            pbx,
            settings,
            legs: Slab::default(),
            by_id: Map::default(),
            links: Map::default(),
            namers: Map::default(),
            sessions: Slab::default(),
            kept: 0,
            last_glue: 0,
        }
    }

    /// Sessions that are not closed.
    pub(crate) fn live(&self) -> usize {
        self.sessions.len() - self.kept
    }

    /// Takes in a leg without any record yet.
    pub(crate) fn add_leg(&mut self, id: &str) -> u32 {
        let id: Arc<str> = id.into();
        let known = Known {
            id: id.clone(),
            packed: Vec::new(),
            rev: 0,
            created: 0,
            has_ended: false,
            kind: Kind::Person,
            is_in: false,
            touched: 0,
            session: NONE,
            glue: 0,
        };
        let leg = self.legs.insert(known);
        self.by_id.insert(id, leg);
        leg
    }

    /// Puts new records in the place of a leg's old ones, with what is looked up often.
    pub(crate) fn set_records(&mut self, leg: u32, packed: Vec<u8>, rev: u64) {
        let known = &mut self.legs[leg];
        let grown = packed.len() as isize - known.packed.len() as isize;
        known.packed = packed;
        // Live legs are many, and most of them never get a second record.
        known.packed.shrink_to_fit();
        known.rev = rev;
        let merged = known.merged();
        let (created, has_ended) = (merged.created, merged.ended.is_some());
        let (kind, is_in) =
            (kind(merged.side(), merged.service()), merged.direction() == Some(LegDirection::In));
        (known.created, known.has_ended, known.kind, known.is_in) = (created, has_ended, kind, is_in);
        let session = known.session;
        if session != NONE {
            let bytes = &mut self.sessions[session].bytes;
            *bytes = bytes.saturating_add_signed(grown);
        }
    }

    /// Starts a session of one leg.
    pub(crate) fn add_session(&mut self, legs: Vec<u32>, birth: u32, phase: Phase) -> u32 {
        let bytes = legs.iter().map(|leg| self.legs[*leg].packed.len()).sum();
        let told = Told::default();
        let session = Session { legs, birth, phase, emitted: Vec::new(), bytes, full: false, told };
        let session = self.sessions.insert(session);
        for leg in self.sessions[session].legs.clone() {
            self.legs[leg].session = session;
        }
        session
    }

    /// How far a session is from closing.
    pub(crate) fn standing(&self, session: u32) -> Standing {
        let mut standing = Standing {
            touched: i64::MIN,
            all_ended: true,
            lacks_named: false,
            has_in_person: false,
            complete: false,
        };
        let (mut has_in, mut has_bridge) = (false, false);
        for leg in &self.sessions[session].legs {
            let known = &self.legs[*leg];
            standing.touched = standing.touched.max(known.touched);
            standing.all_ended &= known.has_ended;
            has_in |= known.is_in;
            standing.has_in_person |= known.is_in && known.kind == Kind::Person;
            for name in self.names_of(*leg) {
                match self.by_id.get(name) {
                    Some(other) => has_bridge |= other != leg,
                    None => standing.lacks_named = true,
                }
            }
            let named = self.namers.get(&*known.id);
            has_bridge |= named.is_some_and(|namers| namers.iter().any(|namer| namer != leg));
        }
        standing.complete = standing.all_ended && !standing.lacks_named && (has_in || has_bridge);
        standing
    }

    /// Legs that a leg's records name in bridges; a leg may come more than once.
    pub(crate) fn names_of(&self, leg: u32) -> impl Iterator<Item = &str> {
        records(&self.legs[leg].packed).flat_map(|(record, _)| record.names())
    }

    /// The id that the session would be emitted under now.
    pub(crate) fn session_id(&self, session: u32) -> SessionId {
        if let Some(at) = self.leading(session) {
            return self.sessions[session].emitted[at].id;
        }
        let legs = &self.sessions[session].legs;
        let root = self.root_of(legs.iter().copied()).expect("a session has a leg");
        SessionId::of_root(&self.tenant, &self.pbx, &crate::record::leg_id(&self.legs[root].id))
    }

    /// Of the records that went out of parts of this session, the one whose root is earliest.
    pub(crate) fn leading(&self, session: u32) -> Option<usize> {
        let session = &self.sessions[session];
        if session.emitted.len() < 2 {
            return (!session.emitted.is_empty()).then_some(0);
        }
        let age = |emitted: &Emitted| {
            let legs = session.legs.iter().copied().filter(|leg| self.legs[*leg].glue == emitted.glue);
            let root = self.root_of(legs).map(|root| &self.legs[root]);
            root.map(|root| (root.created, root.id.clone()))
        };
        (0..session.emitted.len()).min_by_key(|at| age(&session.emitted[*at]))
    }

    fn root_of(&self, legs: impl Iterator<Item = u32> + Clone) -> Option<u32> {
        let at = root(legs.clone().map(|leg| self.legs[leg].candidate()))?;
        legs.clone().nth(at)
    }
}
