//! The admin port, asked as operators and their machines do.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;

use super::*;

async fn ask(state: &AdminState, path: &str) -> (u16, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(state.clone()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn state() -> AdminState {
    let metrics = Arc::new(Metrics::new().unwrap());
    AdminState { metrics, readiness: Arc::default(), board: Arc::default(), again: None }
}

#[tokio::test]
async fn readiness_says_what_is_missing_and_is_taken_back_for_a_stop() {
    let state = state();
    assert_eq!(
        ask(&state, "/readyz").await,
        (503, "waiting for: ingest, aggregate, dispatch, api\n".to_owned())
    );
    state.readiness.aggregate.store(true, Ordering::Release);
    state.readiness.dispatch.store(true, Ordering::Release);
    state.readiness.note(Role::Api, None);
    state.readiness.note(Role::Ingest, Some("no broker answers".to_owned()));
    assert_eq!(ask(&state, "/readyz").await, (503, "waiting for: ingest (no broker answers)\n".to_owned()));
    state.readiness.note(Role::Ingest, None);
    assert_eq!(ask(&state, "/readyz").await, (200, "ok\n".to_owned()));
    state.readiness.stopping.store(true, Ordering::Release);
    assert_eq!(ask(&state, "/readyz").await, (503, "stopping\n".to_owned()));
    assert_eq!(ask(&state, "/livez").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn a_process_waits_for_its_own_roles_only_and_says_where_the_others_are() {
    let roles = Serve { roles: vec![Role::Dispatch] };
    let state = AdminState { readiness: Arc::new(Readiness::of(&roles)), ..state() };
    assert_eq!(ask(&state, "/readyz").await, (503, "waiting for: dispatch\n".to_owned()));
    state.readiness.dispatch.store(true, Ordering::Release);
    assert_eq!(ask(&state, "/readyz").await, (200, "ok\n".to_owned()));
    let request = Request::post("/enrich").body(Body::from(r#"{"rate":1}"#)).unwrap();
    let response = router(state).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_status_that_was_not_measured_yet_is_no_empty_one() {
    assert_eq!(ask(&state(), "/status").await, (503, "nothing was measured yet\n".to_owned()));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_metrics_say_what_the_process_takes() {
    let (status, text) = ask(&state(), "/metrics").await;
    assert_eq!(status, 200);
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.expect(name).parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_open_fds") > 2.0);
    assert!(value("process_cpu_seconds_total") >= 0.0);
}
