//! Sets of instants as sorted, disjoint, half-open intervals of microseconds. Only algebra; no rule of calls.

/// A half-open interval `[from, to)`.
pub(crate) type Span = (i64, i64);

/// A set of instants: sorted, disjoint, none empty, neighbours joined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Set(Vec<Span>);

impl Set {
    /// The union of any intervals; empty and negative ones hold no instant.
    pub(crate) fn of(mut spans: Vec<Span>) -> Self {
        spans.retain(|(from, to)| from < to);
        if spans.len() < 2 {
            return Self(spans);
        }
        spans.sort_unstable();
        let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
        for (from, to) in spans {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        Self(joined)
    }

    /// One interval.
    pub(crate) fn one(from: i64, to: i64) -> Self {
        Self::of(vec![(from, to)])
    }

    /// The union of sets.
    pub(crate) fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::of(sets.into_iter().flat_map(|set| set.0.iter().copied()).collect())
    }

    /// The intervals, by time.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.0
    }

    /// No instant.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// First instant.
    pub(crate) fn first(&self) -> Option<i64> {
        self.0.first().map(|span| span.0)
    }

    /// Whether `[from, to)`, of which no border of the set lies inside, is in the set.
    pub(crate) fn covers(&self, from: i64) -> bool {
        let next = self.0.partition_point(|span| span.0 <= from);
        next > 0 && self.0[next - 1].1 > from
    }

    /// The instants in both.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let (mut here, mut there, mut both) = (0, 0, Vec::new());
        while let (Some(a), Some(b)) = (self.0.get(here), other.0.get(there)) {
            let (from, to) = (a.0.max(b.0), a.1.min(b.1));
            if from < to {
                both.push((from, to));
            }
            if a.1 <= b.1 { here += 1 } else { there += 1 }
        }
        Self(both)
    }

    /// The instants from `from` on and before `to`.
    pub(crate) fn clip(&self, (from, to): Span) -> Self {
        let clipped = self.0.iter().map(|span| (span.0.max(from), span.1.min(to)));
        Self(clipped.filter(|(from, to)| from < to).collect())
    }

    /// Keeps the instants from `from` on and before `to`.
    pub(crate) fn cut(&mut self, (from, to): Span) {
        self.0.retain_mut(|span| {
            *span = (span.0.max(from), span.1.min(to));
            span.0 < span.1
        });
    }

    /// The instants here and not there.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        let mut rest = Vec::new();
        for &(mut from, to) in &self.0 {
            let first = other.0.partition_point(|hole| hole.1 <= from);
            for hole in other.0[first..].iter().take_while(|hole| hole.0 < to) {
                if from < hole.0 {
                    rest.push((from, hole.0));
                }
                from = from.max(hole.1);
            }
            if from < to {
                rest.push((from, to));
            }
        }
        Self(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        proptest::collection::vec((0i64..30, 0i64..30), 0..8)
    }

    fn member(spans: &[Span], at: i64) -> bool {
        spans.iter().any(|span| span.0 <= at && at < span.1)
    }

    proptest! {
        #[test]
        fn algebra_is_that_of_the_instants(a in spans(), b in spans(), window in (0i64..30, 0i64..30)) {
            let (set_a, set_b) = (Set::of(a.clone()), Set::of(b.clone()));
            let (both, rest, all) = (set_a.and(&set_b), set_a.minus(&set_b), Set::union([&set_a, &set_b]));
            let clipped = set_a.clip(window);
            let mut cut = set_a.clone();
            cut.cut(window);
            prop_assert_eq!(&cut, &clipped);
            for at in 0..30 {
                let (in_a, in_b) = (member(&a, at), member(&b, at));
                prop_assert_eq!(set_a.covers(at), in_a);
                prop_assert_eq!(both.covers(at), in_a && in_b);
                prop_assert_eq!(rest.covers(at), in_a && !in_b);
                prop_assert_eq!(all.covers(at), in_a || in_b);
                prop_assert_eq!(clipped.covers(at), in_a && window.0 <= at && at < window.1);
            }
            for set in [both, rest, all, clipped] {
                prop_assert!(set.spans().iter().all(|span| span.0 < span.1));
                prop_assert!(set.spans().windows(2).all(|pair| pair[0].1 < pair[1].0));
            }
        }
    }
}
