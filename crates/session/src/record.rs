//! The record of one session: every field of `CloudSessionCdr` that is not enrichment's (sessions.md 4.1).

use std::collections::BTreeMap;

use ringpost_model::{
    CallDirection, CallType, Cdr, Context, Faces, LegDirection, NumberName, PbxKey, Rate, Service, SessionId,
    State, Stretch, TenantKey, Text, Timestamp,
};

use crate::connect::{Bridges, Counts, connect};
use crate::faces::{Columns, Talk, columns, talks};
use crate::pack::key;
use crate::parties::{Kind, Parties, Party};
use crate::roles;
use crate::settings::PbxSettings;
use crate::timeline::{Roles, Timeline};

/// A session worked out.
pub(crate) struct Worked {
    pub(crate) cdr: Cdr,
    pub(crate) context: Context,
    pub(crate) timeline: Vec<Stretch>,
    pub(crate) counts: Counts,
    /// Root leg's creation and id, by which the earlier of two sessions is told.
    pub(crate) has_person: bool,
}

/// Whose session it is, and how its numbers and times are read.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) tenant: &'a TenantKey,
    pub(crate) pbx: &'a PbxKey,
    pub(crate) settings: &'a PbxSettings,
}

/// Works out the record; `id`, `partial`, `rev` and `replaces` are the caller's to set right afterwards.
pub(crate) fn work_out(parties: &mut Parties<'_>, origin: Origin<'_>) -> Option<Worked> {
    let root = roles::root(parties.own().iter().map(roles::Candidate::of))?;
    let bridges = connect(parties, root);
    let customer = roles::customer(parties, &bridges.joined, root);
    let external = parties.own().iter().any(Party::is_external);
    let roles = Roles { root, customer, external };
    let timeline = Timeline::draw(parties, &bridges, roles);
    let mut counts = bridges.counts;
    counts.negative += negative_intervals(parties);
    let parties = &*parties;
    let record = Record { parties, bridges: &bridges, roles, timeline: &timeline, origin };
    Some(Worked {
        cdr: record.cdr(),
        context: record.context(),
        timeline: timeline.explain(parties),
        counts,
        has_person: parties.own().iter().any(Party::is_person),
    })
}

struct Record<'a> {
    parties: &'a Parties<'a>,
    bridges: &'a Bridges,
    roles: Roles,
    timeline: &'a Timeline,
    origin: Origin<'a>,
}

impl Record<'_> {
    fn root(&self) -> &Party<'_> {
        &self.parties.all[self.roles.root]
    }

    fn customer(&self) -> &Party<'_> {
        &self.parties.all[self.roles.customer]
    }

    fn customer_is_out(&self) -> bool {
        self.customer().merged.direction() == Some(LegDirection::Out)
    }

    fn cdr(&self) -> Cdr {
        let id = SessionId::of_root(self.origin.tenant, self.origin.pbx, &leg_id(self.root().id));
        let mut cdr = Cdr::empty(id);
        self.fill_times(&mut cdr);
        let talks = talks(self.parties, self.bridges, self.timeline.window);
        (cdr.direction, cdr.call_type) = self.direction(&talks);
        cdr.t2t = talks.iter().any(|talk| self.is_external(talk.a) && self.is_external(talk.b));
        self.fill_outcome(&mut cdr);
        self.fill_numbers(&mut cdr);
        let columns = columns(self.parties, self.bridges, self.roles, cdr.direction, &talks);
        self.fill_faces(&mut cdr, columns);
        self.fill_gathered(&mut cdr);
        cdr
    }

    fn is_external(&self, node: usize) -> bool {
        self.parties.is_own(node) && self.parties.all[node].is_external()
    }

    fn fill_times(&self, cdr: &mut Cdr) {
        let settings = self.origin.settings;
        let pbx = self.origin.pbx.as_str();
        cdr.pbx_id = if settings.pbx_id.is_empty() { pbx.into() } else { settings.pbx_id.clone() };
        cdr.pbx_name = settings.pbx_name.clone();
        let zone = |party: &Party<'_>| party.merged.text(key::ZONE).parse().ok();
        let zones = std::iter::once(self.root()).chain(self.parties.own()).find_map(zone);
        cdr.tz = zones.or(settings.pbx_zone).or(settings.tenant_zone).unwrap_or(chrono_tz::Tz::UTC);
        let printed = |micros: i64| Timestamp::from_micros(micros).whole_second();
        cdr.start = printed(self.timeline.window.0);
        cdr.end = printed(self.timeline.window.1);
        cdr.answer = self.timeline.answer.map(printed);
        cdr.dur = self.timeline.duration();
        let seconds = |state| self.timeline.seconds(state);
        (cdr.ring, cdr.talk) = (seconds(State::Ring), seconds(State::Talk));
        (cdr.hold, cdr.park) = (seconds(State::Hold), seconds(State::Park));
    }

    fn direction(&self, talks: &[Talk]) -> (CallDirection, CallType) {
        // A leg whose service is known is a service leg: its side is not unknown.
        if self.parties.own().iter().all(|party| party.merged.side().is_none() && party.is_person()) {
            return (CallDirection::Unknown, CallType::Unknown);
        }
        if !self.roles.external {
            return (CallDirection::Internal, CallType::Internal);
        }
        let met_external = || {
            talks.iter().filter_map(|talk| talk.other(self.roles.customer)).any(|node| self.is_external(node))
        };
        let direction = if self.customer_is_out() {
            CallDirection::Outgoing
        } else if met_external() {
            CallDirection::Both
        } else {
            CallDirection::Incoming
        };
        (direction, CallType::External)
    }

    fn fill_outcome(&self, cdr: &mut Cdr) {
        let thresholds = self.origin.settings.thresholds;
        cdr.ans = self.timeline.answer.is_some();
        cdr.lost = cdr.direction == CallDirection::Incoming && !cdr.ans && !self.machine_took_it();
        cdr.lost_in_park = self.ended_in_park();
        cdr.aban =
            cdr.lost && cdr.ring < thresholds.short_ring && (cdr.ring > 0 || cdr.dur < thresholds.short_ring);
        cdr.short = cdr.ans && cdr.talk < thresholds.short_talk;
        let causes = [self.customer().merged.text(key::CAUSE), self.root().merged.text(key::CAUSE)];
        cdr.cause = causes.into_iter().find(|cause| !cause.is_empty()).unwrap_or_default().into();
    }

    /// The customer's leg was bridged with a fax or conference, or executed one.
    fn machine_took_it(&self) -> bool {
        let takes = |service| matches!(service, Service::Fax | Service::Conference);
        let met = self.bridges.joined.iter().filter_map(|bridge| bridge.other(self.roles.customer));
        let mut met = met.filter_map(|node| self.parties.all.get(node));
        met.any(|party| matches!(party.kind, Kind::Service(service) if takes(service)))
            || self.customer().merged.stays.iter().any(|stay| takes(stay.service))
    }

    /// The last state up to the end of the customer leg is park, or ring directly after park.
    fn ended_in_park(&self) -> bool {
        const SHORT_OTHER: i64 = 2_000_000;
        let until = if self.roles.external { self.customer().ended } else { self.timeline.window.1 };
        let mut states: Vec<State> = Vec::new();
        for &((from, to), state) in &self.timeline.stretches {
            let to = to.min(until);
            let counts = from < to && (state != State::Other || to - from >= SHORT_OTHER);
            if counts && states.last() != Some(&state) {
                states.push(state);
            }
        }
        matches!(states.as_slice(), [.., State::Park] | [.., State::Park, State::Ring])
    }

    fn fill_numbers(&self, cdr: &mut Cdr) {
        let (customer, root) = (self.customer(), self.root());
        let party = if self.roles.external { customer } else { root };
        let (number, name) = party.merged.pair(key::PARTY);
        let dialled = customer.merged.text(key::DIALLED);
        let outgoing = self.roles.external && self.customer_is_out();
        cdr.cli.number = self.number(if outgoing { first_of(&[dialled, number]) } else { number });
        cdr.cli.name = name.into();
        if !self.roles.external {
            return;
        }
        let own = customer.merged.pair(key::DDI);
        let (ddi, ddi_name) = match (own, root.merged.pair(key::DDI)) {
            (("", ""), ("", "")) if outgoing => (customer.merged.text(key::PRESENTED), ""),
            (("", ""), of_root) if outgoing => of_root,
            (("", ""), _) => (dialled, ""),
            (own, _) => own,
        };
        cdr.ddi = NumberName { number: self.number(ddi), name: ddi_name.into() };
    }

    /// E.164 where the text is a valid number in the region; as received where not.
    fn number(&self, text: &str) -> Text {
        let region = self.origin.settings.region.filter(|_| !text.is_empty());
        let normal = region.and_then(|region| ringpost_numbers::normalise(text, region));
        normal.map_or_else(|| text.into(), ringpost_numbers::E164::into_text)
    }

    fn fill_faces(&self, cdr: &mut Cdr, columns: Columns) {
        let merged = |node: Option<usize>| node.map(|node| &self.parties.all[node].merged);
        let pair = |node, key| {
            let (number, name) = merged(node).map_or(("", ""), |merged| merged.pair(key));
            NumberName { number: number.into(), name: name.into() }
        };
        let faces = |key| Faces {
            first_rang: pair(columns.first_rang, key),
            last_rang: pair(columns.last_rang, key),
            answered: pair(columns.answered, key),
            last_answered: pair(columns.last_answered, key),
        };
        cdr.devices = faces(key::DEVICE);
        cdr.users = faces(key::USER);
        cdr.agents = faces(key::AGENT);
        let group = |node| merged(node).map_or("", |merged| merged.text(key::GROUP)).into();
        cdr.first_group = group(columns.first_rang);
        cdr.last_group = group(columns.last_rang);
        cdr.answer_group = group(columns.answered);
    }

    fn fill_gathered(&self, cdr: &mut Cdr) {
        let own = || self.parties.own().iter();
        let routes = std::iter::once(self.root()).chain(own()).map(|party| party.merged.pair(key::ROUTE));
        let (id, name) = routes.into_iter().find(|route| *route != ("", "")).unwrap_or_default();
        (cdr.route_id, cdr.route_name) = (id.into(), name.into());
        let rating = std::iter::once(self.customer()).chain(own()).find_map(|party| party.merged.rating());
        cdr.rate = rating.map(|(cost, band, name, _)| Rate { cost, band: band.into(), name: name.into() });
        let mut seen: Vec<&str> = Vec::new();
        for id in own().flat_map(|party| &party.merged.recordings) {
            if !seen.contains(id) {
                seen.push(id);
            }
        }
        cdr.recording_ids = seen.into_iter().map(Text::from).collect();
        let tags = own().flat_map(|party| party.merged.tags());
        cdr.tags = tags.map(|(tag, value)| (tag.into(), value.into())).collect::<BTreeMap<_, _>>();
    }

    fn context(&self) -> Context {
        let customer = self.customer();
        let first_out = || self.parties.own().iter().find(|party| party.is_out());
        let shown = Some(customer).filter(|party| !party.merged.text(key::PRESENTED).is_empty());
        let presented = shown.or_else(first_out).map_or("", |party| party.merged.text(key::PRESENTED));
        let (queue_name, queue_outcome) = self.last_service(Service::Queue);
        Context {
            dialled: self.root().merged.text(key::DIALLED).into(),
            presented: presented.into(),
            sip: customer.merged.sip(),
            queue_name: queue_name.into(),
            queue_outcome: queue_outcome.into(),
            ivr_name: self.last_service(Service::Ivr).0.into(),
        }
    }

    /// Name and outcome of the service that began last, executed by a leg or a leg itself.
    fn last_service(&self, service: Service) -> (&str, &str) {
        let executed = self.parties.own().iter().flat_map(|party| &party.merged.stays);
        let executed = executed.filter(|stay| stay.service == service);
        let executed = executed.map(|stay| (stay.from, stay.name, stay.outcome));
        let legs = self.parties.own().iter().filter(|party| party.kind == Kind::Service(service));
        let legs = legs.map(|party| (party.created(), party.merged.pair(key::PARTY).1, ""));
        executed.chain(legs).max().map_or(("", ""), |(_, name, outcome)| (name, outcome))
    }
}

fn first_of<'a>(texts: &[&'a str]) -> &'a str {
    texts.iter().find(|text| !text.is_empty()).copied().unwrap_or_default()
}

/// Ids of known legs were checked when their records were read.
pub(crate) fn leg_id(text: &str) -> ringpost_model::LegId {
    ringpost_model::LegId::new(text).expect("the id of a known leg was valid when its record was read")
}

/// Intervals that clock skew made negative; those of bridges are counted where they are joined.
fn negative_intervals(parties: &Parties<'_>) -> u64 {
    let negative = |from: i64, to: Option<i64>| usize::from(to.is_some_and(|to| to < from));
    let of_leg = |party: &Party<'_>| {
        let merged = &party.merged;
        let holds: usize = merged.holds.iter().map(|hold| negative(hold.from, hold.to)).sum();
        let parks: usize = merged.parks.iter().map(|park| negative(park.from, park.to)).sum();
        let stays: usize = merged.stays.iter().map(|stay| negative(stay.from, stay.to)).sum();
        let ring = merged.ringing.map_or(0, |ringing| negative(ringing, party.answered.or(merged.ended)));
        holds + parks + stays + ring + negative(merged.created, merged.ended)
    };
    parties.own().iter().map(of_leg).sum::<usize>() as u64
}
