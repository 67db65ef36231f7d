//! What is owed, claimed and handed to lanes when it is due.

use std::sync::Arc;
use std::time::Duration;

use ringpost_bus::Worker;
use ringpost_deliver::{Job, Tries};
use ringpost_model::{Envelope, Timestamp};
use ringpost_store::{Debt, Ended, Ending, Expect, LaneDue, Ledger, StoredTrigger};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Dispatch, State};
use crate::trigger_cache::TriggerSource;

/// Debts of one lane claimed at once: some times what it has in flight, so that it never waits for us.
const CLAIM: usize = 64;
/// Debts in lanes at most: bounds memory, and what a crash leaves leased.
const CLAIMED: usize = 8_192;
/// A lane that takes nothing now is looked at again after this, in microseconds.
const WHILE_BUSY: i64 = 100_000;
/// A debt whose trigger or record cannot be read is tried again after this, in microseconds.
const AFTER_UNREADABLE: i64 = 5_000_000;
/// The longest time without a look: another process may have written debts.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two looks: lanes that are full are asked again then.
const LOOK_AFTER: Duration = Duration::from_millis(20);
/// Debts of switched-off triggers that are ended at once.
const CANCEL: usize = 1_000;

impl<W: Worker, S: Ledger, T: TriggerSource> Dispatch<W, S, T> {
    /// Claims what is due in every lane, and hands it over.
    pub(super) async fn claim(&mut self, state: &mut State) {
        let now = (self.clock)();
        let next = match self.claim_due(state, now).await {
            Ok(next) => next,
            Err(error) => {
                warn!(%error, "claim of debts failed, trying again");
                None
            }
        };
        let wait = next.map_or(LOOK_EVERY, |due| {
            let micros = u64::try_from(due.micros() - now.micros()).unwrap_or(0);
            Duration::from_micros(micros).clamp(LOOK_AFTER, LOOK_EVERY)
        });
        state.claim_at = Some(Instant::now() + wait);
    }

    /// Returns when there is something to claim again.
    async fn claim_due(
        &mut self,
        state: &mut State,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, ringpost_store::Error> {
        if state.cancel_at.is_none_or(|at| at <= Instant::now()) {
            let cancelled = self.store.cancel_debts(now, CANCEL).await?.len();
            state.cancel_at = (cancelled < CANCEL).then(|| Instant::now() + LOOK_EVERY);
        }
        let until = now.plus_micros(i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX));
        let mut next = state.cancel_at.is_none().then_some(now);
        for LaneDue { lane, due } in self.store.lanes_owed().await? {
            if due > now {
                next = next.or(Some(due));
                break;
            }
            // Claimed beyond that, a debt would only be written back; and a lane that hangs would take the room.
            let of_lane = self.lanes.room(lane).min(CLAIM);
            let room = CLAIMED.saturating_sub(state.owed.len()).min(of_lane);
            if room == 0 {
                next = next.or(Some(now.plus_micros(WHILE_BUSY)));
                continue;
            }
            for debt in self.store.claim(lane, &self.owner, now, room, until).await? {
                self.hand_over(state, debt, now).await;
            }
        }
        Ok(next)
    }

    async fn hand_over(&mut self, state: &mut State, debt: Debt, now: Timestamp) {
        let id = debt.delivery.id;
        match job(&self.store, &debt, now).await {
            Ok(Ok(job)) => {
                state.owed.insert(id);
                if let Err(refused) = self.lanes.submit(job) {
                    self.handle_refused(state, *refused, now);
                }
            }
            Ok(Err((ending, reason))) => {
                let (delivery, reason) = (debt.delivery, reason.into());
                state.pending.end(Ended { delivery, ending, reason, at: now });
            }
            Err(error) => {
                // Its neighbours go on: what is wrong may be wrong with this one alone.
                warn!(%error, delivery = %id, "what a debt is of cannot be read, trying again");
                let due = now.plus_micros(AFTER_UNREADABLE);
                state.pending.owe(Debt { due, leased_until: None, ..debt });
            }
        }
    }
}

/// The next try of a debt, or how it is over without one.
async fn job(
    store: &impl Ledger,
    debt: &Debt,
    now: Timestamp,
) -> Result<Result<Job, (Ending, &'static str)>, ringpost_store::Error> {
    let delivery = &debt.delivery;
    let current = store.trigger(delivery.trigger).await?;
    let Some(current) = current.filter(|current| current.trigger.enabled) else {
        return Ok(Err((Ending::Cancelled, "the trigger was disabled or removed")));
    };
    let Some(version) = store.trigger_version(delivery.trigger, delivery.trigger_version).await? else {
        return Ok(Err((Ending::Failed, "the version of its trigger is no longer kept")));
    };
    let Some(bytes) = store.envelope(delivery.session, delivery.rev).await? else {
        return Ok(Err((Ending::Failed, "its record is no longer kept")));
    };
    let Ok(envelope) = Envelope::from_bytes(&bytes) else {
        return Ok(Err((Ending::Failed, "its record cannot be read")));
    };
    Ok(Ok(Job {
        delivery: delivery.clone(),
        version: Arc::new(version.trigger),
        trigger: Arc::new(current.trigger),
        content: envelope.cdr.into(),
        attempt: debt.attempts + 1,
        tries: Tries { used: debt.tries, first: debt.first_try },
        queued: now,
        owed: true,
        probe: false,
        last: false,
    }))
}

/// Switches a trigger off, with the reason that people are shown.
pub(super) async fn disable(store: &impl Ledger, job: &Job, reason: &str, now: Timestamp) {
    let id = job.delivery.trigger;
    let found = match store.trigger(id).await {
        Ok(found) => found,
        Err(error) => {
            warn!(%error, trigger = %id, "trigger could not be disabled");
            return;
        }
    };
    // A URL that was corrected meanwhile is not gone.
    let is_same = |stored: &StoredTrigger| stored.trigger.enabled && stored.trigger.url == job.trigger.url;
    let Some(mut stored) = found.filter(is_same) else { return };
    stored.trigger.enabled = false;
    stored.trigger.disabled_reason = reason.into();
    let expect = Expect::Version(stored.version);
    match store.put_trigger(&stored.tenant, &stored.trigger, expect, now).await {
        Ok(_) => info!(trigger = %id, tenant = %stored.tenant, reason, "trigger disabled"),
        Err(error) => warn!(%error, trigger = %id, "trigger could not be disabled"),
    }
}
