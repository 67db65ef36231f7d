//! What an installation has kept, looked at while no server runs on it.

use std::collections::BTreeMap;

use ringpost_model::{Envelope, TriggerId};
use ringpost_store::{
    Attempt, AttemptFilter, Config, Debt, DebtFilter, Ended, EndingFilter, Key, Keyring, PostgresConfig,
    SessionFilter, Store, StoredTrigger,
};

use super::Home;

/// Rows of one look: more than any of these tests writes.
const ALL: usize = 1_000_000;

/// The store of an installation.
pub(crate) struct Kept {
    store: Store,
}

impl Kept {
    pub(crate) async fn open(home: &Home) -> Self {
        let key = Key::read_or_make(&home.data().join("secret.key")).expect("the key of the installation");
        let config = Config { folder: home.data(), keyring: Keyring::new(key) };
        Self { store: Store::open(config).await.expect("the store opens") }
    }

    /// The same of one in PostgreSQL.
    pub(crate) async fn on_postgres(home: &Home, url: &str) -> Self {
        let key = Key::read_or_make(&home.data().join("secret.key")).expect("the key of the installation");
        let config = PostgresConfig::new(url, Keyring::new(key));
        Self { store: Store::connect(config).await.expect("the store opens") }
    }

    /// The newest record of every call, absorbed ones left out.
    pub(crate) async fn envelopes(&self) -> Vec<Envelope> {
        let sessions = self.store.sessions(&SessionFilter::default(), ALL).await.expect("sessions");
        let mut envelopes = Vec::new();
        for session in sessions {
            let stored = self.store.session(session.id).await.expect("a session").expect("it was listed");
            envelopes.push(Envelope::from_bytes(&stored.envelope).expect("an envelope"));
        }
        envelopes
    }

    /// Every request made, oldest first.
    pub(crate) async fn attempts(&self) -> Vec<Attempt> {
        let mut attempts = self.store.attempts(&AttemptFilter::default(), ALL).await.expect("attempts").found;
        attempts.reverse();
        attempts
    }

    /// What is owed.
    pub(crate) async fn debts(&self) -> Vec<Debt> {
        self.store.debts(&DebtFilter::default(), ALL).await.expect("debts").found
    }

    /// Deliveries that are over without having been delivered.
    pub(crate) async fn endings(&self) -> Vec<Ended> {
        self.store.endings(&EndingFilter::default(), ALL).await.expect("endings").found
    }

    /// Every trigger.
    pub(crate) async fn triggers(&self) -> Vec<StoredTrigger> {
        let mut triggers = Vec::new();
        for tenant in self.store.tenants().await.expect("tenants") {
            triggers.extend(self.store.triggers(&tenant.key).await.expect("triggers"));
        }
        triggers
    }

    /// The id of the trigger of this name, where no two tenants have it.
    pub(crate) async fn trigger(&self, name: &str) -> TriggerId {
        let found = self.triggers().await.into_iter().find(|stored| &*stored.trigger.name == name);
        found.unwrap_or_else(|| panic!("no trigger {name}")).trigger.id
    }

    /// Ids of triggers by tenant and name.
    pub(crate) async fn triggers_by_tenant(&self) -> BTreeMap<(String, String), TriggerId> {
        let triggers = self.triggers().await.into_iter();
        let row = |stored: StoredTrigger| {
            ((stored.tenant.to_string(), stored.trigger.name.to_string()), stored.trigger.id)
        };
        triggers.map(row).collect()
    }
}
