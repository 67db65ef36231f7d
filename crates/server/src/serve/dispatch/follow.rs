//! What follows when a receiver goes down, comes back, or its trigger is switched off: the lane's gate, the word to
//! the store, and what people are told. All of it is durable in one batch with the try that led to it.

use ringpost_bus::Worker;
use ringpost_deliver::{Job, Step};
use ringpost_model::{Breaker, EventName, LaneId, Notice, TenantKey, Timestamp, TriggerId};
use ringpost_store::{Expect, LaneLedger, LaneWord, StoredTrigger};
use tracing::{info, warn};

use super::receivers::{Receiver, gate};
use super::{Dispatch, State};
use crate::serve::notices::{About, Down};
use crate::trigger_cache::TriggerSource;

/// Of deliveries that there is no room for one in so many microseconds is told, of each trigger.
const TELL_BACKLOG_EVERY: i64 = 3_600_000_000;

impl<W: Worker, S: LaneLedger, T: TriggerSource> Dispatch<W, S, T> {
    /// Keeps what a try changed about its receiver.
    pub(super) async fn follow(
        &mut self,
        state: &mut State,
        (lane, receiver): (LaneId, &Receiver),
        step: Step,
        now: Timestamp,
    ) {
        if step == Step::Nothing {
            return;
        }
        state.pending.lane(word(lane, receiver));
        if step == Step::RunBroken {
            state.pending.lane(LaneWord::Forget { lane });
        }
        if step == Step::Noted || step == Step::RunBroken {
            return;
        }
        self.lanes.gate(lane, gate(&receiver.breaker));
        state.claim_soon();
        let url = &*receiver.shown;
        match (step, &receiver.breaker) {
            (Step::Opened, Breaker::Open { since, reason, .. }) => {
                warn!(%lane, url, %reason, "receiver is down, its deliveries wait");
                self.metrics.breaker_opened.inc();
                let why = "its receiver was down all along".into();
                state.pending.lane(LaneWord::Revive { lane, now, reason: why });
                self.tell_all(state, receiver, |about, owed| {
                    about.failing(Down { since: *since, owed }, reason, now)
                })
                .await;
            }
            (Step::StillOpen, _) => info!(%lane, url, "receiver is still down"),
            (Step::Ramps, Breaker::Ramping { limit, .. }) => {
                info!(%lane, url, limit, "receiver answers again")
            }
            (Step::Recovered, _) => {
                info!(%lane, url, "receiver is well again");
                let since = state.down_since.remove(&lane).unwrap_or(now);
                self.tell_all(state, receiver, |about, owed| about.recovered(Down { since, owed }, now))
                    .await;
            }
            _ => {}
        }
        if let Breaker::Open { since, .. } | Breaker::Ramping { since, .. } = &receiver.breaker {
            state.down_since.insert(lane, *since);
        }
    }

    /// Of a receiver that is down, and has not been sent anything for as long as a delivery may wait, nothing is kept:
    /// its triggers may be long gone.
    pub(super) fn forget(&self, state: &mut State, lane: LaneId, receiver: &Receiver) {
        state.pending.lane(word(lane, receiver));
        state.down_since.remove(&lane);
        self.lanes.gate(lane, gate(&receiver.breaker));
    }

    /// The probe of a receiver that is down did not get under way, or its time cannot be true: the next one may follow
    /// then.
    pub(super) fn probe_again(&self, state: &mut State, lane: LaneId, at: Timestamp) {
        if let Some(receiver) = state.receivers.probe_at(lane, at) {
            state.pending.lane(word(lane, &receiver));
            state.claim_soon();
        }
    }

    /// One notice for each trigger that the receiver is of.
    async fn tell_all(
        &self,
        state: &mut State,
        receiver: &Receiver,
        notice: impl Fn(&About<'_>, u64) -> Notice,
    ) {
        for (id, spent) in &receiver.triggers {
            let Some(stored) = self.stored(*id).await else { continue };
            let about = About { tenant: &stored.tenant, tenant_id: receiver.owner, trigger: &stored.trigger };
            let notice = notice(&about, state.backlog.of(*id) + spent);
            state.pending.notice(notice);
        }
    }

    pub(super) async fn tell_exhausted(&self, state: &mut State, job: &Job, reason: &str, at: Timestamp) {
        if job.delivery.is_notice() {
            return;
        }
        let Some(tenant) = self.owner_key(job).await else { return };
        // Thousands may fail: it is kept on record as their last attempt. A notice is for who asked to be told.
        if !self.mailed.contains(&EventName::DeliveryExhausted) && !self.is_listened_to(&tenant).await {
            return;
        }
        let about = About { tenant: &tenant, tenant_id: job.delivery.owner, trigger: &job.trigger };
        if let Some(notice) = about.exhausted(&job.delivery, job.attempt, reason, at) {
            state.pending.notice(notice);
        }
    }

    /// Thousands may come at once: the first of an hour is told.
    pub(super) async fn tell_backlog_full(&self, state: &mut State, job: &Job, reason: &str, at: Timestamp) {
        let hour = at.micros().div_euclid(TELL_BACKLOG_EVERY);
        if state.backlog_told.insert(job.delivery.trigger, hour) != Some(hour) {
            self.tell_exhausted(state, job, reason, at).await;
        }
    }

    /// Switches a trigger off, with the reason that people are shown.
    pub(super) async fn disable(&self, state: &mut State, job: &Job, reason: &str) {
        let id = job.delivery.trigger;
        // A URL that was corrected meanwhile is not gone.
        let is_same =
            |stored: &StoredTrigger| stored.trigger.enabled && stored.trigger.url == job.trigger.url;
        let Some(mut stored) = self.stored(id).await.filter(is_same) else { return };
        stored.trigger.enabled = false;
        stored.trigger.disabled_reason = reason.into();
        let (expect, now) = (Expect::Version(stored.version), (self.clock)());
        match self.store.put_trigger(&stored.tenant, &stored.trigger, expect, now).await {
            Ok(version) => {
                warn!(trigger = %id, tenant = %stored.tenant, reason, "trigger disabled");
                let about =
                    About { tenant: &stored.tenant, tenant_id: job.delivery.owner, trigger: &stored.trigger };
                state.pending.notice(about.disabled(version, reason, now));
            }
            Err(error) => warn!(%error, trigger = %id, "trigger could not be disabled"),
        }
    }

    /// Triggers with `autoDisable` whose tries failed, once these are in the log: it counts them for all processes.
    pub(super) async fn disable_failing(&self, state: &mut State) {
        for (trigger, job) in std::mem::take(&mut state.failed) {
            let Some(rule) = job.trigger.auto_disable else { continue };
            let since = (self.clock)().plus_micros(-i64::from(rule.within) * 1_000_000);
            match self.store.failed_tries(trigger, since).await {
                Ok(failures) if failures >= u64::from(rule.failures) => {
                    let reason = format!("{failures} failed tries within {} s", rule.within);
                    self.disable(state, &job, &reason).await;
                }
                Ok(_) => {}
                Err(error) => warn!(%error, %trigger, "failed tries cannot be counted"),
            }
        }
    }

    /// When that cannot be looked up, somebody may listen.
    async fn is_listened_to(&self, tenant: &TenantKey) -> bool {
        let applicable = self.fire.applicable(tenant).await;
        applicable.map_or(true, |applicable| !applicable.listening(EventName::DeliveryExhausted).is_empty())
    }

    async fn owner_key(&self, job: &Job) -> Option<TenantKey> {
        if job.delivery.owner == job.delivery.tenant_id {
            return Some(job.delivery.tenant.clone());
        }
        Some(self.stored(job.delivery.trigger).await?.tenant)
    }

    async fn stored(&self, id: TriggerId) -> Option<StoredTrigger> {
        match self.store.trigger(id).await {
            Ok(found) => found,
            Err(error) => {
                warn!(%error, trigger = %id, "trigger cannot be read, nobody is told about it");
                None
            }
        }
    }
}

fn word(lane: LaneId, receiver: &Receiver) -> LaneWord {
    let Receiver { breaker, owner, shown, .. } = receiver;
    LaneWord::Breaker { lane, owner: *owner, shown: shown.clone(), breaker: breaker.clone() }
}
