//! Looks whether what a role needs of others is there, for `/readyz`: brokers that take legs, a store that answers.
//! Aggregate and dispatch say for themselves when they are assigned and restored.

use std::sync::Arc;
use std::time::Duration;

use ringpost_store::Store;
use tokio_util::sync::CancellationToken;

use crate::admin::Readiness;
use crate::config::{Role, Serve};
use crate::log::ServedLog;

/// Between two looks: whoever spreads requests asks every few seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A store that does not answer for so long is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Lookout {
    log: ServedLog,
    store: Store,
    readiness: Arc<Readiness>,
    roles: Serve,
}

impl Lookout {
    pub(super) fn new(log: ServedLog, store: Store, readiness: Arc<Readiness>, roles: &Serve) -> Self {
        Self { log, store, readiness, roles: roles.clone() }
    }

    /// Until told to stop.
    ///
    /// # Errors
    /// None; the shape of all parts.
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            if stop.run_until_cancelled(self.look()).await.is_none() {
                return Ok(());
            }
            if stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn look(&self) {
        if self.roles.has(Role::Ingest) {
            self.readiness.note(Role::Ingest, self.log.append_trouble().await);
        }
        if self.roles.has(Role::Api) {
            self.readiness.note(Role::Api, self.store_trouble().await);
        }
    }

    async fn store_trouble(&self) -> Option<String> {
        // Beyond the last change there is none: nothing is read but the end of an index.
        match tokio::time::timeout(PATIENCE, self.store.changes_since(u64::MAX >> 1)).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(format!("{:#}", anyhow::Error::new(error))),
            Err(_) => Some(format!("the store does not answer within {PATIENCE:?}")),
        }
    }
}
