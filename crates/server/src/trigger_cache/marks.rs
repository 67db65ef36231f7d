//! Up to which change everything was seen, and which tenant changed when. What was loaded while an older number was
//! seen is out of date: so a load that runs while its tenant is edited is never kept as current.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringpost_model::TenantKey;
use ringpost_store::{Change, Kind};
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Marks {
    limit: Duration,
    numbers: Mutex<Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    /// All changes up to this one are noted.
    seen: u64,
    /// Newest change of any tenant's place in the tree.
    tree: u64,
    /// Newest change of no single tenant.
    all: u64,
    /// Newest change by tenant, and when it was noted.
    tenants: HashMap<TenantKey, (u64, Instant)>,
}

impl Marks {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, numbers: Mutex::default() }
    }

    pub(super) fn seen(&self) -> u64 {
        self.numbers().seen
    }

    pub(super) fn tree_changed(&self) -> u64 {
        self.numbers().tree
    }

    pub(super) fn changed(&self, tenant: &TenantKey) -> u64 {
        let numbers = self.numbers();
        numbers.tenants.get(tenant).map_or(numbers.all, |(seq, _)| numbers.all.max(*seq))
    }

    /// Notes changes, then that all up to `newest` are noted: at one stroke, so that nobody sees the one without the
    /// other.
    pub(super) fn note<'a>(&self, changes: impl Iterator<Item = &'a Change>, newest: Option<u64>) {
        let now = Instant::now();
        let mut numbers = self.numbers();
        for change in changes {
            if change.kind == Kind::Tenant {
                numbers.tree = numbers.tree.max(change.seq);
            }
            match &change.tenant {
                Some(tenant) => _ = numbers.tenants.insert(tenant.clone(), (change.seq, now)),
                None => (numbers.all, numbers.tree) = (change.seq, numbers.tree.max(change.seq)),
            }
        }
        if let Some(newest) = newest {
            numbers.seen = numbers.seen.max(newest);
            // What was loaded before a mark this old is over the limit anyway.
            numbers.tenants.retain(|_, (_, noted)| now.duration_since(*noted) < self.limit);
        }
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        // Nothing panics under the lock; if it did, the numbers are still numbers.
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
