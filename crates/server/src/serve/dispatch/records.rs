//! Records on their way in: what they fire, what of it is known already after a crash, and the first tries.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringpost_bus::{Batch, Event, Message, Partition, Worker};
use ringpost_deliver::{Content, Job, Tries};
use ringpost_model::{Delivery, DeliveryId, Dialect, Envelope, LaneId, Revisions, Timestamp, Trigger};
use ringpost_store::{LaneLedger, NewSession};
use tracing::warn;

use super::fire::Shot;
use super::pending::Place;
use super::{Dispatch, Owned, State, report};
use crate::serve::dead_letters::place;
use crate::trigger_cache::TriggerSource;

/// Who has it does what only one process of all has to do: there is always one, and at most for moments two.
const FIRST: Partition = Partition(0);
/// A record may be stamped so far ahead of the clock that attempts are stamped by, in microseconds.
const CLOCK_AHEAD: i64 = 120_000_000;

impl<W: Worker, S: LaneLedger, T: TriggerSource> Dispatch<W, S, T> {
    pub(super) async fn handle_log(&mut self, state: &mut State, event: Event) -> anyhow::Result<()> {
        // The group has let us in, and there was nothing left to be given: a spare one is as ready as can be.
        let is_spare = matches!(event, Event::Idle(_)) && state.partitions.is_empty();
        let read = if let Event::Records(batch) = &event { batch.messages.len() as u64 } else { 0 };
        self.metrics.stage_records.with_label_values(&["dispatch"]).inc_by(read);
        match event {
            Event::Assigned(assignment) => {
                let owned = Owned { recovering: true, ..Owned::default() };
                state.partitions.insert(assignment.partition, owned);
            }
            Event::Records(batch) => self.handle_records(state, batch).await,
            Event::Idle(_) => {
                for owned in state.partitions.values_mut() {
                    owned.recovering = false;
                }
            }
            Event::AtEnd(_, partitions) => {
                for partition in partitions {
                    state.partitions.entry(partition).and_modify(|owned| owned.recovering = false);
                }
            }
            Event::Revoked(partitions) => {
                self.keep_in_lanes(state, &partitions);
                self.flush(state).await?;
                self.commit(state).await?;
                for partition in partitions {
                    state.partitions.remove(&partition);
                }
            }
        }
        self.readiness.dispatch.store(is_spare || !state.partitions.is_empty(), Ordering::Release);
        self.readiness.leads.store(state.partitions.contains_key(&FIRST), Ordering::Release);
        Ok(())
    }

    /// Earlier revisions that are in our lanes are leased, so that no other dispatcher tries the correction before them.
    fn keep_earlier(&self, state: &mut State, delivery: &Delivery) {
        let Delivery { trigger, session, rev, .. } = *delivery;
        for earlier in (1..rev).map(|rev| DeliveryId::of_record(trigger, session, rev)) {
            if let Some(fresh) = state.fresh.get(&earlier) {
                let job = Arc::clone(&fresh.job);
                state.lease_fresh(&job, job.trigger.lane().id(), self.leased_until((self.clock)()));
            }
        }
    }

    /// What has fired in partitions that go to others stays in our lanes. It is leased, so that whoever reads on after our
    /// position knows of it.
    fn keep_in_lanes(&self, state: &mut State, partitions: &[Partition]) {
        let until = self.leased_until((self.clock)());
        let leaves = |fresh: &&Fresh| partitions.contains(&fresh.place.partition);
        let jobs: Vec<Arc<Job>> =
            state.fresh.values().filter(leaves).map(|fresh| Arc::clone(&fresh.job)).collect();
        for job in jobs {
            state.lease_fresh(&job, job.trigger.lane().id(), until);
        }
    }

    async fn handle_records(&mut self, state: &mut State, batch: Batch) {
        let arrived = (self.clock)();
        let recovering = state.partitions.get(&batch.partition).is_some_and(|owned| owned.recovering);
        let mut shots: Vec<(Place, Shot)> = Vec::new();
        let mut fired_here = HashSet::new();
        for message in &batch.messages {
            let place = Place { partition: batch.partition, offset: message.offset.0 };
            // The process is to stop: what comes after it is read at the next start.
            let Some(fired) = self.read_record(state, &batch, message, arrived, &fired_here).await else {
                break;
            };
            let effects = 1 + fired.len();
            if let Some(owned) = state.partitions.get_mut(&batch.partition) {
                owned.window.push(place.offset, effects);
            }
            // The session's row, or the dead letter.
            state.pending.settle(place);
            fired_here.extend(fired.iter().map(|shot| shot.delivery.id));
            shots.extend(fired.into_iter().map(|shot| (place, shot)));
        }
        let known = if recovering { self.known(state, &shots, arrived).await } else { Some(HashSet::new()) };
        let Some(known) = known else { return };
        for (place, shot) in shots {
            let is_outrun = later(&shot.delivery, &shot.trigger).any(|later| known.contains(&later.id));
            if known.contains(&shot.delivery.id) {
                state.pending.settle(place);
            } else if is_outrun {
                state.pending.end(report::outrun(shot.delivery, arrived));
                state.pending.settle(place);
            } else {
                self.submit_fresh(state, place, shot, arrived).await;
            }
        }
    }

    /// What a record fires; none where the process is to stop before that can be looked up. A record that cannot be read
    /// is a dead letter, and fires nothing.
    async fn read_record(
        &mut self,
        state: &mut State,
        batch: &Batch,
        message: &Message,
        now: Timestamp,
        fired_here: &HashSet<DeliveryId>,
    ) -> Option<Vec<Shot>> {
        let envelope = match Envelope::from_bytes(&message.value) {
            Ok(envelope) => envelope,
            Err(error) => {
                let place = place(&self.dead_letters.prefix(), batch, message);
                let reason = format!("{:#}", anyhow::Error::new(error));
                let dialect = Dialect::Native.name();
                let letter = ringpost_store::DeadLetter::new(&place, now, &reason, dialect, &message.value);
                self.dead_letters.keep(&[letter]).await;
                return Some(Vec::new());
            }
        };
        if envelope.quiet {
            state.pending.session(NewSession::of(&envelope, message.value.to_vec()));
            return Some(Vec::new());
        }
        let is_under_way = |id: DeliveryId| fired_here.contains(&id) || state.knows(id);
        let shots = loop {
            match self.fire.at(&envelope, &is_under_way).await {
                Ok(shots) => break shots,
                Err(error) => {
                    // Triggers older than the limit are not used: the record waits until the store is back.
                    let error = format!("{error:#}");
                    warn!(error, tenant = %envelope.tenant, "triggers cannot be read, dispatch waits");
                    if !state.wait_to_read().await {
                        return None;
                    }
                }
            }
        };
        state.pending.session(NewSession::of(&envelope, message.value.to_vec()));
        Some(shots)
    }

    /// Which deliveries need nothing more, as the store knows them: these, and later revisions of them. None where the
    /// process is to stop before that can be looked up.
    async fn known(
        &self,
        state: &State,
        shots: &[(Place, Shot)],
        now: Timestamp,
    ) -> Option<HashSet<DeliveryId>> {
        let own = shots.iter().map(|(_, shot)| shot.delivery.clone());
        let deliveries: Vec<_> =
            own.chain(shots.iter().flat_map(|(_, shot)| later(&shot.delivery, &shot.trigger))).collect();
        let since = shots.iter().map(|(_, shot)| shot.emitted).min().unwrap_or(now).plus_micros(-CLOCK_AHEAD);
        loop {
            match self.store.settled_or_owed(&deliveries, since).await {
                Ok(known) => return Some(known),
                Err(error) => {
                    self.complain(&error, "look-up of earlier deliveries");
                    if !state.wait_to_read().await {
                        return None;
                    }
                }
            }
        }
    }

    /// The first try of a delivery. A correction goes by way of a debt, so that it takes the place of an owed
    /// earlier revision and never overtakes one; what a paused trigger fires is owed until it is resumed.
    async fn submit_fresh(&mut self, state: &mut State, place: Place, shot: Shot, queued: Timestamp) {
        let Shot { delivery, trigger, cdr, .. } = shot;
        let why_owed = match (delivery.rev, trigger.paused) {
            (_, true) => Some("the trigger is paused"),
            (2.., false) => Some("a correction"),
            (_, false) => None,
        };
        let id = delivery.id;
        let job = Job {
            delivery,
            version: Arc::clone(&trigger),
            trigger,
            content: Content::Record(cdr),
            attempt: 1,
            tries: Tries::NONE,
            queued,
            owed: false,
            probe: false,
            last: false,
        };
        if let Some(why) = why_owed {
            self.keep_earlier(state, &job.delivery);
            let lane = job.trigger.lane().id();
            let debt = report::debt(&job, lane, queued, why);
            self.owe(state, &job, debt, queued).await;
            state.pending.settle(place);
            state.claim_soon();
            return;
        }
        let job = Arc::new(job);
        state.fresh.insert(id, Fresh { place, job: Arc::clone(&job) });
        if let Err(refused) = self.lanes.submit(job) {
            self.handle_refused(state, *refused, queued).await;
        }
    }
}

/// A delivery whose first try is in a lane.
#[derive(Debug)]
pub(super) struct Fresh {
    /// The record that fired it.
    pub(super) place: Place,
    pub(super) job: Arc<Job>,
}

impl State {
    /// The first try of a delivery goes on as that of a debt: its record waits for it no more.
    pub(super) fn lease_fresh(&mut self, job: &Job, lane: LaneId, until: Timestamp) {
        if let Some(fresh) = self.fresh.remove(&job.delivery.id) {
            self.pending.owe(report::leased(job, lane, until));
            self.pending.settle(fresh.place);
            self.owed.insert(job.delivery.id);
        }
    }

    /// A later revision is in a lane, or on its way into one.
    pub(super) fn has_later(&self, job: &Job) -> bool {
        let Job { delivery, trigger, .. } = job;
        later(delivery, trigger).any(|later| self.owed.contains(&later.id))
    }
}

/// The deliveries of later revisions, where the trigger is told of them. After a crash one of them may be owed, or
/// even made, while this one was in flight: it must not come after it.
fn later(delivery: &Delivery, trigger: &Trigger) -> impl Iterator<Item = Delivery> {
    (trigger.revisions == Revisions::All).then(|| delivery.later()).into_iter().flatten()
}
