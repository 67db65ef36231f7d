//! Where triggers come from: the store, or what a test says.

use std::future::Future;

use ringpost_model::{Tenant, TenantKey};
use ringpost_store::{Change, Error, Store, StoredTrigger};
use tracing::error;

/// What the cache reads.
pub trait TriggerSource: Send + Sync + 'static {
    /// The triggers that a tenant owns.
    fn load(&self, owner: &TenantKey) -> impl Future<Output = Result<Vec<StoredTrigger>, Error>> + Send;

    /// Every tenant.
    fn tree(&self) -> impl Future<Output = Result<Vec<Tenant>, Error>> + Send;

    /// Changes after `seq`, by number; a change that is visible has every earlier one visible too.
    fn changes_since(&self, seq: u64) -> impl Future<Output = Result<Vec<Change>, Error>> + Send;
}

impl TriggerSource for Store {
    /// A trigger that cannot be read cannot fire, and says so, but does not stop the others.
    async fn load(&self, owner: &TenantKey) -> Result<Vec<StoredTrigger>, Error> {
        let triggers = self.triggers(owner).await?;
        for unreadable in &triggers.unreadable {
            error!(%owner, row = unreadable.row, error = %unreadable.error, "trigger cannot fire: it cannot be read");
        }
        Ok(triggers.found)
    }

    async fn tree(&self) -> Result<Vec<Tenant>, Error> {
        let tenants = self.tenants().await?;
        for unreadable in &tenants.unreadable {
            error!(row = unreadable.row, error = %unreadable.error, "nothing fires for a tenant: it cannot be read");
        }
        Ok(tenants.found)
    }

    async fn changes_since(&self, seq: u64) -> Result<Vec<Change>, Error> {
        Store::changes_since(self, seq).await
    }
}
