//! Intervals out of openings and closings (sessions.md 1, Intervals from events).

/// An interval as told; without `to` it lasts as long as its leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) from: i64,
    pub(crate) to: Option<i64>,
    /// Which of two legs told it: bit 1, bit 2.
    pub(crate) by: u8,
}

/// Everything told of the bridges of one pair of legs.
#[derive(Debug, Default)]
pub(crate) struct PairTold {
    pub(crate) intervals: Vec<Interval>,
    pub(crate) opens: Vec<(i64, u8)>,
    pub(crate) closes: Vec<i64>,
}

impl PairTold {
    /// The bridges of the pair.
    pub(crate) fn settle(&self) -> Vec<Interval> {
        intervals(self.intervals.clone(), self.opens.clone(), self.closes.clone())
    }

    /// Whether anything told, on its own, was open: another word on the same begin does not close it.
    fn was_open_before(&self, at: i64) -> bool {
        let open = |one: &Interval| one.from < at && one.to.is_none_or(|to| to >= at);
        let paired = pair(&self.intervals, self.opens.clone(), self.closes.clone());
        self.intervals.iter().chain(&paired).any(open)
    }
}

/// A leg leaves whoever it is bridged with, at instants in order of time.
///
/// That closes what was open before. Only where nothing was, it belongs to a bridge that opens at that very
/// instant: a leg that is handed on leaves one bridge and joins the next at once, and must not lose the next.
pub(crate) fn leave_all(pairs: &mut [&mut PairTold], mut instants: Vec<i64>) {
    instants.sort_unstable();
    instants.dedup();
    for at in instants {
        let open: Vec<usize> = (0..pairs.len()).filter(|pair| pairs[*pair].was_open_before(at)).collect();
        if open.is_empty() {
            pairs
                .iter_mut()
                .filter(|pair| pair.opens.iter().any(|open| open.0 == at))
                .for_each(|pair| pair.closes.push(at));
        }
        open.into_iter().for_each(|pair| pairs[pair].closes.push(at));
    }
}

/// Joins what records and events tell of intervals of one kind.
///
/// An interval that a record left open is closed by a later closing event too: the record was a snapshot.
pub(crate) fn intervals(told: Vec<Interval>, mut opens: Vec<(i64, u8)>, closes: Vec<i64>) -> Vec<Interval> {
    if !closes.is_empty() {
        let closed = |from: i64| told.iter().any(|other| other.from == from && other.to.is_some());
        opens.extend(
            told.iter().filter(|one| one.to.is_none() && !closed(one.from)).map(|one| (one.from, one.by)),
        );
    }
    let paired = pair(&told, opens, closes);
    let mut all = told;
    all.extend(paired);
    unify(all)
}

/// Intervals with equal `from` are one; a `to` beats none, the latest wins.
fn unify(mut all: Vec<Interval>) -> Vec<Interval> {
    all.sort_unstable_by_key(|one| one.from);
    all.dedup_by(|next, kept| {
        let same = next.from == kept.from;
        if same {
            kept.to = kept.to.max(next.to);
            kept.by |= next.by;
        }
        same
    });
    all
}

/// Pairs each opening with the next closing. At one instant the closings of what was open come first; an opening
/// and a closing with nothing open before make an empty interval. An interval `told` with its end was open up to and
/// including that end.
fn pair(told: &[Interval], mut opens: Vec<(i64, u8)>, mut closes: Vec<i64>) -> Vec<Interval> {
    opens.sort_unstable();
    closes.sort_unstable();
    closes.dedup();
    let mut paired = Vec::with_capacity(opens.len());
    let mut open: Vec<(i64, u8)> = Vec::new();
    let (mut opening, mut closing) = (opens.into_iter().peekable(), closes.into_iter().peekable());
    loop {
        let next_open = opening.peek().map(|one| one.0);
        let next_close = closing.peek().copied();
        let Some(at) = [next_open, next_close].into_iter().flatten().min() else { break };
        let mut begins = 0;
        while let Some((_, by)) = opening.next_if(|one| one.0 == at) {
            begins |= by;
        }
        if closing.next_if_eq(&at).is_some() {
            let told_open = |one: &Interval| one.from < at && one.to.is_some_and(|to| to >= at);
            if begins != 0 && open.is_empty() && !told.iter().any(told_open) {
                paired.push(Interval { from: at, to: Some(at), by: begins });
                begins = 0;
            }
            paired.extend(open.drain(..).map(|(from, by)| Interval { from, to: Some(at), by }));
        }
        if begins != 0 {
            open.push((at, begins));
        }
    }
    paired.extend(open.into_iter().map(|(from, by)| Interval { from, to: None, by }));
    paired
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(told: &[(i64, Option<i64>)], opens: &[i64], closes: &[i64], expected: &[(i64, Option<i64>)]) {
        let told = told.iter().map(|&(from, to)| Interval { from, to, by: 1 }).collect();
        let found = intervals(told, opens.iter().map(|at| (*at, 1)).collect(), closes.to_vec());
        let found: Vec<_> = found.into_iter().map(|one| (one.from, one.to)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_opening_lasts_to_the_next_closing() {
        check(&[], &[10, 30], &[20], &[(10, Some(20)), (30, None)]);
        check(&[], &[30, 10], &[40, 20], &[(10, Some(20)), (30, Some(40))]);
    }

    #[test]
    fn a_second_opening_ends_with_the_first() {
        check(&[], &[10, 15], &[20], &[(10, Some(20)), (15, Some(20))]);
    }

    #[test]
    fn a_closing_at_the_instant_of_an_opening_closes_what_was_open_before() {
        check(&[], &[10, 20], &[20], &[(10, Some(20)), (20, None)]);
        check(&[], &[20], &[20], &[(20, Some(20))]);
        check(&[], &[20], &[20, 30], &[(20, Some(20))]);
    }

    #[test]
    fn a_closing_with_nothing_open_says_nothing() {
        check(&[], &[10], &[5], &[(10, None)]);
    }

    #[test]
    fn equal_begins_are_one_and_the_latest_end_wins() {
        check(&[(10, None), (10, Some(20)), (10, Some(30))], &[], &[], &[(10, Some(30))]);
        check(&[(10, Some(20))], &[10], &[], &[(10, Some(20))]);
        check(&[(10, Some(20))], &[10], &[25], &[(10, Some(25))]);
    }

    #[test]
    fn leaving_all_closes_what_was_open_and_spares_what_opens_then() {
        let told = |opens: &[i64]| PairTold {
            opens: opens.iter().map(|at| (*at, 1)).collect(),
            ..PairTold::default()
        };
        let (mut first, mut second) = (told(&[3]), told(&[67]));
        leave_all(&mut [&mut first, &mut second], vec![97, 67]);
        assert_eq!(first.settle(), [Interval { from: 3, to: Some(67), by: 1 }]);
        assert_eq!(second.settle(), [Interval { from: 67, to: Some(97), by: 1 }]);
        let mut both = told(&[3]);
        both.intervals.push(Interval { from: 3, to: Some(5), by: 1 });
        leave_all(&mut [&mut both], vec![9]);
        assert_eq!(both.settle(), [Interval { from: 3, to: Some(9), by: 1 }], "the latest end wins");
        let mut alone = told(&[67]);
        leave_all(&mut [&mut alone], vec![67]);
        assert_eq!(alone.settle(), [Interval { from: 67, to: Some(67), by: 1 }]);
    }

    #[test]
    fn a_snapshot_left_open_is_closed_by_an_event() {
        check(&[(10, None)], &[], &[20], &[(10, Some(20))]);
        check(&[(10, None), (10, Some(15))], &[], &[20], &[(10, Some(15))]);
    }
}
