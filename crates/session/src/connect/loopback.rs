//! Loopback legs pass a bridge on: whoever is joined through them at one instant is bridged.

use std::collections::BTreeMap;

use super::Joined;
use crate::intervals::{Set, Span};
use crate::parties::Parties;

/// Replaces the bridges with loopback legs by those of the legs at their far ends.
pub(super) fn pass_on(parties: &Parties<'_>, joined: &mut Vec<Joined>) {
    let (through, mut direct): (Vec<Joined>, Vec<Joined>) = std::mem::take(joined)
        .into_iter()
        .partition(|bridge| parties.is_loopback(bridge.a) || parties.is_loopback(bridge.b));
    let mut borders: Vec<i64> =
        through.iter().flat_map(|bridge| bridge.set.spans()).flat_map(|span| [span.0, span.1]).collect();
    borders.sort_unstable();
    borders.dedup();
    let mut found: BTreeMap<(usize, usize), Vec<Span>> = BTreeMap::new();
    for border in borders.windows(2) {
        for ends in far_ends(parties, &through, border[0]) {
            for (at, a) in ends.iter().enumerate() {
                for b in &ends[at + 1..] {
                    found.entry((*a.min(b), *a.max(b))).or_default().push((border[0], border[1]));
                }
            }
        }
    }
    for ((a, b), spans) in found {
        let set = Set::of(spans);
        match direct.iter_mut().find(|bridge| bridge.a == a && bridge.b == b) {
            Some(bridge) => bridge.set = Set::union([&bridge.set, &set]),
            None => direct.push(Joined { a, b, set, inferred: false }),
        }
    }
    *joined = direct;
}

/// The legs, other than loopbacks, that are joined through loopbacks at an instant, group by group.
fn far_ends(parties: &Parties<'_>, through: &[Joined], at: i64) -> Vec<Vec<usize>> {
    let active = through.iter().filter(|bridge| bridge.set.covers(at));
    groups(parties, active.map(|bridge| (bridge.a, bridge.b)))
}

/// The far ends of pairs joined through loopbacks, group by group.
pub(super) fn groups(parties: &Parties<'_>, pairs: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (a, b) in pairs {
        let relays = |node: &usize| parties.is_loopback(*node);
        let touches = |group: &Vec<usize>| {
            group.iter().filter(|node| relays(node)).any(|node| *node == a || *node == b)
        };
        let (mut same, rest): (Vec<_>, Vec<_>) = groups.into_iter().partition(touches);
        same.push(vec![a, b]);
        groups = rest;
        groups.push(same.concat());
    }
    for group in &mut groups {
        group.retain(|node| !parties.is_loopback(*node));
        group.sort_unstable();
        group.dedup();
    }
    groups
}
