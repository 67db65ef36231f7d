//! What dispatch asks of lanes with breakers, shared rates and notices, beside [`Ledger`]. Each method is that of
//! [`Store`] with its name.

use std::future::Future;

use ringpost_model::{LaneId, Notice, Timestamp, TriggerId};

use super::Ledger;
use crate::debt::{Debt, OwedCount, Prepared};
use crate::error::Error;
use crate::lane::{LaneRow, WaitingTrigger};
use crate::rows::Rows;
use crate::store::Store;

/// The store, as dispatch uses it for receivers that are down.
pub trait LaneLedger: Ledger {
    /// Every lane that is not plain; see [`Store::lanes`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn lanes(&self) -> impl Future<Output = Result<Rows<LaneRow>, Error>> + Send;

    /// Leases the probe of a lane, with its oldest debt; see [`Store::claim_probe`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn claim_probe(
        &self,
        lane: LaneId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Option<Debt>, Error>> + Send;

    /// Leases debts that have waited for too long; see [`Store::claim_last`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn claim_last(
        &self,
        older_than: Timestamp,
        owner: &str,
        now: Timestamp,
        limit: usize,
        until: Timestamp,
    ) -> impl Future<Output = Result<Vec<Debt>, Error>> + Send;

    /// What the next tries of debts are made of; see [`Store::prepare`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn prepare(
        &self,
        debts: &[Debt],
    ) -> impl Future<Output = Result<Vec<Result<Prepared, Error>>, Error>> + Send;

    /// A trigger's debts go another way; see [`Store::move_debts`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn move_debts(
        &self,
        trigger: TriggerId,
        lane: LaneId,
        now: Timestamp,
    ) -> impl Future<Output = Result<u64, Error>> + Send;

    /// How much is owed, by trigger.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn owed_counts(&self) -> impl Future<Output = Result<Vec<OwedCount>, Error>> + Send;

    /// Triggers with debts in a lane.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn failing_triggers(&self, lane: LaneId) -> impl Future<Output = Result<Vec<TriggerId>, Error>> + Send;

    /// The triggers that wait for receivers which are down; see [`Store::waiting_triggers`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn waiting_triggers(&self) -> impl Future<Output = Result<Vec<WaitingTrigger>, Error>> + Send;

    /// How many tries of a trigger have failed since then; see [`Store::failed_tries`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn failed_tries(
        &self,
        trigger: TriggerId,
        since: Timestamp,
    ) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Leases parts of lanes' rates; see [`Store::lease_rates`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn lease_rates(
        &self,
        asked: &[(LaneId, u32)],
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Vec<u64>, Error>> + Send;

    /// What is due later than anything can be is due now; see [`Store::undo_far_times`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn undo_far_times(&self, now: Timestamp) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Notices that no trigger was asked about yet.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn unfired_notices(&self, limit: usize) -> impl Future<Output = Result<Rows<Notice>, Error>> + Send;
}

impl LaneLedger for Store {
    async fn lanes(&self) -> Result<Rows<LaneRow>, Error> {
        Self::lanes(self).await
    }

    async fn claim_probe(
        &self,
        lane: LaneId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Debt>, Error> {
        Self::claim_probe(self, lane, owner, now, until).await
    }

    async fn claim_last(
        &self,
        older_than: Timestamp,
        owner: &str,
        now: Timestamp,
        limit: usize,
        until: Timestamp,
    ) -> Result<Vec<Debt>, Error> {
        Self::claim_last(self, older_than, owner, now, limit, until).await
    }

    async fn prepare(&self, debts: &[Debt]) -> Result<Vec<Result<Prepared, Error>>, Error> {
        Self::prepare(self, debts).await
    }

    async fn move_debts(&self, trigger: TriggerId, lane: LaneId, now: Timestamp) -> Result<u64, Error> {
        Self::move_debts(self, trigger, lane, now).await
    }

    async fn owed_counts(&self) -> Result<Vec<OwedCount>, Error> {
        Self::owed_counts(self).await
    }

    async fn failing_triggers(&self, lane: LaneId) -> Result<Vec<TriggerId>, Error> {
        Self::failing_triggers(self, lane).await
    }

    async fn waiting_triggers(&self) -> Result<Vec<WaitingTrigger>, Error> {
        Self::waiting_triggers(self).await
    }

    async fn failed_tries(&self, trigger: TriggerId, since: Timestamp) -> Result<u64, Error> {
        Self::failed_tries(self, trigger, since).await
    }

    async fn lease_rates(
        &self,
        asked: &[(LaneId, u32)],
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<u64>, Error> {
        Self::lease_rates(self, asked, owner, now, until).await
    }

    async fn undo_far_times(&self, now: Timestamp) -> Result<u64, Error> {
        Self::undo_far_times(self, now).await
    }

    async fn unfired_notices(&self, limit: usize) -> Result<Rows<Notice>, Error> {
        Self::unfired_notices(self, limit).await
    }
}
