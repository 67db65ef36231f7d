//! Where partitions begin and end, and whether a reader has read all there is. Only the broker knows that, so it is
//! asked: that nothing came for a while says nothing, the broker may be away.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::Partition;

use super::context::Member;

/// By topic and partition.
pub(super) type Ends = HashMap<(String, Partition), u64>;

/// Asks where all these partitions begin, or end: one request to each broker. What the end is depends on who asks: to one
/// that reads everything it is behind what transactions have written that are still open. Blocks.
///
/// # Errors
/// The brokers do not answer, or not for all of them.
pub(super) fn ask<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    places: &[(String, Partition)],
    which: KafkaOffset,
    patience: Duration,
) -> Result<Ends, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for (topic, partition) in places {
        // "Beginning" or "end" in place of a time.
        list.add_partition_offset(topic, partition.0 as i32, which)?;
    }
    let found = client.offsets_for_times(list, patience)?;
    let mut ends = Ends::new();
    for element in found.elements() {
        element.error()?;
        match (element.offset(), u32::try_from(element.partition())) {
            (KafkaOffset::Offset(at), Ok(partition)) => {
                ends.insert((element.topic().to_owned(), Partition(partition)), at.max(0) as u64);
            }
            _ => return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetNotAvailable)),
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
