//! Whether a reader has read all there is. Only the broker knows where a partition ends now, so it is asked: that nothing
//! came for a while says nothing, the broker may be away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::Partition;

use super::context::Member;

/// A broker that does not answer within so long is asked again later.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where partitions end, by topic and partition.
pub(super) type Ends = HashMap<(String, Partition), u64>;

/// Asks for the ends of all these partitions: one request to each broker. Blocks.
///
/// # Errors
/// The brokers do not answer.
pub(super) fn ask(
    reader: &Arc<BaseConsumer<Member>>,
    places: &[(String, Partition)],
) -> Result<Ends, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for (topic, partition) in places {
        // The time "end" in place of a time. The reader sees what is committed, and so does this.
        list.add_partition_offset(topic, partition.0 as i32, KafkaOffset::End)?;
    }
    let found = reader.offsets_for_times(list, PATIENCE)?;
    let mut ends = Ends::new();
    for element in found.elements() {
        element.error()?;
        if let (KafkaOffset::Offset(end), Ok(partition)) =
            (element.offset(), u32::try_from(element.partition()))
        {
            ends.insert((element.topic().to_owned(), Partition(partition)), end.max(0) as u64);
        }
    }
    Ok(ends)
}

/// How far a reader has come, markers of transactions included. Partitions of which nothing was read yet are left out.
///
/// # Errors
/// Never, by librdkafka's word.
pub(super) fn positions(reader: &BaseConsumer<Member>) -> Result<Ends, KafkaError> {
    let list = reader.position()?;
    let elements = list.elements();
    let known = elements.iter().filter_map(|element| match (element.offset(), element.partition()) {
        (KafkaOffset::Offset(next), partition) => {
            let place = (element.topic().to_owned(), Partition(u32::try_from(partition).ok()?));
            Some((place, next.max(0) as u64))
        }
        _ => None,
    });
    Ok(known.collect())
}
