//! Which chunks may go: found by a reader, beside the writer; dropped by the writer in short steps.

use std::sync::Arc;

use crate::{Error, Partition};

use super::Shared;

/// Chunks dropped in one transaction: few enough that appends do not notice.
const STEP_CHUNKS: i64 = 500;

/// Some old chunks of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) topic: usize,
    pub(super) partition: u32,
    /// All chunks with a base below this go.
    pub(super) before: u64,
    /// So many records.
    pub(super) records: u64,
}

/// The next chunks of a partition that are older than `than` and that every group has passed; whole chunks only.
pub(super) async fn find(
    shared: &Arc<Shared>,
    topic: usize,
    partition: u32,
    than: i64,
) -> Result<Option<Step>, Error> {
    let floor = {
        let heads = shared.heads();
        heads.floor(topic, partition).unwrap_or_else(|| heads.end(topic, partition))
    };
    // The first chunks, up to the first that has to stay.
    let sql = "SELECT base + count, newest, CASE WHEN length(body) > 1 THEN count ELSE 0 END
        FROM chunks WHERE topic = ? AND partition = ? ORDER BY base LIMIT ?";
    let query = sqlx::query_as::<_, (i64, i64, i64)>(sql);
    let query = query.bind(shared.ids[topic]).bind(partition).bind(STEP_CHUNKS);
    let chunks = query.fetch_all(&shared.readers).await.map_err(|source| Error::Read {
        topic: shared.config.topics[topic].name.clone(),
        partition: Partition(partition),
        source: Arc::new(source),
    })?;
    let old = chunks.iter().take_while(|(end, newest, _)| *newest < than && *end as u64 <= floor);
    let old: Vec<_> = old.collect();
    let Some(before) = old.last().map(|(end, _, _)| *end as u64) else { return Ok(None) };
    let records = old.iter().map(|(_, _, records)| *records as u64).sum();
    Ok(Some(Step { topic, partition, before, records }))
}
