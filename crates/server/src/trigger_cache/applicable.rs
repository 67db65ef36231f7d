//! The triggers that may fire for one tenant's calls.

use std::sync::Arc;

use ringpost_deliver::ReadyTrigger;
use ringpost_model::{Cdr, EventName, TenantId, TriggerId};

use super::owned::{Indexed, Owned};

/// A trigger, and whose.
#[derive(Debug, Clone)]
pub(crate) struct Firing {
    /// The tenant that owns the trigger; not always the call's.
    pub(crate) owner: TenantId,
    /// Version of the trigger.
    pub(crate) version: u64,
    /// The trigger. It is enabled; it may be paused.
    pub(crate) trigger: Arc<ReadyTrigger>,
}

/// What was looked up for one tenant. It stays as it is, also when the configuration changes.
#[derive(Debug, Clone)]
pub(crate) struct Applicable {
    /// Of the tenant itself, then of those above it.
    layers: Vec<Arc<Owned>>,
}

impl Applicable {
    pub(super) fn new(layers: Vec<Arc<Owned>>) -> Self {
        Self { layers }
    }

    /// The triggers of `call.completed` whose filters hold for a record: the tenant's own first.
    pub(crate) fn matching(&self, cdr: &Cdr) -> Vec<Firing> {
        let mut found = Vec::new();
        for indexed in self.indexed() {
            indexed.matching(cdr, &mut found);
        }
        found
    }

    /// All triggers of `call.completed`, whether their filters hold or not: for a correction that no longer matches.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Firing> {
        self.indexed().flat_map(Indexed::all)
    }

    /// The triggers that are told of a notice about one of the tenant's triggers: the tenant's own first, then those
    /// of the tenants above it that include their subaccounts. A notice comes from no platform, so environments do
    /// not matter.
    pub(crate) fn listening(&self, event: EventName) -> Vec<Firing> {
        let own = self.layers.first().into_iter().flat_map(|own| own.listening(event));
        let above = self.layers.iter().skip(1).flat_map(|above| above.listening(event));
        own.chain(above.filter(|firing| firing.trigger.include_subaccounts)).cloned().collect()
    }

    /// The trigger is one of those that fire for a notice, whatever it is.
    pub(crate) fn is_told_of_notices(&self, trigger: TriggerId) -> bool {
        self.layers.iter().flat_map(|layer| layer.all_listening()).any(|firing| firing.trigger.id == trigger)
    }

    fn indexed(&self) -> impl Iterator<Item = &Indexed> {
        let own = self.layers.first().map(|own| own.own());
        own.into_iter().chain(self.layers.iter().skip(1).map(|above| above.for_subaccounts()))
    }
}
