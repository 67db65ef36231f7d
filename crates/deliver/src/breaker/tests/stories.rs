//! What holds for every story of a receiver, and for an hour without it at any rate of calls.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::*;

/// A try: milliseconds since the one before, sign, delivery, whether it is a probe and whether it counts.
type Try = (i64, Sign, u128, bool, bool);

fn any_try() -> impl Strategy<Value = Try> {
    let sign = prop_oneof![4 => Just(Sign::Down), 1 => Just(Sign::Up), 1 => Just(Sign::Neutral)];
    (0_i64..20_000, sign, 0_u128..4, prop::bool::weighted(0.2), prop::bool::weighted(0.8))
}

/// Now and then a long run of failures, as receivers that are down make it.
fn any_story() -> impl Strategy<Value = Vec<Try>> {
    let run = (0_i64..5_000, 1_usize..40, 0_u128..4).prop_map(|(every, count, number)| {
        (0..count).map(|at| (every, Sign::Down, number + at as u128 % 2, false, true)).collect()
    });
    let any = prop::collection::vec(any_try(), 0..20);
    prop::collection::vec(prop_oneof![any, run], 0..6).prop_map(|parts: Vec<Vec<Try>>| parts.concat())
}

fn all(tries: &[Try]) -> Vec<Told<'static>> {
    let mut now = Timestamp::default();
    let as_told = |(after, sign, number, probe, counts): &Try| {
        now = now.plus_micros(after * 1_000);
        let (sign, probe, counts) = (*sign, *probe, *counts);
        Told { now, delivery: delivery(*number), sign, probe, counts, reason: "" }
    };
    tries.iter().map(as_told).collect()
}

/// The rule as the contract has it, by counting back from the last try: an oracle beside the machine.
fn is_down(tries: &[Told<'_>], limits: &Limits) -> bool {
    let counted =
        tries.iter().filter(|told| told.sign == Sign::Up || (told.sign == Sign::Down && told.counts));
    let run: Vec<_> = counted.rev().take_while(|told| told.sign == Sign::Down).collect();
    let (Some(newest), Some(first)) = (run.first(), run.last()) else { return false };
    let lasted = newest.now.micros() - first.now.micros();
    let several = run.iter().any(|told| told.delivery != first.delivery);
    let over = |duration: Duration| lasted >= i64::try_from(duration.as_micros()).unwrap();
    (run.len() >= limits.many as usize && over(limits.many_over))
        || (several && run.len() >= limits.few as usize && over(limits.few_over))
}

proptest! {
    /// From healthy, a lane opens with exactly the try that makes the rule true.
    #[test]
    fn a_lane_opens_when_the_rule_says_so_and_never_before(tries in any_story()) {
        let (limits, tries) = (Limits::default(), all(&tries));
        let mut breaker = Breaker::Healthy;
        for (at, told) in tries.iter().enumerate() {
            let (next, step) = tell(&breaker, told, CONCURRENCY, &limits);
            let counts = told.sign == Sign::Down && told.counts;
            prop_assert_eq!(step == Step::Opened, counts && is_down(&tries[..=at], &limits), "try {}", at);
            if step == Step::Opened {
                break;
            }
            breaker = next;
        }
    }

    #[test]
    fn successes_close_every_lane_in_the_end(tries in any_story()) {
        let limits = Limits::default();
        let mut breaker = Breaker::Healthy;
        for told in &all(&tries) {
            breaker = tell(&breaker, told, CONCURRENCY, &limits).0;
        }
        for _ in 0..2 * CONCURRENCY {
            breaker = tell(&breaker, &told("9999 up 1"), CONCURRENCY, &limits).0;
        }
        prop_assert_eq!(breaker, Breaker::Healthy);
    }

    /// A step that says nothing changed changes nothing, and every other one does: no row is written for nothing,
    /// and none is missed. Waits and limits stay within theirs.
    #[test]
    fn a_step_tells_whether_there_is_something_to_keep(tries in any_story()) {
        let limits = Limits::default();
        let mut breaker = Breaker::Healthy;
        for told in &all(&tries) {
            let (next, step) = tell(&breaker, told, CONCURRENCY, &limits);
            prop_assert_eq!(step == Step::Nothing, next == breaker, "{:?} {:?}", step, next);
            match &next {
                Breaker::Open { wait, probe_at, .. } => {
                    prop_assert!((5_000_000..=300_000_000).contains(wait));
                    prop_assert!(step == Step::Nothing || probe_at.micros() == told.now.micros() + wait);
                }
                Breaker::Ramping { limit, done, .. } => prop_assert!(done < limit && *limit < 16),
                Breaker::Healthy | Breaker::Failing { .. } => {}
            }
            breaker = next;
        }
    }

    /// Kept as a row and read again after each try, a lane goes on as if it had never been put down.
    #[test]
    fn a_restart_changes_nothing(tries in any_story()) {
        let limits = Limits::default();
        let (mut kept, mut held) = (Breaker::Healthy, Breaker::Healthy);
        for told in &all(&tries) {
            kept = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
            let (next, step) = tell(&kept, told, CONCURRENCY, &limits);
            let (held_next, held_step) = tell(&held, told, CONCURRENCY, &limits);
            prop_assert_eq!((&next, step), (&held_next, held_step));
            (kept, held) = (next, held_next);
        }
    }
}

/// Two hours of calls to a receiver that is down for the first one.
#[derive(Default)]
struct Hours {
    /// Tries to come: when, of which call, the how-manieth.
    tries: BinaryHeap<Reverse<(i64, u128, u32)>>,
    breaker: Breaker,
    /// Calls that wait in the open lane.
    held: BTreeSet<u128>,
    /// Calls whose tries were used up in this run of failures: they come back when the lane opens.
    spent: Vec<u128>,
    opened: Option<f64>,
    probes: u32,
    delivered: usize,
    lost: usize,
}

const HOUR: i64 = 3_600_000_000;

impl Hours {
    /// A call every `every` seconds, with so many retries.
    fn of(every: f64, retries: u32) -> Self {
        let mut hours = Self::default();
        let every = (every * 1e6) as i64;
        hours.tries = (0..2 * HOUR / every).map(|call| Reverse((call * every, call as u128, 0))).collect();
        while hours.next(retries) {}
        hours
    }

    /// The next probe, or the next try.
    fn next(&mut self, retries: u32) -> bool {
        let next = self.tries.peek().map(|Reverse((at, ..))| *at);
        if let (Breaker::Open { probe_at, .. }, Some(oldest)) = (&self.breaker, self.held.first().copied())
            && next.is_none_or(|next| probe_at.micros() <= next)
        {
            self.probes += 1;
            self.make(probe_at.micros(), oldest, (0, retries), true);
            return true;
        }
        let Some(Reverse((at, call, number))) = self.tries.pop() else { return false };
        if self.breaker.is_open() {
            self.held.insert(call);
        } else {
            self.make(at, call, (number, retries), false);
        }
        true
    }

    fn make(&mut self, at: i64, call: u128, (number, retries): (u32, u32), probe: bool) {
        let sign = if at < HOUR { Sign::Down } else { Sign::Up };
        let now = Timestamp::from_micros(at);
        let told = Told { now, delivery: delivery(call), sign, probe, counts: true, reason: "" };
        let (breaker, step) = tell(&self.breaker, &told, CONCURRENCY, &Limits::default());
        self.breaker = breaker;
        match sign {
            Sign::Up => {
                self.delivered += 1;
                self.held.remove(&call);
            }
            _ if self.breaker.is_open() => {
                self.held.insert(call);
            }
            _ if number < retries => {
                self.tries.push(Reverse((at + i64::from(number + 1) * 2_000_000, call, number + 1)));
            }
            _ => self.spent.push(call),
        }
        match step {
            Step::Opened => {
                self.opened = Some(at as f64 / 1e6);
                self.held.extend(self.spent.drain(..));
            }
            Step::RunBroken => self.lost += self.spent.drain(..).count(),
            _ if !self.breaker.is_open() => {
                let freed = std::mem::take(&mut self.held);
                self.tries.extend(freed.into_iter().map(|call| Reverse((at, call, 0))));
            }
            _ => {}
        }
    }
}

#[test]
fn a_receiver_that_is_down_for_an_hour_loses_nothing_at_any_usual_rate_of_calls() {
    for every in [0.5, 3.6, 10.0, 60.0, 300.0, 600.0, 1_500.0] {
        for retries in [1, 2, 5] {
            let hours = Hours::of(every, retries);
            let calls = (2 * HOUR / (every * 1e6) as i64) as usize;
            assert!(hours.opened.is_some(), "every {every} s, {retries} retries");
            assert_eq!((hours.delivered, hours.lost), (calls, 0), "every {every} s, {retries} retries");
            assert!(hours.probes < 20, "{} probes in an hour", hours.probes);
        }
    }
    assert_eq!(Hours::of(600.0, 1).opened, Some(602.0), "the second call's retry");
    let thousand = Hours::of(3.6, 1).opened;
    assert!(thousand.is_some_and(|at| (30.0..40.0).contains(&at)), "{thousand:?}");
}

/// What the rule cannot see: fewer than four failures, or one delivery alone, in the whole hour. They fail, as they
/// would have without a breaker.
#[test]
fn so_few_calls_that_nothing_can_be_told_of_them_are_not_held() {
    let lost = |every, retries| {
        let hours = Hours::of(every, retries);
        (hours.opened, hours.lost)
    };
    assert_eq!(lost(1_500.0, 0), (None, 3));
    assert_eq!(lost(3_600.0, 2), (None, 1));
}
