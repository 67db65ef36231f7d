//! What is promised about accepted legs, held against what was kept and what receivers were told.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ringpost_model::DeliveryId;
use ringpost_store::Ending;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Kept, LOOK, Receiver, Request, Serve, TIMEOUT, Traffic};

/// What `/all` was told is the truth. Empty = it is.
fn differences(traffic: &Traffic, requests: &[Request]) -> String {
    let records: Vec<String> = requests
        .iter()
        .filter(|request| request.path.starts_with("/all/") && request.is_delivered())
        .map(|request| Told::read(request).cdr.get().to_owned())
        .collect();
    // A call that closed early, while the server was away, may go on under another id (sessions.md, properties):
    // all else has to be as it is in truth.
    let told = plain(last_revisions(&records));
    let truth = plain(traffic.truths.iter().map(|truth| json!(truth.cdr)).collect());
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
        absorbed.extend(record["replaces"].as_array().into_iter().flatten().map(text));
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

/// Records without what tells how often a call was told and without what tables added, of which the truth knows
/// nothing; and how often each comes.
fn plain(records: Vec<Value>) -> BTreeMap<String, usize> {
    let mut plain = BTreeMap::new();
    for mut record in records {
        let keys: &mut Map<String, Value> = record.as_object_mut().expect("a record is an object");
        for key in ["id", "rev", "replaces", "cliLoc", "cliArea", "cliState", "cliCtry"] {
            keys.remove(key);
        }
        *plain.entry(record.to_string()).or_default() += 1;
    }
    plain
}

/// Everything that is promised about what was accepted, whatever happened to the server meanwhile.
pub(crate) async fn judge(traffic: &Traffic, kept: &Kept, requests: &[Request]) {
    let differences = differences(traffic, requests);
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
    let delivered = requests.iter().filter(|request| request.is_delivered());
    let ids: BTreeSet<&str> = delivered.map(|request| request.header("webhook-id")).collect();
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
    settle_down_all(&[serve], traffic, receiver).await;
}

/// The same of several processes that share the roles.
pub(crate) async fn settle_down_all(serves: &[&Serve], traffic: &Traffic, receiver: &Receiver) {
    let quiet = async || {
        let mut metrics = BTreeMap::<String, f64>::new();
        for serve in serves {
            for (name, value) in serve.metrics().await {
                *metrics.entry(name).or_default() += value;
            }
        }
        let zero = |name: &str| metrics.get(&format!("ringpost_{name}")).copied() == Some(0.0);
        let is_idle = ["session_live", "deliver_debts", "queue_depth{queue=\"lanes\"}"].into_iter().all(zero);
        let has_caught_up = ["aggregate", "dispatch"]
            .into_iter()
            .all(|stage| zero(&format!("stage_lag_records{{stage=\"{stage}\"}}")));
        let is_told = || differences(traffic, &receiver.requests()).is_empty();
        (is_idle && has_caught_up && is_told()).then_some(())
    };
    let looks = async {
        while quiet().await.is_none() {
            tokio::time::sleep(10 * LOOK).await;
        }
    };
    let _ = tokio::time::timeout(TIMEOUT, looks).await;
}
