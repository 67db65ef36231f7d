//! Values kept up to a limit of age, each loaded once however many ask for it at the same time.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::{CompResult, Op};
use ringpost_store::Error;
use tokio::time::Instant;

/// After a failure the store is left alone for so long: all who wait would ask one after the other.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Values by key.
pub(super) struct Kept<K, V> {
    cache: Cache<K, Slot<V>>,
    limit: Duration,
}

/// A value and how old it is.
#[derive(Debug)]
pub(super) struct Loaded<V> {
    pub(super) value: Arc<V>,
    /// When its load began.
    pub(super) at: Instant,
    /// Number of the newest change that was known then.
    pub(super) seen: u64,
}

/// What is known of a key: a value, and whether the last load failed. A value outlives a failed load.
#[derive(Debug)]
struct Slot<V> {
    loaded: Option<Loaded<V>>,
    failed: Option<(Instant, Error)>,
}

impl<V> Clone for Loaded<V> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), at: self.at, seen: self.seen }
    }
}

impl<V> Clone for Slot<V> {
    fn clone(&self) -> Self {
        Self { loaded: self.loaded.clone(), failed: self.failed.clone() }
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, V: Send + Sync + 'static> Kept<K, V> {
    /// Nothing yet. No value is given out when older than `limit`; `capacity` bounds the sum of the weights.
    pub(super) fn new(limit: Duration, capacity: u64, weight: fn(&V) -> u32) -> Self {
        let weigher =
            move |_: &K, slot: &Slot<V>| slot.loaded.as_ref().map_or(1, |loaded| weight(&loaded.value));
        // moka's clock is not the runtime's: it only makes room, and the age is looked at here.
        let cache = Cache::builder().max_capacity(capacity).weigher(weigher).time_to_live(limit).build();
        Self { cache, limit }
    }

    /// The value: kept if it is current, else loaded. While it cannot be loaded, the old one up to the limit.
    pub(super) async fn get<F>(
        &self,
        key: K,
        is_current: impl Fn(&Loaded<V>) -> bool,
        load: impl FnOnce() -> F,
    ) -> Result<Loaded<V>, Error>
    where
        F: Future<Output = Result<(V, u64), Error>>,
    {
        let slot = self.slot(key, is_current, load).await;
        slot.loaded.filter(|loaded| self.is_young(loaded)).ok_or_else(|| reason(slot.failed))
    }

    /// The value, but never one that is not current.
    pub(super) async fn get_only<F>(
        &self,
        key: K,
        is_current: impl Fn(&Loaded<V>) -> bool,
        load: impl FnOnce() -> F,
    ) -> Result<Loaded<V>, Error>
    where
        F: Future<Output = Result<(V, u64), Error>>,
    {
        let slot = self.slot(key, &is_current, load).await;
        // A load that has just succeeded will do, even if something was changed meanwhile.
        let is_good = |loaded: &Loaded<V>| slot.failed.is_none() || is_current(loaded);
        slot.loaded
            .filter(|loaded| self.is_young(loaded) && is_good(loaded))
            .ok_or_else(|| reason(slot.failed))
    }

    async fn slot<F>(
        &self,
        key: K,
        is_current: impl Fn(&Loaded<V>) -> bool,
        load: impl FnOnce() -> F,
    ) -> Slot<V>
    where
        F: Future<Output = Result<(V, u64), Error>>,
    {
        let is_good =
            |slot: &Slot<V>| slot.loaded.as_ref().is_some_and(|it| self.is_young(it) && is_current(it));
        if let Some(slot) = self.cache.get(&key).await.filter(is_good) {
            return slot;
        }
        // One at a time gets in here for a key; who comes second finds what the first has loaded.
        let computed = self.cache.entry(key).and_compute_with(|entry| async {
            let before = entry.map(moka::Entry::into_value);
            let has_just_failed =
                |slot: &Slot<V>| slot.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < AFTER_FAILURE);
            if before.as_ref().is_some_and(|slot| is_good(slot) || has_just_failed(slot)) {
                return Op::Nop;
            }
            let at = Instant::now();
            Op::Put(match load().await {
                Ok((value, seen)) => {
                    Slot { loaded: Some(Loaded { value: Arc::new(value), at, seen }), failed: None }
                }
                Err(error) => {
                    let loaded = before.and_then(|slot| slot.loaded);
                    Slot { loaded, failed: Some((Instant::now(), error)) }
                }
            })
        });
        match computed.await {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Unchanged(entry) => {
                entry.into_value()
            }
            CompResult::StillNone(_) | CompResult::Removed(_) => {
                unreachable!("what is not there is loaded and put")
            }
        }
    }

    fn is_young(&self, loaded: &Loaded<V>) -> bool {
        loaded.at.elapsed() < self.limit
    }
}

/// Without a failure on record a load has just outlived the limit.
fn reason(failed: Option<(Instant, Error)>) -> Error {
    failed.map_or(Error::Busy { what: "read the configuration in time" }, |(_, error)| error)
}

impl<K, V> fmt::Debug for Kept<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("limit", &self.limit).finish_non_exhaustive()
    }
}
