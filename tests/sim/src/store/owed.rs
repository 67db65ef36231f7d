//! All that a settled batch changes at one stroke, but for calls: debts, lanes, what can come back, notices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringpost_model::{DeliveryId, LaneId, Notice, NoticeId, Timestamp};
use ringpost_store::{Batch, Debt, Ended, LaneWord, Settled};

use super::configuration::Configuration;
use super::debts::Debts;
use super::lanes::Lanes;

/// What is owed, and what belongs to it.
#[derive(Debug, Clone, Default)]
pub struct Owed {
    /// Several dispatchers share it: whoever claims a debt asks the log about it, as the store on PostgreSQL has to.
    pub several: bool,
    /// What the log knows as delivered, as of the last claim.
    pub(super) delivered: BTreeSet<DeliveryId>,
    /// What is owed.
    pub debts: Debts,
    /// Lanes that are not plain.
    pub lanes: Lanes,
    spent: BTreeMap<DeliveryId, Spent>,
    last_spent: u64,
    notices: BTreeMap<NoticeId, (u64, bool, Arc<Notice>)>,
}

/// A delivery that failed, and may come back.
#[derive(Debug, Clone)]
struct Spent {
    seq: u64,
    debt: Debt,
    failed: Timestamp,
}

/// What a batch led to, and what of it goes to the log.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) settled: Settled,
    pub(super) ended: Vec<Ended>,
    /// Deliveries that had failed, and are over in another way now.
    pub(super) came_back: Vec<DeliveryId>,
}

impl Owed {
    pub(super) fn settle(
        &mut self,
        configuration: &Configuration,
        batch: &Batch,
        owner: &str,
        now: Timestamp,
    ) -> Told {
        let mut told = Told::default();
        for ended in &batch.ended {
            let had_failed = self.debts.delete(&ended.delivery, owner, now);
            told.came_back.extend(had_failed.map(|_| ended.delivery.id));
        }
        for debt in &batch.debts {
            let of = &debt.delivery;
            self.spent.retain(|_, spent| {
                let other = &spent.debt.delivery;
                (other.trigger, other.session) != (of.trigger, of.session) || other.rev > of.rev
            });
            told.settled.superseded.extend(self.debts.put(configuration, debt, owner, now));
        }
        for word in &batch.lanes {
            self.hear(configuration, word, now, &mut told.settled);
        }
        for notice in &batch.notices {
            let seq = self.notices.len() as u64;
            self.notices.entry(notice.id).or_insert_with(|| (seq, false, Arc::new(notice.clone())));
        }
        for id in &batch.fired {
            self.notices.entry(*id).and_modify(|(_, fired, _)| *fired = true);
        }
        told.ended = batch.ended.iter().chain(&told.settled.superseded).cloned().collect();
        told
    }

    fn hear(
        &mut self,
        configuration: &Configuration,
        word: &LaneWord,
        now: Timestamp,
        settled: &mut Settled,
    ) {
        match word {
            LaneWord::Breaker { lane, owner, shown, breaker } => {
                if !self.lanes.put_breaker(*lane, (*owner, shown), breaker, now) {
                    settled.stale.push(*lane);
                }
            }
            LaneWord::Pause { lane, owner, shown, until, reason } => {
                self.lanes.pause(*lane, (*owner, shown), *until, reason);
            }
            LaneWord::Spent { debt, at } => self.spend(debt, *at),
            LaneWord::Forget { lane } => self.spent.retain(|_, spent| spent.debt.lane != *lane),
            LaneWord::Revive { lane, now, reason } => {
                for spent in self.take_spent(*lane) {
                    let debt = Debt { due: *now, reason: reason.clone(), ..spent.debt };
                    let id = debt.delivery.id;
                    let superseded = self.debts.put(configuration, &debt, "", *now);
                    if let Some(row) = self.debts.rows.get_mut(&id) {
                        row.failed = Some(spent.failed);
                    }
                    if superseded.iter().all(|ended| ended.delivery.id != id) {
                        settled.revived.push(id);
                    }
                    settled.superseded.extend(superseded);
                }
            }
        }
    }

    fn spend(&mut self, debt: &Debt, failed: Timestamp) {
        if self.debts.holds(debt.delivery.id) || self.debts.has_newer(&debt.delivery) {
            return;
        }
        self.last_spent += 1;
        let debt = Debt { leased_until: None, ..debt.clone() };
        let id = debt.delivery.id;
        match self.spent.get_mut(&id) {
            Some(known) => {
                let Debt { delivery, due, queued, .. } = known.debt.clone();
                known.debt = Debt { delivery, due, queued, ..debt };
                known.failed = failed;
            }
            None => _ = self.spent.insert(id, Spent { seq: self.last_spent, debt, failed }),
        }
    }

    fn take_spent(&mut self, lane: LaneId) -> Vec<Spent> {
        let of_lane = self.spent.values().filter(|spent| spent.debt.lane == lane);
        let mut taken: Vec<Spent> = of_lane.cloned().collect();
        taken.sort_by_key(|spent| spent.seq);
        for spent in &taken {
            self.spent.remove(&spent.debt.delivery.id);
        }
        taken
    }

    /// The delivery may come back.
    pub fn may_come_back(&self, delivery: DeliveryId) -> bool {
        self.spent.contains_key(&delivery)
    }

    /// Every notice, oldest first, and whether triggers were asked about it.
    pub fn notices(&self) -> Vec<(Arc<Notice>, bool)> {
        let mut all: Vec<_> = self.notices.values().collect();
        all.sort_by_key(|(seq, _, notice)| (notice.at, *seq));
        all.into_iter().map(|(_, fired, notice)| (Arc::clone(notice), *fired)).collect()
    }

    /// One notice.
    pub fn notice(&self, id: NoticeId) -> Option<&Notice> {
        self.notices.get(&id).map(|(.., notice)| &**notice)
    }
}
