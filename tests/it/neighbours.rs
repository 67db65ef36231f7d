//! One receiver's trouble is nobody else's.

use crate::harness::{COMPANY, Home, Receiver, Reply, Request, lost_call, session_of};

const CALLS: usize = 60;
/// Requests of one lane in flight, as configured below.
const CONCURRENCY: usize = 4;

/// The deadline is far away, so that what hangs still hangs at the end of the test.
const SETTINGS: &str = r#"
[sessions]
settle = "100ms"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
deadline = "60s"
concurrency = 4
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_delays_no_other_on_the_same_host() {
    let home = Home::new(SETTINGS);
    let receiver = Receiver::start(|request| match &*request.path {
        "/hangs" => Reply::hang(),
        _ => Reply::status(200),
    })
    .await;
    let mut resources = COMPANY.to_owned();
    for name in ["hangs", "healthy"] {
        let url = receiver.url(&format!("/{name}"));
        resources += &format!("[[trigger]]\ntenant = \"acme\"\nname = \"{name}\"\nurl = \"{url}\"\n");
    }
    home.apply(&resources);
    let serve = home.serve().await;
    let calls: Vec<String> = (0..CALLS).map(|number| format!("call-{number}")).collect();
    for call in &calls {
        serve.accept("k1", lost_call(call).to_string()).await;
    }
    let of =
        |requests: &[Request], path: &str| requests.iter().filter(|request| request.path == path).count();
    let requests =
        receiver.until("all calls at the healthy one", |requests| of(requests, "/healthy") == CALLS).await;
    // The hanging one has what it may have in flight, and not one of them has ended.
    let hanging: Vec<bool> = requests.iter().filter(|it| it.path == "/hangs").map(Request::is_open).collect();
    assert_eq!(hanging, [true; CONCURRENCY]);

    let mut told: Vec<String> =
        requests.iter().filter(|request| request.path == "/healthy").map(Request::session).collect();
    let mut wanted: Vec<String> = calls.iter().map(|call| session_of(call)).collect();
    told.sort();
    wanted.sort();
    assert_eq!(told, wanted);
}
