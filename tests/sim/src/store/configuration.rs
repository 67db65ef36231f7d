//! Tenants, pbxs and triggers of the simulated store, and the numbers of their changes.

use std::collections::BTreeMap;

use ringpost_model::{Pbx, PbxKey, Tenant, TenantKey, Timestamp, Trigger, TriggerId};
use ringpost_store::{Change, Error, Expect, Kind, StoredTrigger, Written};

/// What is configured.
#[derive(Debug, Default)]
pub struct Configuration {
    tenants: BTreeMap<TenantKey, Tenant>,
    pbxs: BTreeMap<PbxKey, Pbx>,
    triggers: BTreeMap<TriggerId, Versions>,
    changes: BTreeMap<(Kind, Option<TenantKey>), u64>,
    last_change: u64,
}

#[derive(Debug)]
struct Versions {
    /// The newest is the current one.
    versions: BTreeMap<u64, StoredTrigger>,
    removed: bool,
}

impl Configuration {
    /// A tenant.
    pub fn tenant(&self, key: &TenantKey) -> Option<Tenant> {
        self.tenants.get(key).cloned()
    }

    /// All of them.
    pub fn tenants(&self) -> Vec<Tenant> {
        self.tenants.values().cloned().collect()
    }

    pub(super) fn put_tenant(&mut self, tenant: &Tenant) -> Written {
        let before = self.tenants.insert(tenant.key.clone(), tenant.clone());
        if before.as_ref() == Some(tenant) {
            return Written::Same;
        }
        self.bump(Kind::Tenant, &tenant.key);
        if before.is_some() { Written::Changed } else { Written::Made }
    }

    /// A pbx.
    pub fn pbx(&self, key: &PbxKey) -> Option<Pbx> {
        self.pbxs.get(key).cloned()
    }

    /// Makes or changes a pbx.
    pub fn put_pbx(&mut self, pbx: Pbx) {
        self.pbxs.insert(pbx.key.clone(), pbx);
    }

    /// A trigger as it is now.
    pub fn trigger(&self, id: TriggerId) -> Option<&StoredTrigger> {
        self.triggers.get(&id).filter(|found| !found.removed)?.current()
    }

    /// One version of it.
    pub fn trigger_version(&self, id: TriggerId, version: u64) -> Option<&StoredTrigger> {
        self.triggers.get(&id)?.versions.get(&version)
    }

    /// The triggers of a tenant, by name.
    pub fn triggers(&self, tenant: &TenantKey) -> Vec<StoredTrigger> {
        let current = self.triggers.values().filter(|found| !found.removed).filter_map(Versions::current);
        let mut own: Vec<_> = current.filter(|stored| stored.tenant == *tenant).cloned().collect();
        own.sort_by(|a, b| (&a.trigger.name, a.trigger.id).cmp(&(&b.trigger.name, b.trigger.id)));
        own
    }

    /// Disabled, paused, removed or unknown: what is owed for it is not claimed.
    pub(super) fn is_held(&self, id: TriggerId) -> bool {
        self.trigger(id).is_none_or(|stored| !stored.trigger.enabled || stored.trigger.paused)
    }

    /// What is owed for it waits while its receiver is down.
    pub(super) fn holds(&self, id: TriggerId) -> bool {
        self.triggers.get(&id).and_then(Versions::current).is_none_or(|stored| stored.trigger.holds())
    }

    /// Disabled, removed or unknown: what is owed for it ends.
    pub(super) fn is_off(&self, id: TriggerId) -> bool {
        self.trigger(id).is_none_or(|stored| !stored.trigger.enabled)
    }

    /// Makes a new version where something differs.
    pub(super) fn put_trigger(
        &mut self,
        tenant: &TenantKey,
        trigger: &Trigger,
        expect: Expect,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let (id, key) = (trigger.id, trigger.id.to_string());
        let known = self.triggers.get(&id);
        let is_removed = known.is_some_and(|known| known.removed);
        let before = known.and_then(Versions::current);
        let found = before.filter(|_| !is_removed).map_or(0, |stored| stored.version);
        match expect {
            Expect::Nothing if found != 0 => return Err(Error::Conflict { kind: "trigger", key, found }),
            Expect::Version(version) if version != found => {
                return Err(Error::Conflict { kind: "trigger", key, found });
            }
            _ => {}
        }
        if let Some(stored) = before {
            if stored.tenant != *tenant {
                return Err(Error::Refused { kind: "trigger", key, why: "it is another tenant's" });
            }
            if !is_removed && same(&stored.trigger, trigger) {
                return Ok(stored.version);
            }
        }
        if !self.tenants.contains_key(tenant) {
            return Err(Error::NotFound { kind: "tenant", key: tenant.to_string() });
        }
        let (version, created) = before.map_or((1, now), |stored| (stored.version + 1, stored.created));
        let trigger = trigger.clone();
        let stored = StoredTrigger { tenant: tenant.clone(), version, trigger, created, changed: now };
        let none = || Versions { versions: BTreeMap::new(), removed: false };
        let known = self.triggers.entry(id).or_insert_with(none);
        known.versions.insert(version, stored);
        known.removed = false;
        self.bump(Kind::Trigger, tenant);
        Ok(version)
    }

    /// Removes a trigger. Its versions stay.
    pub fn remove_trigger(&mut self, id: TriggerId) -> bool {
        let Some(known) = self.triggers.get_mut(&id).filter(|known| !known.removed) else { return false };
        known.removed = true;
        let tenant = known.current().map(|stored| stored.tenant.clone());
        tenant.inspect(|tenant| self.bump(Kind::Trigger, tenant));
        true
    }

    pub(super) fn changes_since(&self, seq: u64) -> Vec<Change> {
        let later = self.changes.iter().filter(|(_, at)| **at > seq);
        let change = |((kind, tenant), seq): (&(Kind, Option<TenantKey>), &u64)| Change {
            kind: *kind,
            tenant: tenant.clone(),
            seq: *seq,
        };
        let mut changes: Vec<Change> = later.map(change).collect();
        changes.sort_by_key(|change| change.seq);
        changes
    }

    fn bump(&mut self, kind: Kind, tenant: &TenantKey) {
        self.last_change += 1;
        self.changes.insert((kind, Some(tenant.clone())), self.last_change);
    }
}

impl Versions {
    fn current(&self) -> Option<&StoredTrigger> {
        self.versions.last_key_value().map(|(_, stored)| stored)
    }
}

/// As written: the model has no equality for filters.
fn same(one: &Trigger, other: &Trigger) -> bool {
    match (serde_json::to_string(one), serde_json::to_string(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
