//! The compiled triggers of the tenants whose calls come by (architecture.md, Change of configuration).
//!
//! Kept per owning tenant, the tree of tenants apart. Changes are polled for; should that ever fail
//! in silence, nothing is used for longer than the limit. It decides nothing about deliveries: whether a paused
//! trigger, a correction or an environment fires is said by dispatch.

mod applicable;
mod kept;
mod marks;
mod owned;
mod source;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ringpost_model::{Tenant, TenantKey};
use ringpost_numbers::Region;
use ringpost_store::{Error, Kind, Store};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use applicable::{Applicable, Firing};
pub use source::TriggerSource;

use kept::{Kept, Loaded};
use marks::Marks;
use owned::Owned;

/// A tree read longer ago than this is read again for a tenant that is not in it: it may have been made since.
const YOUNG_TREE: Duration = Duration::from_secs(1);

/// Triggers kept, of all tenants together: some 5 KB each with its part of the index.
const CAPACITY: u64 = 200_000;

/// So many triggers are compiled in less time than it takes to hand them to another thread and to be woken by it:
/// some 20 µs each. It also keeps a simulated world, whose triggers are few, on its one thread.
const COMPILED_HERE: usize = 16;

/// What is known is older than the limit, and no newer can be had. It is not used: dispatch waits.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to look up the triggers of {tenant}: those known are too old, and the store cannot be read")]
pub(crate) struct Stale {
    /// Of which tenant.
    pub(crate) tenant: TenantKey,
    /// Why the store cannot be read.
    #[source]
    pub(crate) source: Error,
}

/// Compiled triggers, kept. Cheap to clone.
#[derive(Debug)]
pub struct TriggerCache<S = Store> {
    inner: Arc<Inner<S>>,
}

#[derive(Debug)]
struct Inner<S> {
    source: S,
    triggers: Kept<TenantKey, Owned>,
    tree: Kept<(), Tree>,
    marks: Marks,
}

/// Every tenant.
type Tree = HashMap<TenantKey, Tenant>;

impl<S> Clone for TriggerCache<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<S: TriggerSource> TriggerCache<S> {
    /// An empty cache over `source`; nothing in it is used for longer than `limit` (`trigger_cache_ttl`).
    pub fn new(source: S, limit: Duration) -> Self {
        let triggers = Kept::new(limit, CAPACITY, Owned::weight);
        let tree = Kept::new(limit, 1, |_| 1);
        Self { inner: Arc::new(Inner { source, triggers, tree, marks: Marks::new(limit) }) }
    }

    /// The triggers that may fire for a tenant's calls: its own, and those of the tenants above it that include
    /// their subaccounts. Of a tenant that does not exist there are none.
    ///
    /// # Errors
    /// What is known of one of them is older than the limit, and the store cannot be read.
    pub(crate) async fn lookup(&self, tenant: &TenantKey) -> Result<Applicable, Stale> {
        let stale = |source| Stale { tenant: tenant.clone(), source };
        let mut layers = Vec::new();
        for owner in self.inner.chain(tenant).await.map_err(stale)? {
            layers.push(self.inner.owned(&owner).await.map_err(stale)?);
        }
        Ok(Applicable::new(layers))
    }

    /// Looks once for changes.
    ///
    /// # Errors
    /// The store cannot be read. What is kept goes on until the limit.
    pub async fn poll(&self) -> Result<(), Error> {
        let changes = self.inner.source.changes_since(self.inner.marks.seen()).await?;
        let of_us = changes.iter().filter(|change| matches!(change.kind, Kind::Tenant | Kind::Trigger));
        let newest = changes.iter().map(|change| change.seq).max();
        self.inner.marks.note(of_us, newest);
        Ok(())
    }

    /// Looks for changes so often, until told to stop. A second keeps the promise that a change is effective in two.
    pub async fn run(self, every: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            match (self.poll().await, is_failing) {
                (Ok(()), true) => info!("changes of configuration are seen again"),
                (Err(error), false) => warn!(%error, "changes of configuration cannot be seen, trying again"),
                (Ok(()), false) | (Err(_), true) => continue,
            }
            is_failing = !is_failing;
        }
    }
}

impl<S: TriggerSource> Inner<S> {
    /// A tenant and those above it, from the bottom.
    async fn chain(&self, tenant: &TenantKey) -> Result<Vec<TenantKey>, Error> {
        let mut tree = self.tree().await?;
        if !tree.value.contains_key(tenant) {
            let young = Instant::now().checked_sub(YOUNG_TREE);
            tree = self.tree_since(young).await?;
        }
        let mut chain = Vec::new();
        let mut here = tree.value.get(tenant);
        // The store allows no loop; should there be one, nobody fires twice.
        while let Some(found) = here.filter(|found| !chain.contains(&found.key)) {
            chain.push(found.key.clone());
            here = found.parent.as_ref().and_then(|parent| tree.value.get(parent));
        }
        Ok(chain)
    }

    async fn tree(&self) -> Result<Loaded<Tree>, Error> {
        self.tree.get((), |tree| tree.seen >= self.marks.tree_changed(), || self.load_tree()).await
    }

    /// A tree that was read after `since`: an older one does not do, whether the store can be read or not.
    async fn tree_since(&self, since: Option<Instant>) -> Result<Loaded<Tree>, Error> {
        let is_young = |tree: &Loaded<Tree>| since.is_none_or(|since| tree.at >= since);
        let is_current = |tree: &Loaded<Tree>| is_young(tree) && tree.seen >= self.marks.tree_changed();
        self.tree.get_only((), is_current, || self.load_tree()).await
    }

    async fn load_tree(&self) -> Result<(Tree, u64), Error> {
        // Read before the store is: what changes meanwhile has a higher number.
        let seen = self.marks.seen();
        let tenants = self.source.tree().await?;
        Ok((tenants.into_iter().map(|tenant| (tenant.key.clone(), tenant)).collect(), seen))
    }

    async fn owned(&self, owner: &TenantKey) -> Result<Arc<Owned>, Error> {
        let is_current = |owned: &Loaded<Owned>| owned.seen >= self.marks.changed(owner);
        let loaded = self.triggers.get(owner.clone(), is_current, || self.load_owned(owner)).await?;
        Ok(loaded.value)
    }

    async fn load_owned(&self, owner: &TenantKey) -> Result<(Owned, u64), Error> {
        let seen = self.marks.seen();
        let tree = self.tree().await?;
        let Some(tenant) = tree.value.get(owner) else { return Ok((Owned::default(), seen)) };
        let stored = self.source.load(owner).await?;
        let (id, key) = (tenant.id, tenant.key.clone());
        let region = Region::new(&tenant.region).ok();
        if stored.len() <= COMPILED_HERE {
            return Ok((Owned::compile(id, &key, region, stored), seen));
        }
        // Thousands of triggers take longer to compile than the runtime's other tasks should wait.
        let compiled = tokio::task::spawn_blocking(move || Owned::compile(id, &key, region, stored)).await;
        match compiled {
            Ok(owned) => Ok((owned, seen)),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Only while the runtime ends.
            Err(_) => Err(Error::Busy { what: "compile triggers" }),
        }
    }
}

#[cfg(test)]
mod tests;
