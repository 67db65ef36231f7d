//! Carries a plan out. Each step is a transaction of its own; what fails half way is finished by applying again.

use anyhow::Context;
use ringpost_model::Timestamp;
use ringpost_store::{Expect, Store};

use super::plan::{Action, Plan, What};

pub(crate) async fn write(plan: &Plan, store: &Store, now: Timestamp) -> anyhow::Result<()> {
    for step in plan.steps.iter().filter(|step| step.action != Action::Unchanged) {
        one(&step.what, store, now).await.context("apply a step; what came before it is done")?;
    }
    Ok(())
}

async fn one(what: &What, store: &Store, now: Timestamp) -> Result<(), ringpost_store::Error> {
    match what {
        What::Tenant(tenant) => store.put_tenant(tenant, now).await.map(drop),
        What::Pbx(pbx) => store.put_pbx(pbx, now).await.map(drop),
        What::Token(pbx, token) => {
            let done = store.put_ingest_token(&token.token, pbx, token.tenant.as_ref(), &token.name, now);
            done.await.map(drop)
        }
        What::Trigger(owned) => {
            store.put_trigger(&owned.owner, &owned.trigger, Expect::Anything, now).await.map(drop)
        }
        What::NoTrigger(id) => store.remove_trigger(*id, Expect::Anything, now).await.map(drop),
        What::NoToken(id) => store.revoke_ingest_token(*id, now).await.map(drop),
        What::NoPbx(key) => store.remove_pbx(key).await.map(drop),
        What::NoTenant(key) => store.remove_tenant(key).await.map(drop),
    }
}
