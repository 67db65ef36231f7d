//! A leg that comes when its call is closed and forgotten: kept, and on request the next revision of the call's record.

use serde_json::{Value, json};

use crate::harness::{COMPANY, Home, QUICK, Receiver, Reply, Serve, eventually, lost_call, session_of};

/// Forgotten at once when it is over.
pub(crate) const FORGETFUL: &str = "late = \"100ms\"\n";

/// Who answered the lost call, as it turns out.
fn desk() -> String {
    let begin = 1_773_133_200_300_000_i64;
    json!({
        "v": 1, "kind": "leg", "tenant": "acme", "pbx": "k1", "leg": "desk", "direction": "out", "side": "internal",
        "links": ["late-call"], "created": begin + 1_000_000, "answered": begin + 4_000_000, "ended": begin + 12_000_000,
        "bridges": [{"with": "late-call", "from": begin + 4_000_000, "to": begin + 12_000_000}],
    })
    .to_string()
}

fn records(receiver: &Receiver) -> Vec<Value> {
    let requests = receiver.requests();
    let payload =
        |request: &crate::harness::Request| serde_json::from_slice::<Value>(&request.body).expect("JSON");
    requests.iter().map(payload).map(|payload| payload["cdr"].clone()).collect()
}

/// The whole story, wherever the log is.
pub(crate) async fn story(home: &Home, serve: &Serve, receiver: &Receiver) {
    let answer = serve.post("k1", lost_call("late-call").to_string()).await;
    assert_eq!(answer.told(), (1, 0), "{answer:?}");
    eventually("the first revision", async || (records(receiver).len() == 1).then_some(())).await;
    serve.until("forgotten", |value| value("session_kept") == 0.0 && value("session_live") == 0.0).await;
    let answer = serve.post("k1", desk()).await;
    assert_eq!(answer.told(), (1, 0), "{answer:?}");
    let id = eventually("a dead letter", async || {
        let listed = home.run(&["dead-letters", "list", "--reason", "too_late"]);
        listed.stdout.split('\t').next().filter(|id| !id.is_empty()).map(str::to_owned)
    })
    .await;

    let done = home.run(&["dead-letters", "replay", &id]);
    assert!(done.code != Some(0) && done.stdout.contains("--reopen"), "{done:?}");
    let admin = format!("http://{}", serve.admin);
    let done = home.run(&["dead-letters", "replay", "--all", "--reopen", "--fire", "--admin", &admin]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.stdout, format!("{id}\treopens {}\n", session_of("late-call")));
    let told =
        eventually("the next revision", async || Some(records(receiver)).filter(|told| told.len() == 2))
            .await;
    assert_eq!((&told[1]["id"], &told[1]["rev"]), (&told[0]["id"], &json!(2)));
    assert_eq!(
        (&told[0]["lost"], &told[1]["ans"], &told[1]["talk"]),
        (&json!(1), &json!(1), &json!(8)),
        "{told:?}"
    );
    assert!(home.run(&["dead-letters", "list"]).stdout.is_empty(), "it is listed no more");

    // What is part of the record by now is a repeat.
    let answer = serve.post("k1", desk()).await;
    assert_eq!(answer.told(), (1, 0), "{answer:?}");
    serve.until("a repeat", |value| value("session_legs_repeated_total") == 1.0).await;
    assert!(home.run(&["dead-letters", "list"]).stdout.is_empty());
}

pub(crate) fn resources(receiver: &Receiver) -> String {
    let url = receiver.url("/all");
    format!(
        "{COMPANY}\n[[trigger]]\ntenant = \"acme\"\nname = \"all\"\nurl = \"{url}\"\nrevisions = \"all\"\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leg_that_came_too_late_makes_the_next_revision_when_somebody_says_so() {
    let home = Home::new(&QUICK.replace("[sessions]\n", &format!("[sessions]\n{FORGETFUL}")));
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    home.apply(&resources(&receiver));
    let serve = home.serve().await;
    story(&home, &serve, &receiver).await;
    serve.stops_well().await;
}
