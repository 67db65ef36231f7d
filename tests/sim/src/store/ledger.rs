//! The simulated store as the pipeline asks it.

use std::collections::HashSet;

use ringpost::pipeline::TriggerSource;
use ringpost_model::{
    Delivery, DeliveryId, LaneId, Pbx, PbxKey, Tenant, TenantKey, Timestamp, Trigger, TriggerId,
};
use ringpost_store::{
    Batch, Change, DeadLetter, Debt, Ended, Error, Expect, LaneDue, Ledger, NewSession, Rows, Settled,
    StoredTrigger, Written,
};

use super::claim::Lessee;
use super::owed::Told;
use super::{Configuration, Disk, Owed, SimStore, answer, check};

impl SimStore {
    /// A transaction over what is owed, with its entries in the log first: between the two a crash may come.
    pub(super) async fn with_log<T>(
        &self,
        what: &'static str,
        batch: &Batch,
        work: impl FnOnce(&mut Owed, &Configuration) -> (T, Told),
    ) -> Result<T, Error> {
        let _turn = self.turn(what).await?;
        self.0.weather.pause().await;
        check(what, self.0.weather.write())?;
        let mut owed = self.disk().owed.clone();
        let (done, told) = work(&mut owed, &self.disk().configuration);
        let elapsed = self.0.trace.elapsed();
        self.disk().log.write(&batch.attempts, &told.ended, &told.came_back, elapsed);
        self.0.weather.pause().await;
        let luck = self.0.weather.write();
        check(what, luck)?;
        self.keep(&batch.sessions, owed);
        self.disk().log.settle(&batch.attempts, self.0.trace.elapsed());
        self.0.weather.pause().await;
        self.disk().log.write(&[], &[], &told.settled.revived, elapsed);
        answer(what, luck, done)
    }

    fn keep(&self, sessions: &[NewSession], owed: Owed) {
        let elapsed = self.0.trace.elapsed();
        let mut disk = self.disk();
        disk.records.upsert(sessions);
        for (lane, is_open) in owed.lanes.changed_since(&disk.owed.lanes) {
            self.0.trace.note(format_args!("lane {lane} open {is_open}"));
            disk.opened.push((elapsed, lane, is_open));
        }
        disk.owed = owed;
    }

    /// A claim: what has ended instead goes to the log, and what the log knows as delivered is over.
    pub(super) async fn claim_by<T>(
        &self,
        what: &'static str,
        claim: impl FnOnce(&mut Owed) -> (T, Vec<Ended>),
    ) -> Result<T, Error> {
        let delivered = self.disk().log.delivered();
        let work = |owed: &mut Owed, _: &Configuration| {
            owed.delivered = delivered;
            let (claimed, ended) = claim(owed);
            (claimed, Told { ended, ..Told::default() })
        };
        self.with_log(what, &Batch::default(), work).await
    }
}

impl Ledger for SimStore {
    async fn tenant(&self, key: &TenantKey) -> Result<Option<Tenant>, Error> {
        self.read("read a tenant", |disk| disk.configuration.tenant(key))
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        self.read("read tenants", |disk| disk.configuration.tenants())
    }

    async fn put_tenant(&self, tenant: &Tenant, _: Timestamp) -> Result<Written, Error> {
        self.write("save a tenant", |disk| Ok(disk.configuration.put_tenant(tenant))).await
    }

    async fn pbx(&self, key: &PbxKey) -> Result<Option<Pbx>, Error> {
        self.read("read a pbx", |disk| disk.configuration.pbx(key))
    }

    async fn trigger(&self, id: TriggerId) -> Result<Option<StoredTrigger>, Error> {
        self.read("read a trigger", |disk| disk.configuration.trigger(id).cloned())
    }

    async fn put_trigger(
        &self,
        tenant: &TenantKey,
        trigger: &Trigger,
        expect: Expect,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let save = |disk: &mut Disk| {
            let version = disk.configuration.put_trigger(tenant, trigger, expect, now)?;
            let held = disk.configuration.is_held(trigger.id);
            disk.owed.debts.hold(trigger.id, held, trigger.holds());
            Ok(version)
        };
        let saved = self.write("save a trigger", save).await;
        self.0.trace.note(format_args!("trigger {} saved {}", trigger.name, saved.is_ok()));
        saved
    }

    async fn settle(&self, batch: &Batch, owner: &str, now: Timestamp) -> Result<Settled, Error> {
        let work = |owed: &mut Owed, configuration: &Configuration| {
            let told = owed.settle(configuration, batch, owner, now);
            (told.settled.clone(), told)
        };
        let settled = self.with_log("settle a batch", batch, work).await;
        let Batch { sessions, attempts, debts, ended, lanes, notices, fired } = batch;
        let counts = [sessions.len(), attempts.len(), debts.len(), ended.len()];
        let told = [lanes.len(), notices.len(), fired.len()];
        self.0.trace.note(format_args!("settle {counts:?} {told:?} {}", settled.is_ok()));
        for debt in debts {
            let (id, until, why) = (debt.delivery.id, debt.leased_until, &debt.reason);
            self.0.trace.add(|| format!("    owed {id} due {} leased {until:?}: {why}", debt.due));
        }
        for one in ended {
            self.0.trace.add(|| format!("    ended {} {}", one.delivery.id, one.ending.name()));
        }
        for word in lanes {
            self.0.trace.add(|| format!("    {word:?}"));
        }
        settled
    }

    async fn settled_or_owed(
        &self,
        deliveries: &[Delivery],
        since: Timestamp,
    ) -> Result<HashSet<DeliveryId>, Error> {
        self.read("look up which deliveries are owed", |disk| {
            let over = disk.log.over(deliveries, since);
            let asked = deliveries.iter().map(|delivery| delivery.id);
            let is_known = |id: &DeliveryId| {
                over.contains(id) || disk.owed.debts.holds(*id) || disk.owed.may_come_back(*id)
            };
            asked.filter(is_known).collect()
        })
    }

    async fn lanes_owed(&self) -> Result<Vec<LaneDue>, Error> {
        self.read("list the lanes with debts", |disk| disk.owed.lanes_owed())
    }

    async fn claim(
        &self,
        lane: LaneId,
        owner: &str,
        now: Timestamp,
        limit: usize,
        until: Timestamp,
    ) -> Result<Vec<Debt>, Error> {
        let to = Lessee { owner, now, until };
        let claimed = self.claim_by("claim debts", |owed| owed.claim(lane, limit, to)).await;
        let count = claimed.as_ref().map(Vec::len).ok();
        self.0.trace.note(format_args!("claim {lane} {count:?} of {limit} at {now}"));
        for debt in claimed.iter().flatten() {
            self.0.trace.add(|| format!("    claimed {} due {}", debt.delivery.id, debt.due));
        }
        claimed
    }

    async fn cancel_debts(&self, now: Timestamp, limit: usize) -> Result<Vec<Ended>, Error> {
        let cancel = |owed: &mut Owed, configuration: &Configuration| {
            let ended = owed.debts.cancel(configuration, now, limit);
            (ended.clone(), Told { ended, ..Told::default() })
        };
        self.with_log("cancel debts", &Batch::default(), cancel).await
    }

    async fn add_dead_letters(&self, letters: &[DeadLetter]) -> Result<u64, Error> {
        self.write("write dead letters", |disk| Ok(disk.records.add_dead_letters(letters))).await
    }
}

impl TriggerSource for SimStore {
    async fn load(&self, owner: &TenantKey) -> Result<Vec<StoredTrigger>, Error> {
        self.read("read the triggers of a tenant", |disk| disk.configuration.triggers(owner))
    }

    async fn tree(&self) -> Result<Vec<Tenant>, Error> {
        self.tenants().await
    }

    async fn changes_since(&self, seq: u64) -> Result<Vec<Change>, Error> {
        self.read("read the changes of configuration", |disk| disk.configuration.changes_since(seq))
    }
}

/// All of a list could be read.
pub(super) fn rows<T>(found: Vec<T>) -> Rows<T> {
    Rows { found, unreadable: Vec::new(), skipped: 0 }
}
