//! A look around, now and then: what other dispatchers and people changed in the store (breakers, pauses, URLs), how
//! much is owed, what is to be told, which part of a rate is ours.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context;
use ringpost_bus::Worker;
use ringpost_deliver::{Gate, Job, LaneKey, Share, Step, Tries};
use ringpost_model::{Breaker, LaneId, Timestamp, TriggerId};
use ringpost_store::{Error, LaneLedger, WaitingTrigger};
use tokio::time::Instant;
use tracing::warn;

use super::owed::{Kind, Stint, from};
use super::receivers::gate;
use super::{Dispatch, State, report};
use crate::serve::notices;
use crate::trigger_cache::TriggerSource;

/// The time between two looks. A share of a rate lasts a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Notices taken up at once.
const NOTICES: usize = 100;
/// How long a share of a rate is leased, in microseconds (triggers-and-delivery.md 4, Lanes).
const SHARE: i64 = 1_000_000;

impl<W: Worker, S: LaneLedger, T: TriggerSource> Dispatch<W, S, T> {
    /// Looks around if it is time.
    ///
    /// # Errors
    /// The store or the log cannot be read or written.
    pub(super) async fn look(&mut self, state: &mut State, now: Timestamp) -> anyhow::Result<()> {
        if state.look_at.is_some_and(|at| at > Instant::now()) {
            return Ok(());
        }
        state.look_at = Some(Instant::now() + LOOK_EVERY);
        if self.store.undo_far_times(now).await.context("look for times that cannot be true")? > 0 {
            warn!("the clock was put back: what was due by the former time is due now");
        }
        self.look_at_lanes(state, now).await.context("look at the lanes")?;
        state.has_looked = true;
        let counts = self.store.owed_counts().await.context("count what is owed")?;
        state.backlog.refresh(&counts);
        self.fire_notices(state, now).await.context("take up notices")
    }

    /// Takes over the breakers as the store has them, and shows them.
    async fn look_at_lanes(
        &mut self,
        state: &mut State,
        now: Timestamp,
    ) -> Result<(), ringpost_store::Error> {
        let rows = self.store.lanes().await?;
        let (mut named, mut drained, mut forgotten) = (BTreeSet::new(), Vec::new(), Vec::new());
        let [mut failing, mut open, mut ramping] = [0; 3];
        for row in rows {
            match row.breaker {
                Breaker::Healthy => continue,
                Breaker::Failing { .. } => failing += 1,
                Breaker::Open { since, probe_at, .. } => {
                    open += 1;
                    state.down_since.insert(row.lane, since);
                    if row.owed == 0 && probe_at < now.plus_micros(-micros(self.max_hold)) {
                        forgotten.push(row.lane);
                    }
                }
                Breaker::Ramping { since, .. } => {
                    ramping += 1;
                    state.down_since.insert(row.lane, since);
                    if row.waiting == 0 {
                        drained.push(row.lane);
                    }
                }
            }
            named.insert(row.lane);
            let Some(owner) = row.owner else { continue };
            if state.receivers.take_over(row.lane, owner, &row.shown, &row.breaker) {
                self.lanes.gate(row.lane, gate(&row.breaker));
                state.receivers.add_triggers(row.lane, self.store.failing_triggers(row.lane).await?);
            }
        }
        for lane in drained {
            if let Some(receiver) = state.receivers.recover(lane) {
                self.follow(state, (lane, &receiver), Step::Recovered, now).await;
            }
        }
        for lane in forgotten {
            if let Some(receiver) = state.receivers.forget(lane) {
                self.forget(state, lane, &receiver);
            }
        }
        for lane in state.receivers.drop_others(&named) {
            self.lanes.gate(lane, Gate::Free);
        }
        for (name, count) in [("failing", failing), ("down", open), ("ramping", ramping)] {
            self.metrics.lanes.with_label_values(&[name]).set(count);
        }
        self.move_corrected(state, now).await
    }

    /// A corrected URL heals what is owed, also where the old receiver is down and nothing of its lane is claimed. A
    /// trigger is read once for each of its versions: thousands may wait.
    async fn move_corrected(
        &mut self,
        state: &mut State,
        now: Timestamp,
    ) -> Result<(), ringpost_store::Error> {
        let mut stays = BTreeMap::new();
        for WaitingTrigger { lane, trigger, version } in self.store.waiting_triggers().await? {
            let is_known = state.stays.get(&(lane, trigger)) == Some(&version);
            if is_known || !self.move_away(state, lane, trigger, now).await? {
                stays.insert((lane, trigger), version);
            }
        }
        state.stays = stays;
        Ok(())
    }

    /// What waits for a trigger in a lane goes where its URL says now. False = that is this lane, as far as can be
    /// known.
    async fn move_away(
        &self,
        state: &mut State,
        lane: LaneId,
        trigger: TriggerId,
        now: Timestamp,
    ) -> Result<bool, ringpost_store::Error> {
        let stored = match self.store.trigger(trigger).await {
            Ok(stored) => stored,
            // One that cannot be read stops nobody else's.
            Err(error @ (Error::Damaged { .. } | Error::Secret { .. })) => {
                warn!(%error, %trigger, "where a trigger goes cannot be read, its deliveries wait");
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let (Some(stored), Some(owner)) = (stored, state.receivers.owner(lane)) else { return Ok(true) };
        let goes = LaneKey::of(owner, &stored.trigger.url).id();
        if goes == lane {
            return Ok(false);
        }
        if self.store.move_debts(trigger, goes, now).await? > 0 {
            state.claim_soon();
        }
        Ok(true)
    }

    /// Notices become debts to those who listen; that they are taken up is durable with these.
    async fn fire_notices(&mut self, state: &mut State, now: Timestamp) -> anyhow::Result<()> {
        for notice in self.store.unfired_notices(NOTICES).await? {
            let applicable = self.fire.applicable(&notice.tenant).await?;
            for (delivery, trigger) in notices::fire(&notice, &applicable) {
                let job = Job {
                    delivery,
                    version: trigger.clone(),
                    trigger,
                    content: ringpost_deliver::Content::Notice(notice.clone().into()),
                    attempt: 1,
                    tries: Tries::NONE,
                    queued: now,
                    owed: false,
                    probe: false,
                    last: false,
                };
                let lane = job.trigger.lane().id();
                let debt = report::debt(&job, lane, now, "a notice");
                self.owe(state, &job, debt, now).await;
            }
            state.pending.fired(notice.id);
        }
        if state.pending.has_fired() {
            // Before the next look, which would find them again.
            self.flush(state).await?;
            state.claim_soon();
        }
        Ok(())
    }

    /// Leases this process's part of the rates of its lanes, where several processes share them.
    pub(super) async fn lease_rates(&self, now: Timestamp) {
        let asked = if self.shares_rates { self.lanes.wants_share() } else { Vec::new() };
        if asked.is_empty() {
            return;
        }
        let (until, ends) =
            (now.plus_micros(SHARE), Instant::now() + Duration::from_micros(SHARE.unsigned_abs()));
        match self.store.lease_rates(&asked, &self.owner, now, until).await {
            Ok(shares) => {
                for ((lane, _), milli_per_second) in asked.into_iter().zip(shares) {
                    self.lanes.share(lane, Some(Share { milli_per_second, until: ends }));
                }
            }
            Err(error) => warn!(%error, "the rates of lanes cannot be shared, they wait"),
        }
    }

    /// One probe for each receiver whose time for it has come. Says when the next one is due.
    pub(super) async fn probe(
        &mut self,
        state: &mut State,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Timestamp>, ringpost_store::Error> {
        let mut next = None;
        let (mut due, mut too_late) = (Vec::new(), Vec::new());
        for (lane, receiver) in state.receivers.open() {
            let Breaker::Open { probe_at, wait, .. } = receiver.breaker else { continue };
            if probe_at <= now {
                due.push(lane);
            } else if probe_at.micros().saturating_sub(now.micros()) > wait {
                // No probe is ever so far away: the clock was put back.
                too_late.push(lane);
            } else {
                next = Some(next.map_or(probe_at, |next: Timestamp| next.min(probe_at)));
            }
        }
        for lane in too_late {
            self.probe_again(state, lane, now);
        }
        let mut stint = Stint::begin();
        for lane in from(due, state.probes_from.take()) {
            if stint.is_over() {
                state.probes_from = Some(lane);
                state.claim_soon();
                break;
            }
            if let Some(debt) = self.store.claim_probe(lane, &self.owner, now, until).await? {
                self.hand_over(state, vec![debt], now, Kind::Probe).await?;
            }
        }
        Ok(next)
    }

    /// What has waited for a receiver that is down as long as it may: one last try each.
    pub(super) async fn try_last(
        &mut self,
        state: &mut State,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), ringpost_store::Error> {
        if state.receivers.open().next().is_none() {
            return Ok(());
        }
        let before = now.plus_micros(-micros(self.max_hold));
        let debts = self.store.claim_last(before, &self.owner, now, LAST, until).await?;
        self.hand_over(state, debts, now, Kind::Last).await
    }
}

/// Last tries made at once.
const LAST: usize = 64;

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
