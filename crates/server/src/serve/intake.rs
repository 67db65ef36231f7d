//! Where the intake's legs go: into the log, durable before the sender is answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringpost_api::{Delivered, Intake, NotStored, SharedAccess};
use ringpost_bus::{Commit, Log, Output, Record};
use ringpost_model::{LegRecord, Tenant, TenantKey, Timestamp};
use ringpost_store::{DeadLetter, Ledger, Store};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::resources::tenant_id;
use crate::serve::dead_letters::DeadLetters;
use crate::topics::LEGS;

/// When a sender should try again after legs could not be stored.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The intake's end of the log.
#[derive(Clone)]
pub struct LogIntake<L, S = Store> {
    /// Where legs go.
    pub log: L,
    /// Where a first tenant is made.
    pub store: S,
    /// Says what time it is.
    pub clock: Clock,
    /// Which tenants there are.
    pub access: SharedAccess,
    /// Where refused elements go.
    pub dead_letters: DeadLetters<S>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl<L: Log, S: Ledger> Intake for LogIntake<L, S> {
    async fn store(&self, delivered: Delivered) -> Result<(), NotStored> {
        self.make_first_tenant(&delivered.records, (self.clock)()).await?;
        self.dead_letters.add(&self.letters(&delivered)).await.map_err(|error| not_stored(&error))?;
        self.log.append(LEGS, self.records(&delivered)?).await.map_err(|error| not_stored(&error))?;
        self.count(&delivered);
        Ok(())
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl<L: Clone, S: Ledger> LogIntake<L, S> {
    /// Puts everything into a commit. What cannot be in it is durable afterwards: the tenants are there, and what was
    /// refused is among the dead letters.
    pub(super) async fn prepare(&self, delivered: &Delivered, commit: &mut Commit) -> Result<(), NotStored> {
        self.prepare_with(delivered, self.letters(delivered), commit).await
    }

    /// The same, where what was refused is to be kept in another form.
    pub(super) async fn prepare_with(
        &self,
        delivered: &Delivered,
        letters: Vec<DeadLetter>,
        commit: &mut Commit,
    ) -> Result<(), NotStored> {
        self.make_first_tenant(&delivered.records, (self.clock)()).await?;
        let before = self.dead_letters.enclose(letters, commit);
        self.dead_letters.add(&before).await.map_err(|error| not_stored(&error))?;
        let records = self.records(delivered)?;
        if !records.is_empty() {
            commit.outputs.push(Output { topic: LEGS.to_owned(), records });
        }
        Ok(())
    }

    fn letters(&self, delivered: &Delivered) -> Vec<DeadLetter> {
        let now = (self.clock)();
        delivered.dead_letters.iter().map(|letter| row(letter, now)).collect()
    }

    fn records(&self, delivered: &Delivered) -> Result<Vec<Record>, NotStored> {
        let now = (self.clock)();
        let records = delivered.records.iter().map(|record| write(record, now)).collect::<Result<_, _>>();
        records.map_err(|error| not_stored(&error))
    }

    /// Only once it is durable: what comes again since it could not be stored is not counted twice.
    pub(super) fn count(&self, delivered: &Delivered) {
        let accepted = self.metrics.legs_accepted.with_label_values(&[delivered.dialect.name()]);
        accepted.inc_by(delivered.records.len() as u64);
        // No consumer of notices exists yet: they are counted, and become records of the topic of events with it.
        for notice in &delivered.notices {
            self.metrics.notices.with_label_values(&[notice.event.name()]).inc();
        }
        for letter in &delivered.dead_letters {
            self.metrics.legs_rejected.with_label_values(&[letter.refusal.class()]).inc();
        }
    }

    /// An installation without a tenant makes one at its first leg (architecture.md, Tenants and switches).
    async fn make_first_tenant(&self, records: &[LegRecord], now: Timestamp) -> Result<(), NotStored> {
        if !self.access.get().tenants.is_empty() {
            return Ok(());
        }
        // Tenants may have been declared since they were read: nothing of theirs is overwritten.
        let declared = self.store.tenants().await.map_err(|error| not_stored(&error))?;
        if !declared.is_empty() {
            return Ok(());
        }
        let keys: BTreeSet<&TenantKey> = records.iter().map(|record| &record.tenant).collect();
        for key in keys {
            let tenant = Tenant { name: key.as_str().into(), ..Tenant::new(tenant_id(key), key.clone()) };
            self.store.put_tenant(&tenant, now).await.map_err(|error| not_stored(&error))?;
            info!(tenant = %key, "tenant made at its first leg, since none was configured");
        }
        Ok(())
    }
}

fn write(record: &LegRecord, now: Timestamp) -> Result<Record, serde_json::Error> {
    Ok(Record {
        key: Bytes::copy_from_slice(record.tenant.as_str().as_bytes()),
        value: serde_json::to_vec(record)?.into(),
        timestamp: now.micros(),
    })
}

/// The same bytes sent again are the same letter: its place is named by their hash.
fn row(letter: &ringpost_api::DeadLetter, now: Timestamp) -> DeadLetter {
    let reason = letter.refusal.to_string();
    let mut row = DeadLetter::new("", now, &reason, letter.dialect.name(), &letter.bytes);
    let hash: String = row.sha256.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    row.position = format!("{} {} {hash}", letter.input, letter.position).into();
    row.pbx = Some(letter.pbx.clone());
    row
}

fn not_stored(error: &dyn std::error::Error) -> NotStored {
    warn!(%error, "legs could not be stored");
    NotStored { reason: error.to_string(), retry_after: RETRY_AFTER }
}

#[cfg(test)]
mod tests {
    use ringpost_bus::{Config, Embedded, Keep, Topic};
    use ringpost_ingest::{Source, decode};
    use ringpost_model::Dialect;
    use ringpost_store::{Key, Keyring};

    use super::*;

    const LEG: &[u8] =
        br#"{"v":1,"kind":"leg","tenant":"acme","pbx":"k1","leg":"a","created":1773133200000000}"#;

    async fn intake(folder: &std::path::Path) -> LogIntake<Embedded> {
        let keyring = Keyring::new(Key::read_or_make(&folder.join("secret.key")).unwrap());
        let store = Store::open(ringpost_store::Config { folder: folder.to_owned(), keyring }).await.unwrap();
        let topic = Topic { name: LEGS.to_owned(), partitions: 1, keep: Keep::For(Duration::MAX) };
        let config = Config::new(folder.to_owned(), vec![topic], Arc::new(|| 0));
        let (log, journal) = Embedded::open(config).await.unwrap();
        tokio::spawn(journal.run());
        let metrics = Arc::new(Metrics::new().unwrap());
        let dead_letters = DeadLetters::new(store.clone(), Arc::clone(&metrics));
        LogIntake {
            log,
            store,
            clock: crate::clock::wall(),
            access: SharedAccess::default(),
            dead_letters,
            metrics,
        }
    }

    fn delivered() -> Delivered {
        let records = decode(Dialect::Native, &Source::default(), LEG).records;
        assert_eq!(records.len(), 1);
        Delivered { records, ..Delivered::default() }
    }

    #[tokio::test]
    async fn the_first_leg_makes_its_tenant_where_none_is_configured() {
        let folder = tempfile::tempdir().unwrap();
        let intake = intake(folder.path()).await;
        intake.store(delivered()).await.unwrap();
        let tenants = intake.store.tenants().await.unwrap();
        assert_eq!(tenants.iter().map(|tenant| tenant.key.as_str()).collect::<Vec<_>>(), ["acme"]);
    }

    #[tokio::test]
    async fn a_tenant_that_was_declared_a_moment_ago_keeps_its_zone_when_its_first_leg_comes() {
        let folder = tempfile::tempdir().unwrap();
        let intake = intake(folder.path()).await;
        let key = TenantKey::new("acme").unwrap();
        let declared = Tenant {
            name: "Acme Ltd".into(),
            zone: Some(chrono_tz::Europe::London),
            region: "GB".into(),
            ..Tenant::new(tenant_id(&key), key)
        };
        intake.store.put_tenant(&declared, Timestamp::from_micros(1)).await.unwrap();
        // Who may write was read before that.
        intake.store(delivered()).await.unwrap();
        assert_eq!(intake.store.tenants().await.unwrap(), [declared]);
    }
}
