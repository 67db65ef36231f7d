//! Keeps the view of all tables: loads what is wanted, takes changes over, lets go of what was not used for longest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use ringpost_model::TenantKey;
use ringpost_store::Store;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Loaded, Slot, TableReader, TableView, WANTED, load};
use crate::clock;
use crate::metrics::Metrics;

/// Tenants that are loaded at a time: one with a million contacts keeps no other waiting.
const LOADS: usize = 4;

/// The one who makes views.
pub(crate) struct TableKeeper {
    store: Store,
    metrics: Arc<Metrics>,
    poll: Duration,
    /// Bytes of all tables, about.
    memory: usize,
    views: watch::Sender<Arc<TableView>>,
    wanted: mpsc::Receiver<TenantKey>,
    ask: mpsc::Sender<TenantKey>,
    tenants: HashMap<TenantKey, Slot>,
    /// How far `changes` was read.
    seq: u64,
    uses: Arc<AtomicU64>,
    loads: JoinSet<(TenantKey, anyhow::Result<Loaded>)>,
    /// Being loaded; true = something was changed meanwhile.
    loading: HashMap<TenantKey, bool>,
    /// To be loaded when there is room.
    waiting: Vec<TenantKey>,
    /// Could not be loaded: not before the next look.
    failed: HashSet<TenantKey>,
}

impl TableKeeper {
    /// Finds out who has tables.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn start(
        store: Store,
        poll: Duration,
        memory: usize,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let (ask, wanted) = mpsc::channel(WANTED);
        metrics.queue_capacity.with_label_values(&["tables_wanted"]).set(WANTED as i64);
        let mut keeper = Self {
            store,
            metrics,
            poll,
            memory,
            views: watch::Sender::new(Arc::default()),
            wanted,
            ask,
            tenants: HashMap::new(),
            seq: 0,
            uses: Arc::default(),
            loads: JoinSet::new(),
            loading: HashMap::new(),
            waiting: Vec::new(),
            failed: HashSet::new(),
        };
        keeper.look().await?;
        keeper.publish();
        Ok(keeper)
    }

    /// One for each who enriches.
    pub(crate) fn reader(&self) -> TableReader {
        let mut views = self.views.subscribe();
        let view = Arc::clone(&views.borrow_and_update());
        TableReader { view, views, wanted: self.ask.clone(), _nothing: None }
    }

    /// Until it is told to stop. With the store away what is loaded goes on.
    ///
    /// # Errors
    /// None; the shape of all tasks.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut looks = tokio::time::interval(self.poll);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_away = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Some(tenant) = self.wanted.recv() => self.want(tenant),
                Some(loaded) = self.loads.join_next() => self.take(loaded.context("load tables")?),
                _ = looks.tick() => {
                    self.waiting.extend(std::mem::take(&mut self.failed));
                    match self.look().await {
                        Ok(is_another) => {
                            is_away = false;
                            if is_another {
                                self.publish();
                            }
                        }
                        Err(error) => {
                            if !std::mem::replace(&mut is_away, true) {
                                let error = format!("{error:#}");
                                warn!(error, "changes of tables cannot be read, those loaded hold");
                            }
                        }
                    }
                }
            }
            self.load_more();
        }
    }

    /// Takes changes over. True = the view is another.
    async fn look(&mut self) -> anyhow::Result<bool> {
        let changes = self.store.changes_since(self.seq).await.context("look for changes of tables")?;
        self.metrics.tables_checked.set(clock::now().seconds());
        let Some(last) = changes.last() else { return Ok(false) };
        let seq = last.seq;
        let changed: HashSet<TenantKey> = changes
            .into_iter()
            .filter(|change| change.kind.is_table())
            .filter_map(|change| change.tenant)
            .collect();
        let mut is_another = false;
        for tenant in changed {
            match self.tenants.get(&tenant) {
                None => {
                    self.tenants.insert(tenant, Slot::Away);
                    is_another = true;
                }
                Some(Slot::Away) => {
                    // What is on its way may be of before.
                    if let Some(is_stale) = self.loading.get_mut(&tenant) {
                        *is_stale = true;
                    }
                }
                Some(Slot::Loaded(_)) => self.want(tenant),
            }
        }
        self.seq = seq;
        Ok(is_another)
    }

    fn want(&mut self, tenant: TenantKey) {
        if self.failed.contains(&tenant) {
            return;
        }
        match self.loading.get_mut(&tenant) {
            Some(is_stale) => *is_stale |= matches!(self.tenants.get(&tenant), Some(Slot::Loaded(_))),
            None if !self.waiting.contains(&tenant) => self.waiting.push(tenant),
            None => {}
        }
    }

    fn load_more(&mut self) {
        while self.loads.len() < LOADS && !self.waiting.is_empty() {
            let tenant = self.waiting.remove(0);
            let (store, former) = (self.store.clone(), self.tenants.get(&tenant).cloned());
            self.loading.insert(tenant.clone(), false);
            self.loads.spawn(async move {
                let loaded = match former {
                    Some(Slot::Loaded(former)) => load::update(&store, &tenant, former).await,
                    _ => load::whole(&store, &tenant).await,
                };
                (tenant, loaded)
            });
        }
    }

    fn take(&mut self, (tenant, loaded): (TenantKey, anyhow::Result<Loaded>)) {
        let is_stale = self.loading.remove(&tenant).unwrap_or(false);
        match loaded {
            Ok(loaded) => {
                info!(%tenant, contacts = loaded.tables.contacts.count(), bytes = loaded.bytes, "tables loaded");
                loaded.used.store(self.uses.load(Ordering::Relaxed), Ordering::Relaxed);
                self.tenants.insert(tenant.clone(), Slot::Loaded(Arc::new(loaded)));
                self.make_room(&tenant);
                self.publish();
            }
            Err(error) => {
                warn!(%tenant, error = format!("{error:#}"), "tables cannot be loaded, trying again");
                self.failed.insert(tenant);
                return;
            }
        }
        if is_stale {
            self.want(tenant);
        }
    }

    /// Lets go of what was not used for longest, `but` never of what came last.
    fn make_room(&mut self, but: &TenantKey) {
        let mut loaded: Vec<(u64, usize, TenantKey)> = self
            .tenants
            .iter()
            .filter_map(|(tenant, slot)| match slot {
                Slot::Loaded(loaded) => {
                    Some((loaded.used.load(Ordering::Relaxed), loaded.bytes, tenant.clone()))
                }
                Slot::Away => None,
            })
            .collect();
        let mut bytes: usize = loaded.iter().map(|(_, bytes, _)| bytes).sum();
        loaded.sort();
        for (_, own, tenant) in loaded {
            if bytes <= self.memory {
                break;
            }
            if tenant != *but {
                bytes -= own;
                self.tenants.insert(tenant, Slot::Away);
            }
        }
        self.metrics.tables_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn publish(&mut self) {
        let is_loaded = |slot: &&Slot| matches!(slot, Slot::Loaded(_));
        let loaded = self.tenants.values().filter(is_loaded).count();
        self.metrics.tables_loaded.set(i64::try_from(loaded).unwrap_or(i64::MAX));
        let view = TableView { tenants: self.tenants.clone(), uses: Arc::clone(&self.uses) };
        self.views.send_replace(Arc::new(view));
    }
}
