//! Sets of numbers, as every operator on a number, flag, code or time is one: `lt`, `between`, `in`, `before`, …

use std::ops::Bound;

use rust_decimal::Decimal;

/// An interval; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Range {
    pub(crate) from: Bound<Decimal>,
    pub(crate) to: Bound<Decimal>,
}

/// Disjoint intervals in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ranges(Box<[Range]>);

impl Ranges {
    /// Exactly these values.
    pub(crate) fn of_values(mut values: Vec<Decimal>) -> Self {
        values.sort_unstable();
        values.dedup();
        Self(
            values
                .into_iter()
                .map(|value| Range { from: Bound::Included(value), to: Bound::Included(value) })
                .collect(),
        )
    }

    /// From `from` to `to`.
    pub(crate) fn of_one(from: Bound<Decimal>, to: Bound<Decimal>) -> Self {
        Self(Box::new([Range { from, to }]))
    }

    /// `from` and all after it, `to` and all before it: a time of day over midnight.
    pub(crate) fn around(to: Decimal, from: Decimal) -> Self {
        let before = Range { from: Bound::Unbounded, to: Bound::Included(to) };
        Self(Box::new([before, Range { from: Bound::Included(from), to: Bound::Unbounded }]))
    }

    /// Every number but zero.
    pub(crate) fn non_zero() -> Self {
        let below = Range { from: Bound::Unbounded, to: Bound::Excluded(Decimal::ZERO) };
        Self(Box::new([below, Range { from: Bound::Excluded(Decimal::ZERO), to: Bound::Unbounded }]))
    }

    /// Every number.
    pub(crate) fn all() -> Self {
        Self::of_one(Bound::Unbounded, Bound::Unbounded)
    }

    /// Whether the value is in one of the intervals.
    pub(crate) fn contains(&self, value: Decimal) -> bool {
        // The intervals are in order: only the last one that begins at or before the value can hold it.
        let begun = self.0.partition_point(|range| range.begins_by(value));
        begun > 0 && self.0[begun - 1].ends_after(value)
    }

    /// The intervals of all other numbers.
    pub(crate) fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut from = Some(Bound::Unbounded);
        for range in &self.0 {
            if let (Some(from), Some(to)) = (from, opposite(range.from)) {
                gaps.push(Range { from, to });
            }
            from = opposite(range.to);
        }
        gaps.extend(from.map(|from| Range { from, to: Bound::Unbounded }));
        Self(gaps.into())
    }

    /// The intervals.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range> {
        self.0.iter()
    }

    /// How many intervals there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them are single values.
    pub(crate) fn is_points(&self) -> bool {
        self.0.iter().all(|range| range.from == range.to && range.from != Bound::Unbounded)
    }
}

impl Range {
    fn begins_by(&self, value: Decimal) -> bool {
        match self.from {
            Bound::Unbounded => true,
            Bound::Included(from) => from <= value,
            Bound::Excluded(from) => from < value,
        }
    }

    fn ends_after(&self, value: Decimal) -> bool {
        match self.to {
            Bound::Unbounded => true,
            Bound::Included(to) => value <= to,
            Bound::Excluded(to) => value < to,
        }
    }
}

/// The bound of what lies on the other side; nothing lies beyond no bound.
fn opposite(bound: Bound<Decimal>) -> Option<Bound<Decimal>> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(at) => Some(Bound::Excluded(at)),
        Bound::Excluded(at) => Some(Bound::Included(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_complement(ranges: &Ranges) {
        let complement = ranges.complement();
        for tenths in -30..30 {
            let value = Decimal::new(tenths, 1);
            assert_ne!(ranges.contains(value), complement.contains(value), "{value} in {ranges:?}");
        }
        assert_eq!(&complement.complement(), ranges);
    }

    #[test]
    fn every_number_is_in_a_set_or_in_its_complement() {
        let one = Decimal::ONE;
        let two = Decimal::TWO;
        check_complement(&Ranges::of_values(vec![two, one, one]));
        check_complement(&Ranges::of_one(Bound::Excluded(one), Bound::Included(two)));
        check_complement(&Ranges::of_one(Bound::Unbounded, Bound::Excluded(one)));
        check_complement(&Ranges::around(one, two));
        check_complement(&Ranges::non_zero());
        check_complement(&Ranges::all());
    }
}
