//! Many triggers at once: each is found by one of its conditions, the most selective that an index can answer, and
//! then checked whole. So the index only has to find too much, never too little.

mod access;
mod builder;
mod line;
mod texts;

use std::cell::Cell;

use ringpost_model::Cdr;

use crate::compiled::Compiled;
use crate::condition::Condition;
use crate::field::Field;
use crate::view::{Value, View};

use builder::Builder;
use line::Line;
use texts::TextIndex;

/// Position of a trigger in the set.
type Position = u32;

/// The triggers of one tenant, indexed.
#[derive(Debug, Default)]
pub struct Set {
    /// Of each trigger, which conditions must hold.
    triggers: Vec<Box<[ConditionId]>>,
    /// Each condition once, those of several triggers first.
    conditions: Vec<Condition>,
    /// How many conditions are of several triggers.
    shared: usize,
    fields: Vec<Field>,
    /// No condition of theirs narrows anything.
    always: Vec<Position>,
    texts: Vec<(usize, TextIndex)>,
    numbers: Vec<(usize, Line)>,
    groups: Vec<Group>,
}

/// Place of a condition in the set.
type ConditionId = u32;

/// A condition that no index answers, tried once for all the triggers that are found by it.
#[derive(Debug)]
struct Group {
    condition: ConditionId,
    triggers: Vec<Position>,
}

impl Set {
    /// Indexes triggers; a trigger's position is its place in `triggers`.
    pub fn new(triggers: Vec<Compiled>) -> Self {
        Builder::new(triggers).build()
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
        let verdicts = Verdicts {
            set: self,
            view: View::new(cdr, &self.fields),
            known: vec![Cell::new(None); self.shared],
        };
        let mut candidates = self.candidates(&verdicts);
        candidates.sort_unstable();
        candidates.dedup();
        found.extend(candidates.into_iter().map(|at| at as usize).filter(|at| verdicts.trigger(*at)));
    }

    /// The same without index and memory, one condition after the other: the yardstick of tests and measurements.
    pub fn scan(&self, cdr: &Cdr, found: &mut Vec<usize>) {
        found.clear();
        let view = View::new(cdr, &self.fields);
        let holds = |id: &ConditionId| self.conditions[*id as usize].holds(&view);
        found.extend((0..self.triggers.len()).filter(|at| self.triggers[*at].iter().all(holds)));
    }

    /// Every trigger that may hold, some more than once.
    fn candidates(&self, verdicts: &Verdicts<'_>) -> Vec<Position> {
        let mut candidates = self.always.clone();
        for (slot, index) in &self.texts {
            if let Value::Texts(elements) = verdicts.view.value(*slot) {
                index.find(elements, &mut candidates);
            }
        }
        for (slot, line) in &self.numbers {
            if let Value::Number(number) = verdicts.view.value(*slot) {
                line.find(*number, &mut candidates);
            }
        }
        for group in &self.groups {
            if verdicts.condition(group.condition) {
                candidates.extend_from_slice(&group.triggers);
            }
        }
        candidates
    }
}

/// What holds for one record; of a condition that several triggers share it is found out once.
struct Verdicts<'a> {
    set: &'a Set,
    view: View<'a>,
    /// By condition, of those that are shared.
    known: Vec<Cell<Option<bool>>>,
}

impl Verdicts<'_> {
    fn trigger(&self, position: usize) -> bool {
        self.set.triggers[position].iter().all(|id| self.condition(*id))
    }

    fn condition(&self, id: ConditionId) -> bool {
        let find_out = || self.set.conditions[id as usize].holds(&self.view);
        let Some(known) = self.known.get(id as usize) else { return find_out() };
        known.get().unwrap_or_else(|| {
            let holds = find_out();
            known.set(Some(holds));
            holds
        })
    }
}

#[cfg(test)]
mod tests;
