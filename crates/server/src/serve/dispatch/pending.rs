//! What dispatch has to make durable next, and which records are dealt with once it is. Pure.

use std::collections::HashMap;

use ringpost_bus::Partition;
use ringpost_model::{Delivery, DeliveryId, Notice, NoticeId};
use ringpost_store::{Attempt, Batch, Debt, Ended, Exchange, LaneWord, NewSession};

/// A record of the log: where one of its effects is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) partition: Partition,
    pub(crate) offset: u64,
}

/// Gathered since the last flush. Of one delivery only the last word counts: owed, or over.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    sessions: Vec<NewSession>,
    attempts: Vec<(Attempt, Exchange)>,
    debts: HashMap<DeliveryId, Debt>,
    ended: HashMap<DeliveryId, Ended>,
    /// Order in which deliveries first came in here: debts of one trigger and session keep it.
    order: Vec<DeliveryId>,
    lanes: Vec<LaneWord>,
    notices: Vec<Notice>,
    fired: Vec<NoticeId>,
    settles: Vec<Place>,
}

/// Taken out to be flushed.
#[derive(Debug, Default)]
pub(crate) struct Flush {
    pub(crate) batch: Batch,
    /// One entry for each effect that is durable once the batch is.
    pub(crate) settles: Vec<Place>,
}

impl Pending {
    pub(crate) fn session(&mut self, session: NewSession) {
        self.sessions.push(session);
    }

    pub(crate) fn attempt(&mut self, attempt: Attempt, exchange: Exchange) {
        self.attempts.push((attempt, exchange));
    }

    /// The delivery is owed, or still is.
    pub(crate) fn owe(&mut self, debt: Debt) {
        let id = debt.delivery.id;
        self.ended.remove(&id);
        self.order.push(id);
        self.debts.insert(id, debt);
    }

    /// The delivery is over.
    pub(crate) fn end(&mut self, ended: Ended) {
        let id = ended.delivery.id;
        self.debts.remove(&id);
        self.order.push(id);
        self.ended.insert(id, ended);
    }

    /// Something about a lane. Of one kind of state of its breaker only the newest is kept; from kind to kind each step
    /// is, since the store believes no step that it cannot follow.
    pub(crate) fn lane(&mut self, word: LaneWord) {
        if let LaneWord::Breaker { lane, breaker, .. } = &word {
            let (lane, kind) = (*lane, std::mem::discriminant(breaker));
            let is_older = |it: &LaneWord| {
                matches!(it, LaneWord::Breaker { lane: of, breaker, .. }
                    if *of == lane && std::mem::discriminant(breaker) == kind)
            };
            self.lanes.retain(|it| !is_older(it));
        }
        self.lanes.push(word);
    }

    /// Something to tell people.
    pub(crate) fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// The deliveries of a notice are among what is pending: it is not looked at again.
    pub(crate) fn fired(&mut self, notice: NoticeId) {
        self.fired.push(notice);
    }

    /// There is something new to tell people.
    pub(crate) fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    /// Notices were taken up.
    pub(crate) fn has_fired(&self) -> bool {
        !self.fired.is_empty()
    }

    /// Once what is pending is durable, one effect of the record is.
    pub(crate) fn settle(&mut self, place: Place) {
        self.settles.push(place);
    }

    /// Something of the delivery is among what is pending.
    pub(crate) fn knows(&self, delivery: DeliveryId) -> bool {
        let is_word = self.debts.contains_key(&delivery) || self.ended.contains_key(&delivery);
        is_word || self.attempts.iter().any(|(attempt, _)| attempt.delivery == delivery)
    }

    /// An earlier revision of the same call for the same trigger is to be written as owed.
    pub(crate) fn owes_earlier(&self, than: &Delivery) -> bool {
        let is_earlier =
            |of: &Delivery| (of.trigger, of.session) == (than.trigger, than.session) && of.rev < than.rev;
        than.rev > 1 && self.debts.values().any(|debt| is_earlier(&debt.delivery))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much waits, to bound it.
    pub(crate) fn len(&self) -> usize {
        let deliveries = self.attempts.len() + self.debts.len() + self.ended.len();
        let told = self.lanes.len() + self.notices.len() + self.fired.len();
        self.sessions.len() + deliveries + told + self.settles.len()
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Flush {
        let mut taken = std::mem::take(self);
        let mut batch = Batch {
            sessions: taken.sessions,
            attempts: taken.attempts,
            lanes: taken.lanes,
            notices: taken.notices,
            fired: taken.fired,
            ..Batch::default()
        };
        for id in taken.order {
            batch.debts.extend(taken.debts.remove(&id));
            batch.ended.extend(taken.ended.remove(&id));
        }
        Flush { batch, settles: taken.settles }
    }
}

#[cfg(test)]
mod tests {
    use ringpost_model::{Breaker, LaneId, Run, SessionId, TenantId, TenantKey, Timestamp, TriggerId};
    use ringpost_store::Ending;
    use uuid::Uuid;

    use super::*;

    fn delivery(rev: u32) -> Delivery {
        let (trigger, session) = (TriggerId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)));
        Delivery {
            id: DeliveryId::of_record(trigger, session, rev),
            owner: TenantId(Uuid::from_u128(3)),
            tenant_id: TenantId(Uuid::from_u128(3)),
            tenant: TenantKey::new("acme").unwrap(),
            trigger,
            trigger_version: 1,
            session,
            rev,
            matches: true,
        }
    }

    fn debt(rev: u32, tries: u32) -> Debt {
        let now = Timestamp::from_micros(1);
        Debt {
            delivery: delivery(rev),
            lane: LaneId(Uuid::nil()),
            due: now,
            attempts: tries,
            tries,
            queued: now,
            first_try: None,
            reason: "".into(),
            leased_until: None,
        }
    }

    fn ended(rev: u32) -> Ended {
        Ended {
            delivery: delivery(rev),
            ending: Ending::Delivered,
            reason: "".into(),
            at: Timestamp::default(),
        }
    }

    #[test]
    fn a_delivery_that_ends_before_its_debt_is_written_leaves_no_debt() {
        let mut pending = Pending::default();
        pending.owe(debt(1, 0));
        pending.end(ended(1));
        let batch = pending.take().batch;
        assert_eq!((batch.debts.len(), batch.ended.len()), (0, 1));
    }

    #[test]
    fn of_two_words_about_a_debt_the_last_one_counts() {
        let mut pending = Pending::default();
        pending.owe(debt(1, 0));
        pending.owe(debt(2, 0));
        pending.owe(debt(1, 1));
        let tries: Vec<_> =
            pending.take().batch.debts.iter().map(|debt| (debt.delivery.rev, debt.tries)).collect();
        assert_eq!(tries, [(1, 1), (2, 0)]);
        assert!(pending.is_empty());
    }

    #[test]
    fn only_an_earlier_revision_that_is_still_owed_is_waited_for() {
        let mut pending = Pending::default();
        pending.owe(debt(2, 0));
        assert_eq!([1, 2, 3].map(|rev| pending.owes_earlier(&delivery(rev))), [false, false, true]);
        pending.end(ended(2));
        assert!(!pending.owes_earlier(&delivery(3)));
    }

    fn word(breaker: Breaker) -> LaneWord {
        LaneWord::Breaker {
            lane: LaneId(Uuid::nil()),
            owner: TenantId(Uuid::nil()),
            shown: "".into(),
            breaker,
        }
    }

    #[test]
    fn a_lane_that_was_closed_and_fails_again_is_told_step_by_step() {
        let now = Timestamp::from_micros(1);
        let open = |wait| Breaker::Open { since: now, probe_at: now, wait, reason: "".into() };
        let run = Run { failures: 1, since: now, first: delivery(1).id, several: false };
        let mut pending = Pending::default();
        for breaker in [open(1), open(2), Breaker::Healthy, Breaker::Failing { run }] {
            pending.lane(word(breaker));
        }
        let told = pending.take().batch.lanes;
        assert_eq!(told, [word(open(2)), word(Breaker::Healthy), word(Breaker::Failing { run })]);
    }
}
