//! What the store holds before.

use std::collections::BTreeMap;

use ringpost_model::{Pbx, PbxKey, Tenant, TenantKey, TriggerId};
use ringpost_store::{Error, IngestToken, Store, StoredTrigger};

/// All resources of the store.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) tenants: BTreeMap<TenantKey, Tenant>,
    pub(crate) pbxs: BTreeMap<PbxKey, Pbx>,
    pub(crate) triggers: BTreeMap<TriggerId, StoredTrigger>,
    /// Valid ones.
    pub(crate) tokens: Vec<IngestToken>,
}

impl State {
    pub(crate) async fn load(store: &Store) -> anyhow::Result<Self> {
        let tenants = store.tenants().await?;
        let mut triggers = BTreeMap::new();
        for tenant in &tenants {
            for stored in store.triggers(&tenant.key).await? {
                triggers.insert(stored.trigger.id, stored);
            }
        }
        let tokens: Result<Vec<IngestToken>, Error> = store.ingest_tokens().await;
        let mut tokens = tokens?;
        tokens.retain(|token| token.revoked.is_none());
        Ok(Self {
            tenants: tenants.into_iter().map(|tenant| (tenant.key.clone(), tenant)).collect(),
            pbxs: store.pbxs().await?.into_iter().map(|pbx| (pbx.key.clone(), pbx)).collect(),
            triggers,
            tokens,
        })
    }
}
