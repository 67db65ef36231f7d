//! One rate, several processes: each has lanes of its own and leases its part for a second at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::world::call;
use super::*;

const A: &str = "/a";
/// A share is leased for so long.
const LEASE: Duration = SECOND;

/// What the store does for all of them.
#[derive(Default)]
struct Leases(BTreeMap<usize, (u64, Instant)>);

impl Leases {
    /// The fair part of so many thousandths, as far as the others have not more of it. In steps of `step`.
    fn lease(&mut self, owner: usize, rate: u64, step: u64, now: Instant) -> Option<Share> {
        let others = self.0.iter().filter(|(other, (_, until))| **other != owner && *until > now);
        let (count, taken) = others.fold((1, 0), |(count, taken), (_, (part, _))| (count + 1, taken + part));
        let fair = (rate / step).div_ceil(count) * step;
        let fair = if step == 1 { rate / count } else { fair };
        let part = fair.min(rate.saturating_sub(taken));
        self.0.insert(owner, (part, now + LEASE));
        (part > 0).then_some(Share { milli_per_second: part, until: now + LEASE })
    }
}

struct Process {
    lanes: Lanes,
    reports: mpsc::Receiver<Report>,
}

/// Calls without end for one receiver, from as many processes as `joins` has times; gives when it got them.
async fn flood(rate: u32, joins: &[Duration], step: u64, time: Duration) -> Vec<u128> {
    let world = World::of(&[(A, Does::Answer(200, MS * 20))]);
    let config = Config { shared_rates: true, ..Config::default() };
    let mut processes: Vec<Process> = Vec::new();
    let leases = Arc::new(Mutex::new(Leases::default()));
    let mut session = 0;
    let keys = json!({ "rateLimit": rate });
    while world.begin.elapsed() < time {
        if joins.get(processes.len()).is_some_and(|at| *at <= world.begin.elapsed()) {
            let (lanes, reports) = world.lanes(config.clone());
            processes.push(Process { lanes, reports });
        }
        for (owner, process) in processes.iter_mut().enumerate() {
            while process.reports.try_recv().is_ok() {}
            while process.lanes.stats().waiting < 40 {
                session += 1;
                process.lanes.submit(call(A, session, keys.clone())).unwrap();
            }
            for (lane, wanted) in process.lanes.wants_share() {
                assert_eq!(wanted, rate);
                let share =
                    leases.lock().unwrap().lease(owner, u64::from(rate) * 1_000, step, Instant::now());
                process.lanes.share(lane, share);
            }
        }
        sleep(MS * 10).await;
    }
    world.got(A)
}

fn busiest_second(got: &[u128]) -> usize {
    let within = |from: u128| got.iter().filter(|at| (from..from + 1_000).contains(*at)).count();
    got.iter().map(|from| within(*from)).max().unwrap_or(0)
}

/// With three processes, `rate` is not passed by more than a tenth in any second, and `least` of it is reached.
async fn check(rate: u32, step: u64, joins: &[Duration], least: f64) {
    let time = SECOND * 15;
    let got = flood(rate, joins, step, time).await;
    let most = (f64::from(rate) * 1.1).floor() as usize;
    let busiest = busiest_second(&got);
    assert!(busiest <= most, "{busiest} of {rate} in a second");
    let per_second = got.len() as f64 / time.as_secs_f64();
    assert!(per_second >= f64::from(rate) * least, "{per_second}/s of {rate}");
}

const TOGETHER: [Duration; 3] = [Duration::ZERO; 3];

#[tokio::test(start_paused = true)]
async fn three_processes_keep_one_rate_between_them_and_reach_it() {
    for rate in [5, 10, 20, 31, 100, 300] {
        check(rate, 1_000, &TOGETHER, 0.93).await;
    }
}

/// Where the store gives parts of a request, whole ones are used of them.
#[tokio::test(start_paused = true)]
async fn parts_of_requests_do_not_add_up_to_more_than_the_rate() {
    for rate in [10, 20, 31, 100] {
        check(rate, 1, &TOGETHER, 0.85).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_joins_takes_its_part_from_the_others_and_adds_nothing() {
    for rate in [10, 30, 100] {
        check(rate, 1_000, &[Duration::ZERO, MS * 5_300, MS * 9_700], 0.93).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_alone_has_the_whole_rate() {
    check(100, 1_000, &TOGETHER[..1], 0.98).await;
    check(7, 1_000, &TOGETHER[..1], 0.93).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_share_nothing_starts_and_it_is_asked_for_once() {
    let world = World::of(&[(A, Does::Answer(200, MS * 20)), ("/b", Does::Answer(200, MS))]);
    let (lanes, mut reports) = world.lanes(Config { shared_rates: true, ..Config::default() });
    lanes.submit(call("/b", 9, json!({}))).unwrap();
    assert!(lanes.wants_share().is_empty(), "a lane without a rate never asks");
    for session in 0..3 {
        lanes.submit(call(A, session, json!({ "rateLimit": 10 }))).unwrap();
    }
    lanes.share_wanted().await;
    let (lane, rate) = lanes.wants_share()[0];
    assert_eq!((lanes.wants_share().len(), rate), (1, 10));
    lanes.share(lane, None);
    lanes.share(lane, Some(Share { milli_per_second: 0, until: Instant::now() + SECOND }));
    lanes.submit(call(A, 3, json!({ "rateLimit": 10 }))).unwrap();
    let asked_again = tokio::time::timeout(MS * 100, lanes.share_wanted()).await;
    assert!(asked_again.is_err(), "it got none just now");
    assert_eq!((world.got(A).len(), world.got("/b").len()), (0, 1));
    lanes.share(lane, Some(Share { milli_per_second: 5_000, until: Instant::now() + SECOND }));
    take(&world, &mut reports, MS * 850).await;
    assert_eq!(world.got(A), [300, 500, 700, 900], "its part, from a breath after it got it");
}
