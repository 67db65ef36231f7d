//! Records of legs that are in a partition that is not their tenant's, as those of a writer with another partitioner: left
//! there, a tenant's calls would be put together in two places. They are written to the right one, in the transaction that
//! goes past them, and counted.

use std::sync::Arc;

use bytes::Bytes;
use ringpost_bus::{Output, Partition, Record, partition_of};
use ringpost_model::{TenantKey, Timestamp};

use crate::metrics::Metrics;
use crate::topics::LEGS;

/// Puts them right.
pub(super) struct Stray {
    /// None: nobody but us writes legs.
    partitions: Option<u32>,
    metrics: Arc<Metrics>,
    found: Vec<Record>,
}

impl Stray {
    pub(super) fn new(partitions: Option<u32>, metrics: Arc<Metrics>) -> Self {
        Self { partitions, metrics, found: Vec::new() }
    }

    /// Whether a record of this tenant does not belong here.
    pub(super) fn is_one(&self, tenant: &TenantKey, here: Partition) -> bool {
        self.partitions.is_some_and(|partitions| partition_of(tenant.as_str().as_bytes(), partitions) != here)
    }

    /// Keeps one until all of a batch are known.
    pub(super) fn take(&mut self, tenant: &TenantKey, value: Bytes, now: Timestamp) {
        let key = Bytes::copy_from_slice(tenant.as_str().as_bytes());
        self.found.push(Record { key, value, timestamp: now.micros() });
        self.metrics.legs_rekeyed.inc();
    }

    /// What is to be written.
    pub(super) fn output(&mut self) -> Option<Output> {
        let records = std::mem::take(&mut self.found);
        (!records.is_empty()).then(|| Output { topic: LEGS.to_owned(), records })
    }
}
