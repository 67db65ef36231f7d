//! Which legs belong together (sessions.md 2): links, names in links, bridges; and what no longer does.

use crate::hash::Map;

use super::{Link, Space};
use crate::pack::records;

/// A link carried by more legs than this ties nobody.
const LINK_LEGS: usize = 1_000;

/// What a leg's records say that ties: sorted, each once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Naming {
    pub(crate) links: Vec<Box<str>>,
    pub(crate) names: Vec<Box<str>>,
}

impl Naming {
    /// From packed records.
    pub(crate) fn of(packed: &[u8]) -> Self {
        let mut naming = Self::default();
        for (record, _) in records(packed) {
            naming.links.extend(record.links().map(Box::from));
            naming.names.extend(record.names().map(Box::from));
        }
        for list in [&mut naming.links, &mut naming.names] {
            list.sort_unstable();
            list.dedup();
        }
        naming
    }

    /// What is here and not there.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        let rest = |here: &[Box<str>], there: &[Box<str>]| {
            here.iter().filter(|one| there.binary_search(one).is_err()).cloned().collect()
        };
        Self { links: rest(&self.links, &other.links), names: rest(&self.names, &other.names) }
    }

    /// Nothing that ties.
    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty() && self.names.is_empty()
    }
}

impl Space {
    /// Enters what a leg newly says into the indexes. Gives the links that broke by it.
    pub(crate) fn index(&mut self, leg: u32, added: &Naming) -> Vec<Box<str>> {
        let mut broken = Vec::new();
        for text in &added.links {
            // Most links are known already: their text is not copied again.
            if !self.links.contains_key(text) {
                self.links.insert(text.clone(), Link::default());
            }
            let Some(link) = self.links.get_mut(text) else { continue };
            link.carriers.push(leg);
            if !link.broken && link.carriers.len() + link.refused.len() > LINK_LEGS {
                link.broken = true;
                broken.push(text.clone());
            }
        }
        for name in &added.names {
            self.namers.entry(name.clone()).or_default().push(leg);
        }
        broken
    }

    /// Takes what a leg no longer says out of the indexes.
    pub(crate) fn unindex(&mut self, leg: u32, removed: &Naming) {
        removed.links.iter().for_each(|text| self.drop_link(leg, text));
        removed.names.iter().for_each(|name| self.drop_name(leg, name));
    }

    /// Forgets a leg.
    pub(crate) fn remove_leg(&mut self, leg: u32) {
        let Some(known) = self.legs.remove(leg) else { return };
        self.by_id.remove(&known.id);
        for (record, _) in records(&known.packed) {
            record.links().for_each(|text| self.drop_link(leg, text));
            record.names().for_each(|name| self.drop_name(leg, name));
        }
    }

    fn drop_link(&mut self, leg: u32, text: &str) {
        let Some(link) = self.links.get_mut(text) else { return };
        link.carriers.retain(|carrier| *carrier != leg);
        // A broken link is remembered while a leg that carries it is known.
        if link.carriers.is_empty() {
            self.links.remove(text);
        }
    }

    fn drop_name(&mut self, leg: u32, name: &str) {
        let Some(namers) = self.namers.get_mut(name) else { return };
        namers.retain(|namer| *namer != leg);
        if namers.is_empty() {
            self.namers.remove(name);
        }
    }

    /// Counts a leg that was refused; a link that fills session after session must break in the end.
    pub(crate) fn refuse(&mut self, leg_hash: u64, said: &Naming) -> Vec<Box<str>> {
        let mut broken = Vec::new();
        for text in &said.links {
            let Some(link) = self.links.get_mut(text).filter(|link| !link.broken) else { continue };
            if !link.refused.contains(&leg_hash) {
                link.refused.push(leg_hash);
            }
            if link.carriers.len() + link.refused.len() > LINK_LEGS {
                link.broken = true;
                link.refused = Vec::new();
                broken.push(text.clone());
            }
        }
        broken
    }

    /// One leg of each session that a leg with this id, these links and these bridges belongs to.
    pub(crate) fn tied(&self, id: &str, said: &Naming, bridges_tie: bool) -> Vec<u32> {
        let mut tied = Vec::new();
        let is_broken = |text: &str| self.links.get(text).is_some_and(|link| link.broken);
        for text in &said.links {
            if is_broken(text) {
                continue;
            }
            tied.extend(self.by_id.get(&**text));
            // Those who share an unbroken link are in one session already: any two of them will do, for one may
            // be the leg itself.
            tied.extend(self.links.get(text).into_iter().flat_map(|link| link.carriers.iter().take(2)));
        }
        tied.extend(
            self.links.get(id).filter(|link| !link.broken).into_iter().flat_map(|link| &link.carriers),
        );
        if bridges_tie {
            let named = said.names.iter().filter_map(|name| self.by_id.get(&**name));
            let namers = self.namers.get(id).into_iter().flatten();
            tied.extend(named.chain(namers).filter(|other| self.legs[**other].kind.ties()));
        }
        tied
    }

    /// Whether a leg carries a broken link.
    pub(crate) fn carries_broken(&self, leg: u32) -> bool {
        let mut links = records(&self.legs[leg].packed).flat_map(|(record, _)| record.links());
        links.any(|text| self.links.get(text).is_some_and(|link| link.broken))
    }

    /// Splits legs into those that belong together, each part and the parts themselves in the order given.
    pub(crate) fn components(&self, legs: &[u32]) -> Vec<Vec<u32>> {
        let mut sets = Sets::new(legs.len());
        let place: Map<u32, usize> = legs.iter().enumerate().map(|(at, leg)| (*leg, at)).collect();
        let mut by_link: Map<&str, usize> = Map::default();
        let mut by_glue: Map<u32, usize> = Map::default();
        for (at, leg) in legs.iter().enumerate() {
            let known = &self.legs[*leg];
            if known.glue != 0 {
                sets.join(at, *by_glue.entry(known.glue).or_insert(at));
            }
            for (record, _) in records(&known.packed) {
                for text in record.links() {
                    if self.links.get(text).is_some_and(|link| link.broken) {
                        continue;
                    }
                    sets.join(at, *by_link.entry(text).or_insert(at));
                    if let Some(other) = self.by_id.get(text).and_then(|other| place.get(other)) {
                        sets.join(at, *other);
                    }
                }
                for name in record.names().filter(|_| known.kind.ties()) {
                    let Some(other) = self.by_id.get(name).filter(|other| self.legs[**other].kind.ties())
                    else {
                        continue;
                    };
                    if let Some(other) = place.get(other) {
                        sets.join(at, *other);
                    }
                }
            }
        }
        sets.parts(legs)
    }
}

/// Union-find.
struct Sets(Vec<usize>);

impl Sets {
    fn new(size: usize) -> Self {
        Self((0..size).collect())
    }

    fn find(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    /// The smaller number leads, so that parts come in the order of their first leg.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }

    fn parts(mut self, legs: &[u32]) -> Vec<Vec<u32>> {
        let mut parts: Vec<Vec<u32>> = Vec::new();
        let mut part_of: Map<usize, usize> = Map::default();
        for (at, leg) in legs.iter().enumerate() {
            let leader = self.find(at);
            let part = *part_of.entry(leader).or_insert_with(|| {
                parts.push(Vec::new());
                parts.len() - 1
            });
            parts[part].push(*leg);
        }
        parts
    }
}
