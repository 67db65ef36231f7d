//! The log on real brokers, with topics of its own for each test.

use std::io::Write;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use ringpost_bus::{Kafka, KafkaConfig, Keep, Topic, create_topics};

use crate::bench::{Backend, PARTITIONS};

/// The names of topics, groups and transactions of a test begin with it, so that no test sees another's.
static TESTS: AtomicU32 = AtomicU32::new(0);
static TOLD: Once = Once::new();

pub(crate) struct Brokers {
    pub(crate) prefix: String,
    bootstrap: String,
    now: Arc<AtomicI64>,
    has_topics: bool,
}

impl Brokers {
    /// The brokers of this run; none, and told loudly, where there are none.
    pub(crate) fn find() -> Option<Self> {
        let Ok(bootstrap) = std::env::var("RINGPOST_TEST_KAFKA") else {
            // Not by a macro: what those print of a test that passes is not shown.
            TOLD.call_once(|| {
                let text = "SKIPPED: the tests on Kafka. They need a broker: make test-kafka\n";
                std::io::stderr().write_all(text.as_bytes()).unwrap();
            });
            return None;
        };
        let number = TESTS.fetch_add(1, Ordering::Relaxed);
        let begun = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let prefix = format!("t{}-{}-{number}.", begun.as_millis(), std::process::id());
        Some(Self { prefix, bootstrap, now: Arc::default(), has_topics: false })
    }

    pub(crate) fn config(&self, instance: &str) -> KafkaConfig {
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || now.load(Ordering::Relaxed));
        config(&self.bootstrap, &self.prefix, instance, clock)
    }

    /// A process of that name.
    pub(crate) async fn start(&mut self, instance: &str) -> Kafka {
        let config = self.config(instance);
        if !self.has_topics {
            create_topics(&config, None).await.unwrap();
            self.has_topics = true;
        }
        Kafka::open(config).await.unwrap()
    }
}

/// As a test's process has it; also of the processes that tests start.
pub(crate) fn config(
    bootstrap: &str,
    prefix: &str,
    instance: &str,
    clock: ringpost_bus::Clock,
) -> KafkaConfig {
    let topic = |name: &str, keep| Topic { name: name.to_owned(), partitions: PARTITIONS, keep };
    let hour = Keep::For(Duration::from_secs(3_600));
    let topics = vec![topic("in", hour), topic("out", hour), topic("state", Keep::Latest)];
    let mut config = KafkaConfig::new(bootstrap, instance, topics, clock);
    prefix.clone_into(&mut config.prefix);
    // What a test would have to wait for.
    for (key, value) in [("session.timeout.ms", "3000"), ("heartbeat.interval.ms", "200")] {
        config.properties.insert(key.to_owned(), value.to_owned());
    }
    config
}

impl Backend for Brokers {
    type Log = Kafka;

    async fn open(&mut self) -> Kafka {
        self.start("a").await
    }

    fn set_clock(&self, now: i64) {
        self.now.store(now, Ordering::Relaxed);
    }

    fn stamps(&self) -> bool {
        true
    }
}
