//! Openings and closings of one kind on one channel, by time.

use ringpost_model::Timestamp;

/// What was opened and when it was closed, and closings of what was opened before the first row.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Paired {
    pub(super) stays: Vec<(Timestamp, Option<Timestamp>)>,
    pub(super) closings: Vec<Timestamp>,
}

/// Pairs each opening with the next closing; one whose closing is not there ends with the next opening.
pub(super) fn pair(mut opens: Vec<Timestamp>, mut closes: Vec<Timestamp>) -> Paired {
    opens.sort_unstable();
    opens.dedup();
    closes.sort_unstable();
    closes.dedup();
    let mut closes = closes.into_iter().peekable();
    let mut paired = Paired::default();
    for (at, from) in opens.iter().enumerate() {
        while let Some(early) = closes.next_if(|close| close < from) {
            paired.closings.push(early);
        }
        let next = opens.get(at + 1).copied();
        let to = closes.next_if(|close| next.is_none_or(|next| *close <= next)).or(next);
        paired.stays.push((*from, to));
    }
    paired.closings.extend(closes);
    paired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_ends_with_the_next_closing_or_the_next_opening() {
        let check = |opens: &[i64], closes: &[i64], stays: &[(i64, Option<i64>)], closings: &[i64]| {
            let times = |of: &[i64]| of.iter().map(|at| Timestamp::from_micros(*at)).collect::<Vec<_>>();
            let found = pair(times(opens), times(closes));
            let micros = |time: Timestamp| time.micros();
            let found_stays: Vec<_> =
                found.stays.iter().map(|(from, to)| (micros(*from), to.map(micros))).collect();
            assert_eq!(found_stays, stays);
            assert_eq!(found.closings, times(closings));
        };
        check(&[10, 30], &[20, 40], &[(10, Some(20)), (30, Some(40))], &[]);
        check(&[10, 20], &[20, 30], &[(10, Some(20)), (20, Some(30))], &[]);
        check(&[10], &[10], &[(10, Some(10))], &[]);
        check(&[10, 20], &[30], &[(10, Some(20)), (20, Some(30))], &[]);
        check(&[10], &[5], &[(10, None)], &[5]);
        check(&[10], &[20, 30], &[(10, Some(20))], &[30]);
    }
}
