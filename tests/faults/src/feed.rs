//! Simulated calls, written to the topic of legs as a switch's own program would: by key, acknowledged by all replicas.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use ringpost_bus::partition_of;
use ringpost_simulate::{Params, Simulation, Truth};
use serde_json::{Value, json};

use crate::pause;

pub(crate) const PARTITIONS: u32 = 4;
/// Every acknowledgement, with a broker away meanwhile.
const PATIENT: Duration = Duration::from_secs(180);
/// One in so many legs is corrected.
const CORRECTED: usize = 10;
/// So much later. A complete call goes out after 1 s.
const AFTER: Duration = Duration::from_secs(5);
/// Who has most of the calls in a flood.
const FLOODS: &str = "hooli";

/// Legs with when they come, and what must become of them.
pub(crate) struct Traffic {
    /// Time since the first one, tenant, leg.
    messages: Vec<(Duration, String, Vec<u8>)>,
    pub(crate) truths: Vec<Truth>,
}

impl Traffic {
    /// A day of calls, squeezed into so long. With `flood` nine of ten are of [`FLOODS`].
    pub(crate) fn new(calls: u64, seed: u64, squeezed: Duration, flood: bool) -> Self {
        let (mut messages, mut truths) = (Vec::new(), Vec::new());
        if flood {
            // It has an eighth of all calls of a day; the others are the rest of another day.
            simulate(calls * 72 / 10, seed, |tenant| tenant == FLOODS, &mut messages, &mut truths);
            let another = seed + (1 << 32);
            simulate(calls * 8 / 70, another, |tenant| tenant != FLOODS, &mut messages, &mut truths);
            messages.sort_by_key(|(at, ..)| *at);
        } else {
            simulate(calls, seed, |_| true, &mut messages, &mut truths);
        }
        let begin = messages.first().map_or(0, |first| first.0);
        let span = messages.last().map_or(1, |last| (last.0 - begin).max(1)) as f64;
        let place = |at: i64| squeezed.mul_f64((at - begin).max(0) as f64 / span);
        let messages = messages.into_iter().map(|(at, tenant, body)| (place(at), tenant, body)).collect();
        let mut traffic = Self { messages, truths };
        traffic.correct();
        traffic
    }

    /// Some legs are told wrongly first, and as they are some seconds later, when their call has gone out.
    fn correct(&mut self) {
        let mut times: HashMap<String, usize> = HashMap::new();
        for (.., body) in &self.messages {
            *times.entry(leg_id(&parsed(body))).or_default() += 1;
        }
        let mut first = Vec::new();
        // What is told in one piece: an edition covers all that was told of its leg before.
        let whole = self.messages.iter_mut().filter_map(|message| {
            let leg = parsed(&message.2);
            let is_whole = leg["kind"] == "leg" && !leg["ended"].is_null() && times[&leg_id(&leg)] == 1;
            is_whole.then_some((leg, message))
        });
        for (mut leg, (at, tenant, body)) in whole.step_by(CORRECTED) {
            leg["rev"] = json!(1);
            let right = leg.to_string().into_bytes();
            leg["rev"] = json!(0);
            leg["cause"] = json!("INTERWORKING");
            first.push((*at, tenant.clone(), leg.to_string().into_bytes()));
            *at += AFTER;
            *body = right;
        }
        self.messages.extend(first);
        self.messages.sort_by_key(|(at, ..)| *at);
    }

    pub(crate) fn legs(&self) -> usize {
        self.messages.len()
    }

    /// How many calls each partition has: one without any tells nothing.
    pub(crate) fn busy(&self) -> BTreeMap<u32, usize> {
        let mut busy = BTreeMap::new();
        for truth in &self.truths {
            *busy.entry(partition_of(truth.tenant.as_str().as_bytes(), PARTITIONS).0).or_default() += 1;
        }
        busy
    }

    /// Sends them in time, and returns when every one is acknowledged.
    pub(crate) fn send(&self, bootstrap: &str, topic: &str) -> anyhow::Result<()> {
        let producer: ThreadedProducer<Receipts> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "5")
            .set("reconnect.backoff.max.ms", "500")
            .create_with_context(Receipts::default())?;
        let begun = Instant::now();
        for (at, tenant, body) in &self.messages {
            pause(at.saturating_sub(begun.elapsed()));
            let partition = partition_of(tenant.as_bytes(), PARTITIONS).0 as i32;
            let mut record = BaseRecord::to(topic).partition(partition).key(tenant).payload(body);
            while let Err((_, unsent)) = producer.send(record) {
                // Its queue is full.
                record = unsent;
                pause(Duration::from_millis(20));
            }
        }
        producer.flush(PATIENT)?;
        let Receipts { stored, failed } = producer.context().as_ref();
        let (stored, failed) = (stored.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
        ensure!(failed == 0 && stored == self.messages.len() as u64, "{stored} legs stored, {failed} not");
        Ok(())
    }
}

/// A day, of which those companies are taken that are wanted.
fn simulate(
    calls: u64,
    seed: u64,
    is_wanted: impl Fn(&str) -> bool,
    messages: &mut Vec<(i64, String, Vec<u8>)>,
    truths: &mut Vec<Truth>,
) {
    let mut simulation = Simulation::new(Params { calls, seed, ..Params::default() });
    while let Some(message) = simulation.next() {
        let of_it = std::iter::from_fn(|| simulation.next_truth());
        truths.extend(of_it.filter(|truth| is_wanted(truth.tenant.as_str())));
        let tenant = message.tenant.as_str();
        if is_wanted(tenant) {
            messages.push((message.at.micros(), tenant.to_owned(), message.body));
        }
    }
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn leg_id(leg: &Value) -> String {
    format!("{} {} {}", leg["tenant"], leg["pbx"], leg["leg"])
}

#[derive(Default)]
struct Receipts {
    stored: AtomicU64,
    failed: AtomicU64,
}

impl ClientContext for Receipts {}

impl ProducerContext for Receipts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.stored } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
