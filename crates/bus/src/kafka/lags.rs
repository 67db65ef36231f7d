//! How far workers are behind: noted whenever brokers tell where partitions end, so that nobody has to be asked for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::{Lag, Partition};

/// By group, topic as configured, and partition.
#[derive(Default)]
pub(super) struct Lags(Mutex<BTreeMap<(String, String, Partition), u64>>);

impl Lags {
    pub(super) fn note(&self, group: &str, topic: &str, partition: Partition, records: u64) {
        let place = (group.to_owned(), topic.to_owned(), partition);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place, records);
    }

    /// Another worker has it.
    pub(super) fn forget(&self, group: &str, partition: Partition) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(of, _, at), _| of != group || *at != partition);
    }

    pub(super) fn all(&self) -> Vec<Lag> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lag = |((group, topic, partition), records): (&(String, String, Partition), &u64)| Lag {
            group: group.clone(),
            topic: topic.clone(),
            partition: *partition,
            records: *records,
        };
        all.iter().map(lag).collect()
    }
}
