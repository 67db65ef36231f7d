//! What the tests of the whole system share: the real binary, a data folder, a receiver, traffic. No test waits for
//! time to pass: it waits for something to happen, and `TIMEOUT` only ends what hangs.

mod disk;
mod home;
mod judge;
mod mailbox;
mod repeats;
mod serve;
mod sink;
mod store;
mod traffic;

use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use disk::Disk;
pub(crate) use home::{Done, Home, command, run};
pub(crate) use judge::{judge, settle_down, settle_down_all};
pub(crate) use mailbox::Mailbox;
pub(crate) use repeats::{Life, Repeats};
pub(crate) use ringpost_tests::{Receiver, Reply, Request, TIMEOUT};
pub(crate) use serve::{Answer, Serve, Starting};
pub(crate) use sink::Sink;
pub(crate) use store::Kept;
pub(crate) use traffic::Traffic;

/// Between two looks at something that tells nobody when it changes: a port, a metric, a file.
const LOOK: Duration = Duration::from_millis(20);

/// Printed; the variable sets it, to see a failure again.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("RINGPOST_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("RINGPOST_TEST_SEED={seed}");
    seed
}

/// The token of a pbx.
pub(crate) fn token(pbx: &str) -> String {
    format!("token-of-the-tests-for-{pbx}")
}

/// One company with one switch; triggers go behind it.
pub(crate) const COMPANY: &str = r#"
[[tenant]]
key = "acme"
region = "GB"

[[pbx]]
key = "k1"
tenant = "acme"
tokens = ["token-of-the-tests-for-k1"]
"#;

/// Calls close soon, and receivers may be on this machine.
pub(crate) const QUICK: &str = r#"
[sessions]
settle = "100ms"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
"#;

/// Looks until there is something to see.
pub(crate) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(TIMEOUT, found).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A call from outside that nobody answered: one leg, whose id names it.
pub(crate) fn lost_call(leg: &str) -> Value {
    json!({
        "v": 1, "kind": "leg", "tenant": "acme", "pbx": "k1", "leg": leg, "direction": "in", "side": "external",
        "number": "+441632960101", "name": "Dora Evans", "dialled": "+441614960000",
        "created": 1_773_133_200_300_000_i64, "ended": 1_773_133_212_300_000_i64, "cause": "ORIGINATOR_CANCEL",
    })
}

/// The id of the record of [`lost_call`].
pub(crate) fn session_of(leg: &str) -> String {
    let tenant = ringpost_model::TenantKey::new("acme").expect("a key");
    let pbx = ringpost_model::PbxKey::new("k1").expect("a key");
    let leg = ringpost_model::LegId::new(leg).expect("an id");
    ringpost_model::SessionId::of_root(&tenant, &pbx, &leg).to_string()
}
