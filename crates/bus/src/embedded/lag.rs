//! How far groups are behind, in records and in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::Row;

use crate::{Error, Partition};

use super::{Embedded, chunk};

/// How far a group is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// Name of the group.
    pub group: String,
    /// Name of the topic.
    pub topic: String,
    /// Which partition.
    pub partition: Partition,
    /// Records that it has not committed yet.
    pub records: u64,
}

impl Embedded {
    /// How far every group that was ever seen is behind, by group, topic and partition.
    pub fn lags(&self) -> Vec<Lag> {
        let heads = self.shared.heads();
        let mut lags = Vec::new();
        for ((group, topic, partition), position) in heads.positions() {
            lags.push(Lag {
                group: group.to_string(),
                topic: self.shared.config.topics[topic].name.clone(),
                partition: Partition(partition),
                records: heads.end(topic, partition).saturating_sub(position),
            });
        }
        lags.sort_by(|a, b| (&a.group, &a.topic, a.partition).cmp(&(&b.group, &b.topic, b.partition)));
        lags
    }

    /// The timestamp of the oldest record that a group has not committed yet, by group; groups that have read all
    /// are left out. It reads one chunk for each partition that is behind.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn unread_since(&self) -> Result<BTreeMap<String, i64>, Error> {
        let behind: Vec<_> = {
            let heads = self.shared.heads();
            let places = heads
                .positions()
                .filter(|((_, topic, partition), position)| heads.end(*topic, *partition) > *position);
            places.collect()
        };
        let mut oldest = BTreeMap::<String, i64>::new();
        for ((group, topic, partition), position) in behind {
            // None: dropped meanwhile.
            let Some(timestamp) = self.timestamp_at(topic, partition, position).await? else { continue };
            let known = oldest.entry(group.to_string()).or_insert(timestamp);
            *known = timestamp.min(*known);
        }
        Ok(oldest)
    }

    /// The timestamp of the first record from an offset on.
    async fn timestamp_at(&self, topic: usize, partition: u32, from: u64) -> Result<Option<i64>, Error> {
        let unreadable = |source: Arc<dyn std::error::Error + Send + Sync>| Error::Read {
            topic: self.shared.config.topics[topic].name.clone(),
            partition: Partition(partition),
            source,
        };
        // The end of a chunk may lie behind a gap, so it is looked for by where it begins and by how many it holds.
        let sql = "SELECT base, body FROM chunks WHERE topic = ?1 AND partition = ?2 AND length(body) > 1
            AND base >= coalesce((SELECT max(base) FROM chunks WHERE topic = ?1 AND partition = ?2
            AND base <= ?3), 0) AND base + count > ?3 ORDER BY base LIMIT 1";
        let query = sqlx::query(sql).bind(self.shared.ids[topic]).bind(partition).bind(from as i64);
        let row = query.fetch_optional(&self.shared.readers).await;
        let Some(row) = row.map_err(|error| unreadable(Arc::new(error)))? else { return Ok(None) };
        let messages = chunk::read(row.get::<i64, _>(0) as u64, row.get::<Vec<u8>, _>(1).into(), from);
        let messages = messages.map_err(|error| unreadable(Arc::new(error)))?;
        Ok(messages.first().map(|message| message.timestamp))
    }
}
