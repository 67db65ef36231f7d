//! Groups: who is in them, where they are, and taking positions in topics of others over to groups of the new prefix.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::kafka::context::Quiet;
use crate::kafka::settings::KafkaConfig;
use crate::kafka::topics;

use super::{Move, MoveError, blocking, failed, insist, probe};

/// One question to a broker.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that is in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSeen {
    /// The group, by its name on the brokers.
    pub group: String,
    /// What the client calls itself.
    pub client: String,
    /// From where.
    pub host: String,
}

impl MemberSeen {
    pub(super) fn refusal(&self) -> String {
        format!("{} at {} is in the group {}: stop it", self.client, self.host, self.group)
    }
}

/// Who is in the groups of the old topics and of the new ones.
///
/// # Errors
/// No broker answers.
pub(super) async fn members(what: &Move) -> Result<Vec<MemberSeen>, MoveError> {
    let what = what.clone();
    blocking(move || {
        let probe = probe(&what.from)?;
        let list = probe
            .fetch_group_list(None, PATIENCE)
            .map_err(|error| failed("ask who is in the groups", &error))?;
        let of_us = list.groups().iter().filter(|group| {
            let is_of = |config: &KafkaConfig| is_ours(&what, config, group.name());
            is_of(&what.from) || is_of(&what.to)
        });
        let seen = of_us.flat_map(|group| {
            group.members().iter().map(|member| MemberSeen {
                group: group.name().to_owned(),
                client: member.client_id().to_owned(),
                host: member.client_host().trim_start_matches('/').to_owned(),
            })
        });
        Ok(seen.collect())
    })
    .await
}

/// A group of ours, or one of ours that reads a topic of others.
fn is_ours(what: &Move, config: &KafkaConfig, name: &str) -> bool {
    let Some(group) = name.strip_prefix(&config.prefix) else { return false };
    what.unread.iter().any(|(ours, _)| ours == group) || group.starts_with(&what.of_others)
}

/// Groups that read topics of others, whichever process is configured for them; each with the topic.
pub(super) fn of_others(
    what: &Move,
    probe: &BaseConsumer<Quiet>,
) -> Result<Vec<(String, String)>, MoveError> {
    let list = probe
        .fetch_group_list(None, PATIENCE)
        .map_err(|error| failed("ask which groups there are", &error))?;
    let begins = format!("{}{}", what.from.prefix, what.of_others);
    let named =
        list.groups().iter().filter_map(|group| Some((group.name(), group.name().strip_prefix(&begins)?)));
    Ok(named.map(|(group, topic)| (group[what.from.prefix.len()..].to_owned(), topic.to_owned())).collect())
}

/// Where a group has committed in a topic, by partition. Positions of transactions that are open are waited for.
pub(super) fn committed(
    config: &KafkaConfig,
    group: &str,
    named: &str,
    partitions: u32,
) -> Result<Vec<Option<u64>>, MoveError> {
    let what = format!("ask where group {}{group} is", config.prefix);
    let asking: BaseConsumer<Quiet> =
        config.consumer(group).create_with_context(Quiet).map_err(|error| failed(&what, &error))?;
    let mut asked = TopicPartitionList::new();
    for at in 0..partitions {
        asked.add_partition(named, at as i32);
    }
    let told = insist(&what, PATIENCE, || asking.committed_offsets(asked.clone(), PATIENCE))?;
    let at = |at: u32| match told.find_partition(named, at as i32).map(|found| found.offset()) {
        Some(KafkaOffset::Offset(next)) => u64::try_from(next).ok(),
        _ => None,
    };
    Ok((0..partitions).map(at).collect())
}

/// Lets the groups of the new prefix go on in topics of others where those of the old one are.
pub(super) async fn take_over(what: &Move, groups: &[(String, String)]) -> Result<(), MoveError> {
    let (what, groups) = (what.clone(), groups.to_vec());
    blocking(move || {
        let probe = probe(&what.from)?;
        for (group, topic) in &groups {
            let counted = topics::count(&probe, std::slice::from_ref(topic), PATIENCE)
                .map_err(|error| failed(&format!("look at topic {topic}"), &error))?;
            // One that is gone has no positions either.
            let Some(Ok(partitions)) = counted.first() else { continue };
            let positions = committed(&what.from, group, topic, *partitions)?;
            commit(&what.to, group, topic, &positions)?;
        }
        Ok(())
    })
    .await
}

fn commit(
    config: &KafkaConfig,
    group: &str,
    topic: &str,
    positions: &[Option<u64>],
) -> Result<(), MoveError> {
    let what = format!("write where group {}{group} goes on", config.prefix);
    let mut list = TopicPartitionList::new();
    for (at, next) in positions.iter().enumerate() {
        let Some(next) = next else { continue };
        list.add_partition_offset(topic, at as i32, KafkaOffset::Offset(*next as i64))
            .map_err(|error| failed(&what, &error))?;
    }
    if list.count() == 0 {
        return Ok(());
    }
    let writer: BaseConsumer<Quiet> =
        config.consumer(group).create_with_context(Quiet).map_err(|error| failed(&what, &error))?;
    insist(&what, PATIENCE, || writer.commit(&list, CommitMode::Sync))
}
