//! What must not happen between two steps of the loop; the test takes the steps itself.

use std::time::Duration;

use ringpost_bus::{EmbeddedWorker, Worker};
use ringpost_model::DeliveryId;
use ringpost_store::Ending;
use tokio_util::sync::CancellationToken;

use super::super::{Dispatch, State};
use super::bench::{Bench, Does, Running, TRIGGER, session};

/// Reads the log until this delivery is in a lane, or about to be written.
async fn read(dispatch: &mut Dispatch<EmbeddedWorker>, state: &mut State, delivery: DeliveryId) {
    while !state.knows(delivery) {
        let event = dispatch.worker.next(Duration::from_millis(100)).await.unwrap();
        dispatch.handle_log(state, event).await.unwrap();
    }
}

/// Neither by this dispatcher nor by another: the correction waits for what comes of its record.
async fn nothing_can_be_claimed(dispatch: &Dispatch<EmbeddedWorker>, running: &Running) {
    let now = (dispatch.clock)();
    let until = now.plus_micros(60_000_000);
    for owed in running.store.lanes_owed().await.unwrap() {
        for owner in [&*dispatch.owner, "another"] {
            assert_eq!(dispatch.store.claim(owed.lane, owner, now, 10, until).await.unwrap(), []);
        }
    }
}

/// Its correction must wait as well where the record goes back from its lane without a try, as in the simulated world
/// 41828: lanes count both in one place.
#[tokio::test]
async fn a_record_that_fails_while_its_correction_is_claimed_does_not_come_after_it() {
    let bench = Bench { handoff: Duration::from_secs(60), ..Bench::new() };
    let (mut dispatch, running) = bench.ready().await;
    running.configure(r#""revisions":"all","retries":3"#).await;
    let stop = CancellationToken::new();
    let mut state = dispatch.state(stop.clone());
    dispatch.claim(&mut state).await.unwrap();

    bench.receiver.does([Does::AnswerAgo(500, 10)]);
    running.emit_all([(7, 1, false), (7, 2, false)]).await;
    let [record, correction] = [1, 2].map(|rev| DeliveryId::of_record(TRIGGER, session(7), rev));
    read(&mut dispatch, &mut state, correction).await;
    assert!(state.owed.contains(&record), "its end is not known yet, so it is leased");
    dispatch.flush(&mut state).await.unwrap();
    running.until("the record has failed", async || dispatch.lanes.ends() == 1).await;
    nothing_can_be_claimed(&dispatch, &running).await;
    // As far as it comes by itself: then both ends are heard of together.
    let lanes = dispatch.lanes.clone();
    running
        .until("nothing is under way", async || lanes.stats().in_flight + lanes.stats().waiting == 0)
        .await;

    let task = tokio::spawn(dispatch.run_from(state, stop.clone()));
    running.until_settled().await;
    stop.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(bench.receiver.told(), ["/hook 7 rev 1", "/hook 7 rev 2"]);
    let ended = running.endings().await.into_iter().find(|ended| ended.delivery.id == record).unwrap();
    assert_eq!(ended.ending, Ending::Superseded);
}

/// It would come back when its receiver turns out to be down, after its correction went another way.
#[tokio::test]
async fn a_record_that_fails_for_good_while_its_correction_is_claimed_does_not_come_back() {
    let bench = Bench { handoff: Duration::from_secs(60), ..Bench::hasty() };
    let (mut dispatch, running) = bench.ready().await;
    running.configure(r#""revisions":"all","retries":0"#).await;
    let stop = CancellationToken::new();
    let mut state = dispatch.state(stop.clone());
    dispatch.claim(&mut state).await.unwrap();

    bench.receiver.does([Does::Answer(503)]);
    running.emit_all([(7, 1, false), (7, 2, false)]).await;
    read(&mut dispatch, &mut state, DeliveryId::of_record(TRIGGER, session(7), 2)).await;
    running.add_trigger(TRIGGER, r#""url":"https://crm.example/new","revisions":"all","retries":0"#).await;
    dispatch.flush(&mut state).await.unwrap();
    running.until("the record has failed", async || dispatch.lanes.ends() == 1).await;
    nothing_can_be_claimed(&dispatch, &running).await;

    let task = tokio::spawn(dispatch.run_from(state, stop.clone()));
    bench.receiver.always("/hook", Does::Answer(503));
    running.emit_all([(8, 1, false), (9, 1, false), (10, 1, false)]).await;
    let came = |told: &[String]| [8, 9, 10].iter().all(|n| told.contains(&format!("/new {n} rev 1")));
    running.until("fresh calls came the new way", async || came(&bench.receiver.told())).await;
    running.until_settled().await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let of_seven: Vec<_> = bench.receiver.told().into_iter().filter(|line| line.contains(" 7 rev")).collect();
    assert_eq!(of_seven, ["/hook 7 rev 1", "/new 7 rev 2"]);
}

#[tokio::test]
async fn what_waits_in_lanes_is_not_sent_any_more_once_nobody_writes_down_what_comes_of_it() {
    let bench = Bench { handoff: Duration::from_secs(60), ..Bench::new() };
    let (mut dispatch, running) = bench.ready().await;
    running.configure(r#""retries":1"#).await;
    // It is told to stop while it cannot write.
    let stopped = CancellationToken::new();
    let mut state = dispatch.state(stopped.clone());
    dispatch.claim(&mut state).await.unwrap();
    bench.receiver.always("/hook", Does::Hold);
    running.emit_all((1..=20).map(|n| (n, 1, false))).await;
    for n in 1..=20 {
        read(&mut dispatch, &mut state, DeliveryId::of_record(TRIGGER, session(n), 1)).await;
    }
    let lanes = dispatch.lanes.clone();
    running.until("the lane is full", async || bench.receiver.got().len() == 16).await;
    assert_eq!(lanes.stats().waiting, 4);
    running.store.close().await;
    stopped.cancel();
    state.flush_at = Some(tokio::time::Instant::now());

    let ended = dispatch.run_from(state, CancellationToken::new()).await;
    assert!(format!("{:#}", ended.unwrap_err()).contains("could not be done before the stop"));
    assert_eq!(lanes.stats().waiting, 0);
    assert_eq!(bench.receiver.got().len(), 16, "the next process sends the others");
}
