//! Everything that is sent is accounted for, to the element: thousands of mutated documents of every dialect, through
//! HTTP, twice.
//!
//! Per request: legs told as stored and as refused are what the decoder makes of the body. In all: stored and refused
//! are what answers, metrics and dead letters say; a refused element that comes again is counted apart and makes no
//! second dead letter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use ringpost_ingest::{Decoded, Source, decode};
use ringpost_model::{Dialect, PbxKey, TenantKey, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{COMPANY, Home, QUICK, Serve, seed};

/// Of each dialect.
const MUTANTS: usize = 1_500;
/// Senders at a time: syncs of the disk are shared.
const SENDERS: usize = 12;

const SWITCHES: &str = r#"
[[pbx]]
key = "fs1"
tenant = "acme"
dialect = "freeswitch-cdr"
tokens = ["token-of-the-tests-for-fs1"]

[[pbx]]
key = "fs2"
tenant = "acme"
dialect = "freeswitch-event"
tokens = ["token-of-the-tests-for-fs2"]

[[pbx]]
key = "kz1"
tenant = "acme"
dialect = "kazoo"
tokens = ["token-of-the-tests-for-kz1"]

[[pbx]]
key = "ast1"
tenant = "acme"
dialect = "asterisk-cel"
tokens = ["token-of-the-tests-for-ast1"]

[[pbx]]
key = "ast2"
tenant = "acme"
dialect = "asterisk-cdr"
tokens = ["token-of-the-tests-for-ast2"]
"#;

/// The switch of a dialect and the documents to start from.
fn of(dialect: Dialect) -> (&'static str, &'static [&'static str]) {
    match dialect {
        Dialect::Native => ("k1", &["fuzz/leg"]),
        Dialect::FreeswitchCdr => ("fs1", &["freeswitch-cdr", "fuzz/freeswitch"]),
        Dialect::FreeswitchEvent => ("fs2", &["freeswitch-event"]),
        Dialect::Kazoo => ("kz1", &["kazoo"]),
        Dialect::AsteriskCel => ("ast1", &["asterisk-cel"]),
        Dialect::AsteriskCdr => ("ast2", &["asterisk-cdr"]),
    }
}

fn corpus(folders: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/ingest/fixtures");
    let mut files: Vec<_> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("fixtures are there"))
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect();
    files.sort();
    files.iter().map(|path| std::fs::read(path).expect("a fixture can be read")).collect()
}

/// Half of them are still valid JSON.
fn mutants(random: &mut StdRng, corpus: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let trees: Vec<Value> = corpus.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect();
    let mutant = |number: usize| {
        if number % 2 == 1 {
            let at = random.random_range(0..corpus.len());
            return of_bytes(random, &corpus[at]);
        }
        let mut tree = trees[random.random_range(0..trees.len())].clone();
        for _ in 0..random.random_range(1..4) {
            change(random, &mut tree);
        }
        serde_json::to_vec(&tree).expect("a value is JSON")
    };
    (0..MUTANTS).map(mutant).collect()
}

/// Flipped, cut, doubled, and put behind one another.
fn of_bytes(random: &mut StdRng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..bytes.len().max(1));
        match random.random_range(0..6) {
            _ if bytes.is_empty() => {}
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes.truncate(at),
            2 => bytes.extend_from_within(at..),
            3 => _ = bytes.remove(at),
            4 => bytes.push(b'\n'),
            _ => bytes.insert(at, b"\"{}[],:\n\0\xff%"[random.random_range(0..11)]),
        }
    }
    bytes
}

/// Something else somewhere in a document.
fn change(random: &mut StdRng, value: &mut Value) {
    let goes_on = random.random_range(0..3) > 0;
    match value {
        Value::Object(entries) if !entries.is_empty() && goes_on => {
            let at = random.random_range(0..entries.len());
            let key = entries.keys().nth(at).cloned().expect("an index below the length");
            if random.random_range(0..6) == 0 {
                entries.remove(&key);
            } else {
                change(random, &mut entries[&key]);
            }
        }
        Value::Array(items) if !items.is_empty() && goes_on => {
            let at = random.random_range(0..items.len());
            change(random, &mut items[at]);
        }
        _ => {
            *value = match random.random_range(0..9) {
                0 => Value::Null,
                1 => json!(random.random::<i64>()),
                2 => json!(""),
                3 => json!([value.clone()]),
                4 => json!({ "a": value.clone() }),
                5 => json!("x".repeat(random.random_range(0..400))),
                6 => json!("rival"),
                7 => json!(1_773_133_200_000_000_i64 + random.random_range(0..1_000_000_000)),
                _ => json!("\u{0}\u{202e}%zz%ff é"),
            };
        }
    }
}

fn decoded(dialect: Dialect, bytes: &[u8]) -> Decoded {
    let (tenant, pbx) = (TenantKey::new("acme").ok(), PbxKey::new(of(dialect).0).ok());
    let received = Some(Timestamp::from_micros(1_773_133_200_000_000));
    decode(dialect, &Source { tenant, pbx, received, ..Source::default() }, bytes)
}

/// Legs and dead letters that a body has to lead to.
fn expected(dialect: Dialect, bytes: &[u8]) -> u64 {
    let decoded = decoded(dialect, bytes);
    (decoded.records.len() + decoded.rejects.len()) as u64
}

/// Unreadable elements that differ in switch, place in the request or bytes: each has to be kept.
fn different(bodies: &[(Dialect, Vec<u8>)]) -> usize {
    let rejects = bodies.iter().flat_map(|(dialect, body)| {
        let rejects = decoded(*dialect, body).rejects.into_iter();
        rejects.map(|reject| (of(*dialect).0, reject.position.to_string(), reject.bytes))
    });
    rejects.collect::<BTreeSet<_>>().len()
}

/// Stored and refused, as the answers say.
async fn send_all(serve: &Arc<Serve>, bodies: &Arc<Vec<(Dialect, Vec<u8>)>>) -> (u64, u64) {
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (serve, bodies) = (Arc::clone(serve), Arc::clone(bodies));
        senders.spawn(async move {
            let mut sums = (0, 0);
            for (dialect, body) in bodies.iter().skip(sender).step_by(SENDERS) {
                let answer = serve.post(of(*dialect).0, body.clone()).await;
                let shown = String::from_utf8_lossy(body);
                assert!([202, 400, 403].contains(&answer.status.as_u16()), "{}: {shown}", answer.status);
                let (legs, refused) = answer.told();
                assert_eq!(legs + refused, expected(*dialect, body), "{}: {shown}", answer.body);
                sums = (sums.0 + legs, sums.1 + refused);
            }
            sums
        });
    }
    let mut sums = (0, 0);
    while let Some(sent) = senders.join_next().await {
        let (legs, refused) = sent.expect("a sender gets what it expects");
        sums = (sums.0 + legs, sums.1 + refused);
    }
    sums
}

/// What the metrics say of the intake: legs stored, elements refused, dead letters new and known.
async fn counted(serve: &Serve) -> [u64; 4] {
    let metrics: BTreeMap<String, f64> = serve.metrics().await;
    let sum = |name: &str| {
        metrics.iter().filter(|(key, _)| key.starts_with(name)).map(|(_, value)| *value as u64).sum::<u64>()
    };
    [
        sum("ringpost_ingest_legs_accepted_total"),
        sum("ringpost_ingest_legs_rejected_total"),
        sum("ringpost_dead_letters_total"),
        sum("ringpost_dead_letters_repeated_total"),
    ]
}

/// Until sessions have read all, so that what they refuse is among the dead letters too.
async fn all_read(serve: &Serve) {
    serve.until("all legs are read", |value| value("stage_lag_records{stage=\"aggregate\"}") == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_element_of_thousands_of_mutants_is_stored_refused_or_known_and_the_sums_agree() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut bodies = Vec::new();
    for dialect in Dialect::ALL {
        let mutants = mutants(&mut random, &corpus(of(dialect).1));
        bodies.extend(mutants.into_iter().map(|body| (dialect, body)));
    }
    let home = Home::new(QUICK);
    home.apply(&format!("{COMPANY}{SWITCHES}"));
    let bodies = Arc::new(bodies);
    let serve = Arc::new(home.serve().await);

    let (legs, refused) = send_all(&serve, &bodies).await;
    assert!(legs > 100 && refused > 100, "{legs} stored, {refused} refused: this run has shown nothing");
    all_read(&serve).await;
    let [accepted, rejected, new, known] = counted(&serve).await;
    assert_eq!((accepted, rejected), (legs, refused), "metrics and answers");
    let listed = home.run(&["dead-letters", "list", "--limit", "100000"]);
    let letters: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(letters.len() as u64, new, "dead letters and their metric");
    // Those that `session` refused stood in the journal: they had been stored.
    let of_sessions = letters.iter().filter(|line| !line.contains("http ")).count() as u64;
    assert_eq!(new - of_sessions + known, refused, "each refused element is a dead letter, new or known");

    let different = different(&bodies) as u64;
    assert!(new - of_sessions >= different, "{different} differ, {} were kept", new - of_sessions);

    // All of it again: nothing new is refused, and every refusal is known.
    let again = send_all(&serve, &bodies).await;
    assert_eq!(again, (legs, refused));
    all_read(&serve).await;
    let [accepted, rejected, new_after, known_after] = counted(&serve).await;
    assert_eq!((accepted, rejected), (2 * legs, 2 * refused));
    let listed = home.run(&["dead-letters", "list", "--limit", "100000"]);
    let intake = |text: &str| text.lines().filter(|line| line.contains("http ")).count() as u64;
    assert_eq!(intake(&listed.stdout), new - of_sessions, "the same garbage twice is one dead letter");
    let of_sessions_after = listed.stdout.lines().count() as u64 - intake(&listed.stdout);
    assert_eq!(new_after - of_sessions_after, new - of_sessions);
    assert_eq!(known_after, known + refused, "what comes again is counted as known");
    println!(
        "{} mutants, each twice: {legs} legs stored, {refused} elements refused, {} dead letters of the intake, \
         {of_sessions} of sessions",
        bodies.len(),
        new - of_sessions
    );
    let serve = Arc::into_inner(serve).expect("the senders are done");
    let log = serve.stops_well().await;
    assert!(!log.iter().any(|line| line.contains("panicked")), "{}", log.join("\n"));
}
