//! What brokers, topics and groups look like from here, good or bad: for whoever looks after them. Nothing is changed, and
//! no group is joined.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::OwnedResourceSpecifier;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::{Offset, OpenError, Partition, Position};

use super::context::Quiet;
use super::settings::{KafkaConfig, what_is_wrong};
use super::topics;

/// One question to a broker.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is seen.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// Addresses of the brokers that there are.
    pub brokers: Vec<String>,
    /// Of every topic, in the order of the configuration.
    pub topics: Vec<TopicSeen>,
    /// Of every group that was asked for.
    pub groups: Vec<GroupSeen>,
}

/// A topic.
#[derive(Debug, Clone, Default)]
pub struct TopicSeen {
    /// Its name on the broker.
    pub name: String,
    /// Zero = it is not there.
    pub partitions: u32,
    /// Copies of the partition with the fewest.
    pub copies: usize,
    /// Copies without which nothing is acknowledged; none = its settings are not told.
    pub min_in_sync: Option<usize>,
    /// Partitions that have no leader, or not all of their copies in sync.
    pub weak: Vec<u32>,
    /// What is not as it has to be, each with what to do.
    pub mistakes: Vec<String>,
}

/// A group in a topic.
#[derive(Debug, Clone, Default)]
pub struct GroupSeen {
    /// As configured.
    pub group: String,
    /// As configured.
    pub topic: String,
    /// Where it has committed; partitions in which it never did are left out.
    pub positions: Vec<Position>,
    /// Records, and markers of transactions, from there to the end, in all partitions.
    pub behind: u64,
    /// Why it is not known.
    pub trouble: Option<String>,
}

/// Looks at everything. `groups`: which ones, each with the topic that it reads, by names as configured.
///
/// # Errors
/// No broker answers.
pub async fn inspect(config: &KafkaConfig, groups: &[(&str, &str)]) -> Result<Inspection, OpenError> {
    config.check()?;
    let failed = |why: String| OpenError::Brokers { mistakes: vec![why] };
    let probe: BaseConsumer<Quiet> =
        config.probe().create_with_context(Quiet).map_err(|error| failed(what_is_wrong(&error)))?;
    let probe = Arc::new(probe);
    let names: Vec<String> =
        config.topics.iter().map(|topic| format!("{}{}", config.prefix, topic.name)).collect();
    let (asked, of, timeout) = (Arc::clone(&probe), names.clone(), config.timeout);
    let seen = tokio::task::spawn_blocking(move || look(&asked, &of, timeout)).await;
    let (brokers, mut topics) = seen.map_err(|error| failed(error.to_string()))?.map_err(|error| {
        failed(format!("no broker of {} answers within {timeout:?}: {error}", config.bootstrap))
    })?;
    settings(config, &mut topics).await;
    let mut found = Vec::new();
    for (group, topic) in groups {
        let named = format!("{}{topic}", config.prefix);
        let partitions = topics.iter().find(|seen| seen.name == named).map_or(0, |seen| seen.partitions);
        let (settings, group, topic) = (config.clone(), (*group).to_owned(), (*topic).to_owned());
        let seen = tokio::task::spawn_blocking(move || group_at(&settings, &group, &topic, partitions)).await;
        found.push(seen.map_err(|error| failed(error.to_string()))?);
    }
    Ok(Inspection { brokers, topics, groups: found })
}

fn look(
    probe: &BaseConsumer<Quiet>,
    names: &[String],
    timeout: Duration,
) -> Result<(Vec<String>, Vec<TopicSeen>), rdkafka::error::KafkaError> {
    let (mut brokers, mut topics) = (Vec::new(), Vec::new());
    for name in names {
        let metadata = probe.fetch_metadata(Some(name), timeout)?;
        brokers =
            metadata.brokers().iter().map(|broker| format!("{}:{}", broker.host(), broker.port())).collect();
        let found = metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none());
        let partitions = found.map(|found| found.partitions()).unwrap_or_default();
        let is_weak = |partition: &&rdkafka::metadata::MetadataPartition| {
            partition.leader() < 0 || partition.isr().len() < partition.replicas().len()
        };
        let mut seen = TopicSeen {
            name: name.clone(),
            partitions: partitions.len() as u32,
            copies: partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or_default(),
            weak: partitions.iter().filter(is_weak).map(|partition| partition.id() as u32).collect(),
            ..TopicSeen::default()
        };
        if partitions.is_empty() {
            seen.mistakes.push("it is not there, or this client may not see it (DESCRIBE)".to_owned());
        }
        topics.push(seen);
    }
    Ok((brokers, topics))
}

async fn settings(config: &KafkaConfig, topics: &mut [TopicSeen]) {
    for (topic, seen) in config.topics.iter().zip(topics) {
        if seen.partitions == 0 {
            continue;
        }
        // One by one: what is not told of one topic hides no other.
        let told = match topics::describe(config, std::slice::from_ref(&seen.name)).await {
            Ok(told) => told,
            Err(why) => {
                seen.mistakes.push(why);
                continue;
            }
        };
        let is_it = |of: &OwnedResourceSpecifier| matches!(of, OwnedResourceSpecifier::Topic(name) if *name == seen.name);
        let Some(found) = told.iter().find(|one| is_it(&one.specifier)) else { continue };
        seen.min_in_sync =
            found.get("min.insync.replicas").and_then(|entry| entry.value.as_ref()?.parse().ok());
        seen.mistakes.extend(topics::what_is_off(config, topic, &seen.name, found));
    }
}

fn group_at(config: &KafkaConfig, group: &str, topic: &str, partitions: u32) -> GroupSeen {
    let mut seen = GroupSeen { group: group.to_owned(), topic: topic.to_owned(), ..GroupSeen::default() };
    if let Err(error) = measure(config, &mut seen, partitions) {
        seen.trouble = Some(what_is_wrong(&error));
    }
    seen
}

fn measure(
    config: &KafkaConfig,
    seen: &mut GroupSeen,
    partitions: u32,
) -> Result<(), rdkafka::error::KafkaError> {
    let named = format!("{}{}", config.prefix, seen.topic);
    // It asks in the group's name, and is no member of it.
    let reader: BaseConsumer<Quiet> = config.consumer(&seen.group).create_with_context(Quiet)?;
    let mut asked = TopicPartitionList::new();
    for at in 0..partitions {
        asked.add_partition(&named, at as i32);
    }
    let committed = reader.committed_offsets(asked, PATIENCE)?;
    for at in 0..partitions {
        let (begin, end) = reader.fetch_watermarks(&named, at as i32, PATIENCE)?;
        let found = committed.find_partition(&named, at as i32).map(|element| element.offset());
        let next = match found {
            Some(KafkaOffset::Offset(next)) if next >= 0 => {
                let (topic, partition) = (seen.topic.clone(), Partition(at));
                seen.positions.push(Position { topic, partition, next: Offset(next as u64) });
                next
            }
            _ => begin,
        };
        seen.behind += (end - next.max(begin)).max(0) as u64;
    }
    Ok(())
}
