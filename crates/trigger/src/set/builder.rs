//! Makes a set: each field and each condition once, and for each trigger the one condition that finds it.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::access::{self, Access, Popularity};
use super::line::LineBuilder;
use super::texts::TextIndexBuilder;
use super::{ConditionId, Group, Position, Set};
use crate::compiled::Compiled;
use crate::condition::Condition;
use crate::field::Field;

/// The triggers, taken apart.
pub(super) struct Builder {
    triggers: Vec<Box<[ConditionId]>>,
    conditions: Vec<Condition>,
    shared: usize,
    fields: Vec<Field>,
}

impl Builder {
    pub(super) fn new(triggers: Vec<Compiled>) -> Self {
        let mut fields = Interner::default();
        let mut conditions = Interner::default();
        let taken_apart = triggers.into_iter().map(|trigger| {
            let placed = trigger.into_conditions().into_iter().map(|mut condition| {
                condition.slot = fields.place(condition.field.clone());
                conditions.place(condition)
            });
            placed.collect::<Vec<usize>>()
        });
        let triggers: Vec<Vec<usize>> = taken_apart.collect();
        let (conditions, new_places, shared) = shared_first(conditions.in_order(), &triggers);
        let id = |old: usize| {
            ConditionId::try_from(new_places[old]).expect("memory ends before four billion conditions")
        };
        let triggers = triggers.into_iter().map(|trigger| trigger.into_iter().map(id).collect()).collect();
        Self { triggers, conditions, shared, fields: fields.in_order() }
    }

    pub(super) fn build(self) -> Set {
        let index = Index::of(&self);
        Set {
            triggers: self.triggers,
            conditions: self.conditions,
            shared: self.shared,
            fields: self.fields,
            always: index.always,
            texts: in_order(index.texts, TextIndexBuilder::build),
            numbers: in_order(index.numbers, LineBuilder::build),
            groups: index.groups,
        }
    }
}

/// Moves the conditions of several triggers to the front; also tells where each went, and how many those are.
fn shared_first(conditions: Vec<Condition>, triggers: &[Vec<usize>]) -> (Vec<Condition>, Vec<usize>, usize) {
    let mut uses = vec![0usize; conditions.len()];
    triggers.iter().flatten().for_each(|old| uses[*old] += 1);
    let mut order: Vec<usize> = (0..conditions.len()).collect();
    order.sort_by_key(|old| Reverse(uses[*old] > 1));
    let mut new_places = vec![0; conditions.len()];
    order.iter().enumerate().for_each(|(new, old)| new_places[*old] = new);
    let mut moved: Vec<(usize, Condition)> = new_places.iter().copied().zip(conditions).collect();
    moved.sort_unstable_by_key(|(new, _)| *new);
    let shared = uses.iter().filter(|uses| **uses > 1).count();
    (moved.into_iter().map(|(_, condition)| condition).collect(), new_places, shared)
}

#[derive(Default)]
struct Index {
    always: Vec<Position>,
    texts: HashMap<usize, TextIndexBuilder>,
    numbers: HashMap<usize, LineBuilder>,
    groups: Vec<Group>,
    known_groups: HashMap<ConditionId, usize>,
}

impl Index {
    fn of(builder: &Builder) -> Self {
        let mut index = Self::default();
        let used = || builder.triggers.iter().flatten().map(|id| &builder.conditions[*id as usize]);
        let popularity = Popularity::of(used());
        for (position, trigger) in builder.triggers.iter().enumerate() {
            let position = Position::try_from(position).expect("memory ends before four billion triggers");
            let rank = |id: &ConditionId| access::rank(&builder.conditions[*id as usize], &popularity);
            match trigger.iter().copied().min_by_key(rank) {
                Some(id) => index.add(position, id, &builder.conditions[id as usize]),
                None => index.always.push(position),
            }
        }
        index
    }

    fn add(&mut self, position: Position, id: ConditionId, condition: &Condition) {
        let slot = condition.slot;
        match Access::of(condition) {
            Access::Numbers(ranges) => self.numbers.entry(slot).or_default().add(position, &ranges),
            Access::Whole(keys) => self.texts.entry(slot).or_default().whole(position, keys),
            Access::Starts(parts) => self.texts.entry(slot).or_default().starts(position, parts),
            Access::Ends(parts) => self.texts.entry(slot).or_default().ends(position, parts),
            Access::Within(parts) => self.texts.entry(slot).or_default().within(position, parts),
            Access::Filled(filled) => self.texts.entry(slot).or_default().filled(position, filled),
            Access::Try => self.try_once(position, id),
        }
    }

    fn try_once(&mut self, position: Position, id: ConditionId) {
        let groups = &mut self.groups;
        let group = *self.known_groups.entry(id).or_insert_with(|| {
            groups.push(Group { condition: id, triggers: Vec::new() });
            groups.len() - 1
        });
        groups[group].triggers.push(position);
    }
}

/// Gives each value one place, in the order of first sight.
struct Interner<T> {
    places: HashMap<T, usize>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { places: HashMap::new() }
    }
}

impl<T: Eq + std::hash::Hash> Interner<T> {
    fn place(&mut self, value: T) -> usize {
        let next = self.places.len();
        *self.places.entry(value).or_insert(next)
    }

    fn in_order(self) -> Vec<T> {
        let mut values: Vec<(T, usize)> = self.places.into_iter().collect();
        values.sort_unstable_by_key(|(_, place)| *place);
        values.into_iter().map(|(value, _)| value).collect()
    }
}

fn in_order<B, T>(builders: HashMap<usize, B>, build: fn(B) -> T) -> Vec<(usize, T)> {
    let mut built: Vec<_> = builders.into_iter().map(|(slot, builder)| (slot, build(builder))).collect();
    built.sort_unstable_by_key(|(slot, _)| *slot);
    built
}
