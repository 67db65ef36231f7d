//! The roles as processes of their own, on one machine.

use crate::harness::{Kept, Receiver, Reply, Traffic, judge, settle_down_all};

use super::Brokered;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_roles_in_processes_of_their_own_lose_nothing_when_one_after_the_other_is_killed() {
    let Some(brokered) = Brokered::new("roles") else { return };
    let home = &brokered.home;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let traffic = Traffic::new(40, 7);
    home.apply(&traffic.resources(&receiver));
    let api = home.serve_as("api").await;
    let (aggregate, dispatch) = (home.serve_as("aggregate").await, home.serve_as("dispatch").await);
    let ingest = home.serve_as("ingest").await;
    let mut sending = traffic.send();
    sending.to(Some(ingest.intake));
    sending.accepted(sending.requests / 4).await;
    aggregate.kill();
    sending.accepted(sending.requests / 2).await;
    dispatch.kill();
    let aggregate = home.serve_as("aggregate").await;
    sending.accepted(sending.requests * 3 / 4).await;
    sending.to(None);
    ingest.kill();
    let (dispatch, ingest) = (home.serve_as("dispatch").await, home.serve_as("ingest").await);
    sending.to(Some(ingest.intake));
    sending.done().await;
    settle_down_all(&[&aggregate, &dispatch], &traffic, &receiver).await;
    for serve in [ingest, aggregate, dispatch, api] {
        serve.stops_well().await;
    }
    judge(&traffic, &Kept::open(home).await, &receiver.requests()).await;
    brokered.has_each_record_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_a_process_does_what_its_roles_are_and_says_who_does_the_rest() {
    let Some(brokered) = Brokered::new("parts") else { return };
    let home = &brokered.home;
    let dispatch = home.serve_as("dispatch").await;
    let api = home.serve_as("api").await;
    assert_eq!((dispatch.intake.port(), api.intake.port()), (0, 0), "only ingest takes legs");
    let status: serde_json::Value = serde_json::from_str(&dispatch.page("/status").await).expect("JSON");
    assert_eq!(status["roles"], serde_json::json!(["dispatch"]));
    let url = |serve: &crate::harness::Serve| format!("http://{}", serve.admin);
    let (asked, told) = (url(&dispatch), url(&api));
    let done = crate::harness::run(&["enrich", "--admin", &asked, "--dry-run"]);
    assert!(done.stderr.contains("without the role api"), "{}", done.stderr);
    let done = crate::harness::run(&["enrich", "--admin", &told, "--dry-run"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
}
