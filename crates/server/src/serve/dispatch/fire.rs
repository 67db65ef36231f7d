//! Which deliveries a record leads to.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use ringpost_deliver::ReadyTrigger;
use ringpost_model::{Cdr, Delivery, DeliveryId, Envelope, Revisions, TenantId, TenantKey, Text, Timestamp};
use ringpost_store::{Ledger, Store};

use crate::metrics::Metrics;
use crate::trigger_cache::{Applicable, Firing, TriggerCache, TriggerSource};

/// A delivery that is to be made.
#[derive(Debug, Clone)]
pub(super) struct Shot {
    pub(super) delivery: Delivery,
    pub(super) trigger: Arc<ReadyTrigger>,
    pub(super) cdr: Arc<Cdr>,
    /// When the record was emitted.
    pub(super) emitted: Timestamp,
}

/// Asks triggers about records.
pub struct Fire<S = Store, T = Store> {
    triggers: TriggerCache<T>,
    store: S,
    metrics: Arc<Metrics>,
    /// Ids of tenants by key: they never change.
    ids: HashMap<TenantKey, TenantId>,
}

impl<S: Ledger, T: TriggerSource> Fire<S, T> {
    /// Nothing asked yet.
    pub fn new(triggers: TriggerCache<T>, store: S, metrics: Arc<Metrics>) -> Self {
        Self { triggers, store, metrics, ids: HashMap::new() }
    }

    /// The deliveries of a record, by tenant and trigger. `is_under_way` knows what the store does not yet.
    ///
    /// # Errors
    /// Triggers or earlier deliveries cannot be looked up: the record has to wait.
    pub(super) async fn at(
        &mut self,
        envelope: &Envelope,
        is_under_way: &(dyn Fn(DeliveryId) -> bool + Sync),
    ) -> anyhow::Result<Vec<Shot>> {
        let Some(tenant) = self.tenant_id(&envelope.tenant).await? else { return Ok(Vec::new()) };
        let applicable = self.triggers.lookup(&envelope.tenant).await?;
        self.metrics.evaluations.inc_by(applicable.all().count() as u64);
        let environment = self.environment(&applicable, envelope).await?;
        let mut matching = applicable.matching(&envelope.cdr);
        matching.retain(|firing| fires(firing, envelope) && is_wanted_in(firing, &environment));
        self.metrics.matches.inc_by(matching.len() as u64);
        let mut deliveries: Vec<_> =
            matching.iter().map(|firing| delivery(firing, envelope, tenant, true)).collect();
        if envelope.rev > 1 {
            deliveries
                .extend(self.taken_back(&applicable, &matching, (envelope, tenant), is_under_way).await?);
        }
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let cdr = Arc::new(envelope.cdr.clone());
        let shot = |(delivery, trigger)| Shot {
            delivery,
            trigger,
            cdr: Arc::clone(&cdr),
            emitted: envelope.emitted,
        };
        Ok(deliveries.into_iter().map(shot).collect())
    }

    /// The triggers that may fire for what a tenant's calls and triggers do.
    ///
    /// # Errors
    /// They cannot be looked up.
    pub(super) async fn applicable(&self, tenant: &TenantKey) -> anyhow::Result<Applicable> {
        Ok(self.triggers.lookup(tenant).await?)
    }

    async fn tenant_id(&mut self, key: &TenantKey) -> anyhow::Result<Option<TenantId>> {
        if let Some(id) = self.ids.get(key) {
            return Ok(Some(*id));
        }
        let Some(tenant) = self.store.tenant(key).await.context("read the tenant of a record")? else {
            return Ok(None);
        };
        self.ids.insert(key.clone(), tenant.id);
        Ok(Some(tenant.id))
    }

    /// The environment of the record's pbx; looked up only where a trigger asks for one.
    async fn environment(&self, applicable: &Applicable, envelope: &Envelope) -> anyhow::Result<Text> {
        if applicable.all().all(|firing| firing.trigger.environments.is_empty()) {
            return Ok(Text::default());
        }
        let pbx = self.store.pbx(&envelope.pbx).await.context("read the pbx of a record")?;
        Ok(pbx.map(|pbx| pbx.environment).unwrap_or_default())
    }

    /// Triggers that are told every revision, to which an earlier one was sent, and which this one does not match.
    async fn taken_back(
        &self,
        applicable: &Applicable,
        matching: &[Firing],
        (envelope, tenant): (&Envelope, TenantId),
        is_under_way: &(dyn Fn(DeliveryId) -> bool + Sync),
    ) -> anyhow::Result<Vec<(Delivery, Arc<ReadyTrigger>)>> {
        let matches = |firing: &Firing| matching.iter().any(|other| other.trigger.id == firing.trigger.id);
        let mut found = Vec::new();
        // One that does not fire in this environment has had no earlier revision either.
        for firing in applicable.all().filter(|firing| fires(firing, envelope) && !matches(firing)) {
            let (delivery, trigger) = delivery(firing, envelope, tenant, false);
            let earlier = (1..envelope.rev).map(|rev| Delivery {
                id: DeliveryId::of_record(delivery.trigger, delivery.session, rev),
                rev,
                ..delivery.clone()
            });
            let earlier: Vec<_> = earlier.collect();
            if earlier.iter().any(|earlier| is_under_way(earlier.id)) {
                found.push((delivery, trigger));
                continue;
            }
            let sent = self.store.settled_or_owed(&earlier, envelope.cdr.start).await;
            if !sent.context("look up earlier deliveries")?.is_empty() {
                found.push((delivery, trigger));
            }
        }
        Ok(found)
    }
}

/// Most triggers want one request per call; the others every correction too.
fn fires(firing: &Firing, envelope: &Envelope) -> bool {
    envelope.rev == 1 || firing.trigger.revisions == Revisions::All
}

/// A trigger may be limited to the environments of some pbxs (triggers-and-delivery.md 1).
fn is_wanted_in(firing: &Firing, environment: &str) -> bool {
    let wanted = &firing.trigger.environments;
    wanted.is_empty() || wanted.iter().any(|name| **name == *environment)
}

fn delivery(
    firing: &Firing,
    envelope: &Envelope,
    tenant_id: TenantId,
    matches: bool,
) -> (Delivery, Arc<ReadyTrigger>) {
    let trigger = &firing.trigger;
    let delivery = Delivery {
        id: DeliveryId::of_record(trigger.id, envelope.session, envelope.rev),
        owner: firing.owner,
        tenant_id,
        tenant: envelope.tenant.clone(),
        trigger: trigger.id,
        trigger_version: firing.version,
        session: envelope.session,
        rev: envelope.rev,
        matches,
    };
    (delivery, Arc::clone(trigger))
}
