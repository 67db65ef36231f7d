//! Turns, order and pauses, without a runtime: instants are made up.

use ringpost_model::TenantId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::ready::ReadyTrigger;
use crate::samples;

mod random;

const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    Config { concurrency: 2, per_origin: 4, queue: 3, jobs: 100, ..Config::default() }
}

struct Bench {
    core: Core,
    now: Instant,
}

fn bench(config: Config) -> Bench {
    Bench { core: Core::new(config), now: Instant::now() }
}

/// A job for `url`, of trigger `trigger` and session `session`.
fn job(url: &str, trigger: u128, session: u128, rev: u32, keys: Value) -> Arc<Job> {
    let mut keys = keys;
    keys["id"] = json!(Uuid::from_u128(trigger));
    let mut job = samples::job_of(samples::trigger(url, keys), samples::delivery_of(session));
    job.delivery.trigger = TriggerId(Uuid::from_u128(trigger));
    job.delivery.rev = rev;
    Arc::new(job)
}

impl Bench {
    /// Submits; gives the sessions that start.
    fn submit(&mut self, job: &Arc<Job>) -> Result<Vec<u128>, No> {
        self.core.submit(self.now, job.clone()).map(|effects| sessions(&effects))
    }

    fn call(&mut self, url: &str, session: u128) -> Result<Vec<u128>, No> {
        self.submit(&job(url, 1, session, 1, json!({})))
    }

    fn finish(&mut self, url: &str, session: u128, pause: Option<Duration>) -> Effects {
        self.finish_job(&job(url, 1, session, 1, json!({})), pause)
    }

    /// Time has passed.
    fn pass(&mut self) -> Effects {
        let mut effects = self.core.tick(self.now);
        let mut swept = self.core.sweep(self.now);
        effects.starts.append(&mut swept.starts);
        effects.back.append(&mut swept.back);
        effects
    }

    fn finish_job(&mut self, job: &Arc<Job>, pause: Option<Duration>) -> Effects {
        let id = job.trigger.lane().id();
        self.core.finished(self.now, id, job, pause)
    }
}

fn sessions(effects: &Effects) -> Vec<u128> {
    effects.starts.iter().map(|start| start.job.delivery.session.0.as_u128()).collect()
}

fn given_back(effects: &Effects) -> Vec<(u128, bool)> {
    effects.back.iter().map(|back| (back.job.delivery.session.0.as_u128(), back.superseded)).collect()
}

const A: &str = "https://h.example/a";
const B: &str = "https://h.example/b";
const C: &str = "https://other.example/c";

#[test]
fn a_lane_has_so_many_in_flight_then_queues_then_is_full() {
    let mut bench = bench(config());
    assert_eq!(bench.call(A, 1), Ok(vec![1]));
    assert_eq!(bench.call(A, 2), Ok(vec![2]));
    for session in 3..=5 {
        assert_eq!(bench.call(A, session), Ok(vec![]));
    }
    assert_eq!(bench.call(A, 6), Err(No::Full));
    assert_eq!(bench.call(B, 7), Ok(vec![7]), "a full lane is no other lane's business");
    assert_eq!(sessions(&bench.finish(A, 1, None)), [3]);
    assert_eq!(bench.call(A, 6), Ok(vec![]));
}

#[test]
fn a_lane_that_hangs_lets_no_fresh_call_wait_and_takes_what_is_owed() {
    let mut bench = bench(config());
    assert_eq!([bench.call(A, 1), bench.call(A, 2)], [Ok(vec![1]), Ok(vec![2])]);
    bench.now += bench.core.config.handoff / 2;
    assert_eq!(bench.call(A, 3), Ok(vec![]), "they may be over soon");
    bench.now += bench.core.config.handoff / 2;
    assert_eq!(bench.call(A, 4), Err(No::Full));
    let mut owed = job(A, 1, 5, 1, json!({}));
    Arc::make_mut(&mut owed).owed = true;
    assert_eq!(bench.submit(&owed), Ok(vec![]));
    assert_eq!(bench.call(B, 6), Ok(vec![6]));
    assert_eq!(sessions(&bench.finish(A, 1, None)), [5], "one place in two is for what is owed");
    assert_eq!(bench.call(A, 7), Ok(vec![]), "it goes on");
}

#[test]
fn the_lanes_of_an_origin_take_turns_for_its_seats() {
    let mut bench = bench(Config { concurrency: 100, per_origin: 2, queue: 100, ..config() });
    for session in 1..=6 {
        bench.call(A, session).unwrap();
    }
    for session in 11..=13 {
        bench.call(B, session).unwrap();
    }
    assert_eq!(bench.call(C, 21), Ok(vec![21]), "another origin has its own seats");
    let mut order = Vec::new();
    let mut running = VecDeque::from([1, 2]);
    while let Some(session) = running.pop_front() {
        let url = if session > 10 { B } else { A };
        let started = sessions(&bench.finish(url, session, None));
        running.extend(&started);
        order.extend(started);
    }
    assert_eq!(order, [3, 11, 4, 12, 5, 13, 6]);
}

#[test]
fn lanes_that_hang_leave_seats_for_others_of_the_same_host() {
    let mut bench = bench(Config { concurrency: 100, per_origin: 8, queue: 100, ..config() });
    let started: usize = (1..=20).map(|session| bench.call(A, session).unwrap().len()).sum();
    assert_eq!(started, 6);
    assert_eq!(bench.call(B, 31), Ok(vec![31]));
    assert_eq!(bench.call(B, 32), Ok(vec![]), "one each, while it is crowded");
    assert_eq!(bench.call("https://h.example/c", 33), Ok(vec![33]));
    assert_eq!(bench.call("https://h.example/d", 34), Ok(vec![]), "no seat is left");
    assert_eq!(sessions(&bench.finish(A, 1, None)), [34], "who has none goes first");
    for session in 2..=4 {
        bench.finish(A, session, None);
    }
    assert_eq!(bench.core.sizes(), [4, 6, 14]);
}

#[test]
fn all_lanes_together_are_bounded() {
    let mut bench = bench(Config { jobs: 2, ..config() });
    bench.call(A, 1).unwrap();
    bench.call(C, 2).unwrap();
    assert_eq!(bench.call(B, 3), Err(No::Full));
    bench.finish(A, 1, None);
    assert_eq!(bench.call(B, 3), Ok(vec![3]));
}

#[test]
fn revisions_of_one_call_go_one_at_a_time_and_in_order() {
    let mut bench = bench(config());
    let rev = |rev| job(A, 1, 1, rev, json!({}));
    assert_eq!(bench.submit(&rev(1)), Ok(vec![1]));
    assert_eq!(bench.submit(&rev(2)), Ok(vec![]), "there is a free seat, but rev 1 is in flight");
    assert_eq!(bench.submit(&rev(3)), Ok(vec![]));
    assert_eq!(bench.call(A, 9), Ok(vec![9]), "another call does not wait for it");
    assert!(bench.core.superseded(&rev(1)));
    let effects = bench.finish_job(&rev(1), None);
    assert_eq!(effects.starts[0].job.delivery.rev, 2);
    assert_eq!(bench.finish_job(&rev(2), None).starts[0].job.delivery.rev, 3);
    assert!(!bench.core.superseded(&rev(3)));
    bench.finish_job(&rev(3), None);
    assert_eq!(bench.submit(&rev(4)), Ok(vec![1]));
}

#[test]
fn the_order_holds_when_the_url_was_changed_meanwhile() {
    let mut bench = bench(config());
    let (before, after) = (job(A, 1, 1, 1, json!({})), job(C, 1, 1, 2, json!({})));
    assert_eq!(bench.submit(&before), Ok(vec![1]));
    assert_eq!(bench.submit(&after), Ok(vec![]));
    let effects = bench.finish_job(&before, None);
    assert_eq!(effects.starts[0].lane, LaneKey::of(after.delivery.owner, C).id());
}

#[test]
fn what_is_here_already_or_is_older_is_not_taken_in_again() {
    let mut bench = bench(config());
    let rev = |rev| job(A, 1, 1, rev, json!({}));
    bench.submit(&rev(2)).unwrap();
    assert_eq!(bench.submit(&rev(2)), Err(No::Duplicate));
    assert_eq!(bench.submit(&rev(1)), Err(No::Superseded));
    assert_eq!(bench.submit(&job(A, 2, 1, 1, json!({}))), Ok(vec![1]), "another trigger, another strand");
}

#[test]
fn a_pause_gives_back_what_waits_and_takes_nothing_in_until_it_ends() {
    let mut bench = bench(config());
    for session in 1..=4 {
        bench.call(A, session).unwrap();
    }
    bench.call(B, 5).unwrap();
    let effects = bench.finish(A, 1, Some(SECOND * 7));
    assert_eq!(given_back(&effects), [(3, false), (4, false)]);
    assert!(effects.starts.is_empty());
    assert!(effects.back.iter().all(|back| back.pause == SECOND * 7));
    assert_eq!(bench.call(A, 6), Err(No::Paused(SECOND * 7)));
    assert_eq!(bench.call(B, 7), Ok(vec![7]), "the other path of the host goes on");
    bench.now += SECOND * 3;
    // A shorter pause asked for later shortens nothing.
    bench.finish(A, 2, Some(SECOND));
    assert_eq!(bench.call(A, 6), Err(No::Paused(SECOND * 4)));
    bench.now += SECOND * 4;
    assert_eq!(bench.call(A, 6), Ok(vec![6]));
}

#[test]
fn another_tenants_lane_to_the_same_url_is_not_paused() {
    let mut bench = bench(config());
    let mut other = (*job(A, 2, 2, 1, json!({}))).clone();
    other.delivery.owner = TenantId(Uuid::from_u128(99));
    other.trigger = Arc::new(ReadyTrigger::new(other.delivery.owner, (**other.trigger).clone()));
    bench.call(A, 1).unwrap();
    bench.finish(A, 1, Some(SECOND * 60));
    assert_eq!(bench.submit(&Arc::new(other)), Ok(vec![2]));
}

#[test]
fn what_waits_for_longer_than_handoff_goes_back_oldest_first() {
    let mut bench = bench(config());
    for session in 1..=3 {
        bench.call(A, session).unwrap();
    }
    bench.now += SECOND / 2;
    bench.call(A, 4).unwrap();
    bench.now += SECOND / 2;
    assert_eq!(given_back(&bench.pass()), [(3, false)]);
    bench.now += SECOND / 2;
    assert_eq!(given_back(&bench.pass()), [(4, false)]);
    assert_eq!(bench.core.sizes(), [1, 2, 0]);
}

#[test]
fn a_revision_that_goes_back_is_superseded_by_the_one_that_waits_for_it() {
    let mut bench = bench(Config { concurrency: 1, ..config() });
    bench.call(A, 9).unwrap();
    let rev = |rev| job(A, 1, 1, rev, json!({}));
    bench.submit(&rev(1)).unwrap();
    bench.submit(&rev(2)).unwrap();
    bench.now += SECOND;
    assert_eq!(given_back(&bench.pass()), [(1, true)]);
    assert_eq!(bench.finish(A, 9, None).starts[0].job.delivery.rev, 2);
}

#[test]
fn a_rate_spaces_the_starts_and_sets_an_alarm_for_the_next() {
    let mut bench = bench(Config { concurrency: 100, queue: 100, ..config() });
    let call = |session| job(A, 1, session, 1, json!({ "rateLimit": 10 }));
    assert_eq!(bench.submit(&call(1)), Ok(vec![1]));
    assert_eq!(bench.submit(&call(2)), Ok(vec![]));
    assert_eq!(bench.submit(&call(3)), Ok(vec![]));
    let tenth = SECOND / 10;
    assert_eq!(bench.core.next_alarm(), Some(bench.now + tenth));
    bench.now += tenth;
    assert_eq!(sessions(&bench.pass()), [2]);
    assert_eq!(bench.core.next_alarm(), Some(bench.now + tenth));
    bench.now += tenth;
    assert_eq!(sessions(&bench.pass()), [3]);
    assert_eq!(bench.core.next_alarm(), None);
}

#[test]
fn idle_lanes_are_dropped() {
    let mut bench = bench(config());
    for session in 0..1_000 {
        let url = format!("https://h{session}.example/in");
        bench.call(&url, session).unwrap();
        bench.finish(&url, session, None);
    }
    assert_eq!(bench.core.sizes(), [0, 0, 0]);
    assert!(bench.core.lanes.is_empty() && bench.core.origins.is_empty() && bench.core.strands.is_empty());
}

#[test]
fn a_paused_lane_is_remembered_until_its_pause_ends() {
    let mut bench = bench(config());
    bench.call(A, 1).unwrap();
    bench.finish(A, 1, Some(SECOND));
    assert_eq!(bench.core.sizes(), [1, 0, 0]);
    bench.now += SECOND;
    bench.pass();
    assert_eq!(bench.core.sizes(), [0, 0, 0]);
}

#[test]
fn closing_gives_back_all_that_has_not_started() {
    let mut bench = bench(config());
    for session in 1..=4 {
        bench.call(A, session).unwrap();
    }
    bench.submit(&job(A, 1, 1, 2, json!({}))).unwrap();
    let mut jobs: Vec<_> =
        bench.core.close().iter().map(|job| (job.delivery.session.0.as_u128(), job.delivery.rev)).collect();
    jobs.sort_unstable();
    assert_eq!(jobs, [(1, 2), (3, 1), (4, 1)]);
    assert_eq!(bench.call(A, 9), Err(No::Closed));
    assert!(bench.finish(A, 1, None).starts.is_empty());
}

#[test]
fn a_lane_whose_receiver_hangs_is_given_none_of_what_is_owed() {
    let mut bench = bench(config());
    let url = "https://h.example/a";
    let id = LaneKey::of(job(url, 1, 1, 1, json!({})).delivery.owner, url).id();
    let mut rooms = vec![bench.core.room(bench.now, id)];
    for session in 1..=3 {
        bench.call(url, session).unwrap();
        rooms.push(bench.core.room(bench.now, id));
    }
    bench.finish(url, 1, None);
    rooms.push(bench.core.room(bench.now, id));
    bench.finish(url, 2, None);
    rooms.push(bench.core.room(bench.now, id));
    bench.finish(url, 3, Some(SECOND));
    rooms.push(bench.core.room(bench.now, id));
    assert_eq!(rooms, [4, 3, 0, 0, 0, 3, 0]);
}

#[test]
fn a_slow_rate_is_given_what_it_can_start_in_time() {
    let mut bench = bench(Config { concurrency: 16, ..config() });
    let slow = job("https://h.example/a", 1, 1, 1, json!({ "rateLimit": 3 }));
    bench.submit(&slow).unwrap();
    let id = LaneKey::of(slow.delivery.owner, &slow.trigger.url).id();
    assert_eq!(bench.core.room(bench.now, id), 3);
}

/// Fresh calls fill the lane and go through at `per_round` each 100 ms; how much it is given of what is owed then.
fn room_beside_a_flood(rounds: u128) -> usize {
    let mut bench = bench(config());
    let mut running: VecDeque<u128> = VecDeque::new();
    for round in 0..rounds {
        for session in 0..6 {
            running.extend(bench.call(A, round * 10 + session).unwrap_or_default());
        }
        bench.now += SECOND / 10;
        bench.core.sweep(bench.now);
        for _ in 0..2 {
            if let Some(session) = running.pop_front() {
                running.extend(sessions(&bench.finish(A, session, None)));
            }
        }
    }
    let id = LaneKey::of(samples::delivery().owner, A).id();
    bench.core.room(bench.now, id)
}

#[test]
fn a_flood_of_fresh_calls_leaves_half_of_the_starts_to_what_is_owed() {
    assert_eq!(room_beside_a_flood(1), 0, "nothing is known of its speed yet");
    assert_eq!(room_beside_a_flood(30), 2, "as many as may be in flight");
}
