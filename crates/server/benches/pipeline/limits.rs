//! What the parts could do alone, measured in the same run: how far the whole is from its limits can be read on a
//! machine that others use too.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringpost_bus::{Config, Embedded, Keep, Log, Record, Topic};

use crate::calls::{self, LEGS};
use crate::figures::{Spread, cpu_seconds, now_micros, tell};
use crate::receiver::Receiver;

/// Calls of each loop.
const CALLS: usize = 20_000;
/// Legs of one append, as those of one request to the intake.
const LEGS_EACH: usize = 100;
/// Appends, or requests, at the same time.
const AT_ONCE: usize = 16;
/// Requests in flight, as a few lanes have them.
const IN_FLIGHT: usize = 64;

pub(crate) async fn measure() {
    disk();
    log().await;
    http().await;
}

/// A client as plain as can be.
pub(crate) fn client() -> reqwest::Client {
    // Only the first one does it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().expect("a client")
}

/// One write of the size of a leg, and its sync, one after the other.
fn disk() {
    let mut probe = Probe::new();
    let spread = Spread::of((0..500).map(|_| probe.sync()).collect());
    tell("limit: one write and sync of the disk", &spread.text());
}

/// A file beside the installations, to see what their disk takes for a sync.
pub(crate) struct Probe {
    file: File,
    _folder: tempfile::TempDir,
}

impl Probe {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = File::create(folder.path().join("probe")).expect("a file");
        Self { file, _folder: folder }
    }

    /// Writes and syncs; says how many milliseconds that took.
    pub(crate) fn sync(&mut self) -> f64 {
        let begun = Instant::now();
        self.file.write_all(&[7; 1_000]).and_then(|()| self.file.sync_data()).expect("the disk takes it");
        begun.elapsed().as_secs_f64() * 1_000.0
    }
}

/// The same legs into the journal alone, durable, without HTTP, sessions or deliveries.
async fn log() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keep = Keep::For(Duration::from_secs(3_600));
    let topics = vec![Topic { name: "legs".to_owned(), partitions: 8, keep }];
    let config = Config::new(folder.path().to_owned(), topics, Arc::new(now_micros));
    let (log, journal) = Embedded::open(config).await.expect("a journal");
    let journal = tokio::spawn(journal.run());
    let legs: Vec<Record> = (0..CALLS).flat_map(records).collect();
    let appends: Arc<Vec<Vec<Record>>> = Arc::new(legs.chunks(LEGS_EACH).map(<[Record]>::to_vec).collect());
    let (begun, before) = (Instant::now(), cpu_seconds(std::process::id()));
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..AT_ONCE {
        let (log, appends) = (log.clone(), Arc::clone(&appends));
        tasks.spawn(async move {
            for append in appends.iter().skip(first).step_by(AT_ONCE) {
                log.append("legs", append.clone()).await.expect("the journal takes them");
            }
        });
    }
    tasks.join_all().await;
    told("limit: legs into the journal alone", begun, before);
    drop(log);
    journal.await.expect("the journal ends with its last handle");
}

fn records(call: usize) -> [Record; LEGS] {
    let tenant = calls::tenant(call % 20);
    calls::legs(&tenant, call, now_micros()).map(|leg| Record {
        key: tenant.clone().into(),
        value: leg.into(),
        timestamp: now_micros(),
    })
}

/// Requests of the size of a payload by a bare client, one a call.
async fn http() {
    let receiver = Receiver::start(CALLS).await;
    let (client, url) = (client(), receiver.url("/bare"));
    let (begun, before) = (Instant::now(), cpu_seconds(std::process::id()));
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..IN_FLIGHT {
        let (client, url) = (client.clone(), url.clone());
        tasks.spawn(async move {
            for call in (first..CALLS).step_by(IN_FLIGHT) {
                let body = format!("{{\"name\":\"Caller No {call:08}\",\"filler\":\"{:1400}\"}}", "");
                let answer = client.post(&url).body(body).send().await.expect("the receiver answers");
                answer.bytes().await.expect("an empty body");
            }
        });
    }
    tasks.join_all().await;
    told("limit: bare reqwest loop, receiver included", begun, before);
}

fn told(what: &str, begun: Instant, before: f64) {
    let (took, used) = (begun.elapsed().as_secs_f64(), cpu_seconds(std::process::id()) - before);
    let calls = CALLS as f64;
    tell(what, &format!("{:.0} calls/s, {:.3} CPU s per 1,000 calls", calls / took, used / calls * 1_000.0));
}
