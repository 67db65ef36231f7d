//! Closing: the record is worked out, compared with what went out before, and put out.

use ringpost_model::{Cdr, Envelope, SessionId, Timestamp};
use uuid::Uuid;

use super::{Machine, Output, Place, Wake};
use crate::config::Mode;
use crate::parties::Parties;
use crate::record::{Origin, Worked, leg_id, work_out};
use crate::space::{Emitted, Phase, Space, Standing};

/// Namespace of the hashes that tell whether two records are the same.
const PRINT_NAMESPACE: Uuid = Uuid::from_u128(0x0c1d_5a8e_7a51_5d0e_9b0f_3c1c_7b60_11e4);

impl Machine {
    /// Closes an open session at its due time. `ending`: because the input ended.
    pub(super) fn close(&mut self, place: Place, at: i64, ending: bool) {
        let here = &mut self.spaces[place.0 as usize];
        let Phase::Open { due, .. } = here.sessions[place.1].phase else { return };
        self.timers.remove(&(due, Wake::Close, place));
        let standing = here.standing(place.1);
        if let Some(output) = self.record(place, at, standing, ending) {
            self.outputs.push_back(Output::Record(Box::new(output)));
        }
        self.tell_hangup(place, at);
        let kept = if standing.lacks_named { self.config.max_idle } else { self.config.late };
        let until = at.saturating_add(kept);
        self.spaces[place.0 as usize].sessions[place.1].phase = Phase::Kept { due: at, until };
        self.spaces[place.0 as usize].kept += 1;
        self.timers.insert((until, Wake::Forget, place));
        self.touch(place);
        self.release_named(place);
    }

    /// Closes a session that reached a cap.
    pub(super) fn check_caps(&mut self, space: u32, leg: u32) {
        if self.config.mode == Mode::Offline {
            return;
        }
        let place = (space, self.spaces[space as usize].legs[leg].session);
        let session = &mut self.spaces[space as usize].sessions[place.1];
        let reached =
            session.legs.len() >= self.config.max_legs || session.bytes >= self.config.max_session_bytes;
        if reached && !session.full {
            session.full = true;
            self.stats.capped += 1;
            self.close(place, self.now, false);
        }
    }

    /// What this session named need no longer be kept on its account.
    fn release_named(&mut self, place: Place) {
        if self.overdue.is_empty() {
            return;
        }
        let here = &self.spaces[place.0 as usize];
        let names: Vec<Box<str>> =
            here.sessions[place.1].legs.iter().flat_map(|leg| here.names_of(*leg)).map(Box::from).collect();
        self.recheck_overdue(place.0, &names);
    }

    /// The record to put out: none without a person leg, or where it would be as before.
    pub(super) fn record(
        &mut self,
        place: Place,
        at: i64,
        standing: Standing,
        ending: bool,
    ) -> Option<Envelope> {
        let here = &self.spaces[place.0 as usize];
        let mut parties = gather(here, place.1);
        let origin = Origin { tenant: &here.tenant, pbx: &here.pbx, settings: &here.settings };
        let mut worked = work_out(&mut parties, origin)?;
        self.stats.negative_intervals += worked.counts.negative;
        self.stats.clock_disagreements += worked.counts.disagreements;
        self.stats.unknown_bridges += worked.counts.unknown;
        let session = &here.sessions[place.1];
        let by_gap = standing.waits_for_named() && !ending;
        let broken = session.legs.iter().any(|leg| here.carries_broken(*leg));
        self.stats.broken_sessions += u64::from(broken);
        worked.cdr.partial = session.full || broken || !standing.all_ended || by_gap;
        if !worked.has_person {
            self.stats.without_person += 1;
            self.glue(place, None);
            return None;
        }
        let legs = crate::legs::of(&parties);
        let fresh = self.revise(place, &mut worked.cdr);
        if !fresh {
            self.stats.unchanged += 1;
            return None;
        }
        Some(self.envelope(place, at, worked, legs))
    }

    fn envelope(
        &mut self,
        place: Place,
        at: i64,
        worked: Worked,
        legs: Vec<ringpost_model::Leg>,
    ) -> Envelope {
        let cdr = worked.cdr;
        self.stats.emitted += 1;
        self.stats.revisions += u64::from(cdr.rev > 1);
        self.stats.partial += u64::from(cdr.partial);
        let here = &self.spaces[place.0 as usize];
        Envelope {
            v: 1,
            tenant: here.tenant.clone(),
            pbx: here.pbx.clone(),
            session: cdr.id,
            rev: cdr.rev,
            emitted: Timestamp::from_micros(at),
            cdr,
            context: worked.context,
            legs,
            timeline: worked.timeline,
            tables: std::collections::BTreeMap::new(),
            cut: Vec::new(),
            quiet: false,
        }
    }

    /// Gives the record its id and revision by what went out before. Whether it has to go out.
    fn revise(&mut self, place: Place, cdr: &mut Cdr) -> bool {
        let here = &mut self.spaces[place.0 as usize];
        let leading = here.leading(place.1);
        let mut before = std::mem::take(&mut here.sessions[place.1].emitted);
        let Some(leading) = leading else {
            let first = Emitted { glue: 0, id: cdr.id, rev: 1, print: print(cdr), replaces: Vec::new() };
            self.note_emitted(&first, &[]);
            self.glue(place, Some(first));
            return true;
        };
        let mut emitted = before.swap_remove(leading);
        self.stats.absorbed += before.len() as u64;
        let absorbed: Vec<SessionId> = before.iter().map(|one| one.id).collect();
        absorb(&mut emitted.replaces, before);
        cdr.id = emitted.id;
        cdr.replaces.clone_from(&emitted.replaces);
        let print = print(cdr);
        let differs = print != emitted.print;
        if differs {
            emitted.rev = emitted.rev.max(self.revisions.given(emitted.id)) + 1;
            emitted.print = print;
        }
        cdr.rev = emitted.rev;
        self.note_emitted(&emitted, &absorbed);
        self.glue(place, Some(emitted));
        differs
    }

    /// An input that ends is never enriched again.
    fn note_emitted(&mut self, emitted: &Emitted, absorbed: &[SessionId]) {
        if self.config.mode == Mode::Stream {
            self.revisions.emitted(emitted.id, emitted.rev);
            absorbed.iter().for_each(|absorbed| self.revisions.absorbed(*absorbed));
        }
    }

    /// What closes as one session stays one.
    fn glue(&mut self, place: Place, emitted: Option<Emitted>) {
        let here = &mut self.spaces[place.0 as usize];
        here.last_glue += 1;
        let glue = here.last_glue;
        for leg in here.sessions[place.1].legs.clone() {
            here.legs[leg].glue = glue;
        }
        // Without a record now, an earlier one still stands.
        let session = &mut here.sessions[place.1];
        if let Some(emitted) = emitted {
            session.emitted = vec![emitted];
        }
        session.emitted.iter_mut().for_each(|emitted| emitted.glue = glue);
    }
}

/// Lists absorbed sessions and what those had absorbed, in byte order.
fn absorb(replaces: &mut Vec<SessionId>, absorbed: Vec<Emitted>) {
    for one in absorbed {
        replaces.push(one.id);
        replaces.extend(one.replaces);
    }
    replaces.sort_unstable();
    replaces.dedup();
}

/// Hash of a record, its revision left out.
fn print(cdr: &mut Cdr) -> Uuid {
    let rev = std::mem::replace(&mut cdr.rev, 1);
    let mut text = Vec::with_capacity(2_048);
    serde_json::to_writer(&mut text, cdr).expect("a record is always printed");
    cdr.rev = rev;
    Uuid::new_v5(&PRINT_NAMESPACE, &text)
}

/// The legs of a session, and those of other sessions that they met.
pub(super) fn gather(here: &Space, session: u32) -> Parties<'_> {
    let legs = &here.sessions[session].legs;
    let own: Vec<_> = legs.iter().map(|leg| (&*here.legs[*leg].id, here.legs[*leg].merged())).collect();
    let mut met: Vec<u32> = Vec::new();
    for leg in legs {
        met.extend(here.names_of(*leg).filter_map(|name| here.by_id.get(name)));
        met.extend(here.namers.get(&*here.legs[*leg].id).into_iter().flatten());
    }
    met.retain(|leg| here.legs[*leg].session != session);
    met.sort_unstable();
    met.dedup();
    let foreign = met.into_iter().map(|leg| (&*here.legs[leg].id, here.legs[leg].merged())).collect();
    debug_assert!(legs.iter().all(|leg| leg_id(&here.legs[*leg].id).as_str() == &*here.legs[*leg].id));
    Parties::new(own, foreign)
}
