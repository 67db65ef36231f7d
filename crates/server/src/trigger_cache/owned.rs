//! The triggers of one owner, compiled and indexed.

use std::sync::Arc;

use ringpost_deliver::ReadyTrigger;
use ringpost_model::{Cdr, EventName, TenantId, TenantKey};
use ringpost_numbers::Region;
use ringpost_store::StoredTrigger;
use ringpost_trigger::{Compiled, Set};
use tracing::error;

use super::applicable::Firing;

/// What one tenant owns of triggers that are enabled.
#[derive(Debug, Default)]
pub(super) struct Owned {
    /// All that fire for the record of a call, in the store's order.
    own: Indexed,
    /// Those of them that include subaccounts.
    for_subaccounts: Indexed,
    /// All that fire for a notice, in the store's order. They have no filters, so nothing is indexed.
    listening: Vec<Firing>,
}

/// Triggers and their index, position by position.
#[derive(Debug, Default)]
pub(super) struct Indexed {
    triggers: Vec<Firing>,
    set: Set,
}

impl Owned {
    /// Compiles the triggers of one owner, in whose region numbers are read. One that does not compile was saved by
    /// other rules: it cannot fire, and says so, but does not stop the others.
    pub(super) fn compile(
        id: TenantId,
        owner: &TenantKey,
        region: Option<Region>,
        stored: Vec<StoredTrigger>,
    ) -> Self {
        let mut owned = Self::default();
        let (mut all, mut inherited) = (Vec::new(), Vec::new());
        for StoredTrigger { version, trigger, .. } in stored {
            if !trigger.enabled {
                continue;
            }
            let firing = Firing { owner: id, version, trigger: Arc::new(ReadyTrigger::new(id, trigger)) };
            if firing.trigger.event.is_notice() {
                owned.listening.push(firing);
                continue;
            }
            match Compiled::new(&firing.trigger.filters, region) {
                Ok(compiled) if firing.trigger.include_subaccounts => {
                    inherited.push((firing.clone(), compiled.clone()));
                    all.push((firing, compiled));
                }
                Ok(compiled) => all.push((firing, compiled)),
                Err(mistakes) => {
                    let mistake = mistakes.first().map(ToString::to_string).unwrap_or_default();
                    let trigger = firing.trigger.id;
                    error!(%owner, %trigger, mistake, "trigger cannot fire: its filters are not understood");
                }
            }
        }
        owned.own = Indexed::new(all);
        owned.for_subaccounts = Indexed::new(inherited);
        owned
    }

    /// For the owner's own calls.
    pub(super) fn own(&self) -> &Indexed {
        &self.own
    }

    /// For calls of tenants below the owner.
    pub(super) fn for_subaccounts(&self) -> &Indexed {
        &self.for_subaccounts
    }

    /// For notices about the owner's triggers, and, where they include subaccounts, about those of tenants below.
    pub(super) fn listening(&self, event: EventName) -> impl Iterator<Item = &Firing> {
        self.listening.iter().filter(move |firing| firing.trigger.event == event)
    }

    /// Every trigger that fires for a notice.
    pub(super) fn all_listening(&self) -> &[Firing] {
        &self.listening
    }

    /// How much room it takes, in triggers.
    pub(super) fn weight(&self) -> u32 {
        let triggers = self.own.triggers.len() + self.for_subaccounts.triggers.len() + self.listening.len();
        u32::try_from(1 + triggers).unwrap_or(u32::MAX)
    }
}

impl Indexed {
    fn new(triggers: Vec<(Firing, Compiled)>) -> Self {
        let (triggers, compiled) = triggers.into_iter().unzip();
        Self { triggers, set: Set::new(compiled) }
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Firing] {
        &self.triggers
    }

    /// Adds those whose filters hold.
    pub(super) fn matching(&self, cdr: &Cdr, found: &mut Vec<Firing>) {
        let mut positions = Vec::new();
        self.set.matches(cdr, &mut positions);
        found.extend(positions.into_iter().map(|position| self.triggers[position].clone()));
    }
}
