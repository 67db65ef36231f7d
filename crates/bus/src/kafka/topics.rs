//! The topics on the brokers: how they have to be, making them, and looking whether they are so.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewTopic, OwnedResourceSpecifier,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::{Keep, OpenError, Topic};

use super::context::Quiet;
use super::settings::{KafkaConfig, OVERHEAD, what_is_wrong};

/// Between two looks at what brokers know.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The setting that says who stamps records.
const STAMPED: &str = "message.timestamp.type";

/// What came of making a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicMade {
    /// It is there now.
    New,
    /// It was there before, and nothing of it was changed.
    Before,
}

/// Makes the topics that are not there yet. `replicas` = copies of each partition; none = as the brokers do by default.
///
/// # Errors
/// All that the brokers refused, and why.
pub async fn create_topics(
    config: &KafkaConfig,
    replicas: Option<u16>,
) -> Result<Vec<(String, TopicMade)>, OpenError> {
    config.check()?;
    let failed = |error: &KafkaError| OpenError::Brokers { mistakes: vec![what_is_wrong(error)] };
    let admin: AdminClient<Quiet> =
        config.probe().create_with_context(Quiet).map_err(|error| failed(&error))?;
    let wanted: Vec<Wanted> =
        config.topics.iter().map(|topic| Wanted::new(config, topic, replicas)).collect();
    make(config, &admin, wanted).await
}

async fn make(
    config: &KafkaConfig,
    admin: &AdminClient<Quiet>,
    wanted: Vec<Wanted>,
) -> Result<Vec<(String, TopicMade)>, OpenError> {
    let failed = |error: &KafkaError| OpenError::Brokers { mistakes: vec![what_is_wrong(error)] };
    let new: Vec<NewTopic<'_>> = wanted.iter().map(Wanted::as_new).collect();
    let options =
        AdminOptions::new().operation_timeout(Some(config.timeout)).request_timeout(Some(config.timeout));
    let made = admin.create_topics(&new, &options).await.map_err(|error| failed(&error))?;
    let (mut topics, mut mistakes) = (Vec::new(), Vec::new());
    for one in made {
        match one {
            Ok(name) => topics.push((name, TopicMade::New)),
            Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => topics.push((name, TopicMade::Before)),
            Err((name, code)) => mistakes.push(format!("topic {name} could not be made: {code}")),
        }
    }
    if !mistakes.is_empty() {
        return Err(OpenError::Brokers { mistakes });
    }
    until_all_know(config, wanted.into_iter().map(|topic| topic.name).collect()).await?;
    Ok(topics)
}

/// Who says how old a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamps {
    /// The brokers, when they write it. So it is wherever the log is in use.
    Brokers,
    /// Who writes it. Only while records are copied, each as old as it was. Those that are there stay so, and no start is made
    /// on such topics.
    Writers,
}

impl Stamps {
    fn setting(self) -> &'static str {
        match self {
            Self::Brokers => "LogAppendTime",
            Self::Writers => "CreateTime",
        }
    }
}

/// Makes the topics that are not there yet; those of `records` are made, or altered, to take records as old as they were.
///
/// # Errors
/// What the brokers refused.
pub(super) async fn make_to_move(
    config: &KafkaConfig,
    replicas: Option<u16>,
    records: &[String],
) -> Result<(), OpenError> {
    let failed = |error: &KafkaError| OpenError::Brokers { mistakes: vec![what_is_wrong(error)] };
    let admin = config.probe().create_with_context(Quiet).map_err(|error| failed(&error))?;
    let wanted = config.topics.iter().map(|topic| {
        let wanted = Wanted::new(config, topic, replicas);
        let takes_old = records.contains(&topic.name);
        if takes_old { wanted.stamped(Stamps::Writers) } else { wanted }
    });
    let made = make(config, &admin, wanted.collect()).await?;
    let is_old = |topic: &&String| {
        let named = format!("{}{topic}", config.prefix);
        made.iter().any(|(name, made)| *name == named && *made == TopicMade::Before)
    };
    let before: Vec<String> = records.iter().filter(is_old).cloned().collect();
    stamp(config, &before, Stamps::Writers).await
}

/// Says who stamps records of topics, by their names as configured, and waits until that holds. Their other settings stay.
///
/// # Errors
/// What the brokers refused.
pub(super) async fn stamp(config: &KafkaConfig, topics: &[String], stamps: Stamps) -> Result<(), OpenError> {
    let failed = |why: String| OpenError::Brokers { mistakes: vec![why] };
    let names: Vec<String> = topics.iter().map(|topic| format!("{}{topic}", config.prefix)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let admin: AdminClient<Quiet> =
        config.probe().create_with_context(Quiet).map_err(|error| failed(what_is_wrong(&error)))?;
    let options = AdminOptions::new().request_timeout(Some(config.timeout));
    let told = describe(config, &names).await.map_err(failed)?;
    for found in &told {
        let OwnedResourceSpecifier::Topic(name) = &found.specifier else { continue };
        // What is not said anew falls back to its default.
        let own = found.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
        let own = own.filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?)));
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (key, value) in own.chain([(STAMPED, stamps.setting())]) {
            altered = altered.set(key, value);
        }
        let done =
            admin.alter_configs(&[altered], &options).await.map_err(|error| failed(error.to_string()))?;
        for one in done {
            one.map_err(|(_, code)| {
                failed(format!(
                    "{STAMPED} of topic {name} cannot be altered: {code}; this client needs the right ALTER_CONFIGS on it"
                ))
            })?;
        }
    }
    let deadline = Instant::now() + config.timeout;
    loop {
        let told = describe(config, &names).await.map_err(failed)?;
        let is_so = |found: &ConfigResource| {
            found.get(STAMPED).is_some_and(|entry| entry.value.as_deref() == Some(stamps.setting()))
        };
        if told.iter().all(is_so) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(failed(format!("{STAMPED} was altered, and the brokers do not say so")));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Deletes topics by their names on the brokers, and waits until they are gone. Tells those that were there.
///
/// # Errors
/// What the brokers refused.
pub(super) async fn delete(config: &KafkaConfig, names: Vec<String>) -> Result<Vec<String>, OpenError> {
    let failed = |why: String| OpenError::Brokers { mistakes: vec![why] };
    let admin: AdminClient<Quiet> =
        config.probe().create_with_context(Quiet).map_err(|error| failed(what_is_wrong(&error)))?;
    let options =
        AdminOptions::new().operation_timeout(Some(config.timeout)).request_timeout(Some(config.timeout));
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    let done = admin.delete_topics(&asked, &options).await.map_err(|error| failed(error.to_string()))?;
    let (mut deleted, mut mistakes) = (Vec::new(), Vec::new());
    for one in done {
        match one {
            Ok(name) => deleted.push(name),
            Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((name, code)) => mistakes.push(format!("topic {name} could not be deleted: {code}")),
        }
    }
    if !mistakes.is_empty() {
        return Err(OpenError::Brokers { mistakes });
    }
    let probe: BaseConsumer<Quiet> =
        config.probe().create_with_context(Quiet).map_err(|error| failed(what_is_wrong(&error)))?;
    let (probe, timeout) = (Arc::new(probe), config.timeout);
    let deadline = Instant::now() + timeout;
    loop {
        let (asked, of) = (Arc::clone(&probe), deleted.clone());
        let counted = tokio::task::spawn_blocking(move || count(&asked, &of, timeout)).await;
        let counted = counted.map_err(|error| failed(error.to_string()))?;
        let counted = counted.map_err(|error| failed(error.to_string()))?;
        if counted.iter().all(Result::is_err) {
            return Ok(deleted);
        }
        if Instant::now() >= deadline {
            return Err(failed("topics were deleted, and the brokers still know them".to_owned()));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// A broker that was told to make a topic says so before all of them have heard of it.
async fn until_all_know(config: &KafkaConfig, names: Vec<String>) -> Result<(), OpenError> {
    let failed = |why: String| OpenError::Brokers { mistakes: vec![why] };
    let probe: BaseConsumer<Quiet> =
        config.probe().create_with_context(Quiet).map_err(|error| failed(what_is_wrong(&error)))?;
    let (probe, names, timeout) = (Arc::new(probe), Arc::new(names), config.timeout);
    let deadline = Instant::now() + timeout;
    loop {
        let (asked, of) = (Arc::clone(&probe), Arc::clone(&names));
        let counted = tokio::task::spawn_blocking(move || count(&asked, &of, timeout)).await;
        let counted = counted.map_err(|error| failed(error.to_string()))?;
        let counted = counted.map_err(|error| failed(error.to_string()))?;
        let Some(why) = counted.into_iter().find_map(Result::err) else { return Ok(()) };
        if Instant::now() >= deadline {
            return Err(failed(why));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The commands that an administrator makes the same topics with.
pub fn print_topics(config: &KafkaConfig, replicas: Option<u16>) -> String {
    let wanted = config.topics.iter().map(|topic| Wanted::new(config, topic, replicas));
    wanted
        .map(|wanted| format!("kafka-topics.sh --bootstrap-server {} {wanted}\n", config.bootstrap))
        .collect()
}

/// A topic as it has to be.
struct Wanted {
    name: String,
    partitions: u32,
    replicas: Option<u16>,
    settings: Vec<(&'static str, String)>,
}

impl Wanted {
    fn new(config: &KafkaConfig, topic: &Topic, replicas: Option<u16>) -> Self {
        let mut settings = vec![
            // A leg is as old as its place in the log: the clock of a switch moves no other call, and no retention.
            (STAMPED, Stamps::Brokers.setting().to_owned()),
            ("max.message.bytes", (config.record_bytes + OVERHEAD).to_string()),
        ];
        match topic.keep {
            Keep::For(keep) => {
                settings.push(("cleanup.policy", "delete".to_owned()));
                settings.push(("retention.ms", millis(keep)));
            }
            Keep::Latest => {
                settings.push(("cleanup.policy", "compact".to_owned()));
                // Small segments, cleaned early: what is cleaned is not read when a partition is taken over.
                settings.push(("segment.bytes", (64 << 20).to_string()));
                settings.push(("min.cleanable.dirty.ratio", "0.2".to_owned()));
            }
        }
        if replicas.is_some_and(|replicas| replicas >= 3) {
            // One broker may be away, and what is acknowledged is still on two.
            settings.push(("min.insync.replicas", "2".to_owned()));
        }
        let name = format!("{}{}", config.prefix, topic.name);
        Self { name, partitions: topic.partitions, replicas, settings }
    }

    fn stamped(mut self, stamps: Stamps) -> Self {
        let setting = self.settings.iter_mut().find(|(key, _)| *key == STAMPED);
        setting.into_iter().for_each(|(_, value)| *value = stamps.setting().to_owned());
        self
    }

    fn as_new(&self) -> NewTopic<'_> {
        let replicas = TopicReplication::Fixed(self.replicas.map_or(-1, i32::from));
        let new = NewTopic::new(&self.name, self.partitions as i32, replicas);
        self.settings.iter().fold(new, |new, (key, value)| new.set(key, value))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--create --if-not-exists --topic {} --partitions {}", self.name, self.partitions)?;
        if let Some(replicas) = self.replicas {
            write!(f, " --replication-factor {replicas}")?;
        }
        self.settings.iter().try_for_each(|(key, value)| write!(f, " --config {key}={value}"))
    }
}

fn millis(keep: Duration) -> String {
    i64::try_from(keep.as_millis()).unwrap_or(-1).to_string()
}

/// What is known of a topic that is as it has to be.
pub(super) struct Known {
    pub(super) partitions: u32,
    /// Copies without which nothing is acknowledged.
    pub(super) min_in_sync: usize,
}

/// Looks whether all topics are there, and as they have to be. Tells what is known of each, by name as configured.
///
/// # Errors
/// All that is wrong.
pub(super) async fn check(
    config: &KafkaConfig,
    probe: Arc<BaseConsumer<Quiet>>,
) -> Result<HashMap<String, Known>, OpenError> {
    let failed = |mistakes| OpenError::Brokers { mistakes };
    let timeout = config.timeout;
    let names: Vec<String> =
        config.topics.iter().map(|topic| format!("{}{}", config.prefix, topic.name)).collect();
    let asked = names.clone();
    let counted = tokio::task::spawn_blocking(move || count(&probe, &asked, timeout)).await;
    let counted = counted.map_err(|error| failed(vec![error.to_string()]))?;
    let counted = counted.map_err(|error| {
        let why = format!("no broker of {} answers within {timeout:?}: {error}", config.bootstrap);
        failed(vec![why])
    })?;
    let (mut topics, mut mistakes) = (HashMap::new(), Vec::new());
    for (topic, count) in config.topics.iter().zip(&counted) {
        match count {
            Ok(count) => {
                topics.insert(topic.name.clone(), Known { partitions: *count, min_in_sync: 1 });
            }
            Err(why) => mistakes.push(why.clone()),
        }
    }
    if !mistakes.is_empty() {
        mistakes.push("make them with `ringpost topics create`".to_owned());
        return Err(failed(mistakes));
    }
    let settings = describe(config, &names).await.map_err(|error| failed(vec![error]))?;
    for (topic, name) in config.topics.iter().zip(&names) {
        let found = settings
            .iter()
            .find(|resource| matches!(&resource.specifier, OwnedResourceSpecifier::Topic(of) if of == name));
        if let Some(found) = found {
            mistakes.extend(what_is_off(config, topic, name, found));
            let in_sync =
                found.get("min.insync.replicas").and_then(|entry| entry.value.as_ref()?.parse().ok());
            if let (Some(known), Some(in_sync)) = (topics.get_mut(&topic.name), in_sync) {
                known.min_in_sync = in_sync;
            }
        }
    }
    if mistakes.is_empty() { Ok(topics) } else { Err(failed(mistakes)) }
}

pub(super) fn count(
    probe: &BaseConsumer<Quiet>,
    names: &[String],
    timeout: Duration,
) -> Result<Vec<Result<u32, String>>, KafkaError> {
    // One after the other: asked for all, a broker tells everybody's topics.
    let mut counted = Vec::new();
    for name in names {
        let metadata = probe.fetch_metadata(Some(name), timeout)?;
        let found = metadata.topics().iter().find(|topic| topic.name() == name);
        let partitions =
            found.filter(|topic| topic.error().is_none()).map_or(0, |topic| topic.partitions().len());
        let why = found.and_then(|topic| topic.error()).map(|code| RDKafkaErrorCode::from(code).to_string());
        counted.push(match partitions {
            0 => Err(format!("topic {name}: {}", why.unwrap_or_else(|| "it is not there".to_owned()))),
            count => Ok(count as u32),
        });
    }
    Ok(counted)
}

pub(super) async fn describe(config: &KafkaConfig, names: &[String]) -> Result<Vec<ConfigResource>, String> {
    let admin: AdminClient<Quiet> =
        config.probe().create_with_context(Quiet).map_err(|error| what_is_wrong(&error))?;
    let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(config.timeout));
    let told = admin.describe_configs(&asked, &options).await;
    let told = told.map_err(|error| format!("the settings of topics are not told: {error}"))?;
    let unreadable = |code: RDKafkaErrorCode| {
        format!(
            "the settings of topics are not told: {code}; this client needs the right DESCRIBE_CONFIGS on them"
        )
    };
    told.into_iter().map(|one| one.map_err(unreadable)).collect()
}

pub(super) fn what_is_off(
    config: &KafkaConfig,
    topic: &Topic,
    name: &str,
    found: &ConfigResource,
) -> Vec<String> {
    let value = |key: &str| found.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
    let alter = |key: &str, to: &str| {
        format!(
            "kafka-configs.sh --bootstrap-server {} --alter --topic {name} --add-config {key}={to}",
            config.bootstrap
        )
    };
    let mut mistakes = Vec::new();
    let stamped = value("message.timestamp.type");
    if stamped != "LogAppendTime" {
        let fix = alter("message.timestamp.type", "LogAppendTime");
        mistakes.push(format!(
            "topic {name} has message.timestamp.type={stamped}: with it a switch's clock would end calls; {fix}"
        ));
    }
    let policy = value("cleanup.policy");
    let wanted = if topic.keep == Keep::Latest { "compact" } else { "delete" };
    if policy != wanted {
        let fix = alter("cleanup.policy", wanted);
        mistakes.push(format!("topic {name} has cleanup.policy={policy}, which loses what is needed; {fix}"));
    }
    let most = value("max.message.bytes").parse().unwrap_or(usize::MAX);
    let needed = config.record_bytes + OVERHEAD / 2;
    if most < needed {
        let fix = alter("max.message.bytes", &(config.record_bytes + OVERHEAD).to_string());
        mistakes.push(format!(
            "topic {name} has max.message.bytes={most}, records may take {needed} with what is around them; {fix}"
        ));
    }
    mistakes
}
