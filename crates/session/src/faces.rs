//! Who rang and who answered, first and last (sessions.md 4.1, `fRng*` `lRng*` `ans*` `lAns*`).

use ringpost_model::CallDirection;

use crate::connect::{Bridges, Joined};
use crate::intervals::{Set, Span};
use crate::pack::key;
use crate::parties::{Parties, Party};
use crate::timeline::{Roles, alert_begin};

/// Nodes of the four columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) first_rang: Option<usize>,
    pub(crate) last_rang: Option<usize>,
    pub(crate) answered: Option<usize>,
    pub(crate) last_answered: Option<usize>,
}

/// Two legs that talked, from when on.
#[derive(Debug, Clone)]
pub(crate) struct Talk {
    pub(crate) a: usize,
    pub(crate) b: usize,
    pub(crate) set: Set,
    /// In one conference leg, not bridged.
    in_room: bool,
}

impl Talk {
    pub(crate) fn other(&self, node: usize) -> Option<usize> {
        if self.a == node {
            Some(self.b)
        } else if self.b == node {
            Some(self.a)
        } else {
            None
        }
    }
}

/// Every pair of persons that talked within the window: bridged, or in one conference leg at one instant.
pub(crate) fn talks(parties: &Parties<'_>, bridges: &Bridges, window: Span) -> Vec<Talk> {
    let persons = |bridge: &&Joined| parties.counts_as_person(bridge.a) && parties.counts_as_person(bridge.b);
    let mut talks: Vec<Talk> = bridges
        .joined
        .iter()
        .filter(persons)
        .map(|bridge| Talk { a: bridge.a, b: bridge.b, set: bridge.set.clip(window), in_room: false })
        .collect();
    for room in 0..parties.all.len() {
        if parties.is_conference(room) {
            together(parties, bridges, room, window, &mut talks);
        }
    }
    talks.retain(|talk| !talk.set.is_empty());
    talks
}

fn together(parties: &Parties<'_>, bridges: &Bridges, room: usize, window: Span, talks: &mut Vec<Talk>) {
    let members = bridges.joined.iter().filter_map(|bridge| Some((bridge.other(room)?, &bridge.set)));
    let members = members.filter(|(node, _)| parties.is_own(*node) && parties.all[*node].is_person());
    let members: Vec<(usize, Set)> = members.map(|(node, set)| (node, set.clip(window))).collect();
    for (at, (a, here)) in members.iter().enumerate() {
        for (b, there) in &members[at + 1..] {
            talks.push(Talk { a: *a, b: *b, set: here.and(there), in_room: true });
        }
    }
}

/// Fills the four columns.
pub(crate) fn columns(
    parties: &Parties<'_>,
    bridges: &Bridges,
    roles: Roles,
    direction: CallDirection,
    talks: &[Talk],
) -> Columns {
    let (first_rang, last_rang) = match direction {
        CallDirection::Outgoing => own_desks(parties, bridges, roles),
        _ => alerted(parties),
    };
    let begins = match direction {
        CallDirection::Unknown | CallDirection::Internal => later_legs(parties, talks),
        CallDirection::Outgoing => {
            let mut begins = with_customer(parties, roles.customer, talks);
            begins.extend(of_root(parties, roles, talks));
            begins
        }
        _ => with_customer(parties, roles.customer, talks),
    };
    let id = |node: usize| parties.all[node].id;
    let first = begins.iter().min_by_key(|(begin, node)| (*begin, id(*node)));
    let last = begins.iter().min_by_key(|(begin, node)| (std::cmp::Reverse(*begin), id(*node)));
    Columns {
        first_rang,
        last_rang,
        answered: first.map(|(_, node)| *node),
        last_answered: last.map(|(_, node)| *node),
    }
}

/// The target legs that began to alert first and last.
fn alerted(parties: &Parties<'_>) -> (Option<usize>, Option<usize>) {
    let targets = parties.own().iter().enumerate().filter(|(_, party)| party.is_target() && is_desk(party));
    let mut begins: Vec<(i64, &str, usize)> =
        targets.filter_map(|(node, party)| Some((alert_begin(parties, party)?, party.id, node))).collect();
    begins.sort_unstable();
    (begins.first().map(|first| first.2), begins.last().map(|last| last.2))
}

/// An outside number counts as somebody's only where the leg says whose.
fn is_desk(party: &Party<'_>) -> bool {
    let named =
        [key::DEVICE, key::USER, key::AGENT].into_iter().any(|key| party.merged.pair(key) != ("", ""));
    !party.is_external() || named
}

/// Outgoing: the internal legs that took part, first and last created.
fn own_desks(parties: &Parties<'_>, bridges: &Bridges, roles: Roles) -> (Option<usize>, Option<usize>) {
    let customer = roles.customer;
    let rooms = |node: usize| {
        let met = bridges.joined.iter().filter_map(move |bridge| Some((bridge.other(node)?, &bridge.set)));
        met.filter(|(other, _)| parties.is_conference(*other))
    };
    let met_customer = |node: usize| {
        let bridged = bridges.joined.iter().any(|bridge| bridge.other(customer) == Some(node));
        let in_one_room = || {
            rooms(customer).any(|(room, here)| {
                rooms(node).any(|(other, there)| other == room && !here.and(there).is_empty())
            })
        };
        bridged || in_one_room()
    };
    let desks = parties.own().iter().enumerate().filter(|(_, party)| party.is_internal());
    let mut desks: Vec<((i64, &str), usize)> = desks
        .filter(|(node, _)| *node == roles.root || met_customer(*node))
        .map(|(node, party)| (party.age(), node))
        .collect();
    desks.sort_unstable();
    (desks.first().map(|first| first.1), desks.last().map(|last| last.1))
}

/// Begins of the customer's talks with internal legs.
fn with_customer(parties: &Parties<'_>, customer: usize, talks: &[Talk]) -> Vec<(i64, usize)> {
    let met = talks.iter().filter_map(|talk| Some((talk.other(customer)?, talk)));
    let internal = met.filter(|(node, _)| parties.is_own(*node) && parties.all[*node].is_internal());
    internal.flat_map(|(node, talk)| begins(node, talk)).collect()
}

/// Outgoing: the caller's own bridges count too, as where a colleague was asked first; not whom it met in a room.
fn of_root(parties: &Parties<'_>, roles: Roles, talks: &[Talk]) -> Vec<(i64, usize)> {
    if !parties.all[roles.root].is_internal() {
        return Vec::new();
    }
    let own = talks.iter().filter(|talk| !talk.in_room && talk.other(roles.root).is_some());
    own.flat_map(|talk| begins(roles.root, talk)).collect()
}

/// Internal: of each two legs that talked the one created later.
fn later_legs(parties: &Parties<'_>, talks: &[Talk]) -> Vec<(i64, usize)> {
    let later = |talk: &Talk| match (parties.all.get(talk.a), parties.all.get(talk.b)) {
        (Some(a), Some(b)) => {
            let (age_a, age_b) = ((a.created(), a.is_out()), (b.created(), b.is_out()));
            let a_is_later = age_a.cmp(&age_b).then(b.id.cmp(a.id)).is_gt();
            Some(if a_is_later { talk.a } else { talk.b })
        }
        // With a leg that never became known: the known one, if the switch placed it.
        (Some(known), None) => known.is_out().then_some(talk.a),
        (None, Some(known)) => known.is_out().then_some(talk.b),
        (None, None) => None,
    };
    talks
        .iter()
        .filter_map(|talk| Some((later(talk)?, talk)))
        .flat_map(|(node, talk)| begins(node, talk))
        .collect()
}

fn begins(node: usize, talk: &Talk) -> impl Iterator<Item = (i64, usize)> + '_ {
    talk.set.spans().iter().map(move |span| (span.0, node))
}
