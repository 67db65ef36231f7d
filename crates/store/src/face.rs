//! What the running pipeline asks of the store. A trait, because a second backend (PostgreSQL) has to be put in its
//! place without touching the stages, and because the simulated world has one that can fail as asked. Each
//! method is that of [`Store`] with its name.

mod lanes;

use std::collections::HashSet;
use std::future::Future;

use ringpost_model::{
    Delivery, DeliveryId, LaneId, Pbx, PbxKey, Tenant, TenantKey, Timestamp, Trigger, TriggerId,
};

use crate::change::Written;
use crate::dead_letter::DeadLetter;
use crate::debt::Debt;
use crate::ending::Ended;
use crate::error::Error;
use crate::lane::LaneDue;
use crate::settle::{Batch, Settled};
use crate::store::Store;
use crate::trigger::{Expect, StoredTrigger};

pub use lanes::LaneLedger;

/// The store, as dispatch, sessions and the intake use it.
pub trait Ledger: Clone + Send + Sync + 'static {
    /// The tenant with this key, if there is one.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn tenant(&self, key: &TenantKey) -> impl Future<Output = Result<Option<Tenant>, Error>> + Send;

    /// Every tenant.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn tenants(&self) -> impl Future<Output = Result<Vec<Tenant>, Error>> + Send;

    /// Makes or changes a tenant.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn put_tenant(
        &self,
        tenant: &Tenant,
        now: Timestamp,
    ) -> impl Future<Output = Result<Written, Error>> + Send;

    /// The pbx with this key, if there is one.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn pbx(&self, key: &PbxKey) -> impl Future<Output = Result<Option<Pbx>, Error>> + Send;

    /// A trigger as it is now, if it is not removed.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn trigger(&self, id: TriggerId) -> impl Future<Output = Result<Option<StoredTrigger>, Error>> + Send;

    /// Makes or changes a trigger.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn put_trigger(
        &self,
        tenant: &TenantKey,
        trigger: &Trigger,
        expect: Expect,
        now: Timestamp,
    ) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Makes a batch durable; see [`Store::settle`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn settle(
        &self,
        batch: &Batch,
        owner: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Settled, Error>> + Send;

    /// Which of these deliveries need nothing more; see [`Store::settled_or_owed`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn settled_or_owed(
        &self,
        deliveries: &[Delivery],
        since: Timestamp,
    ) -> impl Future<Output = Result<HashSet<DeliveryId>, Error>> + Send;

    /// Every lane with debts that can be claimed now or later, earliest first.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn lanes_owed(&self) -> impl Future<Output = Result<Vec<LaneDue>, Error>> + Send;

    /// Leases due debts of a lane; see [`Store::claim`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn claim(
        &self,
        lane: LaneId,
        owner: &str,
        now: Timestamp,
        limit: usize,
        until: Timestamp,
    ) -> impl Future<Output = Result<Vec<Debt>, Error>> + Send;

    /// Ends debts of triggers that are off; see [`Store::cancel_debts`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn cancel_debts(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Ended>, Error>> + Send;

    /// Writes dead letters, each once; returns how many were new.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn add_dead_letters(&self, letters: &[DeadLetter]) -> impl Future<Output = Result<u64, Error>> + Send;
}

impl Ledger for Store {
    async fn tenant(&self, key: &TenantKey) -> Result<Option<Tenant>, Error> {
        Self::tenant(self, key).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        Self::tenants(self).await?.all()
    }

    async fn put_tenant(&self, tenant: &Tenant, now: Timestamp) -> Result<Written, Error> {
        Self::put_tenant(self, tenant, now).await
    }

    async fn pbx(&self, key: &PbxKey) -> Result<Option<Pbx>, Error> {
        Self::pbx(self, key).await
    }

    async fn trigger(&self, id: TriggerId) -> Result<Option<StoredTrigger>, Error> {
        Self::trigger(self, id).await
    }

    async fn put_trigger(
        &self,
        tenant: &TenantKey,
        trigger: &Trigger,
        expect: Expect,
        now: Timestamp,
    ) -> Result<u64, Error> {
        Self::put_trigger(self, tenant, trigger, expect, now).await
    }

    async fn settle(&self, batch: &Batch, owner: &str, now: Timestamp) -> Result<Settled, Error> {
        Self::settle(self, batch, owner, now).await
    }

    async fn settled_or_owed(
        &self,
        deliveries: &[Delivery],
        since: Timestamp,
    ) -> Result<HashSet<DeliveryId>, Error> {
        Self::settled_or_owed(self, deliveries, since).await
    }

    async fn lanes_owed(&self) -> Result<Vec<LaneDue>, Error> {
        Self::lanes_owed(self).await
    }

    async fn claim(
        &self,
        lane: LaneId,
        owner: &str,
        now: Timestamp,
        limit: usize,
        until: Timestamp,
    ) -> Result<Vec<Debt>, Error> {
        Self::claim(self, lane, owner, now, limit, until).await
    }

    async fn cancel_debts(&self, now: Timestamp, limit: usize) -> Result<Vec<Ended>, Error> {
        Self::cancel_debts(self, now, limit).await
    }

    async fn add_dead_letters(&self, letters: &[DeadLetter]) -> Result<u64, Error> {
        Self::add_dead_letters(self, letters).await
    }
}
