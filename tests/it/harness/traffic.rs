//! Simulated calls of eight switches, sent as switches send: one request after the other, each again and again until
//! it is answered 202. And the judgement of what came out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use ringpost_model::{DeliveryId, PbxKey};
use ringpost_simulate::{Params, Simulation, Truth};
use ringpost_store::Ending;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::serve::client;
use super::{Kept, LOOK, Receiver, Request, Serve, TIMEOUT, token};

/// Messages of one request.
const BATCH: usize = 2;
/// A sender that gets no answer asks again after this; a killed server answers at once that nobody is there.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls with what must come out.
pub(crate) struct Traffic {
    of_pbx: BTreeMap<PbxKey, Vec<Vec<u8>>>,
    truths: Vec<Truth>,
    /// Every leg that is told of, and whether a person is at its other end.
    legs: BTreeMap<(String, String, String), bool>,
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

    /// What `/all` was told is the truth. Empty = it is.
    pub(crate) fn differences(&self, requests: &[Request]) -> String {
        let records: Vec<String> = requests
            .iter()
            .filter(|request| request.path.starts_with("/all/"))
            .map(|request| Told::read(request).cdr.get().to_owned())
            .collect();
        // A call that closed early, while the server was away, may go on under another id (sessions.md, properties):
        // all else has to be as it is in truth.
        let told = plain(last_revisions(&records));
        let truth = plain(self.truths.iter().map(|truth| json!(truth.cdr)).collect());
        let mut differences = String::new();
        for (record, count) in &truth {
            let got = told.get(record).copied().unwrap_or_default();
            if got < *count {
                differences += &format!("missing: {record}\n");
            }
        }
        for (record, count) in &told {
            let wanted = truth.get(record).copied().unwrap_or_default();
            if wanted < *count {
                differences += &format!("extra:   {record}\n");
            }
        }
        differences
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

/// A payload, its record as it came.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    cdr: &'a RawValue,
}

impl<'a> Told<'a> {
    fn read(request: &'a Request) -> Self {
        serde_json::from_slice(&request.body).expect("a payload holds a record")
    }
}

fn last_revisions(records: &[String]) -> Vec<Value> {
    let mut last: HashMap<String, (u64, Value)> = HashMap::new();
    let mut absorbed = BTreeSet::new();
    for record in records {
        let record: Value = serde_json::from_str(record).expect("a record is JSON");
        absorbed.extend(record["replaces"].as_array().into_iter().flatten().map(|id| text(id)));
        let rev = record["rev"].as_u64().unwrap_or(1);
        let known = last.entry(text(&record["id"])).or_default();
        if rev >= known.0 {
            *known = (rev, record);
        }
    }
    last.into_iter().filter(|(id, _)| !absorbed.contains(id)).map(|(_, (_, record))| record).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Records without what tells how often a call was told, and how often each comes.
fn plain(records: Vec<Value>) -> BTreeMap<String, usize> {
    let mut plain = BTreeMap::new();
    for mut record in records {
        let keys: &mut Map<String, Value> = record.as_object_mut().expect("a record is an object");
        for key in ["id", "rev", "replaces"] {
            keys.remove(key);
        }
        *plain.entry(record.to_string()).or_default() += 1;
    }
    plain
}

/// Everything that is promised about what was accepted, whatever happened to the server meanwhile.
pub(crate) async fn judge(traffic: &Traffic, kept: &Kept, requests: &[Request]) {
    let differences = traffic.differences(requests);
    assert!(differences.is_empty(), "the receiver was not told the truth:\n{differences}");

    let debts = kept.debts().await;
    assert!(debts.is_empty(), "still owed: {debts:#?}");
    let given_up: Vec<_> =
        kept.endings().await.into_iter().filter(|it| it.ending != Ending::Superseded).collect();
    assert!(given_up.is_empty(), "given up: {given_up:#?}");

    each_leg_is_in_one_record(traffic, kept).await;
    each_call_was_told(kept, requests).await;
    repeats_are_the_same(requests);
}

async fn each_leg_is_in_one_record(traffic: &Traffic, kept: &Kept) {
    let mut found: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for envelope in kept.envelopes().await {
        for leg in &envelope.legs {
            let key = (envelope.tenant.to_string(), envelope.pbx.to_string(), leg.leg.to_string());
            *found.entry(key).or_default() += 1;
        }
    }
    for (leg, is_person) in &traffic.legs {
        let times = found.remove(leg).unwrap_or_default();
        // A room that is nobody's is in no record.
        let right = times == 1 || (times == 0 && !is_person);
        assert!(right, "leg {leg:?} is in {times} records");
    }
    assert!(found.is_empty(), "nobody told of {found:?}");
}

async fn each_call_was_told(kept: &Kept, requests: &[Request]) {
    let ids: BTreeSet<&str> = requests.iter().map(|request| request.header("webhook-id")).collect();
    let triggers = kept.triggers_by_tenant().await;
    for envelope in kept.envelopes().await {
        let of = |name: &str| triggers[&(envelope.tenant.to_string(), name.to_owned())];
        let wanted = [(of("all"), envelope.rev), (of("first"), 1)];
        for (trigger, rev) in wanted {
            let id = DeliveryId::of_record(trigger, envelope.session, rev).to_string();
            assert!(ids.contains(id.as_str()), "revision {rev} of {} was not told", envelope.session);
        }
    }
}

/// A receiver that drops what it knows by `webhook-id` loses nothing and doubles nothing.
fn repeats_are_the_same(requests: &[Request]) {
    let mut bodies: HashMap<&str, &Request> = HashMap::new();
    let mut ids: HashMap<(&str, String, u64), &str> = HashMap::new();
    for request in requests {
        let id = request.header("webhook-id");
        assert!(!id.is_empty());
        let first = bodies.entry(id).or_insert(request);
        assert_eq!(first.body, request.body, "two bodies of one webhook-id");
        let body = request.json();
        let rev = body["cdr"]["rev"].as_u64().unwrap_or(1);
        let same = ids.entry((request.header("x-hook-id"), text(&body["cdr"]["id"]), rev)).or_insert(id);
        assert_eq!(*same, id, "two webhook-ids of one delivery");
    }
}

/// Until everything is done, or time is up: then it is the judge who says what is missing.
pub(crate) async fn settle_down(serve: &Serve, traffic: &Traffic, receiver: &Receiver) {
    let quiet = async || {
        let metrics = serve.metrics().await;
        let zero = |name: &str| metrics.get(&format!("ringpost_{name}")).copied() == Some(0.0);
        let is_idle = ["session_live", "deliver_debts", "queue_depth{queue=\"lanes\"}"].into_iter().all(zero);
        let has_caught_up = ["aggregate", "dispatch"]
            .into_iter()
            .all(|stage| zero(&format!("stage_lag_records{{stage=\"{stage}\"}}")));
        let is_told = || traffic.differences(&receiver.requests()).is_empty();
        (is_idle && has_caught_up && is_told()).then_some(())
    };
    let looks = async {
        while quiet().await.is_none() {
            tokio::time::sleep(10 * LOOK).await;
        }
    };
    let _ = tokio::time::timeout(TIMEOUT, looks).await;
}
