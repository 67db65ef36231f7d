//! The legs of one session as the rules see them: who is a person, who lives from when to when.

use ringpost_model::{LegDirection, Service, Side};

use crate::intervals::Span;
use crate::merge::Merged;

/// What a leg is to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Side external or internal, or nothing known of side and service.
    Person,
    /// One of a pair of pseudo legs; passes a bridge on.
    Loopback,
    /// A machine of the switch.
    Service(Service),
}

/// Judges a leg by its side and service.
pub(crate) const fn kind(side: Option<Side>, service: Option<Service>) -> Kind {
    match (side, service) {
        (Some(Side::External | Side::Internal), _) | (None, None) => Kind::Person,
        (Some(Side::Service), None) => Kind::Loopback,
        (None | Some(Side::Service), Some(service)) => Kind::Service(service),
    }
}

impl Kind {
    /// Whether a bridge with it ties two legs to one session.
    pub(crate) const fn ties(self) -> bool {
        matches!(self, Self::Person | Self::Loopback)
    }
}

/// A leg of the session, or a service leg of another session that one of them met.
#[derive(Debug)]
pub(crate) struct Party<'a> {
    pub(crate) id: &'a str,
    pub(crate) merged: Merged<'a>,
    pub(crate) kind: Kind,
    /// Its end; a leg that never ended ends with what is known of the session.
    pub(crate) ended: i64,
    /// Its answer, at its first bridge with a person or conference at the latest.
    pub(crate) answered: Option<i64>,
}

impl Party<'_> {
    pub(crate) fn is_person(&self) -> bool {
        self.kind == Kind::Person
    }

    pub(crate) fn is_conference(&self) -> bool {
        self.kind == Kind::Service(Service::Conference)
    }

    pub(crate) fn is_external(&self) -> bool {
        self.merged.side() == Some(Side::External)
    }

    pub(crate) fn is_internal(&self) -> bool {
        self.merged.side() == Some(Side::Internal)
    }

    pub(crate) fn is_out(&self) -> bool {
        self.merged.direction() == Some(LegDirection::Out)
    }

    /// A person leg that the switch placed.
    pub(crate) fn is_target(&self) -> bool {
        self.is_person() && self.is_out()
    }

    pub(crate) fn created(&self) -> i64 {
        self.merged.created
    }

    pub(crate) fn life(&self) -> Span {
        (self.created(), self.ended)
    }

    /// Oldest first; ties by id.
    pub(crate) fn age(&self) -> (i64, &str) {
        (self.created(), self.id)
    }
}

/// All legs that matter to one session's record. Nodes are numbered: own legs by creation, then foreign service
/// legs, then legs that never became known.
#[derive(Debug)]
pub(crate) struct Parties<'a> {
    pub(crate) all: Vec<Party<'a>>,
    /// So many of `all` are the session's own.
    pub(crate) own: usize,
    by_id: Vec<(&'a str, usize)>,
    unknown: Vec<&'a str>,
}

impl<'a> Parties<'a> {
    /// From merged legs: own, and those of other sessions that they met.
    pub(crate) fn new(own: Vec<(&'a str, Merged<'a>)>, foreign: Vec<(&'a str, Merged<'a>)>) -> Self {
        let last = own.iter().map(|(_, merged)| merged.last).max().unwrap_or_default();
        let party = |(id, merged): (&'a str, Merged<'a>), open_end: i64| Party {
            id,
            kind: kind(merged.side(), merged.service()),
            ended: merged.ended.unwrap_or(open_end),
            answered: merged.answered,
            merged,
        };
        let mut all: Vec<Party<'a>> = own.into_iter().map(|leg| party(leg, last)).collect();
        all.sort_unstable_by(|a, b| a.age().cmp(&b.age()));
        let own = all.len();
        all.extend(foreign.into_iter().map(|leg| party(leg, i64::MAX)));
        let mut by_id: Vec<_> = all.iter().enumerate().map(|(node, party)| (party.id, node)).collect();
        by_id.sort_unstable();
        Self { all, own, by_id, unknown: Vec::new() }
    }

    /// Lets legs that have not ended live on: for what is asked while the call goes on.
    pub(crate) fn keep_alive(&mut self) {
        for party in self.all.iter_mut().filter(|party| party.merged.ended.is_none()) {
            party.ended = i64::MAX;
        }
    }

    /// The session's own legs, by creation.
    pub(crate) fn own(&self) -> &[Party<'a>] {
        &self.all[..self.own]
    }

    pub(crate) fn is_own(&self, node: usize) -> bool {
        node < self.own
    }

    /// A leg that never became known, taken for a person.
    pub(crate) fn is_unknown(&self, node: usize) -> bool {
        node >= self.all.len()
    }

    /// The number of a leg id; one that is not known gets a number when first asked for.
    pub(crate) fn node(&mut self, id: &'a str) -> usize {
        if let Ok(at) = self.by_id.binary_search_by(|(known, _)| (*known).cmp(id)) {
            return self.by_id[at].1;
        }
        let known = self.unknown.iter().position(|unknown| *unknown == id);
        let at = known.unwrap_or_else(|| {
            self.unknown.push(id);
            self.unknown.len() - 1
        });
        self.all.len() + at
    }

    /// The number of one of the session's own legs.
    pub(crate) fn own_node(&self, id: &str) -> Option<usize> {
        let at = self.by_id.binary_search_by(|(known, _)| (*known).cmp(id)).ok()?;
        Some(self.by_id[at].1).filter(|node| *node < self.own)
    }

    /// Id of a node.
    pub(crate) fn id(&self, node: usize) -> &'a str {
        self.all.get(node).map_or_else(|| self.unknown[node - self.all.len()], |party| party.id)
    }

    /// Whether a bridge with this node is one with a person: an own person leg, or a leg never known.
    pub(crate) fn counts_as_person(&self, node: usize) -> bool {
        self.is_unknown(node) || (self.is_own(node) && self.all[node].is_person())
    }

    pub(crate) fn is_conference(&self, node: usize) -> bool {
        self.all.get(node).is_some_and(Party::is_conference)
    }

    pub(crate) fn is_loopback(&self, node: usize) -> bool {
        self.all.get(node).is_some_and(|party| party.kind == Kind::Loopback)
    }
}
