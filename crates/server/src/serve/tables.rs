//! The tables that records are enriched from, tenant by tenant, as the store has them (architecture.md, Change of
//! configuration): loaded at first use, kept up to date, within `enrich.tables_memory`. Who enriches reads a value that
//! never changes, without a lock; one task makes the next value.

mod keeper;
mod load;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringpost_enrich::Tables;
use ringpost_model::TenantKey;
use ringpost_store::TableVersions;
use tokio::sync::{mpsc, watch};

pub(crate) use keeper::TableKeeper;

/// Tenants whose tables are wanted and not asked for yet. Who finds it full asks again with the next record.
const WANTED: usize = 1_024;

/// All tables as of now. Tenants that are not in it have none.
#[derive(Debug, Default)]
pub(crate) struct TableView {
    tenants: HashMap<TenantKey, Slot>,
    /// Grows with every use: what was used lately is told by it.
    uses: Arc<AtomicU64>,
}

#[derive(Debug, Clone)]
enum Slot {
    /// They are in the store.
    Away,
    Loaded(Arc<Loaded>),
}

/// A tenant's tables in memory.
#[derive(Debug)]
struct Loaded {
    tables: Tables,
    versions: TableVersions,
    bytes: usize,
    /// Which use of any tables was the last one of these.
    used: AtomicU64,
}

/// What is known of a tenant's tables.
#[derive(Debug)]
pub(crate) enum Known<'a> {
    /// There are none.
    Nothing,
    /// They are being loaded.
    NotYet,
    /// Here they are.
    All(&'a Tables),
}

/// Reads tables: one of each who enriches.
#[derive(Debug, Clone)]
pub struct TableReader {
    view: Arc<TableView>,
    views: watch::Receiver<Arc<TableView>>,
    wanted: mpsc::Sender<TenantKey>,
    /// Of a reader of nothing: keeps the view from ending.
    _nothing: Option<Arc<watch::Sender<Arc<TableView>>>>,
}

impl TableReader {
    /// No tenant has tables.
    pub fn nothing() -> Self {
        let views = watch::Sender::new(Arc::new(TableView::default()));
        let (wanted, _) = mpsc::channel(1);
        Self { view: Arc::default(), views: views.subscribe(), wanted, _nothing: Some(Arc::new(views)) }
    }

    /// Looks whether there is a newer view. True = there is.
    pub(crate) fn refresh(&mut self) -> bool {
        let is_newer = self.views.has_changed().unwrap_or(false);
        if is_newer {
            self.view = Arc::clone(&self.views.borrow_and_update());
        }
        is_newer
    }

    /// The tables of a tenant in the present view; asks for them where they are not loaded.
    pub(crate) fn of(&self, tenant: &TenantKey) -> Known<'_> {
        match self.view.tenants.get(tenant) {
            None => Known::Nothing,
            Some(Slot::Away) => {
                // Full: it is asked for again.
                let _ = self.wanted.try_send(tenant.clone());
                Known::NotYet
            }
            Some(Slot::Loaded(loaded)) => {
                let number = self.view.uses.fetch_add(1, Ordering::Relaxed);
                loaded.used.store(number, Ordering::Relaxed);
                Known::All(&loaded.tables)
            }
        }
    }

    /// The tables of a tenant, if they are not older than change `newest` of them.
    pub(crate) fn of_at_least(&self, tenant: &TenantKey, newest: u64) -> Known<'_> {
        let is_older = match self.view.tenants.get(tenant) {
            None => newest > 0,
            Some(Slot::Loaded(loaded)) => loaded.versions.newest() < newest,
            Some(Slot::Away) => false,
        };
        // Whoever keeps them hears of the change by itself.
        if is_older { Known::NotYet } else { self.of(tenant) }
    }

    /// Waits for the next view.
    pub(crate) async fn changed(&mut self) {
        if self.views.changed().await.is_err() {
            // Nobody makes views any more: the process ends.
            std::future::pending::<()>().await;
        }
        self.view = Arc::clone(&self.views.borrow_and_update());
    }
}
