//! Lanes that are shut, or open by a little; and the whole story of a receiver that was down.

use super::world::line;
use super::*;
use crate::job::Job;

mod story;

const A: &str = "/a";

fn lane_of(path: &str) -> LaneId {
    let job = call(path, 0, json!({}));
    LaneKey::of(job.delivery.owner, &job.trigger.url).id()
}

fn owed(path: &str, session: u128) -> Job {
    Job { owed: true, ..call(path, session, json!({})) }
}

fn sessions(lines: &[String], what: &str) -> Vec<u128> {
    let words = lines.iter().map(|line| line.split(' ').collect::<Vec<_>>());
    words.filter(|words| words[1] == what).map(|words| words[2].parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_shut_gives_back_what_is_held_and_takes_no_more() {
    let world = World::of(&[(A, Does::Answer(200, MS * 50))]);
    let (lanes, mut reports) = world.lanes(Config { concurrency: 1, ..Config::default() });
    for session in 1..=2 {
        lanes.submit(call(A, session, json!({}))).unwrap();
    }
    lanes.submit(call(A, 3, json!({ "whileDown": "fail" }))).unwrap();
    lanes.submit(call(A, 4, json!({ "autoDisable": { "failures": 6, "within": 60 } }))).unwrap();
    lanes.gate(lane_of(A), Gate::Shut);
    let lines = take(&world, &mut reports, SECOND).await;
    assert_eq!(sessions(&lines, "back"), [2]);
    assert!(lines.contains(&"0 back 2 wait until 0 used 0".to_owned()), "{lines:?}");
    assert_eq!(sessions(&lines, "finished"), [1, 3, 4], "what was in flight, and what is not held");
    let refused = lanes.submit(call(A, 5, json!({}))).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("take delivery {} into its lane: its receiver is down", refused.job.delivery.id)
    );
    assert_eq!(refused.why, Refusal::Open);
    lanes.gate(lane_of(A), Gate::Free);
    lanes.submit(call(A, 5, json!({}))).unwrap();
    assert_eq!(sessions(&take(&world, &mut reports, SECOND).await, "finished"), [5]);
}

#[tokio::test(start_paused = true)]
async fn one_probe_at_a_time_passes_and_every_last_try() {
    let world = World::of(&[(A, Does::Answer(500, MS * 50))]);
    let (lanes, mut reports) = world.lanes(Config::default());
    lanes.gate(lane_of(A), Gate::Shut);
    let probe = |session| Job { probe: true, ..owed(A, session) };
    let last = |session| Job { last: true, ..owed(A, session) };
    lanes.submit(probe(1)).unwrap();
    assert_eq!(lanes.submit(probe(2)).unwrap_err().why, Refusal::Open, "one is on its way");
    lanes.submit(last(3)).unwrap();
    lanes.submit(last(4)).unwrap();
    let lines = take(&world, &mut reports, SECOND).await;
    let ends: Vec<&String> = lines.iter().filter(|line| line.contains("finished")).collect();
    assert_eq!(
        ends,
        [
            "50 finished 1 http_error retry at 2050 used 1",
            "50 finished 3 http_error failed",
            "50 finished 4 http_error failed",
        ]
    );
    lanes.submit(probe(2)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_waits_behind_one_in_flight_goes_back_when_its_turn_comes() {
    let world = World::of(&[(A, Does::Answer(200, MS * 50))]);
    let (lanes, mut reports) = world.lanes(Config::default());
    lanes.submit(call(A, 1, json!({}))).unwrap();
    let mut newer = call(A, 1, json!({}));
    newer.delivery.rev = 2;
    lanes.submit(newer).unwrap();
    lanes.gate(lane_of(A), Gate::Shut);
    let lines = take(&world, &mut reports, SECOND).await;
    assert_eq!(lines, ["0 started 1", "50 finished 1 success done", "50 back 1 wait until 50 used 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_gate_is_kept_while_its_lane_is_idle_and_set_before_it_is_known() {
    let world = World::of(&[(A, Does::Answer(200, MS * 100))]);
    let (lanes, mut reports) = world.lanes(Config::default());
    lanes.gate(lane_of(A), Gate::Few(2));
    for round in 0..2_u128 {
        for session in 0..6 {
            lanes.submit(call(A, round * 10 + session, json!({}))).unwrap();
        }
        take(&world, &mut reports, SECOND * 5).await;
        assert_eq!(lanes.stats().lanes, 0, "idle lanes are dropped");
    }
    assert_eq!(world.got(A), [0, 0, 100, 100, 200, 200, 5000, 5000, 5100, 5100, 5200, 5200]);
}

#[tokio::test(start_paused = true)]
async fn a_wider_gate_lets_more_start_at_once() {
    let world = World::of(&[(A, Does::Answer(200, MS * 100))]);
    let (lanes, mut reports) = world.lanes(Config::default());
    lanes.gate(lane_of(A), Gate::Few(1));
    for session in 0..8 {
        lanes.submit(call(A, session, json!({}))).unwrap();
    }
    take(&world, &mut reports, MS * 50).await;
    lanes.gate(lane_of(A), Gate::Few(4));
    take(&world, &mut reports, SECOND).await;
    assert_eq!(world.got(A), [0, 50, 50, 50, 100, 150, 150, 150]);
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_goes_oldest_first_and_leaves_one_place_in_two_to_what_just_fired() {
    let world = World::of(&[(A, Does::Answer(200, MS * 10))]);
    let (lanes, mut reports) = world.lanes(Config::default());
    lanes.gate(lane_of(A), Gate::Few(1));
    for session in 1..=6 {
        lanes.submit(call(A, 100 + session, json!({}))).unwrap();
        lanes.submit(owed(A, session)).unwrap();
    }
    let lines = take(&world, &mut reports, SECOND).await;
    assert_eq!(sessions(&lines, "started"), [101, 1, 102, 2, 103, 3, 104, 4, 105, 5, 106, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_lane_is_given_what_it_may_start_and_nothing_while_it_is_shut() {
    let world = World::of(&[(A, Does::Answer(200, MS * 100))]);
    let (lanes, mut reports) = world.lanes(Config::default());
    let rooms = |gates: &[Gate]| {
        let room = |gate: &Gate| {
            lanes.gate(lane_of(A), *gate);
            lanes.room(lane_of(A))
        };
        gates.iter().map(room).collect::<Vec<_>>()
    };
    let gates = [Gate::Shut, Gate::Few(1), Gate::Few(4), Gate::Free];
    assert_eq!(rooms(&gates), [0, 1, 4, 32], "nothing is in it");
    lanes.gate(lane_of(A), Gate::Few(2));
    lanes.submit(call(A, 1, json!({}))).unwrap();
    lanes.submit(call(A, 2, json!({}))).unwrap();
    assert_eq!(rooms(&[Gate::Few(2)]), [2], "what just fired takes no place from what is owed");
    lanes.submit(owed(A, 3)).unwrap();
    assert_eq!(rooms(&[Gate::Few(2)]), [1]);
    take(&world, &mut reports, MS * 150).await;
    assert_eq!(rooms(&[Gate::Few(2)]), [1], "in flight it counts still");
    take(&world, &mut reports, SECOND).await;
    assert_eq!(rooms(&[Gate::Few(2)]), [2]);
}

/// A call every 7 ms for the good receiver, beside a lane of the same host that is shut and opened all the time.
async fn beside_a_lane_that_opens_and_closes(swings: bool) -> Vec<u128> {
    let world = World::of(&[("/good", Does::Answer(200, MS * 30)), ("/bad", Does::Hang)]);
    let (lanes, mut reports) = world.lanes(Config { per_origin: 40, ..Config::default() });
    let gates = [Gate::Shut, Gate::Few(1), Gate::Few(2), Gate::Shut, Gate::Free];
    for turn in 0..700_u128 {
        if swings {
            lanes.gate(lane_of("/bad"), gates[usize::try_from(turn).unwrap() % gates.len()]);
            for more in 0..3 {
                let _ = lanes.submit(call("/bad", 10_000 + turn * 10 + more, json!({})));
            }
        }
        lanes.submit(call("/good", turn, json!({}))).unwrap();
        while reports.try_recv().is_ok() {}
        tokio::time::advance(MS * 7).await;
    }
    world.got("/good")
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_shut_costs_the_other_lanes_of_its_host_nothing() {
    let alone = beside_a_lane_that_opens_and_closes(false).await;
    assert_eq!(alone.len(), 700);
    assert_eq!(alone, beside_a_lane_that_opens_and_closes(true).await);
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_while_nobody_takes_reports_is_given_back_by_draining() {
    let world = World::of(&[(A, Does::Answer(200, MS))]);
    let (lanes, reports) = world.lanes(Config { concurrency: 1, reports: 1, ..Config::default() });
    for session in 1..=9 {
        lanes.submit(call(A, session, json!({}))).unwrap();
    }
    lanes.gate(lane_of(A), Gate::Shut);
    sleep(MS * 10).await;
    let left = lanes.drain(SECOND).await;
    let mut reports = reports;
    let mut told = Vec::new();
    while let Ok(report) = reports.try_recv() {
        told.push(line(&world, &report));
    }
    let ends = told.iter().filter(|line| !line.contains("started")).count();
    let mut sessions: Vec<u128> = left.iter().map(|job| job.delivery.session.0.as_u128()).collect();
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!((left.len() + ends, sessions.len()), (9, left.len()), "{told:?} {sessions:?}");
}
