//! The simulated store as dispatch asks it about lanes, probes, rates and notices.

use std::sync::Arc;

use ringpost_model::{LaneId, Notice, NoticeId, Timestamp, TriggerId};
use ringpost_store::{Content, Debt, Error, LaneLedger, LaneRow, OwedCount, Prepared, Rows, WaitingTrigger};

use super::claim::Lessee;
use super::ledger::rows;
use super::{Disk, SimStore};

/// Nothing is due for so long, in microseconds.
const LONGEST_WAIT: i64 = 3_600_000_000;

impl LaneLedger for SimStore {
    async fn lanes(&self) -> Result<Rows<LaneRow>, Error> {
        self.read("list the lanes", |disk| {
            let debts = &disk.owed.debts;
            rows(disk.owed.lanes.all(|lane| debts.in_lane(lane)))
        })
    }

    async fn claim_probe(
        &self,
        lane: LaneId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Debt>, Error> {
        let to = Lessee { owner, now, until };
        let claimed = self.claim_by("claim a probe", |owed| owed.claim_probe(lane, to)).await;
        self.0.trace.note(format_args!("probe {lane} {:?}", claimed.as_ref().map(Option::is_some).ok()));
        claimed
    }

    async fn claim_last(
        &self,
        older_than: Timestamp,
        owner: &str,
        now: Timestamp,
        limit: usize,
        until: Timestamp,
    ) -> Result<Vec<Debt>, Error> {
        let to = Lessee { owner, now, until };
        // The real one reads first, and opens no transaction where there is nothing.
        let has_any = self.read("claim debts for a last try", |disk| {
            !disk.owed.clone().claim_last(older_than, limit, to).0.is_empty()
        })?;
        if !has_any {
            return Ok(Vec::new());
        }
        let claim = |owed: &mut super::Owed| owed.claim_last(older_than, limit, to);
        let claimed = self.claim_by("claim debts for a last try", claim).await;
        self.0.trace.note(format_args!("last tries {:?}", claimed.as_ref().map(Vec::len).ok()));
        claimed
    }

    async fn prepare(&self, debts: &[Debt]) -> Result<Vec<Result<Prepared, Error>>, Error> {
        self.read("read what is owed", |disk| debts.iter().map(|debt| Ok(prepared(disk, debt))).collect())
    }

    async fn move_debts(&self, trigger: TriggerId, lane: LaneId, now: Timestamp) -> Result<u64, Error> {
        self.write("move debts to another lane", |disk| Ok(disk.owed.debts.move_to(trigger, lane, now))).await
    }

    async fn owed_counts(&self) -> Result<Vec<OwedCount>, Error> {
        self.read("count debts", |disk| disk.owed.debts.counts())
    }

    async fn failing_triggers(&self, lane: LaneId) -> Result<Vec<TriggerId>, Error> {
        self.read("list the triggers of a lane", |disk| {
            disk.owed.debts.triggers_of(lane).into_iter().collect()
        })
    }

    async fn waiting_triggers(&self) -> Result<Vec<WaitingTrigger>, Error> {
        self.read("list the triggers that wait", |disk| {
            let is_open = |lane: &LaneId| disk.owed.lanes.is_open(*lane);
            let version = |(lane, trigger)| {
                let version = disk.configuration.trigger(trigger)?.version;
                Some(WaitingTrigger { lane, trigger, version })
            };
            disk.owed.debts.waiting(is_open).into_iter().filter_map(version).collect()
        })
    }

    async fn failed_tries(&self, trigger: TriggerId, since: Timestamp) -> Result<u64, Error> {
        self.read("count failed tries", |disk| disk.log.failed_tries(trigger, since))
    }

    async fn lease_rates(
        &self,
        asked: &[(LaneId, u32)],
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<u64>, Error> {
        self.write("lease parts of rates", |disk| {
            let lanes = &mut disk.owed.lanes;
            let lease = |(lane, rate): &(LaneId, u32)| lanes.lease_rate(*lane, *rate, owner, now, until);
            Ok(asked.iter().map(lease).collect())
        })
        .await
    }

    async fn undo_far_times(&self, now: Timestamp) -> Result<u64, Error> {
        let far = now.plus_micros(LONGEST_WAIT);
        let has_any = self.read("undo times that cannot be true", |disk| {
            disk.owed.debts.is_any_due_after(far) || disk.owed.lanes.is_any_paused_after(far)
        })?;
        if !has_any {
            return Ok(0);
        }
        let undo = |disk: &mut Disk| {
            Ok(disk.owed.debts.undo_far_times(far, now) + disk.owed.lanes.undo_far_times(far, now))
        };
        self.write("undo times that cannot be true", undo).await
    }

    async fn unfired_notices(&self, limit: usize) -> Result<Rows<Notice>, Error> {
        self.read("list notices to fire", |disk| {
            let waiting = disk.owed.notices().into_iter().filter(|(_, fired)| !fired);
            rows(waiting.take(limit).map(|(notice, _)| (*notice).clone()).collect())
        })
    }
}

fn prepared(disk: &Disk, debt: &Debt) -> Prepared {
    let delivery = &debt.delivery;
    let content = if delivery.is_notice() {
        let notice = disk.owed.notice(NoticeId(delivery.session.0));
        notice.map(|notice| Content::Notice(Box::new(notice.clone())))
    } else {
        disk.records.envelope(delivery.session, delivery.rev).map(Content::Envelope)
    };
    let configuration = &disk.configuration;
    let version = configuration.trigger_version(delivery.trigger, delivery.trigger_version);
    Prepared {
        current: configuration.trigger(delivery.trigger).cloned().map(Arc::new),
        version: version.cloned().map(Arc::new),
        content,
    }
}
