//! A store in memory that keeps the contract of `ringpost_store`, and has bad days: calls fail, find the disk full,
//! or take effect and are not answered; what is settled is in the log first, and a crash may come before the rest.
//! That it answers as the real one does is tested beside it, operation by operation.

mod claim;
mod configuration;
mod debts;
mod lane_ledger;
mod lanes;
mod ledger;
mod owed;
mod records;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringpost_model::LaneId;
use ringpost_store::Error;

use crate::trace::Trace;
use crate::weather::{Luck, Weather};

pub use configuration::Configuration;
pub use debts::{DebtRow, Debts};
pub(crate) use owed::Owed;
pub use records::{DayLog, Records};

/// Writers wait for each other so long, as those of the real one do.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store; a clone is the same store.
#[derive(Clone)]
pub struct SimStore(Arc<Shared>);

struct Shared {
    disk: Mutex<Disk>,
    /// One writes at a time.
    writer: tokio::sync::Mutex<()>,
    weather: Weather,
    trace: Trace,
}

/// What is durable.
#[derive(Debug, Default)]
pub struct Disk {
    /// Tenants, pbxs, triggers.
    pub configuration: Configuration,
    /// What is owed, and what belongs to it.
    pub owed: Owed,
    /// Calls and dead letters.
    pub records: Records,
    /// Attempts and endings.
    pub log: DayLog,
    /// Since when which lane was open, or no longer, for the checks.
    pub opened: Vec<(Duration, LaneId, bool)>,
}

impl SimStore {
    /// An empty store.
    pub fn new(weather: Weather, trace: Trace) -> Self {
        let (disk, writer) = Default::default();
        Self(Arc::new(Shared { disk, writer, weather, trace }))
    }

    /// Nothing can be written at this time, or could be until a moment ago.
    pub fn is_away(&self) -> bool {
        self.0.weather.is_away()
    }

    /// What is durable.
    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, what: &'static str, read: impl FnOnce(&Disk) -> T) -> Result<T, Error> {
        match self.0.weather.read() {
            Luck::Fails => Err(failed(what)),
            Luck::Fine | Luck::Full | Luck::LostAnswer => Ok(read(&self.disk())),
        }
    }

    /// One transaction.
    async fn write<T>(
        &self,
        what: &'static str,
        write: impl FnOnce(&mut Disk) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _turn = self.turn(what).await?;
        self.0.weather.pause().await;
        let luck = self.0.weather.write();
        check(what, luck)?;
        let done = write(&mut self.disk())?;
        self.0.weather.pause().await;
        answer(what, luck, done)
    }

    async fn turn(&self, what: &'static str) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        let turn = tokio::time::timeout(PATIENCE, self.0.writer.lock()).await;
        turn.map_err(|_| Error::Busy { what })
    }
}

/// Whether anything is written.
fn check(what: &'static str, luck: Luck) -> Result<(), Error> {
    match luck {
        Luck::Fine | Luck::LostAnswer => Ok(()),
        Luck::Fails => Err(failed(what)),
        Luck::Full => Err(Error::Full { what }),
    }
}

/// What is told after it was written.
fn answer<T>(what: &'static str, luck: Luck, done: T) -> Result<T, Error> {
    if luck == Luck::LostAnswer { Err(failed(what)) } else { Ok(done) }
}

fn failed(what: &'static str) -> Error {
    Error::Database { what, source: Arc::new(std::io::Error::other("the simulated disk failed")) }
}

impl Disk {
    /// Declares a tenant, whatever the weather.
    pub fn configure_tenant(&mut self, tenant: &ringpost_model::Tenant) {
        self.configuration.put_tenant(tenant);
    }

    /// Declares a trigger, whatever the weather.
    pub fn configure_trigger(
        &mut self,
        tenant: &ringpost_model::TenantKey,
        trigger: &ringpost_model::Trigger,
        now: ringpost_model::Timestamp,
    ) {
        let saved = self.configuration.put_trigger(tenant, trigger, ringpost_store::Expect::Anything, now);
        saved.expect("the tenant of a planned trigger is there");
    }
}
