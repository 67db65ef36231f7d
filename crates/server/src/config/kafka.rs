//! `[bus.kafka]`: where the brokers are, what this process is called, and what else librdkafka is told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::Given;
use super::mistake::Wrong;
use super::reader::Reader;
use super::setting::{Setting, quoted, shown, text};

/// Where the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// In a file of the data folder.
    #[default]
    Embedded,
    /// On Apache Kafka.
    Kafka,
}

/// `[bus.kafka]`
#[derive(Clone, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port` of some brokers, separated by commas.
    pub bootstrap: String,
    /// What this process is called among those of its groups; none = the machine's name.
    pub instance: Option<String>,
    /// Before the name of every topic, group and transaction.
    pub prefix: String,
    /// Records are committed so often, all that was read since together.
    pub commit_interval: Duration,
    /// What librdkafka is told besides.
    pub properties: BTreeMap<String, String>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap: String::new(),
            instance: None,
            prefix: String::new(),
            commit_interval: Duration::from_millis(200),
            properties: BTreeMap::new(),
        }
    }
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Properties hold passwords.
        f.debug_struct("Kafka").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

pub(crate) fn resolve(reader: &mut Reader, backend: Backend, kafka: &mut Kafka) {
    reader.set("bus.kafka.bootstrap", &mut kafka.bootstrap);
    reader
        .set_checked("bus.kafka.instance", &mut kafka.instance, |name| name.as_deref().map_or(Ok(()), named));
    reader.set_checked("bus.kafka.prefix", &mut kafka.prefix, |prefix| named(prefix));
    let often = Duration::ZERO..=Duration::from_secs(5);
    reader.set_within("bus.kafka.commit_interval", &mut kafka.commit_interval, often);
    reader.set_map("bus.kafka.properties", &mut kafka.properties, property);
    let is_nowhere = kafka.bootstrap.trim().is_empty();
    if backend == Backend::Kafka && is_nowhere && !reader.has_mistake("bus.kafka.bootstrap") {
        let instead = "write where brokers are, such as \"kafka-1:9092,kafka-2:9092\"";
        reader.contradiction("bus.kafka.bootstrap", "missing, with bus.backend = \"kafka\"", instead);
    }
}

/// What a topic's name may consist of.
pub(crate) fn named(text: &str) -> Result<(), Wrong> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.len() <= 100 && text.chars().all(is_fine) {
        return Ok(());
    }
    let instead = "write at most 100 of A-Z a-z 0-9 . _ -, as in a topic's name";
    Err(Wrong::new(format!("{} is no part of a name on a broker", quoted(text)), instead))
}

fn property(key: &str, value: &str) -> Result<(), Wrong> {
    let Some(wrong) = ringpost_bus::check_property(key, value) else { return Ok(()) };
    Err(Wrong::new(wrong, "leave it out, or see docs/kafka.md for what may be set"))
}

impl Setting for Backend {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write \"embedded\" or \"kafka\"";
        match text(given, instead)? {
            "embedded" => Ok(Self::Embedded),
            "kafka" => Ok(Self::Kafka),
            _ => Err(Wrong::new(format!("{} is no backend of the log", shown(given)), instead)),
        }
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::Embedded => "embedded",
            Self::Kafka => "kafka",
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, LoadError, Source, parse};

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let variables: Vec<_> = variables.iter().map(own).collect();
        let source = Source { file: Some(("f", text)), variables: &variables, ..Source::default() };
        parse(source).map(|loaded| loaded.config).map_err(|error| match error {
            LoadError::Mistakes(mistakes) => {
                mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            }
            other => other.to_string(),
        })
    }

    #[test]
    fn properties_come_from_the_file_and_passwords_from_the_environment() {
        let text = "[bus]\nbackend = \"kafka\"\n[bus.kafka]\nbootstrap = \"b:9092\"\n[bus.kafka.properties]\n\
                    \"security.protocol\" = \"sasl_ssl\"\nlinger.ms = 7\n";
        let password = ("RINGPOST_BUS__KAFKA__PROPERTIES__SASL__PASSWORD", "hunter2");
        let config = read(text, &[password]).unwrap();
        let properties: Vec<_> =
            config.bus.kafka.properties.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            properties,
            [("linger.ms", "7"), ("sasl.password", "hunter2"), ("security.protocol", "sasl_ssl")]
        );
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_guarded_unknown_or_missing_is_told_with_its_place() {
        let text = "[bus]\nbackend = \"kafka\"\n[bus.kafka.properties]\nacks = 1\n\"lingr.ms\" = 7\n";
        let told = read(text, &[]).unwrap_err();
        assert!(
            told.contains("f:4:8: bus.kafka.properties.acks: cannot be set: nothing is acknowledged"),
            "{told}"
        );
        assert!(
            told.contains("f:5:14: bus.kafka.properties.lingr.ms: No such configuration property"),
            "{told}"
        );
        assert!(told.contains("bus.kafka.bootstrap: missing, with bus.backend = \"kafka\""), "{told}");
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let text = "[bus.kafka.properties]\n\"sasl.password\" = \"hunter2\"\n";
        let source = Source { file: Some(("f", text)), ..Source::default() };
        let settled = parse(source).unwrap().settled;
        assert!(settled.iter().any(|one| one.key == "bus.kafka.properties.sasl.password"));
        assert!(!format!("{settled:?}").contains("hunter2"));
    }
}
