//! The legs, and what both loops do with one.

use std::sync::Arc;
use std::time::Duration;

use ringpost_bus::{Kafka, KafkaConfig, Keep, Log, Record, Topic, create_topics};
use serde::Deserialize;

use crate::{LEGS, PARTITIONS, STATE};

/// Some fields of a leg, as a typed reader has them; the rest is passed over.
#[derive(Deserialize)]
pub(crate) struct Leg<'a> {
    pub(crate) leg: &'a str,
    pub(crate) tenant: &'a str,
    created: i64,
    ended: i64,
    number: &'a str,
    dialled: &'a str,
}

/// The record and the state that follow from a leg.
pub(crate) struct Made {
    pub(crate) key: Vec<u8>,
    pub(crate) record: Vec<u8>,
    pub(crate) state_key: Vec<u8>,
    pub(crate) state: Vec<u8>,
}

pub(crate) fn parse(value: &[u8]) -> Leg<'_> {
    serde_json::from_slice(value).expect("a leg")
}

pub(crate) fn make(leg: &Leg<'_>, value: &[u8]) -> Made {
    let seconds = (leg.ended - leg.created) / 1_000_000;
    let mut record =
        format!("{{\"seconds\":{seconds},\"from\":\"{}\",\"to\":\"{}\",\"leg\":", leg.number, leg.dialled);
    record.push_str(std::str::from_utf8(value).expect("JSON is UTF-8"));
    record.push('}');
    Made {
        key: leg.tenant.as_bytes().to_vec(),
        record: record.into_bytes(),
        state_key: leg.leg.as_bytes().to_vec(),
        state: value[..STATE].to_vec(),
    }
}

pub(crate) struct Filled {
    pub(crate) log: Kafka,
    pub(crate) prefix: String,
}

/// New topics, with legs of 1 KB of fifty tenants.
pub(crate) async fn fill(bootstrap: &str, turn: usize) -> Filled {
    let begun = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let prefix = format!("bench-{}-{turn}.", begun.as_millis());
    let topic = |name: &str, keep| Topic { name: name.to_owned(), partitions: PARTITIONS, keep };
    let hour = Keep::For(Duration::from_secs(3_600));
    let topics = vec![topic("in", hour), topic("out", hour), topic("state", Keep::Latest)];
    let mut config = KafkaConfig::new(bootstrap, "bench", topics, Arc::new(now));
    prefix.clone_into(&mut config.prefix);
    create_topics(&config, None).await.expect("topics");
    let log = Kafka::open(config).await.expect("a log");
    for first in (0..LEGS).step_by(2_000) {
        let records = (first..first + 2_000).map(leg).collect();
        log.append("in", records).await.expect("appended");
    }
    Filled { log, prefix }
}

fn leg(n: usize) -> Record {
    let tenant = format!("tenant-{}", n % 50);
    let (created, ended) = (1_773_133_200_000_000_i64 + n as i64, 1_773_133_260_000_000_i64 + n as i64);
    let mut text = format!(
        "{{\"v\":1,\"kind\":\"leg\",\"tenant\":\"{tenant}\",\"pbx\":\"k1\",\"leg\":\"leg-{n:08}\",\"created\":{created},\
         \"ended\":{ended},\"number\":\"+4416329{:05}\",\"dialled\":\"+4416149{:05}\",\"cause\":\"NORMAL_CLEARING\"",
        n % 100_000,
        (n * 7) % 100_000
    );
    // Numbers of their own: text that repeats would be compressed to nothing.
    let mut random = n as u64;
    for field in 0.. {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!(",\"field_{field}\":\"{:016x}\"", random));
        if text.len() >= 1_000 {
            break;
        }
    }
    text.push('}');
    Record { key: tenant.into(), value: text.into(), timestamp: 0 }
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
