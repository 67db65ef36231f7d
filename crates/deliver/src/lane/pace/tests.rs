//! Rates, with a clock that is made up.

use uuid::Uuid;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Starts as often as allowed for 10 s, the clock moving in steps; gives the greatest count in any second.
fn busiest_second(rate: u32, step: Duration) -> usize {
    let begin = Instant::now();
    let mut pace = Pace::default();
    pace.limit(TriggerId(Uuid::nil()), Some(rate));
    let mut starts = Vec::new();
    let mut now = begin;
    while now < begin + SECOND * 10 {
        while pace.wait(now) == Wait::Not {
            pace.started(now);
            starts.push(now);
        }
        now += step;
    }
    let within = |from: Instant| starts.iter().filter(|at| (from..from + SECOND).contains(at)).count();
    starts.iter().map(|from| within(*from)).max().unwrap()
}

#[test]
fn the_rate_is_reached_and_not_passed_by_a_tenth_in_any_second() {
    for (rate, step) in [(1, 7), (3, 1), (7, 1), (10, 1), (13, 3), (30, 7), (100, 3), (500, 2), (1_000, 20)] {
        let busiest = busiest_second(rate, Duration::from_millis(step));
        let most = (f64::from(rate) * 1.1).floor() as usize;
        assert!((rate as usize..=most).contains(&busiest), "{rate}/s, {step} ms: {busiest}");
    }
}

#[test]
fn the_smallest_limit_holds_and_goes_with_its_trigger() {
    let (slow, fast) = (TriggerId(Uuid::from_u128(1)), TriggerId(Uuid::from_u128(2)));
    let now = Instant::now();
    let mut pace = Pace::default();
    pace.limit(fast, Some(100));
    pace.limit(slow, Some(2));
    assert_eq!(pace.interval(now), Some(Duration::from_millis(500)));
    pace.limit(slow, None);
    assert_eq!(pace.interval(now), Some(Duration::from_millis(10)));
    pace.limit(fast, None);
    assert_eq!(pace.interval(now), None);
    assert_eq!(pace.wait(now), Wait::Not);
}

fn shared(rate: u32) -> Pace {
    let mut pace = Pace::new(true);
    pace.limit(TriggerId(Uuid::nil()), Some(rate));
    pace
}

#[test]
fn a_limited_lane_starts_nothing_without_a_share_and_an_unlimited_one_asks_for_none() {
    let now = Instant::now();
    let mut pace = shared(10);
    assert_eq!((pace.wait(now), pace.wants_share(now, true)), (Wait::ForShare, Some(10)));
    assert_eq!(pace.wants_share(now, false), None, "nothing to do");
    pace.share(now, Some(Share { milli_per_second: 0, until: now + SECOND }), SECOND);
    assert_eq!(pace.wait(now), Wait::ForShare, "a share of nothing");
    pace.limit(TriggerId(Uuid::nil()), None);
    assert_eq!((pace.wait(now), pace.wants_share(now, true)), (Wait::Not, None));
}

#[test]
fn a_share_is_asked_for_again_before_it_ends_while_the_lane_is_used() {
    let now = Instant::now();
    let at = |millis| now + Duration::from_millis(millis);
    let mut pace = shared(10);
    pace.share(now, Some(Share { milli_per_second: 5_000, until: at(1_000) }), SECOND / 4);
    assert_eq!(pace.wait(now), Wait::Until(at(200)), "others may just have used it");
    assert_eq!(pace.wait(at(200)), Wait::Not);
    pace.started(at(200));
    assert_eq!(pace.wait(at(201)), Wait::Until(at(400)));
    assert_eq!(pace.wants_share(at(699), true), None);
    assert_eq!(pace.wants_share(at(700), false), Some(10));
    pace.share(at(700), Some(Share { milli_per_second: 10_000, until: at(1_700) }), SECOND / 4);
    assert_eq!(pace.wait(at(700)), Wait::Not, "one that follows another begins at once");
    assert_eq!(pace.wait(at(1_700)), Wait::ForShare);
}

#[test]
fn of_a_share_whole_requests_are_used_and_of_less_than_one_what_there_is() {
    let now = Instant::now();
    for (share, interval) in [(3_333, 333_333_333), (9_999, 111_111_111), (500, 2_000_000_000)] {
        let mut pace = shared(10);
        pace.share(now, Some(Share { milli_per_second: share, until: now + SECOND }), SECOND);
        assert_eq!(pace.interval(now), Some(Duration::from_nanos(interval)));
    }
}
