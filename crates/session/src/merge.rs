//! What is known of one leg: the merge of all its kept records (sessions.md 1, Merging).
//!
//! A function of the set of records, whatever their order. Bridges told by events stay unpaired here, since the
//! two legs of a bridge are paired together (`connect`).

use std::cmp::Ordering;

use ringpost_model::{LegDirection, Service, Side};

use crate::pack::{Fact, Packed, Said, key};

mod canonical;
mod pairing;

pub(crate) use pairing::{Interval, PairTold, intervals, leave_all};

/// A scalar with what decides between two of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot<'a> {
    stamp: i64,
    rev: u64,
    pub(crate) said: Said<'a>,
}

/// A wait in a park slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parked<'a> {
    pub(crate) from: i64,
    pub(crate) to: Option<i64>,
    pub(crate) slot: &'a str,
}

/// A service that the leg executed itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stay<'a> {
    pub(crate) service: Service,
    pub(crate) from: i64,
    pub(crate) to: Option<i64>,
    pub(crate) name: &'a str,
    pub(crate) outcome: &'a str,
}

/// What one leg's records say of a bridge, before the two legs are looked at together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BridgeSaid<'a> {
    /// An interval of a `leg` record.
    Interval(&'a str, i64, Option<i64>),
    /// Event `bridged`.
    Open(&'a str, i64),
    /// Event `unbridged`; none = from every leg.
    Close(Option<&'a str>, i64),
}

/// All that is known of one leg from its own records.
#[derive(Debug, Clone)]
pub(crate) struct Merged<'a> {
    scalars: [Option<Slot<'a>>; key::SCALARS],
    pub(crate) links: Vec<&'a str>,
    pub(crate) recordings: Vec<&'a str>,
    tags: Vec<(&'a str, Slot<'a>)>,
    pub(crate) created: i64,
    pub(crate) ringing: Option<i64>,
    pub(crate) answered: Option<i64>,
    pub(crate) ended: Option<i64>,
    /// The last time known of it, `at` included.
    pub(crate) last: i64,
    pub(crate) bridges: Vec<BridgeSaid<'a>>,
    pub(crate) holds: Vec<Interval>,
    pub(crate) parks: Vec<Parked<'a>>,
    pub(crate) stays: Vec<Stay<'a>>,
}

/// Collects what records say until it can be settled.
struct Gathering<'a> {
    merged: Merged<'a>,
    created: Option<i64>,
    /// Earliest time known, `at` of leg records left out.
    earliest: Option<i64>,
    /// Earliest `at` of leg records.
    written: Option<i64>,
    holds: Told,
    parks: Told,
    slots: Vec<(i64, &'a str)>,
    stays: Vec<StaySaid<'a>>,
}

/// Intervals of one kind as told by records and by events.
#[derive(Default)]
struct Told {
    intervals: Vec<Interval>,
    opens: Vec<(i64, u8)>,
    closes: Vec<i64>,
}

enum StaySaid<'a> {
    Interval(Stay<'a>),
    Begin(Service, i64, &'a str, &'a str),
    End(Service, i64, &'a str, &'a str),
}

/// Merges the records of one leg. Of `leg` records those of lower editions must have been dropped already.
pub(crate) fn merge<'a>(records: impl Iterator<Item = Packed<'a>>) -> Merged<'a> {
    let mut gathering = Gathering::new();
    for record in records {
        let rev = record.rev.unwrap_or_default();
        if record.rev.is_none() {
            gathering.time(record.stamp);
        }
        for fact in record.facts() {
            gathering.take(record.stamp, rev, record.rev.is_none(), fact);
        }
    }
    gathering.settle()
}

impl<'a> Gathering<'a> {
    fn new() -> Self {
        let merged = Merged {
            scalars: [None; key::SCALARS],
            links: Vec::new(),
            recordings: Vec::new(),
            tags: Vec::new(),
            created: 0,
            ringing: None,
            answered: None,
            ended: None,
            last: i64::MIN,
            bridges: Vec::new(),
            holds: Vec::new(),
            parks: Vec::new(),
            stays: Vec::new(),
        };
        let (holds, parks) = (Told::default(), Told::default());
        Self {
            merged,
            created: None,
            earliest: None,
            written: None,
            holds,
            parks,
            slots: Vec::new(),
            stays: Vec::new(),
        }
    }

    fn time(&mut self, time: i64) {
        self.earliest = Some(self.earliest.map_or(time, |earliest| earliest.min(time)));
        self.merged.last = self.merged.last.max(time);
    }

    fn span(&mut self, from: i64, to: Option<i64>) {
        self.time(from);
        if let Some(to) = to {
            self.time(to);
        }
    }

    fn take(&mut self, stamp: i64, rev: u64, is_event: bool, fact: Fact<'a>) {
        match fact {
            Fact::Scalar(key, said) => {
                keep(&mut self.merged.scalars[usize::from(key)], key, stamp, rev, said)
            }
            Fact::Link(link) => self.merged.links.push(link),
            Fact::Recording(id) => self.merged.recordings.push(id),
            Fact::Tag(tag, value) => self.tag(tag, stamp, rev, value),
            Fact::Time(key::AT, at) => {
                self.written = Some(self.written.map_or(at, |written| written.min(at)));
                self.merged.last = self.merged.last.max(at);
            }
            Fact::Time(code, time) => self.own_time(code, time),
            Fact::Bridge(with, from, to) => {
                self.span(from, to);
                self.merged.bridges.push(BridgeSaid::Interval(with, from, to));
            }
            Fact::Hold(from, to) => {
                self.span(from, to);
                self.holds.intervals.push(Interval { from, to, by: 1 });
            }
            Fact::Park(slot, from, to) => {
                self.span(from, to);
                self.slots.push((from, slot));
                self.parks.intervals.push(Interval { from, to, by: 1 });
            }
            Fact::Stay(service, name, outcome, from, to) => {
                self.span(from, to);
                self.stays.push(StaySaid::Interval(Stay { service, from, to, name, outcome }));
            }
            happening => {
                debug_assert!(is_event, "only events carry happenings");
                self.happening(stamp, happening);
            }
        }
    }

    fn tag(&mut self, tag: &'a str, stamp: i64, rev: u64, value: &'a str) {
        let at = match self.merged.tags.binary_search_by(|(known, _)| (*known).cmp(tag)) {
            Ok(at) => at,
            Err(at) => {
                self.merged.tags.insert(at, (tag, Slot { stamp, rev, said: Said::Text(value) }));
                return;
            }
        };
        let mut slot = Some(self.merged.tags[at].1);
        keep(&mut slot, key::DIALLED, stamp, rev, Said::Text(value));
        self.merged.tags[at].1 = slot.expect("a slot that was filled stays filled");
    }

    fn own_time(&mut self, code: u8, time: i64) {
        self.time(time);
        let earlier = |known: Option<i64>| Some(known.map_or(time, |known| known.min(time)));
        match code {
            key::CREATED => self.created = earlier(self.created),
            key::RINGING => self.merged.ringing = earlier(self.merged.ringing),
            key::ANSWERED => self.merged.answered = earlier(self.merged.answered),
            _ => self.merged.ended = self.merged.ended.max(Some(time)),
        }
    }

    fn happening(&mut self, at: i64, fact: Fact<'a>) {
        match fact {
            Fact::Bridged(with) => self.merged.bridges.push(BridgeSaid::Open(with, at)),
            Fact::Unbridged(with) => self.merged.bridges.push(BridgeSaid::Close(with, at)),
            Fact::Held => self.holds.opens.push((at, 1)),
            Fact::Resumed => self.holds.closes.push(at),
            Fact::Parked(slot) => {
                self.slots.push((at, slot));
                self.parks.opens.push((at, 1));
            }
            Fact::Retrieved => self.parks.closes.push(at),
            Fact::ServiceBegin(service, name, outcome) => {
                self.stays.push(StaySaid::Begin(service, at, name, outcome));
            }
            Fact::ServiceEnd(service, name, outcome) => {
                self.stays.push(StaySaid::End(service, at, name, outcome));
            }
            _ => {}
        }
    }

    fn settle(mut self) -> Merged<'a> {
        // When it was written says something of a leg only where nothing else does.
        self.merged.created = self.created.or(self.earliest).or(self.written).unwrap_or_default();
        self.merged.holds = self.holds.settle();
        let slots = self.slots;
        let parks = self.parks.settle().into_iter().map(|park| Parked {
            from: park.from,
            to: park.to,
            slot: slots
                .iter()
                .filter(|slot| slot.0 == park.from)
                .map(|slot| slot.1)
                .max()
                .unwrap_or_default(),
        });
        self.merged.parks = parks.collect();
        if !self.stays.is_empty() {
            self.merged.stays = settle_stays(&self.stays);
        }
        for list in [&mut self.merged.links, &mut self.merged.recordings] {
            list.sort_unstable();
            list.dedup();
        }
        self.merged.bridges.sort_unstable();
        self.merged.bridges.dedup();
        self.merged
    }
}

impl Told {
    fn settle(self) -> Vec<Interval> {
        if self.intervals.is_empty() && self.opens.is_empty() {
            return Vec::new();
        }
        intervals(self.intervals, self.opens, self.closes)
    }
}

fn keep<'a>(slot: &mut Option<Slot<'a>>, key: u8, stamp: i64, rev: u64, said: Said<'a>) {
    let wins = slot.as_ref().is_none_or(|known| match (stamp, rev).cmp(&(known.stamp, known.rev)) {
        Ordering::Greater => true,
        Ordering::Less => false,
        // Ratings are always compared: equal costs may differ in their zeros.
        Ordering::Equal => {
            let may_differ = said != known.said || key == key::RATING;
            may_differ && canonical::compare(key, &said, &known.said).is_gt()
        }
    });
    if wins {
        *slot = Some(Slot { stamp, rev, said });
    }
}

fn settle_stays<'a>(said: &[StaySaid<'a>]) -> Vec<Stay<'a>> {
    let mut services: Vec<Service> = said.iter().map(StaySaid::service).collect();
    services.sort_unstable();
    services.dedup();
    let mut stays = Vec::new();
    for service in services {
        let mut told = Told::default();
        for one in said.iter().filter(|one| one.service() == service) {
            match one {
                StaySaid::Interval(stay) => {
                    told.intervals.push(Interval { from: stay.from, to: stay.to, by: 1 });
                }
                StaySaid::Begin(_, at, ..) => told.opens.push((*at, 1)),
                StaySaid::End(_, at, ..) => told.closes.push(*at),
            }
        }
        for Interval { from, to, .. } in told.settle() {
            let about = |pick: fn(&StaySaid<'a>) -> &'a str| {
                let concerns = |one: &&StaySaid<'a>| one.service() == service && one.concerns(from, to);
                said.iter().filter(concerns).map(pick).max().unwrap_or_default()
            };
            let (name, outcome) = (about(StaySaid::name), about(StaySaid::outcome));
            stays.push(Stay { service, from, to, name, outcome });
        }
    }
    stays.sort_by_key(|stay| stay.from);
    stays
}

impl<'a> StaySaid<'a> {
    fn service(&self) -> Service {
        match self {
            Self::Interval(stay) => stay.service,
            Self::Begin(service, ..) | Self::End(service, ..) => *service,
        }
    }

    /// Whether it says something of the stay from `from` to `to`.
    fn concerns(&self, from: i64, to: Option<i64>) -> bool {
        match self {
            Self::Interval(stay) => stay.from == from,
            Self::Begin(_, at, ..) => *at == from,
            Self::End(_, at, ..) => Some(*at) == to,
        }
    }

    fn name(&self) -> &'a str {
        match self {
            Self::Interval(stay) => stay.name,
            Self::Begin(_, _, name, _) | Self::End(_, _, name, _) => name,
        }
    }

    fn outcome(&self) -> &'a str {
        match self {
            Self::Interval(stay) => stay.outcome,
            Self::Begin(_, _, _, outcome) | Self::End(_, _, _, outcome) => outcome,
        }
    }
}

impl<'a> Merged<'a> {
    fn said(&self, key: u8) -> Option<&Said<'a>> {
        self.scalars[usize::from(key)].as_ref().map(|slot| &slot.said)
    }

    pub(crate) fn direction(&self) -> Option<LegDirection> {
        if let Some(Said::Direction(direction)) = self.said(key::DIRECTION) { Some(*direction) } else { None }
    }

    pub(crate) fn side(&self) -> Option<Side> {
        if let Some(Said::Side(side)) = self.said(key::SIDE) { Some(*side) } else { None }
    }

    pub(crate) fn service(&self) -> Option<Service> {
        if let Some(Said::Service(service)) = self.said(key::SERVICE) { Some(*service) } else { None }
    }

    /// A text by its key; empty where not known.
    pub(crate) fn text(&self, key: u8) -> &'a str {
        if let Some(Said::Text(text)) = self.said(key) { text } else { "" }
    }

    /// A pair by its key: number and name, or id and name; empty where not known.
    pub(crate) fn pair(&self, key: u8) -> (&'a str, &'a str) {
        if let Some(Said::Pair(first, second)) = self.said(key) { (first, second) } else { ("", "") }
    }

    pub(crate) fn sip(&self) -> Option<u16> {
        if let Some(Said::Sip(sip)) = self.said(key::SIP) { Some(*sip) } else { None }
    }

    /// Cost, band, name and currency.
    pub(crate) fn rating(&self) -> Option<(rust_decimal::Decimal, &'a str, &'a str, &'a str)> {
        let Some(Said::Rating(cost, band, name, currency)) = self.said(key::RATING) else { return None };
        Some((*cost, band, name, currency))
    }

    /// Tags, by key.
    pub(crate) fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.tags.iter().map(|(tag, slot)| match slot.said {
            Said::Text(value) => (*tag, value),
            _ => (*tag, ""),
        })
    }

    /// Whether the same is known of the leg, stamps included; bridges are compared elsewhere.
    pub(crate) fn same_but_bridges(&self, other: &Self) -> bool {
        let same_slot = |a: &Slot<'_>, b: &Slot<'_>| a.stamp == b.stamp && a.said == b.said;
        let same_scalars = self.scalars.iter().zip(&other.scalars).all(|pair| match pair {
            (Some(a), Some(b)) => same_slot(a, b),
            (None, None) => true,
            _ => false,
        });
        let same_tags = self.tags.len() == other.tags.len()
            && self.tags.iter().zip(&other.tags).all(|(a, b)| a.0 == b.0 && same_slot(&a.1, &b.1));
        let times = |of: &Self| (of.created, of.ringing, of.answered, of.ended, of.last);
        same_scalars
            && same_tags
            && times(self) == times(other)
            && self.links == other.links
            && self.recordings == other.recordings
            && self.holds == other.holds
            && self.parks == other.parks
            && self.stays == other.stays
    }
}

#[cfg(test)]
mod tests;
