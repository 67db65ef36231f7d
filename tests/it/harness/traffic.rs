//! Simulated calls of eight switches, sent as switches send: one request after the other, each again and again until
//! it is answered 202.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use ringpost_model::PbxKey;
use ringpost_simulate::{Params, Simulation, Truth};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::serve::client;
use super::{LOOK, Receiver, token};

/// Messages of one request.
const BATCH: usize = 2;
/// A sender that gets no answer asks again after this; a killed server answers at once that nobody is there.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls with what must come out.
pub(crate) struct Traffic {
    of_pbx: BTreeMap<PbxKey, Vec<Vec<u8>>>,
    pub(super) truths: Vec<Truth>,
    /// Every leg that is told of, and whether a person is at its other end.
    pub(super) legs: BTreeMap<(String, String, String), bool>,
}

/// How far the senders are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Requests answered 202.
    pub(crate) accepted: usize,
    /// Requests that were sent again, since no answer came.
    pub(crate) again: usize,
}

/// The running senders.
pub(crate) struct Sending {
    target: watch::Sender<Option<SocketAddr>>,
    progress: Arc<watch::Sender<Progress>>,
    senders: JoinSet<()>,
    /// Requests in all.
    pub(crate) requests: usize,
}

impl Traffic {
    pub(crate) fn new(calls: u64, seed: u64) -> Self {
        let mut simulation = Simulation::new(Params { calls, seed, ..Params::default() });
        let mut traffic = Self { of_pbx: BTreeMap::new(), truths: Vec::new(), legs: BTreeMap::new() };
        while let Some(message) = simulation.next() {
            traffic.truths.extend(std::iter::from_fn(|| simulation.next_truth()));
            let record: Value = serde_json::from_slice(&message.body).expect("a record is JSON");
            let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            let leg = traffic.legs.entry((text("tenant"), text("pbx"), text("leg"))).or_insert(true);
            *leg &= record["side"] != "service";
            traffic.of_pbx.entry(message.pbx).or_default().push(message.body);
        }
        traffic
    }

    /// The companies, their switches, and two triggers of each: one that is told every revision at `/all`, one that
    /// is told every call once at `/first`.
    pub(crate) fn resources(&self, receiver: &Receiver) -> String {
        let pbxs: BTreeSet<_> = self.truths.iter().map(|truth| (&truth.pbx, &truth.tenant)).collect();
        let tenants: BTreeSet<_> = pbxs.iter().map(|(_, tenant)| *tenant).collect();
        let mut text = String::new();
        for tenant in tenants {
            text += &format!("[[tenant]]\nkey = \"{tenant}\"\n");
            for (name, revisions) in [("all", "all"), ("first", "first")] {
                let url = receiver.url(&format!("/{name}/{tenant}"));
                text += &format!("[[trigger]]\ntenant = \"{tenant}\"\nname = \"{name}\"\nurl = \"{url}\"\n");
                text += &format!("revisions = \"{revisions}\"\nretries = 10\n");
            }
        }
        for (pbx, tenant) in pbxs {
            text += &format!(
                "[[pbx]]\nkey = \"{pbx}\"\ntenant = \"{tenant}\"\ntokens = [\"{}\"]\n",
                token(pbx.as_str())
            );
        }
        text
    }

    /// Starts sending, to wherever the server is.
    pub(crate) fn send(&self) -> Sending {
        let (target, progress) =
            (watch::Sender::new(None), Arc::new(watch::Sender::new(Progress::default())));
        let mut senders = JoinSet::new();
        let mut requests = 0;
        for (pbx, messages) in &self.of_pbx {
            let bodies: Vec<Vec<u8>> = messages.chunks(BATCH).map(|batch| batch.join(&b'\n')).collect();
            requests += bodies.len();
            senders.spawn(send(pbx.clone(), bodies, target.subscribe(), Arc::clone(&progress)));
        }
        Sending { target, progress, senders, requests }
    }
}

impl Sending {
    /// From now on the server is there; none = it is away.
    pub(crate) fn to(&self, server: Option<SocketAddr>) {
        self.target.send_replace(server);
    }

    pub(crate) fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Until so many requests have been accepted.
    pub(crate) async fn accepted(&self, count: usize) {
        let mut progress = self.progress.subscribe();
        let wanted = progress.wait_for(|progress| progress.accepted >= count);
        tokio::time::timeout(super::TIMEOUT, wanted)
            .await
            .expect("requests are accepted")
            .expect("senders live");
    }

    /// Until all have been.
    pub(crate) async fn done(&mut self) {
        self.accepted(self.requests).await;
        while let Some(ended) = self.senders.join_next().await {
            ended.expect("a sender meets nothing that it cannot handle");
        }
    }
}

async fn send(
    pbx: PbxKey,
    bodies: Vec<Vec<u8>>,
    mut target: watch::Receiver<Option<SocketAddr>>,
    progress: Arc<watch::Sender<Progress>>,
) {
    let client = client();
    for body in bodies {
        loop {
            let server = *target.wait_for(Option::is_some).await.expect("the test lives");
            let url = format!("http://{}/ingest/{pbx}", server.expect("waited for"));
            let request =
                client.post(url).bearer_auth(token(pbx.as_str())).timeout(PATIENCE).body(body.clone());
            match request.send().await {
                Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                    // Its head has come: it is durable, whatever becomes of the rest of the answer.
                    let text = answer.text().await.unwrap_or_default();
                    assert!(!text.contains("\"reasons\""), "part of it was refused: {text}");
                    break;
                }
                Ok(answer) => {
                    let later = answer.status() == StatusCode::SERVICE_UNAVAILABLE;
                    assert!(later, "a request was answered {}: {:?}", answer.status(), answer.text().await);
                }
                Err(_) => {}
            }
            progress.send_modify(|progress| progress.again += 1);
            tokio::time::sleep(LOOK).await;
        }
        progress.send_modify(|progress| progress.accepted += 1);
    }
}
