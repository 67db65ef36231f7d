//! One tenant whose switch never says when its legs end.

use serde_json::Value;

use crate::harness::{COMPANY, Home, QUICK, lost_call, session_of};

const RIVAL: &str = r#"
[[tenant]]
key = "rival"

[[pbx]]
key = "k2"
tenant = "rival"
tokens = ["token-of-the-tests-for-k2"]
"#;

/// A leg that rings, of a call that is not over.
fn ringing(tenant: &str, pbx: &str, leg: usize) -> Value {
    let mut leg = lost_call(&format!("live-{leg}"));
    let all = leg.as_object_mut().expect("an object");
    all.insert("tenant".to_owned(), tenant.into());
    all.insert("pbx".to_owned(), pbx.into());
    all.remove("ended");
    all.remove("cause");
    leg
}

fn lines(legs: impl Iterator<Item = Value>) -> String {
    legs.map(|leg| format!("{leg}\n")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_calls_that_never_end_is_kept_aside_and_nobody_else_notices() {
    let home = Home::new(&QUICK.replace("[sessions]", "[sessions]\nmax_live = 20"));
    home.apply(&format!("{COMPANY}{RIVAL}"));
    let serve = home.serve().await;
    serve.accept("k1", lines((0..100).map(|leg| ringing("acme", "k1", leg)))).await;
    serve
        .until("the flood to be kept aside", |value| {
            value("session_live") == 20.0
                && value("session_legs_refused_total{reason=\"too_many_live\"}") == 80.0
        })
        .await;
    // Another tenant's calls, and the end of those that have begun.
    serve.accept("k2", lines((0..5).map(|leg| ringing("rival", "k2", leg)))).await;
    serve.until("the other tenant's calls to live", |value| value("session_live") == 25.0).await;
    let ends = |legs: std::ops::Range<usize>| lines(legs.map(|leg| lost_call(&format!("live-{leg}"))));
    serve.accept("k1", ends(0..20)).await;
    serve.until("the calls that had begun to be told", |value| value("session_live") == 5.0).await;

    // A limit of its own; what was refused is sent again, and the calls end as others do.
    home.apply(&format!("{}{RIVAL}", COMPANY.replace("region", "limits = { maxLive = 1000 }\nregion")));
    let to = format!("http://{}", serve.intake);
    // Replay waits until the server knows its token, which is newer than the limit.
    let replay = home.run(&["dead-letters", "replay", "--all", "--reason", "too_many_live", "--to", &to]);
    assert_eq!(replay.code, Some(0), "{}{}", replay.stdout, replay.stderr);
    assert!(replay.stderr.starts_with("80 taken in, 0 refused again"), "{}", replay.stderr);
    serve.until("all of them to live", |value| value("session_live") == 85.0).await;
    serve.accept("k1", ends(20..100)).await;
    serve.until("all of them to be told", |value| value("session_live") == 5.0).await;
    serve
        .until("all of them to be kept", |value| value("stage_lag_records{stage=\"dispatch\"}") == 0.0)
        .await;
    serve.stop().await;
    let page = home.run(&["calls", "show", &session_of("live-99")]);
    assert_eq!(page.code, Some(0), "{}", page.stderr);
}
