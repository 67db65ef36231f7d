//! What the receiver was told, beside the records that are in the topic.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use ringpost_tests::{Fate, Request};
use serde_json::Value;

use crate::judge::Read;

/// What is wrong with deliveries.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Different ones that were answered with success.
    pub(crate) deliveries: usize,
    /// Last revisions that a trigger wants and its receiver never took.
    pub(crate) lost: Vec<String>,
    /// Requests for what had been answered with success already, or was not answered yet. Allowed, and counted.
    pub(crate) repeats: usize,
    /// Revisions that came for the first time after a later one had been answered with success.
    pub(crate) overtaken: Vec<String>,
    /// Of no record; of a record that the trigger does not want; in two bodies, or under two ids.
    pub(crate) wrong: Vec<String>,
}

impl Told {
    pub(crate) fn is_fine(&self) -> bool {
        self.lost.is_empty() && self.overtaken.is_empty() && self.wrong.is_empty()
    }
}

/// A call in a trigger's eyes: path of the receiver, session.
type Call<'a> = (&'a str, String);

/// All requests of one delivery.
struct Delivery<'a> {
    first: &'a Request,
    /// When it was first answered with success.
    done: Option<Instant>,
}

/// Holds what came against the records.
pub(crate) fn judge(read: &[Read], requests: &[Request]) -> Told {
    let mut told = Told::default();
    let calls = by_call(requests, &mut told);
    let records = Records::of(read);
    for (call, revisions) in &calls {
        told.deliveries += revisions.values().filter(|delivery| delivery.done.is_some()).count();
        overtaken(call, revisions, &mut told);
        for (rev, delivery) in revisions {
            wrong(call, *rev, delivery, &records, &mut told);
        }
    }
    for ((session, rev), record) in records.last() {
        for trigger in ["all", "lost"] {
            let path = format!("/{trigger}/{}", record.tenant);
            let revisions = calls.get(&(path.as_str(), session.clone()));
            let done = |rev: &u64| revisions.and_then(|all| all.get(rev)).is_some_and(|it| it.done.is_some());
            // Who was told of a call is also told that it is not what he wants.
            let is_due = record.is_wanted_by(trigger) || (1..*rev).any(|before| done(&before));
            if is_due && !done(rev) {
                told.lost.push(format!("{path}: revision {rev} of {session}"));
            }
        }
    }
    told
}

fn by_call<'a>(requests: &'a [Request], told: &mut Told) -> BTreeMap<Call<'a>, BTreeMap<u64, Delivery<'a>>> {
    let mut calls: BTreeMap<Call<'_>, BTreeMap<u64, Delivery<'_>>> = BTreeMap::new();
    let mut owners: HashMap<&str, (Call<'_>, u64)> = HashMap::new();
    let mut before: HashMap<&str, Fate> = HashMap::new();
    for request in requests {
        let id = request.header("webhook-id");
        let body = serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
        let Some(session) = body["cdr"]["id"].as_str() else {
            told.wrong.push(format!("{}: {id} is about no call", request.path));
            continue;
        };
        let (call, rev) =
            ((request.path.as_str(), session.to_owned()), body["cdr"]["rev"].as_u64().unwrap_or(1));
        let owner = owners.entry(id).or_insert_with(|| (call.clone(), rev));
        if *owner != (call.clone(), rev) {
            told.wrong.push(format!("{id} is {call:?} revision {rev}, and was {owner:?}"));
        }
        let fate = request.fate();
        if let Some(last) = before.insert(id, fate) {
            let was_refused = matches!(last, Fate::Answered(status, _) if !status.is_success());
            told.repeats += usize::from(!was_refused);
        }
        let delivery = calls.entry(call).or_default().entry(rev);
        let delivery = delivery.or_insert(Delivery { first: request, done: None });
        let first = delivery.first;
        if first.header("webhook-id") != id || first.body != request.body {
            told.wrong.push(format!("{}: {id} is another {}", request.path, first.header("webhook-id")));
        }
        if let Fate::Answered(status, at) = fate
            && status.is_success()
        {
            delivery.done = Some(delivery.done.map_or(at, |done| done.min(at)));
        }
    }
    calls
}

fn overtaken(call: &Call<'_>, revisions: &BTreeMap<u64, Delivery<'_>>, told: &mut Told) {
    for (rev, delivery) in revisions {
        let later = revisions.range(rev + 1..).filter_map(|(later, it)| Some((later, it.done?)));
        for (later, _) in later.filter(|(_, done)| *done < delivery.first.came) {
            told.overtaken.push(format!("{call:?}: revision {rev} came after {later} was answered"));
        }
    }
}

fn wrong(call: &Call<'_>, rev: u64, delivery: &Delivery<'_>, records: &Records, told: &mut Told) {
    let Some(record) = records.all.get(&(call.1.clone(), rev)) else {
        told.wrong.push(format!("{call:?}: revision {rev} is in no record"));
        return;
    };
    let trigger = call.0.split('/').nth(1).unwrap_or_default();
    let was_wanted = (1..=rev).filter_map(|rev| records.all.get(&(call.1.clone(), rev)));
    let body = serde_json::from_slice::<Value>(&delivery.first.body).unwrap_or_default();
    if call.0 != format!("/{trigger}/{}", record.tenant) || body["cdr"] != record.cdr {
        told.wrong.push(format!("{call:?}: revision {rev} is not the record"));
    } else if !was_wanted.into_iter().any(|record| record.is_wanted_by(trigger)) {
        told.wrong.push(format!("{call:?}: revision {rev} is not what the trigger wants"));
    }
}

struct Record {
    tenant: String,
    cdr: Value,
}

impl Record {
    fn is_wanted_by(&self, trigger: &str) -> bool {
        trigger == "all" || self.cdr["lost"] == 1
    }
}

/// Records by session and revision.
struct Records {
    all: BTreeMap<(String, u64), Record>,
    /// Calls that turned out to be part of others.
    absorbed: BTreeSet<String>,
}

impl Records {
    fn of(read: &[Read]) -> Self {
        let (mut all, mut absorbed) = (BTreeMap::new(), BTreeSet::new());
        for one in read {
            let mut envelope = serde_json::from_slice::<Value>(&one.value).unwrap_or_default();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (session, rev) = (text(&envelope["session"]), envelope["rev"].as_u64().unwrap_or_default());
            let tenant = text(&envelope["tenant"]);
            let cdr = envelope["cdr"].take();
            absorbed.extend(cdr["replaces"].as_array().into_iter().flatten().map(text));
            all.insert((session, rev), Record { tenant, cdr });
        }
        Self { all, absorbed }
    }

    /// The last revision of each call.
    fn last(&self) -> impl Iterator<Item = (&(String, u64), &Record)> {
        let is_last = |key: &(String, u64)| {
            let next = self.all.range((key.0.clone(), key.1 + 1)..).next();
            next.is_none_or(|((session, _), _)| *session != key.0)
        };
        self.all.iter().filter(move |(key, _)| is_last(key) && !self.absorbed.contains(&key.0))
    }
}

/// What had just fired when a receiver was back takes turns with what was owed: it is none of it.
const FRESH: Duration = Duration::from_secs(3);

/// By how much what was owed came out of order, at worst: so much older was a call than one that had been told before it at
/// the same place. What was owed: records written while the receiver was down, which came there for the first time
/// afterwards. `watched`: records as they were seen.
pub(crate) fn disorder(watched: &[Read], requests: &[Request], from: Instant, until: Instant) -> Duration {
    let mut owed = HashMap::new();
    for one in watched.iter().filter(|one| from < one.when && one.when + FRESH < until) {
        let envelope = serde_json::from_slice::<Value>(&one.value).unwrap_or_default();
        let session = envelope["session"].as_str().unwrap_or_default().to_owned();
        owed.insert((session, envelope["rev"].as_u64().unwrap_or_default()), one.when);
    }
    let (mut newest, mut worst) = (HashMap::<&str, Instant>::new(), Duration::ZERO);
    let mut known = BTreeSet::new();
    for request in requests {
        if !known.insert(request.header("webhook-id")) || request.came < until {
            continue;
        }
        let cdr = &request.json()["cdr"];
        let session = cdr["id"].as_str().unwrap_or_default().to_owned();
        let Some(seen) = owed.get(&(session, cdr["rev"].as_u64().unwrap_or(1))) else { continue };
        let newest = newest.entry(&request.path).or_insert(*seen);
        worst = worst.max(newest.saturating_duration_since(*seen));
        *newest = (*newest).max(*seen);
    }
    worst
}
