//! `[[source.kafka]]`: topics of others that legs are read from.

use ringpost_model::{Dialect, PbxKey, TenantKey};

use super::super::document::{Given, Place};
use super::super::kafka::{Backend, Kafka};
use super::super::mistake::Wrong;
use super::super::reader::Reader;
use super::super::setting::{Setting, quoted, shown, text};
use super::Sources;

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KafkaSource {
    /// Its name on the broker; no prefix is put before it. It names the source.
    pub topic: String,
    /// Which platform writes it; with `pbx_from` the one of records that name none.
    pub pbx: Option<PbxKey>,
    /// What names the platform instead.
    pub pbx_from: Option<From>,
    /// Whose calls they are; none = the pbx's tenant, else what names it.
    pub tenant: Option<TenantKey>,
    /// What names the tenant; none = the messages themselves.
    pub tenant_from: Option<From>,
    /// In what they are written; none = what the pbx is declared to speak.
    pub dialect: Option<Dialect>,
}

/// A part of a record of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// Its key, as text.
    Key,
    /// A header of this name.
    Header(String),
}

pub(crate) fn resolve(reader: &mut Reader, backend: Backend, kafka: &Kafka, sources: &mut Sources) {
    reader.single("source.kafka");
    for (index, place) in reader.sections("source.kafka").into_iter().enumerate() {
        let section = format!("source.kafka[{index}]");
        let source = topic(reader, &section, &place);
        let key = format!("{section}.topic");
        if backend == Backend::Embedded {
            let instead = "write bus.backend = \"kafka\" too (docs/kafka.md), or leave the section out";
            reader.contradiction(&key, "topics are read only where the log is on Kafka", instead);
        }
        let is_ours =
            source.topic.strip_prefix(&kafka.prefix).is_some_and(|name| name.starts_with("ringpost."));
        if is_ours {
            let wrong = format!("{} is a topic of ringpost's own", quoted(&source.topic));
            reader.contradiction(&key, wrong, "name a topic that a switch or another program writes");
        }
        if let Some(same) = sources.kafka.iter().position(|other| other.topic == source.topic)
            && !source.topic.is_empty()
        {
            let wrong = format!("{} is the topic of source.kafka[{same}] too", quoted(&source.topic));
            reader.contradiction(&key, wrong, "each record would be read twice: name it once");
        }
        sources.kafka.push(source);
    }
}

fn topic(reader: &mut Reader, section: &str, place: &Place) -> KafkaSource {
    let mut source = KafkaSource::default();
    let key = |name: &str| format!("{section}.{name}");
    reader.set_checked(&key("topic"), &mut source.topic, |name| named(name));
    reader.requires(&key("topic"), place, "write the name of the topic as the brokers know it");
    reader.set(&key("pbx"), &mut source.pbx);
    reader.set(&key("pbx_from"), &mut source.pbx_from);
    if source.pbx_from.is_none() {
        let instead = "write the key of the platform that writes this topic, or pbx_from = \"header:NAME\"";
        reader.requires(&key("pbx"), place, instead);
    }
    reader.set(&key("tenant"), &mut source.tenant);
    reader.set(&key("tenant_from"), &mut source.tenant_from);
    reader.set(&key("dialect"), &mut source.dialect);
    source
}

fn named(name: &str) -> Result<(), Wrong> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    // The group that reads it is called by it.
    if (1..=200).contains(&name.len()) && name.chars().all(is_fine) {
        return Ok(());
    }
    let instead = "write 1 to 200 of A-Z a-z 0-9 . _ -; patterns are not possible, each topic has a section";
    Err(Wrong::new(format!("{} is no name of a topic", quoted(name)), instead))
}

impl Setting for From {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write \"key\", or \"header:NAME\"";
        match text(given, instead)? {
            "key" => Ok(Self::Key),
            other => match other.strip_prefix("header:").map(str::trim) {
                Some(name) if !name.is_empty() => Ok(Self::Header(name.to_owned())),
                _ => Err(Wrong::new(format!("{} is no part of a record", shown(given)), instead)),
            },
        }
    }

    fn show(&self) -> String {
        quoted(&match self {
            Self::Key => "key".to_owned(),
            Self::Header(name) => format!("header:{name}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Source, parse};

    fn read(text: &str) -> Result<Config, String> {
        let source = Source { file: Some(("f", text)), ..Source::default() };
        parse(source).map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    const KAFKA: &str =
        "bus.backend = \"kafka\"\nbus.kafka.bootstrap = \"b:9092\"\nbus.kafka.prefix = \"eu.\"\n";

    #[test]
    fn each_topic_says_whose_records_it_has() {
        let text = "[[source.kafka]]\ntopic = \"pbx.cdr\"\npbx = \"fs1\"\ndialect = \"freeswitch-cdr\"\n\
            tenant_from = \"key\"\n[[source.kafka]]\ntopic = \"shared\"\npbx_from = \"header:pbx\"\n\
            tenant_from = \"header: tenant\"\ntenant = \"reseller\"\n";
        let header = |name: &str| Some(From::Header(name.to_owned()));
        let first = KafkaSource {
            topic: "pbx.cdr".to_owned(),
            pbx: Some(PbxKey::new("fs1").unwrap()),
            dialect: Some(Dialect::FreeswitchCdr),
            tenant_from: Some(From::Key),
            ..KafkaSource::default()
        };
        let second = KafkaSource {
            topic: "shared".to_owned(),
            pbx_from: header("pbx"),
            tenant_from: header("tenant"),
            tenant: Some(TenantKey::new("reseller").unwrap()),
            ..KafkaSource::default()
        };
        assert_eq!(read(&format!("{KAFKA}{text}")).unwrap().source.kafka, [first, second]);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_to_write() {
        let text = format!(
            "{KAFKA}[[source.kafka]]\ntopic = \"pbx.*\"\ntenant_from = \"body\"\n[[source.kafka]]\n\
            topic = \"eu.ringpost.legs\"\npbx = \"k1\"\n[[source.kafka]]\ntopic = \"a\"\npbx = \"k1\"\n\
            [[source.kafka]]\ntopic = \"a\"\npbx_from = \"header:\"\n"
        );
        insta::assert_snapshot!(read(&text).unwrap_err(), @r#"
    f:4:1: source.kafka[0].pbx: missing; write the key of the platform that writes this topic, or pbx_from = "header:NAME"
    f:5:9: source.kafka[0].topic: "pbx.*" is no name of a topic; write 1 to 200 of A-Z a-z 0-9 . _ -; patterns are not possible, each topic has a section
    f:6:15: source.kafka[0].tenant_from: "body" is no part of a record; write "key", or "header:NAME"
    f:8:9: source.kafka[1].topic: "eu.ringpost.legs" is a topic of ringpost's own; name a topic that a switch or another program writes
    f:13:1: source.kafka[3].pbx: missing; write the key of the platform that writes this topic, or pbx_from = "header:NAME"
    f:14:9: source.kafka[3].topic: "a" is the topic of source.kafka[2] too; each record would be read twice: name it once
    f:15:12: source.kafka[3].pbx_from: "header:" is no part of a record; write "key", or "header:NAME"
    "#);
        insta::assert_snapshot!(read("[[source.kafka]]\ntopic = \"a\"\npbx = \"k1\"\n").unwrap_err(), @r#"f:2:9: source.kafka[0].topic: topics are read only where the log is on Kafka; write bus.backend = "kafka" too (docs/kafka.md), or leave the section out"#);
    }
}
