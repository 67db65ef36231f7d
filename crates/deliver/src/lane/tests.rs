//! Lanes in a runtime whose time is paused, with receivers that are no sockets.

use ringpost_model::TriggerId;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::*;
use crate::classify::Class;
use crate::ready::ReadyTrigger;
use crate::samples;
use crate::schedule::Tries;

mod gates;
mod shares;
mod world;

use self::world::{Does, MS, SECOND, World, call, millis, take};

/// The reports of one job.
async fn told_of(does: Does, keys: Value) -> Vec<String> {
    let world = World::of(&[("/a", does)]);
    let (lanes, mut reports) = world.lanes(Config::default());
    lanes.submit(call("/a", 1, keys)).unwrap();
    take(&world, &mut reports, SECOND * 20).await
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_told_from_start_to_end() {
    assert_eq!(
        told_of(Does::Answer(202, MS * 20), json!({})).await,
        ["0 started 1", "20 finished 1 success done"]
    );
    let failing = told_of(Does::Answer(500, MS * 20), json!({})).await;
    assert_eq!(failing, ["0 started 1", "20 finished 1 http_error retry at 2020 used 1"]);
    let gone = told_of(Does::Answer(410, MS * 20), json!({})).await;
    assert_eq!(gone, ["0 started 1", "20 finished 1 gone failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_for_a_second_is_handed_over_once() {
    let lines = told_of(Does::Hang, json!({ "retries": 0 })).await;
    assert_eq!(
        lines,
        ["0 started 1", "1000 overdue 1 until 15000", "10000 finished 1 timeout_answer failed overdue"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_fails_at_once_and_sends_nothing() {
    let world = World::of(&[]);
    let (lanes, mut reports) = world.lanes(Config::default());
    let mut job = call("/a", 1, json!({ "headers": { "X-Key": "s3cret\n" } }));
    lanes.submit(job.clone()).unwrap();
    job.trigger =
        Arc::new(ReadyTrigger::new(job.delivery.owner, samples::trigger("no url s3cret", json!({}))));
    job.delivery = samples::delivery_of(2);
    lanes.submit(job).unwrap();
    for (expected, url) in [
        (
            "use the value of header \"X-Key\": it holds a character that HTTP does not allow",
            "https://h.example/a",
        ),
        ("read the URL of the trigger: relative URL without a base", "(not a URL)"),
    ] {
        let Some(Report::Started { .. }) = reports.recv().await else { panic!("it starts") };
        let Some(Report::Finished(finished)) = reports.recv().await else { panic!("it ends") };
        assert_eq!((finished.outcome.class.name(), finished.next), ("unsendable", Next::Failed));
        assert_eq!(finished.exchange.failure.as_ref().unwrap().text, expected);
        assert_eq!(&*finished.exchange.url, url);
        assert!(!format!("{finished:?}").contains("s3cret"));
    }
    assert!(world.got.lock().unwrap().is_empty());
}

/// A call for the good receiver every 7 ms; when it gets them, and what it answers late is told.
async fn good_receiver_beside(bad: Option<Does>) -> (Vec<u128>, usize) {
    let other = bad.unwrap_or(Does::Answer(200, MS));
    let world = World::of(&[("/good", Does::Answer(200, MS * 30)), ("/bad", other)]);
    let (lanes, mut reports) = world.lanes(Config::default());
    let mut sessions = 0..;
    let mut next = || sessions.next().unwrap();
    for _ in 0..1_000 {
        lanes.submit(call("/good", next(), json!({}))).unwrap();
        if bad.is_some() {
            // Three times as many for the bad one: its lane fills up and refuses, which is its own business.
            for _ in 0..3 {
                let _ = lanes.submit(call("/bad", next(), json!({})));
            }
        }
        while reports.try_recv().is_ok() {}
        tokio::time::advance(MS * 7).await;
    }
    let finished = lanes.stats().finished_as(Class::Success);
    (world.got("/good"), usize::try_from(finished).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_delays_no_request_to_another_by_a_millisecond() {
    let (alone, done) = good_receiver_beside(None).await;
    assert!(alone.len() == 1_000 && done >= 990, "{} {done}", alone.len());
    let (beside, _) = good_receiver_beside(Some(Does::Hang)).await;
    assert_eq!(alone, beside);
    let (beside, _) = good_receiver_beside(Some(Does::Throttle("60"))).await;
    assert_eq!(alone, beside);
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_slow_receiver_is_given_back_after_a_second() {
    let world = World::of(&[("/a", Does::Hang)]);
    let (lanes, mut reports) = world.lanes(Config { concurrency: 1, ..Config::default() });
    for session in 1..=3 {
        lanes.submit(call("/a", session, json!({}))).unwrap();
    }
    let mut lines = take(&world, &mut reports, SECOND * 2).await;
    lines.sort(); // within one instant there is no order
    assert_eq!(
        lines,
        [
            "0 started 1",
            "1000 back 2 wait until 1000 used 0",
            "1000 back 3 wait until 1000 used 0",
            "1000 overdue 1 until 15000",
        ]
    );
    let stats = lanes.stats();
    assert_eq!((stats.submitted, stats.back, stats.overdue, stats.in_flight, stats.waiting), (3, 2, 1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_a_pause_gets_it_and_no_try_is_used_up() {
    let world = World::of(&[("/a", Does::Throttle("7")), ("/b", Does::Answer(200, MS))]);
    let (lanes, mut reports) = world.lanes(Config { concurrency: 1, ..Config::default() });
    let mut second = call("/a", 2, json!({}));
    second.tries = Tries { used: 1, first: Some(samples::now()) };
    lanes.submit(call("/a", 1, json!({ "retries": 0 }))).unwrap();
    lanes.submit(second).unwrap();
    let lines = take(&world, &mut reports, SECOND).await;
    assert_eq!(
        lines,
        ["0 started 1", "1 finished 1 throttled wait until 7001 used 0", "1 back 2 wait until 7001 used 1"]
    );
    let refused = lanes.submit(call("/a", 3, json!({}))).unwrap_err();
    assert!(matches!(refused.why, Refusal::Paused(until) if millis(until) == 7_001), "{refused}");
    assert_eq!(refused.job.delivery.session, samples::delivery_of(3).session);
    lanes.submit(call("/b", 4, json!({}))).unwrap();
    assert_eq!(take(&world, &mut reports, SECOND).await.len(), 2);
    sleep(SECOND * 6).await;
    lanes.submit(call("/a", 3, json!({}))).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failed_revision_is_superseded_by_a_newer_one_that_waits() {
    let world = World::of(&[("/a", Does::Answer(500, MS * 10))]);
    let (lanes, mut reports) = world.lanes(Config::default());
    lanes.submit(call("/a", 1, json!({}))).unwrap();
    let mut newer = call("/a", 1, json!({}));
    newer.delivery.rev = 2;
    lanes.submit(newer.clone()).unwrap();
    assert_eq!(lanes.submit(newer).unwrap_err().why, Refusal::Duplicate);
    let lines = take(&world, &mut reports, SECOND).await;
    assert_eq!(
        lines,
        [
            "0 started 1",
            "10 finished 1 http_error superseded",
            "10 started 1",
            "20 finished 1 http_error retry at 2020 used 1",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_rate_spaces_the_requests_of_all_triggers_of_the_lane() {
    let world = World::of(&[("/a", Does::Answer(200, MS * 300))]);
    let (lanes, mut reports) = world.lanes(Config::default());
    for session in 0..6 {
        let limit = if session % 2 == 0 { json!({ "rateLimit": 10 }) } else { json!({ "rateLimit": 1000 }) };
        let mut job = call("/a", session, limit);
        let mut trigger = (**job.trigger).clone();
        trigger.id = TriggerId(Uuid::from_u128(session % 2));
        job.delivery.trigger = trigger.id;
        job.trigger = Arc::new(ReadyTrigger::new(job.delivery.owner, trigger));
        lanes.submit(job).unwrap();
    }
    take(&world, &mut reports, SECOND).await;
    assert_eq!(world.got("/a"), [0, 100, 200, 300, 400, 500]);
}

#[tokio::test(start_paused = true)]
async fn who_takes_no_reports_slows_the_lanes_and_loses_nothing() {
    let world = World::of(&[("/a", Does::Answer(200, MS))]);
    let (lanes, mut reports) = world.lanes(Config { reports: 1, queue: 100, ..Config::default() });
    for session in 0..50 {
        lanes.submit(call("/a", session, json!({}))).unwrap();
    }
    sleep(MS * 900).await;
    assert!(world.got("/a").len() <= 16, "seats are kept until the report is taken");
    let lines = take(&world, &mut reports, SECOND * 5).await;
    let of = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    assert_eq!(of("finished") + of("back"), 50);
}

#[tokio::test(start_paused = true)]
async fn an_exchange_goes_on_while_its_report_waits_to_be_taken() {
    let world = World::of(&[("/a", Does::Answer(200, SECOND * 3))]);
    let (lanes, mut reports) = world.lanes(Config { reports: 1, ..Config::default() });
    lanes.submit(call("/a", 1, json!({}))).unwrap();
    // `Started` fills the channel, so `Overdue` waits for as long as this.
    sleep(SECOND * 30).await;
    let mut ended = None;
    while let Some(report) = reports.recv().await {
        if let Report::Finished(finished) = report {
            ended = Some(millis(finished.exchange.ended));
            break;
        }
    }
    assert_eq!(ended, Some(3_000));
}

#[tokio::test(start_paused = true)]
async fn draining_lets_requests_end_and_gives_back_what_has_not_started() {
    let world = World::of(&[("/a", Does::Answer(200, SECOND * 2))]);
    let (lanes, mut reports) = world.lanes(Config { concurrency: 2, ..Config::default() });
    for session in 1..=4 {
        lanes.submit(call("/a", session, json!({}))).unwrap();
    }
    sleep(MS).await;
    let draining = tokio::spawn({
        let lanes = lanes.clone();
        async move { lanes.drain(SECOND * 10).await }
    });
    let lines = take(&world, &mut reports, SECOND * 3).await;
    let jobs = draining.await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.delivery.session.0.as_u128()).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(lines.iter().filter(|line| line.contains("finished")).count(), 2);
    assert_eq!(lanes.submit(call("/a", 5, json!({}))).unwrap_err().why, Refusal::Closed);
    assert!(world.begin.elapsed() < SECOND * 4);
}

#[tokio::test(start_paused = true)]
async fn draining_cuts_short_what_takes_longer_than_its_grace() {
    let world = World::of(&[("/a", Does::Hang)]);
    let (lanes, _reports) = world.lanes(Config::default());
    lanes.submit(call("/a", 1, json!({}))).unwrap();
    sleep(MS).await;
    let jobs = lanes.drain(SECOND).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(world.begin.elapsed().as_millis(), 1_001);
}

#[tokio::test(start_paused = true)]
async fn draining_does_not_hang_when_nobody_takes_reports() {
    let world = World::of(&[("/a", Does::Answer(200, MS))]);
    let (lanes, _reports) = world.lanes(Config { reports: 1, ..Config::default() });
    for session in 1..=5 {
        lanes.submit(call("/a", session, json!({}))).unwrap();
    }
    sleep(MS).await;
    let jobs = lanes.drain(SECOND).await;
    assert_eq!(jobs.len(), 5, "none of them was reported to its end");
}

/// Who waits for all of it before a newer revision is handed over has to know that there is more to come.
#[tokio::test(start_paused = true)]
async fn what_goes_back_is_counted_before_it_is_told_however_few_reports_have_room() {
    let world = World::of(&[("/a", Does::Hang)]);
    let config = Config { reports: 1, concurrency: 1, ..Config::default() };
    let (lanes, mut reports) = world.lanes(config);
    for session in 1..=4 {
        lanes.submit(call("/a", session, json!({}))).unwrap();
    }
    sleep(MS * 1_500).await;
    assert_eq!(lanes.ends(), 3, "they waited for longer than a second");
    let mut taken = 0;
    while taken < lanes.ends() {
        let report = reports.recv().await.unwrap();
        taken += u64::from(matches!(report, Report::Back { .. }));
    }
    assert_eq!(taken, 3);
}

#[tokio::test(start_paused = true)]
async fn a_correction_is_not_taken_in_before_it_is_known_what_came_of_its_record() {
    let world = World::of(&[("/a", Does::Answer(500, MS * 20))]);
    // There is room for the report of the start, and the one of the end waits.
    let (lanes, mut reports) = world.lanes(Config { reports: 1, ..Config::default() });
    lanes.submit(call("/a", 1, json!({}))).unwrap();
    let mut correction = call("/a", 1, json!({}));
    correction.delivery.rev = 2;
    sleep(MS * 30).await;
    assert_eq!((lanes.ends(), world.got("/a")), (1, vec![0]));
    assert_eq!(lanes.submit_knowing(correction.clone(), 0).unwrap_err().why, Refusal::Untold);
    assert_eq!(take(&world, &mut reports, MS).await.len(), 2);
    lanes.submit_knowing(correction, 1).unwrap();
    assert_eq!(take(&world, &mut reports, SECOND).await.len(), 2);
}

#[test]
fn nothing_of_a_job_or_of_lanes_tells_a_secret_when_printed() {
    let keys =
        json!({ "headers": { "X-Key": "s3cret" }, "secrets": ["s3cret"], "customData": { "a": "s3cret" } });
    let job = Arc::new(call("/a/s3cret?sig=s3cret", 1, keys));
    let lane = LaneKey::of(job.delivery.owner, &job.trigger.url);
    let refused = Refused { job: job.clone(), lane: lane.id(), why: Refusal::Full };
    let report = Report::Back { job: job.clone(), lane: lane.id(), next: Next::Failed };
    let printed = format!("{job:?} {lane:?} {refused:?} {refused} {report:?}");
    assert!(!printed.contains("s3cret"), "{printed}");
}
