//! Many triggers at once: each is found by one of its conditions, the most selective that an index can answer, and
//! then checked whole. So the index only has to find too much, never too little.

mod access;
mod line;
mod texts;

use std::collections::HashMap;

use ringpost_model::Cdr;

use crate::compiled::Compiled;
use crate::condition::Condition;
use crate::field::Field;
use crate::text_test::TextTest;
use crate::view::{Value, View};

use access::{Access, Popularity};
use line::{Line, LineBuilder};
use texts::{TextIndex, TextIndexBuilder};

/// Position of a trigger in the set.
type Position = u32;

/// The triggers of one tenant, indexed.
#[derive(Debug, Default)]
pub struct Set {
    triggers: Vec<Compiled>,
    fields: Vec<Field>,
    /// No condition of theirs narrows anything.
    always: Vec<Position>,
    texts: Vec<(usize, TextIndex)>,
    numbers: Vec<(usize, Line)>,
    groups: Vec<Group>,
}

/// A condition that no index answers, tried once for all the triggers that share it.
#[derive(Debug)]
struct Group {
    condition: Condition,
    triggers: Vec<Position>,
}

impl Set {
    /// Indexes triggers; a trigger's position is its place in `triggers`.
    pub fn new(triggers: Vec<Compiled>) -> Self {
        Builder::default().build(triggers)
    }

    /// How many triggers there are.
    pub fn len(&self) -> usize {
        self.triggers.len()
    }

    /// There is no trigger.
    pub fn is_empty(&self) -> bool {
        self.triggers.is_empty()
    }

    /// Puts the positions of all triggers that hold for the record into `found`, ascending, instead of what is there.
    pub fn matches(&self, cdr: &Cdr, found: &mut Vec<usize>) {
        found.clear();
        if self.triggers.is_empty() {
            return;
        }
        let view = View::new(cdr, &self.fields);
        let mut candidates = self.candidates(&view);
        candidates.sort_unstable();
        candidates.dedup();
        let positions = candidates.into_iter().map(|position| position as usize);
        found.extend(positions.filter(|position| self.triggers[*position].holds_in(&view)));
    }

    /// The same without the index, one trigger after the other: the yardstick of tests and measurements.
    pub fn scan(&self, cdr: &Cdr, found: &mut Vec<usize>) {
        found.clear();
        let view = View::new(cdr, &self.fields);
        let all = self.triggers.iter().enumerate();
        found.extend(all.filter(|(_, trigger)| trigger.holds_in(&view)).map(|(position, _)| position));
    }

    /// Every trigger that may hold, some more than once.
    fn candidates(&self, view: &View<'_>) -> Vec<Position> {
        let mut candidates = self.always.clone();
        for (slot, index) in &self.texts {
            if let Value::Texts(elements) = view.value(*slot) {
                index.find(elements, &mut candidates);
            }
        }
        for (slot, line) in &self.numbers {
            if let Value::Number(number) = view.value(*slot) {
                line.find(*number, &mut candidates);
            }
        }
        for group in &self.groups {
            if group.condition.holds(view) {
                candidates.extend_from_slice(&group.triggers);
            }
        }
        candidates
    }
}

#[derive(Default)]
struct Builder {
    always: Vec<Position>,
    texts: HashMap<usize, TextIndexBuilder>,
    numbers: HashMap<usize, LineBuilder>,
    groups: Vec<Group>,
    known_groups: HashMap<(usize, bool, TextTest), usize>,
}

impl Builder {
    fn build(mut self, mut triggers: Vec<Compiled>) -> Set {
        let fields = shared_fields(&mut triggers);
        let popularity = Popularity::of(&triggers);
        for (position, trigger) in triggers.iter().enumerate() {
            let position = Position::try_from(position).expect("memory ends before four billion triggers");
            match access::choose(trigger.conditions(), &popularity) {
                Some(condition) => self.add(position, condition),
                None => self.always.push(position),
            }
        }
        Set {
            triggers,
            fields,
            always: self.always,
            texts: in_order(self.texts, TextIndexBuilder::build),
            numbers: in_order(self.numbers, LineBuilder::build),
            groups: self.groups,
        }
    }

    fn add(&mut self, position: Position, condition: &Condition) {
        let slot = condition.slot;
        match Access::of(condition) {
            Access::Numbers(ranges) => self.numbers.entry(slot).or_default().add(position, &ranges),
            Access::Whole(keys) => self.texts.entry(slot).or_default().whole(position, keys),
            Access::Starts(parts) => self.texts.entry(slot).or_default().starts(position, parts),
            Access::Ends(parts) => self.texts.entry(slot).or_default().ends(position, parts),
            Access::Within(parts) => self.texts.entry(slot).or_default().within(position, parts),
            Access::Filled(filled) => self.texts.entry(slot).or_default().filled(position, filled),
            Access::Try(test) => self.try_once(position, condition, test),
        }
    }

    fn try_once(&mut self, position: Position, condition: &Condition, test: &TextTest) {
        let groups = &mut self.groups;
        let key = (condition.slot, condition.not, test.clone());
        let group = *self.known_groups.entry(key).or_insert_with(|| {
            groups.push(Group { condition: condition.clone(), triggers: Vec::new() });
            groups.len() - 1
        });
        groups[group].triggers.push(position);
    }
}

/// Gives each field one place, for all triggers.
fn shared_fields(triggers: &mut [Compiled]) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut places: HashMap<Field, usize> = HashMap::new();
    for trigger in triggers {
        trigger.move_fields(|field| {
            *places.entry(field.clone()).or_insert_with(|| {
                fields.push(field.clone());
                fields.len() - 1
            })
        });
    }
    fields
}

fn in_order<B, T>(builders: HashMap<usize, B>, build: fn(B) -> T) -> Vec<(usize, T)> {
    let mut built: Vec<_> = builders.into_iter().map(|(slot, builder)| (slot, build(builder))).collect();
    built.sort_unstable_by_key(|(slot, _)| *slot);
    built
}

#[cfg(test)]
mod tests;
