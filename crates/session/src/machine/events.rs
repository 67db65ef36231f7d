//! Call events (live-events.md): what a record tells that was not known of its leg before, as it comes.

use ringpost_model::{CallEvent, CallEventKind, LegId, Text, Timestamp};

use super::{Machine, Output, Place, close};
use crate::connect::connect;
use crate::merge::{Interval, Merged, merge};
use crate::pack::{key, records};
use crate::record::leg_id;
use crate::roles;
use crate::space::Space;
use crate::timeline::{Roles, Timeline};

/// What happened, and when.
type News = Vec<(i64, CallEventKind)>;

impl Machine {
    /// Puts out what is new of a leg. `before`: its packed records as they were.
    pub(super) fn tell_news(&mut self, space: u32, leg: u32, before: &[u8]) {
        let here = &self.spaces[space as usize];
        let known = &here.legs[leg];
        let after = known.merged();
        let mut news = if before.is_empty() {
            let mut news = vec![(after.created, CallEventKind::LegCreated)];
            news_of_leg(None, &after, &mut news);
            news_of_bridges(&[], &here.bridges_of(&known.id, &after), &mut news);
            news
        } else {
            let before = merge(records(before).map(|(record, _)| record));
            let mut news = Vec::new();
            news_of_leg(Some(&before), &after, &mut news);
            let bridges = here.bridges_of(&known.id, &before);
            news_of_bridges(&bridges, &here.bridges_of(&known.id, &after), &mut news);
            news
        };
        let session = (space, known.session);
        self.milestones(session, &mut news);
        news.sort_by_key(|(at, _)| *at);
        let leg = leg_id(&self.spaces[space as usize].legs[leg].id);
        for (at, event) in news {
            self.tell(session, leg.clone(), at, event);
        }
    }

    /// First alert and first talk of a session, each told once.
    fn milestones(&mut self, place: Place, news: &mut News) {
        let here = &mut self.spaces[place.0 as usize];
        let rang = news.iter().find(|(_, event)| *event == CallEventKind::LegRinging).map(|(at, _)| *at);
        if let Some(at) = rang.filter(|_| !here.sessions[place.1].told.ringing) {
            here.sessions[place.1].told.ringing = true;
            news.push((at, CallEventKind::CallRinging));
        }
        let may_talk = news.iter().any(|(_, event)| {
            use CallEventKind::{LegAnswered, LegBridged, LegEnded, ServiceStarted};
            matches!(event, LegAnswered | LegBridged { .. } | ServiceStarted { .. } | LegEnded { .. })
        });
        if may_talk
            && !here.sessions[place.1].told.answered
            && let Some(at) = first_talk(here, place.1)
        {
            here.sessions[place.1].told.answered = true;
            news.push((at, CallEventKind::CallAnswered));
        }
    }

    /// The session closed for the first time.
    pub(super) fn tell_hangup(&mut self, place: Place, at: i64) {
        if !self.config.events {
            return;
        }
        let here = &mut self.spaces[place.0 as usize];
        if std::mem::replace(&mut here.sessions[place.1].told.hangup, true) {
            return;
        }
        let session = &here.sessions[place.1];
        let candidates = session.legs.iter().map(|leg| &here.legs[*leg]);
        let Some(oldest) = candidates.min_by_key(|known| (known.created, known.id.clone())) else { return };
        let last = session.legs.iter().map(|leg| here.legs[*leg].merged().last).max().unwrap_or(at);
        let leg = leg_id(&oldest.id);
        self.tell(place, leg, last, CallEventKind::CallHangup);
    }

    fn tell(&mut self, place: Place, leg: LegId, at: i64, event: CallEventKind) {
        let here = &self.spaces[place.0 as usize];
        self.outputs.push_back(Output::Event(CallEvent {
            v: 1,
            tenant: here.tenant.clone(),
            pbx: here.pbx.clone(),
            session: here.session_id(place.1),
            leg,
            at: Timestamp::from_micros(at),
            event,
        }));
    }
}

/// The first instant of talk as far as is known now. A leg that has not ended may talk until the end of time.
fn first_talk(here: &Space, session: u32) -> Option<i64> {
    let mut parties = close::gather(here, session);
    parties.keep_alive();
    let root = roles::root(parties.own().iter().map(roles::Candidate::of))?;
    let bridges = connect(&mut parties, root);
    let customer = roles::customer(&parties, &bridges.joined, root);
    let external = parties.own().iter().any(crate::parties::Party::is_external);
    Timeline::draw(&parties, &bridges, Roles { root, customer, external }).answer
}

fn news_of_leg(before: Option<&Merged<'_>>, after: &Merged<'_>, news: &mut News) {
    let was = |time: fn(&Merged<'_>) -> Option<i64>| before.and_then(time).is_some();
    let mut first = |known: bool, at: Option<i64>, event: CallEventKind| {
        if let Some(at) = at.filter(|_| !known) {
            news.push((at, event));
        }
    };
    first(was(|leg| leg.ringing), after.ringing, CallEventKind::LegRinging);
    first(was(|leg| leg.answered), after.answered, CallEventKind::LegAnswered);
    let cause = after.text(key::CAUSE).into();
    first(was(|leg| leg.ended), after.ended, CallEventKind::LegEnded { cause });
    let spans = |of: &[Interval]| of.iter().map(|one| (one.from, one.to)).collect::<Vec<_>>();
    let holds = before.map(|before| spans(&before.holds)).unwrap_or_default();
    fresh(&holds, &spans(&after.holds), || CallEventKind::LegHeld, || CallEventKind::LegResumed, news);
    for park in &after.parks {
        let known = before.and_then(|before| before.parks.iter().find(|old| old.from == park.from));
        let known: Vec<_> = known.map(|old| (old.from, old.to)).into_iter().collect();
        let slot: Text = park.slot.into();
        let begin = || CallEventKind::LegParked { slot: slot.clone() };
        fresh(&known, &[(park.from, park.to)], begin, || CallEventKind::LegRetrieved, news);
    }
    for stay in &after.stays {
        let same = |old: &&crate::merge::Stay<'_>| old.service == stay.service && old.from == stay.from;
        let known = before.and_then(|before| before.stays.iter().find(same));
        let known: Vec<_> = known.map(|old| (old.from, old.to)).into_iter().collect();
        let begin = || CallEventKind::ServiceStarted { service: stay.service, name: stay.name.into() };
        let end = || CallEventKind::ServiceEnded { service: stay.service, name: stay.name.into() };
        fresh(&known, &[(stay.from, stay.to)], begin, end, news);
    }
}

type OfPartner<'a> = (&'a str, Vec<Interval>);

fn news_of_bridges(before: &[OfPartner<'_>], after: &[OfPartner<'_>], news: &mut News) {
    for (partner, now) in after {
        let known = before.iter().find(|(other, _)| other == partner).map_or(&[][..], |(_, old)| old);
        let spans = |of: &[Interval]| of.iter().map(|one| (one.from, one.to)).collect::<Vec<_>>();
        let with = leg_id(partner);
        let begin = || CallEventKind::LegBridged { with: with.clone() };
        let end = || CallEventKind::LegUnbridged { with: with.clone() };
        // What only the partner told was put out as the partner's.
        let own: Vec<Interval> = now.iter().copied().filter(|one| one.by & 1 != 0).collect();
        fresh(&spans(known), &spans(&own), begin, end, news);
    }
}

/// Tells intervals that are new, and ends that were open.
fn fresh(
    before: &[(i64, Option<i64>)],
    after: &[(i64, Option<i64>)],
    begin: impl Fn() -> CallEventKind,
    end: impl Fn() -> CallEventKind,
    news: &mut News,
) {
    for (from, to) in after {
        let known = before.iter().find(|(old, _)| old == from);
        if known.is_none() {
            news.push((*from, begin()));
        }
        if let Some(to) = to.filter(|_| known.is_none_or(|(_, old)| old.is_none())) {
            news.push((to, end()));
        }
    }
}
