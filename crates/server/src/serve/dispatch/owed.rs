//! What is owed, claimed and handed to lanes when it is due.

use std::sync::Arc;
use std::time::Duration;

use ringpost_bus::Worker;
use ringpost_deliver::{Content, Job, ReadyTrigger, Refused, Tries};
use ringpost_model::{Envelope, LaneId, Timestamp, Trigger};
use ringpost_store::{Debt, Ended, Ending, LaneDue, LaneLedger, Prepared};
use tokio::time::Instant;
use tracing::warn;

use super::{Dispatch, State};
use crate::trigger_cache::TriggerSource;

/// Debts of one lane claimed at once: some times what it has in flight, so that it never waits for us.
const CLAIM: usize = 64;
/// Debts in lanes at most: bounds memory, and what a crash leaves leased.
const CLAIMED: usize = 8_192;
/// A lane that takes nothing now is looked at again after this, in microseconds.
const WHILE_BUSY: i64 = 100_000;
/// A debt whose trigger or record cannot be read is tried again after this, in microseconds. Until then it is leased, so
/// that no probe of its lane takes it, although it may be the oldest.
const AFTER_UNREADABLE: i64 = 30_000_000;
/// While the store cannot be read what was claimed waits for so long, in microseconds.
const WHILE_UNREADABLE: i64 = 5_000_000;
/// The longest time without a look: another process may have written debts.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two looks: lanes that are full are asked again then.
const LOOK_AFTER: Duration = Duration::from_millis(20);
/// Lanes are served for so long at a time: some two dozen syncs of a slow disk.
const SERVE_FOR: Duration = Duration::from_millis(100);
/// Debts of switched-off triggers that are ended at once.
const CANCEL: usize = 1_000;

/// Why a debt is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is due.
    Due,
    /// To find out whether its receiver is back.
    Probe,
    /// It has waited as long as it may.
    Last,
}

/// Bounds how long lanes are served, each by a transaction of its own, before reports and records have their turn
/// again: thousands may be due at once.
pub(super) struct Stint {
    begun: Instant,
    has_served: bool,
}

impl Stint {
    pub(super) fn begin() -> Self {
        Self { begun: Instant::now(), has_served: false }
    }

    /// Whether the next one has to wait. The first never does.
    pub(super) fn is_over(&mut self) -> bool {
        std::mem::replace(&mut self.has_served, true) && self.begun.elapsed() >= SERVE_FOR
    }
}

/// The lanes in turn, beginning with the one at which it was broken off before.
pub(super) fn from(mut lanes: Vec<LaneId>, first: Option<LaneId>) -> Vec<LaneId> {
    let at = first.and_then(|first| lanes.iter().position(|lane| *lane == first));
    lanes.rotate_left(at.unwrap_or(0));
    lanes
}

impl<W: Worker, S: LaneLedger, T: TriggerSource> Dispatch<W, S, T> {
    /// Claims what is due in every lane, and hands it over.
    ///
    /// # Errors
    /// What came of earlier tries cannot be written before the stop.
    pub(super) async fn claim(&mut self, state: &mut State) -> anyhow::Result<()> {
        // What has ended is written first: what the store gives out hangs on it, above all the order of corrections.
        self.catch_up(state).await;
        self.flush(state).await?;
        state.claim_at = None;
        let now = (self.clock)();
        if let Err(error) = self.look(state, now).await {
            warn!(error = format!("{error:#}"), "look at lanes and notices failed, trying again");
        }
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
        let at = Instant::now() + wait;
        // What could not be sent makes room for others, who do not wait for the next look.
        state.claim_at = Some(state.claim_at.map_or(at, |soon| soon.min(at)));
        Ok(())
    }

    /// Takes in what lanes tell, until no job has ended of which nothing is known here: what went back from a lane, or
    /// failed, is known to nobody until it is told, and a newer revision would overtake it.
    async fn catch_up(&mut self, state: &mut State) {
        loop {
            while let Ok(report) = self.reports.try_recv() {
                self.handle_report(state, report).await;
            }
            if state.ends >= self.lanes.ends() {
                return;
            }
            let Some(report) = self.reports.recv().await else { return };
            self.handle_report(state, report).await;
        }
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
        let until = self.leased_until(now);
        self.lease_rates(now).await;
        self.try_last(state, now, until).await?;
        let mut next = self.probe(state, now, until).await?;
        if state.cancel_at.is_none() {
            next = Some(now);
        }
        let mut lanes = self.store.lanes_owed().await?;
        let later = lanes.split_off(lanes.partition_point(|lane| lane.due <= now));
        if let Some(LaneDue { due, .. }) = later.first() {
            next = Some(next.map_or(*due, |next| next.min(*due)));
        }
        let mut stint = Stint::begin();
        for lane in from(lanes.iter().map(|lane| lane.lane).collect(), state.claims_from.take()) {
            // Claimed beyond that, a debt would only be written back; and a lane that hangs would take the room.
            let of_lane = self.lanes.room(lane).min(CLAIM);
            let room = CLAIMED.saturating_sub(state.owed.len()).min(of_lane);
            if room == 0 {
                let soon = now.plus_micros(WHILE_BUSY);
                next = Some(next.map_or(soon, |next| next.min(soon)));
                continue;
            }
            if stint.is_over() {
                state.claims_from = Some(lane);
                state.claim_soon();
                break;
            }
            let debts = self.store.claim(lane, &self.owner, now, room, until).await?;
            self.hand_over(state, debts, now, Kind::Due).await?;
        }
        Ok(next)
    }

    /// Hands claimed debts to their lanes; what one of them is made of may be gone, or damaged, and stops no other.
    pub(super) async fn hand_over(
        &mut self,
        state: &mut State,
        mut debts: Vec<Debt>,
        now: Timestamp,
        kind: Kind,
    ) -> Result<(), ringpost_store::Error> {
        // The store was away for longer than a lease: what came of these is known here, and is about to be written.
        debts.retain(|debt| !state.knows(debt.delivery.id));
        // From now on, and not only once they are in their lanes, an earlier revision that fails is overtaken.
        state.owed.extend(debts.iter().map(|debt| debt.delivery.id));
        let prepared = match self.store.prepare(&debts).await {
            Ok(prepared) => prepared,
            Err(error) => {
                // They are leased: given back, so that a look finds them.
                let due = now.plus_micros(WHILE_UNREADABLE);
                for debt in debts {
                    if kind == Kind::Probe {
                        self.probe_again(state, debt.lane, due);
                    }
                    state.forget(debt.delivery.id);
                    state.pending.owe(Debt { due, leased_until: None, ..debt });
                }
                return Err(error);
            }
        };
        for (debt, prepared) in debts.into_iter().zip(prepared) {
            match prepared.map(|prepared| job(&debt, prepared, now, kind)) {
                Ok(Ok(job)) => {
                    let delivery = &debt.delivery;
                    // While the store was asked, an earlier revision may have failed, or gone back.
                    if delivery.rev > 1 {
                        self.catch_up(state).await;
                    }
                    if state.pending.owes_earlier(delivery) {
                        // Written together, the newest goes in the place of the others.
                        self.go_on_without(state, &debt, kind, now);
                        state.pending.owe(Debt { due: now, leased_until: None, ..debt });
                        continue;
                    }
                    if let Err(refused) = self.submit_owed(state, job) {
                        self.handle_refused(state, *refused, now).await;
                    }
                }
                Ok(Err((ending, reason))) => {
                    self.go_on_without(state, &debt, kind, now);
                    let (delivery, reason) = (debt.delivery, reason.into());
                    state.pending.end(Ended { delivery, ending, reason, at: now });
                }
                Err(error) => {
                    self.go_on_without(state, &debt, kind, now);
                    self.put_back(state, debt, &error, now);
                }
            }
        }
        Ok(())
    }

    /// When a lease ends that begins now.
    pub(super) fn leased_until(&self, now: Timestamp) -> Timestamp {
        now.plus_micros(i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX))
    }

    /// A first revision can overtake nothing.
    fn submit_owed(&self, state: &State, job: Job) -> Result<(), Box<Refused>> {
        match job.delivery.rev {
            2.. => self.lanes.submit_knowing(job, state.ends),
            _ => self.lanes.submit(job),
        }
    }

    /// Nothing was sent of a debt: its turn is another one's, as the probe of its lane or otherwise.
    fn go_on_without(&self, state: &mut State, debt: &Debt, kind: Kind, now: Timestamp) {
        if kind == Kind::Probe {
            self.probe_again(state, debt.lane, now);
        }
        state.forget(debt.delivery.id);
        state.claim_soon();
    }

    /// What is wrong may be wrong with this one alone: it waits for a while, its neighbours go on.
    fn put_back(&self, state: &mut State, debt: Debt, error: &ringpost_store::Error, now: Timestamp) {
        warn!(%error, delivery = %debt.delivery.id, "what a debt is of cannot be read, trying again");
        let due = now.plus_micros(AFTER_UNREADABLE);
        state.pending.owe(Debt { due, leased_until: Some(due), ..debt });
    }
}

/// The next try of a debt, or how it is over without one.
fn job(debt: &Debt, prepared: Prepared, now: Timestamp, kind: Kind) -> Result<Job, (Ending, &'static str)> {
    let Some(current) = prepared.current.filter(|current| current.trigger.enabled) else {
        return Err((Ending::Cancelled, "the trigger was disabled or removed"));
    };
    let version = prepared.version.ok_or((Ending::Failed, "the version of its trigger is no longer kept"))?;
    let content = content(prepared.content).map_err(|reason| (Ending::Failed, reason))?;
    let ready = |trigger: &Trigger| Arc::new(ReadyTrigger::new(debt.delivery.owner, trigger.clone()));
    Ok(Job {
        delivery: debt.delivery.clone(),
        version: ready(&version.trigger),
        trigger: ready(&current.trigger),
        content,
        attempt: debt.attempts + 1,
        tries: Tries { used: debt.tries, first: debt.first_try },
        queued: now,
        owed: true,
        probe: kind == Kind::Probe,
        last: kind == Kind::Last,
    })
}

/// What a delivery tells, or why that cannot be told.
fn content(kept: Option<ringpost_store::Content>) -> Result<Content, &'static str> {
    match kept {
        Some(ringpost_store::Content::Envelope(bytes)) => Envelope::from_bytes(&bytes)
            .map(|envelope| Content::Record(Arc::new(envelope.cdr)))
            .map_err(|_| "its record cannot be read"),
        Some(ringpost_store::Content::Notice(notice)) => Ok(Content::Notice((*notice).into())),
        None => Err("its record is no longer kept"),
    }
}
