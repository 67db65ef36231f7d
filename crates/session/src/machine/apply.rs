//! What a record changes: the leg, whom it belongs to, when its session is due.

use ringpost_model::LegRecord;

use super::stubs::{Verdict, leg_hash};
use super::{Machine, Output, Place, Refusal, Wake};
use crate::config::Mode;
use crate::merge::merge;
use crate::pack::{pack, records};
use crate::space::{Known, NONE, Naming, Phase, Space};

/// What is kept of a leg after a record, if the record is not a repeat of one that is kept already.
struct NewRecords {
    packed: Vec<u8>,
    rev: u64,
    /// Says nothing that was not known.
    repeats: bool,
}

impl Machine {
    pub(super) fn apply(&mut self, record: LegRecord) {
        let space = self.space(&record.tenant, &record.pbx);
        let packed = pack(&record, &mut self.scratch);
        match self.spaces[space as usize].by_id.get(record.leg.as_str()).copied() {
            Some(leg) => self.apply_known(space, leg, packed, record),
            None => self.apply_new(space, packed, record),
        }
    }

    fn apply_new(&mut self, space: u32, packed: Vec<u8>, record: LegRecord) {
        let said = Naming::of(&packed);
        match self.admit(space, &packed, &said, &record) {
            Verdict::Taken => {}
            Verdict::Repeat => {
                self.stats.repeats += 1;
                return;
            }
            Verdict::Refused(reason) => return self.refuse(space, &said, record, reason),
        }
        let leg = self.spaces[space as usize].add_leg(record.leg.as_str());
        let rev = records(&packed).find_map(|(record, _)| record.rev).unwrap_or_default();
        self.spaces[space as usize].set_records(leg, packed, rev);
        self.changed(space, leg, &said, &Naming::default(), false);
        if self.config.events {
            self.tell_news(space, leg, &[]);
        }
        self.check_caps(space, leg);
    }

    fn apply_known(&mut self, space: u32, leg: u32, packed: Vec<u8>, record: LegRecord) {
        let here = &self.spaces[space as usize];
        let known = &here.legs[leg];
        let Some(new) = new_records(here, known, &packed) else {
            self.stats.repeats += 1;
            return;
        };
        if self.over_bytes(here, known.session, new.packed.len().saturating_sub(known.packed.len())) {
            let said = Naming::default();
            return self.refuse(space, &said, record, Refusal::SessionFull);
        }
        if new.repeats {
            self.stats.repeats += 1;
            self.keep_repeat(space, leg, new);
            return;
        }
        let (before, after) = (Naming::of(&known.packed), Naming::of(&new.packed));
        let tied_before = known.kind.ties();
        let news_base = self.config.events.then(|| known.packed.clone());
        let here = &mut self.spaces[space as usize];
        here.set_records(leg, new.packed, new.rev);
        let loses = tied_before && !here.legs[leg].kind.ties();
        self.changed(space, leg, &after.minus(&before), &before.minus(&after), loses);
        if let Some(before) = news_base {
            self.tell_news(space, leg, &before);
        }
        self.check_caps(space, leg);
    }

    /// A repeat is kept, since a later edition may take away what covers it; nothing else happens.
    fn keep_repeat(&mut self, space: u32, leg: u32, new: NewRecords) {
        let here = &mut self.spaces[space as usize];
        let (before, after) = (Naming::of(&here.legs[leg].packed), Naming::of(&new.packed));
        here.unindex(leg, &before.minus(&after));
        let broken = here.index(leg, &after.minus(&before));
        debug_assert!(broken.is_empty(), "a repeat carries no new link");
        here.set_records(leg, new.packed, new.rev);
        let session = here.legs[leg].session;
        if session != NONE {
            self.touch((space, session));
        }
    }

    /// A leg is not as it was: indexes, ties, times.
    fn changed(&mut self, space: u32, leg: u32, added: &Naming, removed: &Naming, loses_ties: bool) {
        let now = self.now;
        let here = &mut self.spaces[space as usize];
        here.legs[leg].touched = now;
        here.unindex(leg, removed);
        let broken = here.index(leg, added);
        self.stats.broken_links += broken.len() as u64;
        if self.config.mode == Mode::Offline {
            return;
        }
        let here = &mut self.spaces[space as usize];
        let is_new = here.legs[leg].session == NONE;
        if is_new {
            self.place(space, leg, added);
        } else {
            let session = here.legs[leg].session;
            self.reopen((space, session));
        }
        self.tie(space, leg, is_new.then_some(added));
        if loses_ties || !removed.is_empty() {
            let session = self.spaces[space as usize].legs[leg].session;
            self.split((space, session));
        }
        for link in &broken {
            self.split_carriers(space, link);
        }
        let session = self.spaces[space as usize].legs[leg].session;
        self.schedule((space, session));
        self.tell_others(space, leg, is_new, [added, removed]);
        if !removed.names.is_empty() {
            self.recheck_overdue(space, &removed.names);
        }
    }

    /// Puts a new leg into a session that it belongs to, or into one of its own.
    fn place(&mut self, space: u32, leg: u32, said: &Naming) {
        let here = &mut self.spaces[space as usize];
        let known = &here.legs[leg];
        let tied = here.tied(&known.id, said, known.kind.ties());
        let home = tied.into_iter().map(|other| here.legs[other].session).find(|session| *session != NONE);
        let Some(home) = home else {
            here.add_session(vec![leg], leg, Phase::Open { due: i64::MAX, complete: false });
            return;
        };
        let bytes = here.legs[leg].packed.len();
        here.legs[leg].session = home;
        here.sessions[home].legs.push(leg);
        here.sessions[home].bytes += bytes;
        self.reopen((space, home));
    }

    /// Joins the sessions that a leg ties together. `said`: what it says, if that is at hand.
    fn tie(&mut self, space: u32, leg: u32, said: Option<&Naming>) {
        let here = &self.spaces[space as usize];
        let known = &here.legs[leg];
        let read = said.is_none().then(|| Naming::of(&known.packed));
        let said = said.or(read.as_ref()).expect("one of the two is there");
        for other in here.tied(&known.id, said, known.kind.ties()) {
            let here = &self.spaces[space as usize];
            let (a, b) = (here.legs[leg].session, here.legs[other].session);
            if a != b {
                self.join(space, a, b);
            }
        }
    }

    /// Makes one session of two. A kept one opens again.
    fn join(&mut self, space: u32, a: u32, b: u32) {
        self.reopen((space, a));
        self.reopen((space, b));
        let size = |session: u32| self.spaces[space as usize].sessions[session].legs.len();
        let (larger, smaller) = if size(a) >= size(b) { (a, b) } else { (b, a) };
        self.forget_place((space, smaller));
        let here = &mut self.spaces[space as usize];
        let gone = here.sessions.remove(smaller).expect("both sessions live");
        for leg in &gone.legs {
            here.legs[*leg].session = larger;
        }
        let stays = &mut here.sessions[larger];
        stays.legs.extend(gone.legs);
        stays.emitted.extend(gone.emitted);
        stays.bytes += gone.bytes;
        stays.full |= gone.full;
        stays.told.ringing |= gone.told.ringing;
        stays.told.answered |= gone.told.answered;
        stays.told.hangup |= gone.told.hangup;
    }

    /// A kept session changes: it is open again.
    fn reopen(&mut self, place: Place) {
        let session = &mut self.spaces[place.0 as usize].sessions[place.1];
        let Phase::Kept { until, .. } = session.phase else { return };
        session.phase = Phase::Open { due: i64::MAX, complete: false };
        self.spaces[place.0 as usize].kept -= 1;
        self.stats.late += 1;
        self.timers.remove(&(until, Wake::Forget, place));
        self.overdue.remove(&place);
    }

    /// Takes apart what is no longer tied. What closed as one stays one, and a kept session is not touched.
    fn split(&mut self, place: Place) {
        let here = &mut self.spaces[place.0 as usize];
        if matches!(here.sessions[place.1].phase, Phase::Kept { .. }) {
            return;
        }
        let mut legs = here.sessions[place.1].legs.clone();
        // The part with the birth leg keeps the session and its key.
        let birth = here.sessions[place.1].birth;
        legs.sort_unstable_by_key(|leg| (*leg != birth, *leg));
        let mut parts = here.components(&legs);
        if parts.len() < 2 {
            return;
        }
        let emitted = std::mem::take(&mut here.sessions[place.1].emitted);
        let (told, full) = (here.sessions[place.1].told, here.sessions[place.1].full);
        let first = parts.remove(0);
        let bytes = first.iter().map(|leg| here.legs[*leg].packed.len()).sum();
        here.sessions[place.1].legs = first;
        here.sessions[place.1].bytes = bytes;
        let mut places = vec![place.1];
        for part in parts {
            let birth = part[0];
            let session = here.add_session(part, birth, Phase::Open { due: i64::MAX, complete: false });
            here.sessions[session].told = told;
            here.sessions[session].full = full;
            places.push(session);
        }
        for one in emitted {
            let home = places.iter().copied().find(|session| {
                here.sessions[*session].legs.iter().any(|leg| here.legs[*leg].glue == one.glue)
            });
            here.sessions[home.unwrap_or(place.1)].emitted.push(one);
        }
        for session in places {
            self.schedule((place.0, session));
        }
    }

    /// A link ties nobody from now on: open sessions held together by it fall apart.
    fn split_carriers(&mut self, space: u32, link: &str) {
        let here = &self.spaces[space as usize];
        let carriers = here.links.get(link).map(|link| link.carriers.clone()).unwrap_or_default();
        let mut sessions: Vec<u32> = carriers.iter().map(|leg| here.legs[*leg].session).collect();
        sessions.sort_unstable();
        sessions.dedup();
        for session in sessions.into_iter().filter(|session| *session != NONE) {
            self.split((space, session));
        }
    }

    /// What is kept of links has changed: the state of one session that carries each must say so.
    fn touch_carriers(&mut self, space: u32, said: &Naming) {
        let here = &self.spaces[space as usize];
        let carriers = said.links.iter().filter_map(|text| here.links.get(text)?.carriers.first());
        let sessions: Vec<u32> = carriers.map(|leg| here.legs[*leg].session).collect();
        sessions.into_iter().for_each(|session| self.touch((space, session)));
    }

    /// Sessions that this leg does not belong to, but that what it says now, or no longer says, may have made
    /// complete, or no longer so.
    fn tell_others(&mut self, space: u32, leg: u32, is_new: bool, news: [&Naming; 2]) {
        let here = &self.spaces[space as usize];
        let names = news.into_iter().flat_map(|naming| &naming.names);
        let mut concerned: Vec<u32> = names.filter_map(|name| here.by_id.get(&**name)).copied().collect();
        if is_new {
            concerned.extend(here.namers.get(&*here.legs[leg].id).into_iter().flatten());
        }
        for other in concerned {
            let here = &mut self.spaces[space as usize];
            let session = here.legs[other].session;
            let Phase::Open { complete, .. } = here.sessions[session].phase else { continue };
            if session == here.legs[leg].session || here.standing(session).complete == complete {
                continue;
            }
            if !complete {
                here.legs[other].touched = self.now;
            }
            self.schedule((space, session));
        }
    }

    fn over_bytes(&self, here: &Space, session: u32, more: usize) -> bool {
        session != NONE
            && here.sessions[session].full
            && here.sessions[session].bytes + more > self.config.max_session_bytes
    }

    /// Whether a new leg can be taken.
    fn admit(&self, space: u32, packed: &[u8], said: &Naming, record: &LegRecord) -> Verdict {
        if self.config.mode == Mode::Offline {
            return Verdict::Taken;
        }
        let here = &self.spaces[space as usize];
        let ties = crate::parties::kind(record.fields.side, record.fields.service).ties();
        let tied = here.tied(record.leg.as_str(), said, ties);
        if tied.iter().any(|leg| here.sessions[here.legs[*leg].session].full) {
            return Verdict::Refused(Refusal::SessionFull);
        }
        // A leg that belongs to a known session is no matter of forgotten ones.
        if !tied.is_empty() {
            return Verdict::Taken;
        }
        match self.stubs.judge(here, record.leg.as_str(), packed, said, ties) {
            // It would begin a session.
            Verdict::Taken if self.has_too_many_live(here) => Verdict::Refused(Refusal::TooManyLive),
            verdict => verdict,
        }
    }

    /// Whether the tenant has as many live sessions as it may, on all its pbxs together.
    fn has_too_many_live(&self, here: &Space) -> bool {
        let most = here.settings.max_live.unwrap_or(self.config.max_live);
        let of_tenant = self.space_of.get(&here.tenant).into_iter().flat_map(|of_tenant| of_tenant.values());
        of_tenant.map(|space| self.spaces[*space as usize].live()).sum::<usize>() >= most
    }

    fn refuse(&mut self, space: u32, said: &Naming, record: LegRecord, reason: Refusal) {
        match reason {
            Refusal::SessionFull => {
                self.stats.session_full += 1;
                let hash = leg_hash(&self.spaces[space as usize], record.leg.as_str());
                let broken = self.spaces[space as usize].refuse(hash, said);
                self.stats.broken_links += broken.len() as u64;
                broken.iter().for_each(|link| self.split_carriers(space, link));
                self.touch_carriers(space, said);
            }
            Refusal::TooLate => self.stats.too_late += 1,
            Refusal::TooManyLive => self.stats.too_many_live += 1,
        }
        self.outputs.push_back(Output::DeadLetter { record: Box::new(record), reason });
    }
}

/// The records of a known leg with one more; none where it changes nothing at all.
fn new_records(here: &Space, known: &Known, framed: &[u8]) -> Option<NewRecords> {
    let edition = records(framed).find_map(|(record, _)| record.rev);
    let superseded = edition.is_some_and(|rev| rev < known.rev);
    if superseded || records(&known.packed).any(|(_, other)| other == framed) {
        return None;
    }
    let mut packed = Vec::with_capacity(known.packed.len() + framed.len());
    if edition.is_some_and(|rev| rev > known.rev) {
        for (_, event) in records(&known.packed).filter(|(record, _)| record.rev.is_none()) {
            packed.extend_from_slice(event);
        }
    } else {
        packed.extend_from_slice(&known.packed);
    }
    packed.extend_from_slice(framed);
    let (before, after) = (known.merged(), merge(records(&packed).map(|(record, _)| record)));
    let repeats = before.same_but_bridges(&after)
        && (before.bridges == after.bridges
            || here.bridges_of(&known.id, &before) == here.bridges_of(&known.id, &after));
    let rev = edition.unwrap_or_default().max(known.rev);
    Some(NewRecords { packed, rev, repeats })
}
