//! Whether brokers take records now: each partition has a leader, and as many copies in sync as an acknowledgement wants.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::context::Quiet;

/// Who asks for readiness asks again within seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is in the way; none = nothing.
pub(super) async fn append_trouble(
    probe: Arc<BaseConsumer<Quiet>>,
    topic: String,
    min_in_sync: usize,
) -> Option<String> {
    let look = move || look(&probe, &topic, min_in_sync);
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| Some(error.to_string()))
}

/// How many partitions a topic has; none = it is not there.
pub(super) async fn partitions(
    probe: Arc<BaseConsumer<Quiet>>,
    topic: String,
) -> Result<Option<u32>, String> {
    let look = move || {
        let metadata = probe.fetch_metadata(Some(&topic), PATIENCE).map_err(|error| error.to_string())?;
        let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
        Ok(found.map(|found| found.partitions().len() as u32).filter(|count| *count > 0))
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| Err(error.to_string()))
}

fn look(probe: &BaseConsumer<Quiet>, topic: &str, min_in_sync: usize) -> Option<String> {
    let metadata = match probe.fetch_metadata(Some(topic), PATIENCE) {
        Ok(metadata) => metadata,
        Err(error) => return Some(format!("no broker answers: {error}")),
    };
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let Some(found) = found.filter(|found| !found.partitions().is_empty()) else {
        return Some(format!("topic {topic} is not there"));
    };
    found.partitions().iter().find_map(|partition| {
        let (at, copies) = (partition.id(), partition.isr().len());
        if partition.leader() < 0 {
            Some(format!("{topic}/{at} has no leader"))
        } else if copies < min_in_sync {
            Some(format!("{topic}/{at} has {copies} copies in sync, {min_in_sync} are wanted"))
        } else {
            None
        }
    })
}
