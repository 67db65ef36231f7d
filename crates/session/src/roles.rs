//! Which leg is the root, and which the customer's (sessions.md 2).

use ringpost_model::LegDirection;

use crate::connect::Joined;
use crate::parties::{Parties, Party};

/// A leg that comes so much after the first one is not what the call began with.
const ROOT_WINDOW: i64 = 10_000_000;

/// What the choice of the root looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) created: i64,
    pub(crate) id: &'a str,
    pub(crate) is_person: bool,
    pub(crate) is_in: bool,
}

impl<'a> Candidate<'a> {
    pub(crate) fn of(party: &Party<'a>) -> Self {
        Self {
            created: party.created(),
            id: party.id,
            is_person: party.is_person(),
            is_in: party.merged.direction() == Some(LegDirection::In),
        }
    }
}

/// The position of the root among the candidates; none without any.
pub(crate) fn root<'a>(legs: impl Iterator<Item = Candidate<'a>> + Clone) -> Option<usize> {
    let any_person = legs.clone().any(|leg| leg.is_person);
    let eligible = legs.enumerate().filter(move |(_, leg)| leg.is_person || !any_person);
    let earliest = eligible.clone().map(|(_, leg)| leg.created).min()?;
    let early = eligible.filter(move |(_, leg)| leg.created.saturating_sub(earliest) <= ROOT_WINDOW);
    let any_in = early.clone().any(|(_, leg)| leg.is_in);
    let chosen = early.filter(|(_, leg)| leg.is_in || !any_in).min_by_key(|(_, leg)| (leg.created, leg.id));
    chosen.map(|(at, _)| at)
}

/// The customer's leg; without an external leg it is the root.
pub(crate) fn customer(parties: &Parties<'_>, joined: &[Joined], root: usize) -> usize {
    if parties.all[root].is_external() {
        return root;
    }
    let externals = || parties.own().iter().enumerate().filter(|(_, party)| party.is_external());
    let first_bridge = |node: usize| {
        let with_person = joined.iter().filter_map(|bridge| Some((bridge.other(node)?, bridge)));
        let with_person = with_person.filter(|(other, _)| parties.counts_as_person(*other));
        with_person.filter_map(|(_, bridge)| bridge.set.first()).min()
    };
    let bridged = externals().filter_map(|(node, party)| Some((first_bridge(node)?, party.age(), node)));
    let earliest_bridged = bridged.min().map(|(.., node)| node);
    let oldest = || externals().min_by_key(|(_, party)| party.age()).map(|(node, _)| node);
    earliest_bridged.or_else(oldest).unwrap_or(root)
}
