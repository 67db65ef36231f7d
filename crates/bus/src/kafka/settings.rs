//! Settings of the log on Kafka, and what of librdkafka's own may be set beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;

use crate::{Clock, OpenError, Topic};

/// Room for what a broker adds to a record, in bytes: `max.message.bytes` of a topic counts the whole batch.
pub(super) const OVERHEAD: usize = 64 << 10;

/// Settings of the log on Kafka.
#[derive(Clone)]
pub struct KafkaConfig {
    /// Brokers to ask first: `host:port`, separated by commas.
    pub bootstrap: String,
    /// Name of this process among those of its groups. Two processes need two names; one that is started again needs the
    /// one it had: so it gets its partitions back at once, and what it left half-done is ended.
    pub instance: String,
    /// Put before the name of every topic, group and transaction on the broker.
    pub prefix: String,
    /// Every topic. The number of partitions is the broker's once a topic is there.
    pub topics: Vec<Topic>,
    /// Topics of others that are read, by their names on the broker: without the prefix, with any settings and any number
    /// of partitions. Each is to be read by a worker of its own.
    pub foreign: Vec<String>,
    /// Properties of librdkafka, for all clients alike. What the promises rest on is refused.
    pub properties: BTreeMap<String, String>,
    /// Bytes of appends that may wait for the broker; beyond, an append is refused. 64 MiB.
    pub queue_bytes: usize,
    /// Largest record, in bytes. 1 MiB, as brokers have it.
    pub record_bytes: usize,
    /// Most records in one batch of a reader. 1,000.
    pub batch_records: usize,
    /// Most bytes in one batch of a reader (but always one record). 4 MiB.
    pub batch_bytes: usize,
    /// How long the start waits for brokers, and an append for its answer. 30 s.
    pub timeout: Duration,
    /// The wall clock.
    pub clock: Clock,
}

impl KafkaConfig {
    /// Settings with their defaults.
    pub fn new(bootstrap: &str, instance: &str, topics: Vec<Topic>, clock: Clock) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            instance: instance.to_owned(),
            prefix: String::new(),
            topics,
            foreign: Vec::new(),
            properties: BTreeMap::new(),
            queue_bytes: 64 << 20,
            record_bytes: 1 << 20,
            batch_records: 1_000,
            batch_bytes: 4 << 20,
            timeout: Duration::from_secs(30),
            clock,
        }
    }

    pub(super) fn check(&self) -> Result<(), OpenError> {
        let mut mistakes = check_properties(&self.properties);
        if self.bootstrap.trim().is_empty() {
            mistakes.push("no broker is named".to_owned());
        }
        if self.instance.is_empty() {
            mistakes.push("the instance has no name".to_owned());
        }
        if self.batch_records == 0 {
            mistakes.push("a batch of no records".to_owned());
        }
        if mistakes.is_empty() { Ok(()) } else { Err(OpenError::Brokers { mistakes }) }
    }

    /// For a client that neither reads as a group nor writes: asks the brokers about topics, and how far they are.
    pub(super) fn probe(&self) -> ClientConfig {
        let mut config = self.client();
        // To see what transactions that are not over yet have written.
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// For a reader of a group.
    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        set(&mut config, CONSUMER_DEFAULTS);
        self.finish(&mut config);
        set(&mut config, CONSUMER_GUARDED);
        config.set("group.id", format!("{}{group}", self.prefix));
        config
    }

    /// For whoever reads one partition's state after the other's, each to its end.
    pub(super) fn restorer(&self, group: &str) -> ClientConfig {
        let mut config = self.consumer(group);
        for (key, value) in RESTORER_DEFAULTS {
            if !self.properties.contains_key(*key) {
                config.set(*key, *value);
            }
        }
        config
    }

    /// For the writer of appends.
    pub(super) fn appender(&self) -> ClientConfig {
        let mut config = self.producer();
        config.set("message.timeout.ms", self.timeout.as_millis().to_string());
        config
    }

    /// For the writer of a worker's transactions.
    pub(super) fn transactional(&self, group: &str, member: &str) -> ClientConfig {
        let mut config = self.producer();
        if config.get("transaction.timeout.ms").is_none() {
            config.set("transaction.timeout.ms", TRANSACTION_TIMEOUT);
        }
        if config.get("connections.max.idle.ms").is_none() {
            config.set("connections.max.idle.ms", IDLE);
        }
        // A record that is not there when its transaction times out never comes.
        let timeout = config.get("transaction.timeout.ms").unwrap_or(TRANSACTION_TIMEOUT).to_owned();
        config.set("message.timeout.ms", timeout);
        config.set("transactional.id", format!("{}{group}-{member}", self.prefix));
        config
    }

    fn producer(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        set(&mut config, PRODUCER_DEFAULTS);
        self.finish(&mut config);
        set(&mut config, PRODUCER_GUARDED);
        // Ours is the bound that refuses; librdkafka's own is never reached by appends.
        let kilobytes = (2 * self.queue_bytes / 1_024).clamp(4_096, 2_097_151);
        config.set("queue.buffering.max.kbytes", kilobytes.to_string());
        config.set("message.max.bytes", (self.record_bytes + OVERHEAD / 2).to_string());
        config
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        self.finish(&mut config);
        config
    }

    fn finish(&self, config: &mut ClientConfig) {
        config.set("client.id", format!("ringpost-{}", self.instance));
        config.set("reconnect.backoff.max.ms", RECONNECT);
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("allow.auto.create.topics", "false");
        // Errors of connections are told by the calls that fail of them.
        config.set("log.connection.close", "false");
    }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Properties hold passwords.
        let keys: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("KafkaConfig")
            .field("bootstrap", &self.bootstrap)
            .field("instance", &self.instance)
            .field("prefix", &self.prefix)
            .field("topics", &self.topics)
            .field("properties", &keys)
            .finish_non_exhaustive()
    }
}

/// A dead instance's open transaction hides what is behind it from readers so long, in milliseconds.
const TRANSACTION_TIMEOUT: &str = "10000";

/// Never by default. When the broker that looks after a group is gone for good, librdkafka (2.12; its issues 5511 and 5456)
/// asks who does so now only when a connection comes or goes: a commit that was under way waits for that, without any
/// time-out. So connections that nothing goes over are closed, as they all are while such a commit waits.
const IDLE: &str = "10000";

/// 10,000 by default: a broker that was restarted would be looked for so much later.
const RECONNECT: &str = "1000";

const CONSUMER_DEFAULTS: &[(&str, &str)] = &[
    // A process that is gone for good is noticed after so long. One that comes back before has lost nothing.
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "1000"),
    // 1,000 by default, which starves a reader that is slower than the prefetch.
    ("fetch.queue.backoff.ms", "5"),
    // 64 MiB by default, and slower: what is read ahead is copied in and out of caches.
    ("queued.max.messages.kbytes", "8192"),
    // 500 by default: a partition that is taken over is asked for only after the answer to the question before.
    ("fetch.wait.max.ms", "100"),
    // 1 MiB by default: compressed, that is thousands of records of one partition before another has its turn.
    ("fetch.message.max.bytes", "131072"),
];

const RESTORER_DEFAULTS: &[(&str, &str)] = &[
    // At the end of a partition the brokers are not to wait for more, while the next one cannot be asked for.
    ("fetch.wait.max.ms", "5"),
    ("fetch.message.max.bytes", "1048576"),
];

const CONSUMER_GUARDED: &[(&str, &str)] = &[
    ("isolation.level", "read_committed"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "earliest"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("enable.partition.eof", "false"),
];

const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    ("compression.type", "lz4"),
    // A sender waits so long for others to share its request.
    ("linger.ms", "2"),
];

const PRODUCER_GUARDED: &[(&str, &str)] =
    &[("enable.idempotence", "true"), ("acks", "all"), ("partitioner", "murmur2_random")];

fn set(config: &mut ClientConfig, pairs: &[(&str, &str)]) {
    for (key, value) in pairs {
        config.set(*key, *value);
    }
}

/// Properties that may not be set, each with the reason.
const GUARDED: &[(&str, &str)] = &[
    ("bootstrap.servers", "it has a setting of its own"),
    ("metadata.broker.list", "the brokers have a setting of their own"),
    ("partitioner", "legs of a tenant meet in one partition only if all who write agree with Java's murmur2"),
    ("enable.idempotence", "without it a record may be stored twice, or out of order"),
    ("acks", "nothing is acknowledged before all replicas in sync have it"),
    ("request.required.acks", "nothing is acknowledged before all replicas in sync have it"),
    ("transactional.id", "it follows from group and instance: that is how a former self is fenced"),
    ("group.id", "it follows from the role"),
    ("group.instance.id", "it follows from the instance"),
    ("group.protocol", "the new protocol has no static membership that hands partitions back at once"),
    ("group.remote.assignor", "partitions are handed over by cooperative-sticky"),
    ("partition.assignment.strategy", "partitions are handed over one by one, by cooperative-sticky"),
    ("isolation.level", "records of transactions that were given up are none"),
    ("enable.auto.commit", "positions are committed together with what follows from the records"),
    ("auto.commit.interval.ms", "positions are committed together with what follows from the records"),
    ("enable.auto.offset.store", "positions are committed together with what follows from the records"),
    ("auto.offset.reset", "a new group begins with the oldest record; nothing is skipped"),
    ("enable.partition.eof", "the end of a partition is asked for"),
    ("allow.auto.create.topics", "topics are made by `ringpost topics create`, with the settings they need"),
    ("message.max.bytes", "it follows from the largest record"),
    ("queue.buffering.max.kbytes", "it follows from the queue of appends"),
    ("message.timeout.ms", "it follows from `transaction.timeout.ms`, or is the time-out of an append"),
    ("delivery.timeout.ms", "it follows from `transaction.timeout.ms`, or is the time-out of an append"),
];

/// What is wrong with a property: guarded, unknown, out of range. The value is not repeated: some are passwords.
pub fn check_property(key: &str, value: &str) -> Option<String> {
    if let Some((_, reason)) = GUARDED.iter().find(|(guarded, _)| *guarded == key) {
        return Some(format!("cannot be set: {reason}"));
    }
    let mut alone = ClientConfig::new();
    alone.set(key, value);
    alone.create_native_config().err().map(|error| what_is_wrong(&error))
}

fn check_properties(properties: &BTreeMap<String, String>) -> Vec<String> {
    let wrong = properties.iter().filter_map(|(key, value)| Some((key, check_property(key, value)?)));
    wrong.map(|(key, wrong)| format!("{key}: {wrong}")).collect()
}

/// librdkafka's words, less the value.
pub(super) fn what_is_wrong(error: &rdkafka::error::KafkaError) -> String {
    use rdkafka::error::KafkaError;
    match error {
        KafkaError::ClientConfig(_, description, _, value) if !value.is_empty() => {
            description.replace(&format!("\"{value}\""), "this value")
        }
        KafkaError::ClientConfig(_, description, _, _) => description.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(key: &str, value: &str) -> String {
        check_properties(&BTreeMap::from([(key.to_owned(), value.to_owned())])).join("; ")
    }

    #[test]
    fn what_the_promises_rest_on_is_refused_with_the_reason() {
        for (key, _) in GUARDED {
            let told = mistakes(key, "1");
            assert!(told.starts_with(&format!("{key}: cannot be set: ")), "{told}");
        }
        assert!(mistakes("partitioner", "consistent_random").contains("murmur2"));
    }

    #[test]
    fn any_other_property_goes_through_and_a_wrong_one_is_named() {
        assert_eq!(mistakes("linger.ms", "7"), "");
        assert_eq!(mistakes("socket.keepalive.enable", "true"), "");
        assert_eq!(mistakes("lingr.ms", "7"), "lingr.ms: No such configuration property: \"lingr.ms\"");
        assert!(
            mistakes("linger.ms", "soon").starts_with("linger.ms: "),
            "{}",
            mistakes("linger.ms", "soon")
        );
    }

    #[test]
    fn a_password_is_told_nowhere() {
        let secret = "ssl-no-hunter2";
        let mut config = KafkaConfig::new("b:9092", "a", Vec::new(), std::sync::Arc::new(|| 0));
        config.properties.insert("sasl.password".to_owned(), secret.to_owned());
        config.properties.insert("security.protocol".to_owned(), secret.to_owned());
        assert!(!format!("{config:?}").contains(secret));
        let told = check_properties(&config.properties).join("; ");
        assert!(told.contains("security.protocol") && !told.contains(secret), "{told}");
    }

    #[test]
    fn defaults_give_way_to_what_is_set_and_guards_do_not() {
        let mut config = KafkaConfig::new("b:9092", "a", Vec::new(), std::sync::Arc::new(|| 0));
        config.properties.insert("linger.ms".to_owned(), "9".to_owned());
        config.properties.insert("transaction.timeout.ms".to_owned(), "20000".to_owned());
        let made = config.transactional("g", "a-0");
        assert_eq!(made.get("linger.ms"), Some("9"));
        assert_eq!(made.get("message.timeout.ms"), Some("20000"));
        assert_eq!(made.get("partitioner"), Some("murmur2_random"));
        // Without it a commit may wait for ever for a broker that is gone: `make faults ONLY=broker-lost`.
        assert_eq!(made.get("connections.max.idle.ms"), Some("10000"));
        assert_eq!(config.consumer("g").get("isolation.level"), Some("read_committed"));
    }
}
