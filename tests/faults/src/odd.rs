//! What is written among the legs beside calls as the truth knows them: poison, and calls that are too large.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use rand::RngExt;
use rand::rngs::StdRng;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Message};
use ringpost_bus::partition_of;
use serde_json::json;

use crate::feed::PARTITIONS;

/// Whose large calls are, and nothing else.
pub(crate) const TENANT: &str = "large";
pub(crate) const PBX: &str = "large-1";
/// Legs of one call, and how many of them it may have.
const LEGS: usize = 600;
const MOST: usize = 500;
const PATIENT: Duration = Duration::from_secs(60);

/// What has to come of it.
#[derive(Default)]
pub(crate) struct Odd {
    /// Places whose records have to become dead letters.
    pub(crate) letters: BTreeSet<String>,
    /// Calls of [`TENANT`], each with one record that says that it is not all.
    pub(crate) large: usize,
}

impl Odd {
    /// One of each kind that is no leg.
    pub(crate) fn poison(&mut self, bootstrap: &str, topic: &str, dice: &mut StdRng) -> anyhow::Result<()> {
        let leg =
            json!({"v": 1, "kind": "leg", "tenant": "acme", "pbx": "k1", "leg": "no-leg", "direction": "in"});
        let without = |key: &str| {
            let mut leg = leg.clone();
            leg.as_object_mut().map(|leg| leg.remove(key));
            leg.to_string().into_bytes()
        };
        let garbage: Vec<u8> = (0..300).map(|_| dice.random_range(128..=255)).collect();
        let large = json!({"v": 1, "kind": "leg", "tenant": "acme", "leg": "x".repeat(900_000)});
        let poison = [
            (Some("acme"), garbage.clone()),
            (None, garbage),
            (None, b"neither".to_vec()),
            (Some("acme"), leg.to_string().into_bytes()[..60].to_vec()),
            (Some("nobody-we-know"), without("tenant")),
            (Some("acme"), without("leg")),
            (Some("globex"), large.to_string().into_bytes()),
            (Some("hooli"), vec![b'['; 5_000]),
            (Some("acme"), br#"{"command":"make tea","v":1}"#.to_vec()),
            (Some("umbrella"), br#"{"v":7,"kind":"leg"}"#.to_vec()),
        ];
        let messages = poison.map(|(key, body)| (dice.random_range(0..PARTITIONS), key, body));
        self.letters.extend(write(bootstrap, topic, messages.into_iter())?);
        Ok(())
    }

    /// A call with more legs than one may have.
    pub(crate) fn large(&mut self, bootstrap: &str, topic: &str) -> anyhow::Result<()> {
        let name = format!("large-{}", self.large);
        let leg = |at: usize| {
            let root = format!("{name}-0");
            let leg = json!({
                "v": 1, "kind": "leg", "tenant": TENANT, "pbx": PBX, "leg": format!("{name}-{at}"),
                "links": if at == 0 { vec![] } else { vec![root] },
                "direction": if at == 0 { "in" } else { "out" },
                "side": if at == 0 { "external" } else { "internal" }, "number": format!("+44163296{at:04}"),
                "created": 1_773_133_200_000_000_i64 + at as i64, "ended": 1_773_133_212_000_000_i64,
                "cause": "ORIGINATOR_CANCEL",
            });
            leg.to_string().into_bytes()
        };
        let partition = partition_of(TENANT.as_bytes(), PARTITIONS).0;
        let messages = (0..LEGS).map(|at| (partition, Some(TENANT), leg(at)));
        let places = write(bootstrap, topic, messages)?;
        self.letters.extend(places.into_iter().skip(MOST));
        self.large += 1;
        Ok(())
    }
}

/// Writes records of (partition, key, body), and returns their places in the order in which they are given.
fn write<'a>(
    bootstrap: &str,
    topic: &str,
    messages: impl Iterator<Item = (u32, Option<&'a str>, Vec<u8>)>,
) -> anyhow::Result<Vec<String>> {
    let producer: ThreadedProducer<Receipts> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .create_with_context(Receipts::default())?;
    let mut sent = 0;
    for (partition, key, body) in messages {
        let mut record = BaseRecord::<str, [u8], usize>::with_opaque_to(topic, sent)
            .partition(partition as i32)
            .payload(&body);
        record.key = key;
        producer.send(record).map_err(|(error, _)| error)?;
        sent += 1;
    }
    producer.flush(PATIENT)?;
    let mut places = producer.context().places.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(places.len() == sent, "{} of {sent} odd records are stored", places.len());
    places.sort_unstable();
    Ok(places
        .into_iter()
        .map(|(_, partition, offset)| format!("ringpost.legs/{partition}@{offset}"))
        .collect())
}

#[derive(Default)]
struct Receipts {
    /// Number of the record, its partition, its place there.
    places: Mutex<Vec<(usize, i32, i64)>>,
}

impl ClientContext for Receipts {}

impl ProducerContext for Receipts {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        if let Ok(message) = result {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.push((number, message.partition(), message.offset()));
        }
    }
}
