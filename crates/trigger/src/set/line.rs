//! Which triggers' intervals hold a number: a segment tree over the bounds that occur, so that a look-up costs the
//! logarithm of their number and the triggers found.

use std::ops::Bound;

use rust_decimal::Decimal;

use super::Position;
use crate::range::{Range, Ranges};

/// Collects intervals.
#[derive(Debug, Default)]
pub(super) struct LineBuilder {
    ranges: Vec<(Range, Position)>,
}

impl LineBuilder {
    pub(super) fn add(&mut self, position: Position, ranges: &Ranges) {
        self.ranges.extend(ranges.iter().map(|range| (*range, position)));
    }

    pub(super) fn build(self) -> Line {
        let bounds = self.ranges.iter().flat_map(|(range, _)| [range.from, range.to]).filter_map(number_of);
        let mut borders: Vec<Decimal> = bounds.collect();
        borders.sort_unstable();
        borders.dedup();
        let cells = 2 * borders.len() + 1;
        let mut line = Line { borders, nodes: vec![Vec::new(); 2 * cells] };
        for (range, position) in self.ranges {
            line.insert(range, position);
        }
        line.nodes.iter_mut().for_each(Vec::shrink_to_fit);
        line
    }
}

/// The cells of the line are the borders themselves (odd) and the gaps before, between and after them (even).
#[derive(Debug)]
pub(super) struct Line {
    borders: Vec<Decimal>,
    /// The tree: the children of node `n` are `2n` and `2n + 1`, the leaves are the second half.
    nodes: Vec<Vec<Position>>,
}

impl Line {
    /// Adds all triggers with an interval that holds the number.
    pub(super) fn find(&self, number: Decimal, found: &mut Vec<Position>) {
        let cell = match self.borders.binary_search(&number) {
            Ok(border) => 2 * border + 1,
            Err(gap) => 2 * gap,
        };
        let mut node = self.nodes.len() / 2 + cell;
        while node > 0 {
            found.extend_from_slice(&self.nodes[node]);
            node /= 2;
        }
    }

    fn insert(&mut self, range: Range, position: Position) {
        let leaves = self.nodes.len() / 2;
        let mut from = leaves + self.first_cell(range.from);
        let mut to = leaves + self.end_cell(range.to);
        while from < to {
            if from % 2 == 1 {
                self.nodes[from].push(position);
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                self.nodes[to].push(position);
            }
            from /= 2;
            to /= 2;
        }
    }

    fn first_cell(&self, from: Bound<Decimal>) -> usize {
        match from {
            Bound::Unbounded => 0,
            Bound::Included(at) => 2 * self.border(at) + 1,
            Bound::Excluded(at) => 2 * self.border(at) + 2,
        }
    }

    /// The cell after the last one.
    fn end_cell(&self, to: Bound<Decimal>) -> usize {
        match to {
            Bound::Unbounded => self.nodes.len() / 2,
            Bound::Included(at) => 2 * self.border(at) + 2,
            Bound::Excluded(at) => 2 * self.border(at) + 1,
        }
    }

    fn border(&self, at: Decimal) -> usize {
        self.borders.partition_point(|border| *border < at)
    }
}

fn number_of(bound: Bound<Decimal>) -> Option<Decimal> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(at) | Bound::Excluded(at) => Some(at),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bound() -> impl Strategy<Value = Bound<Decimal>> {
        let number = (-4i64..4).prop_map(Decimal::from);
        prop_oneof![
            Just(Bound::Unbounded),
            number.clone().prop_map(Bound::Included),
            number.prop_map(Bound::Excluded)
        ]
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_a_loop_finds(bounds in prop::collection::vec((bound(), bound()), 0..40), at in -90i64..90) {
            let number = Decimal::new(at, 1);
            let all: Vec<Ranges> = bounds.iter().map(|(from, to)| Ranges::of_one(*from, *to)).collect();
            let mut builder = LineBuilder::default();
            for (position, ranges) in (0..).zip(&all) {
                builder.add(position, ranges);
            }
            let mut found = Vec::new();
            builder.build().find(number, &mut found);
            found.sort_unstable();
            let expected: Vec<u32> = (0..).zip(&all).filter(|(_, ranges)| ranges.contains(number)).map(|(at, _)| at).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
