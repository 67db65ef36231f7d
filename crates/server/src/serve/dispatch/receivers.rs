//! What is known of each receiver that is not plain: its lane's breaker. The store keeps it, the lanes' gates follow it.

use std::collections::{BTreeMap, BTreeSet};

use ringpost_deliver::{Gate, Limits, Step, Told, tell};
use ringpost_model::{Breaker, LaneId, TenantId, Text, Timestamp, TriggerId};

/// The breakers of all lanes; one that is not here is healthy.
#[derive(Debug)]
pub(super) struct Receivers {
    lanes: BTreeMap<LaneId, Receiver>,
    limits: Limits,
    /// Requests in flight of a healthy lane.
    concurrency: usize,
}

/// One receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receiver {
    pub(super) breaker: Breaker,
    /// Whose triggers go there.
    pub(super) owner: TenantId,
    /// Where it is, as it may be shown.
    pub(super) shown: Text,
    /// Triggers whose deliveries failed there since it began to: they are told when it counts as down, and when
    /// it is back. With how many of them were given up meanwhile, which come back when it counts as down.
    pub(super) triggers: BTreeMap<TriggerId, u64>,
    /// The store is about to be told: what it says now is older.
    pub(super) is_dirty: bool,
}

/// A try, and whose it was.
#[derive(Debug)]
pub(super) struct Try<'a> {
    pub(super) lane: LaneId,
    pub(super) owner: TenantId,
    pub(super) trigger: TriggerId,
    /// The trigger's deliveries wait while the receiver is down.
    pub(super) holds: bool,
    pub(super) url: &'a str,
    pub(super) told: Told<'a>,
}

impl Receivers {
    pub(super) fn new(limits: Limits, concurrency: usize) -> Self {
        Self { lanes: BTreeMap::new(), limits, concurrency }
    }

    /// Counts a try; gives what is known of the receiver after it, and what has changed.
    pub(super) fn tell(&mut self, tried: &Try<'_>) -> (Receiver, Step) {
        let known = self.lanes.get(&tried.lane).cloned();
        let mut receiver = known.unwrap_or_else(|| Receiver {
            breaker: Breaker::Healthy,
            owner: tried.owner,
            shown: Text::default(),
            triggers: BTreeMap::new(),
            is_dirty: false,
        });
        let (breaker, step) = tell(&receiver.breaker, &tried.told, self.concurrency, &self.limits);
        receiver.breaker = breaker;
        if tried.holds && receiver.breaker != Breaker::Healthy {
            receiver.triggers.entry(tried.trigger).or_default();
        }
        if step != Step::Nothing {
            receiver.is_dirty = true;
            if receiver.shown.is_empty() {
                receiver.shown = ringpost_deliver::shown_text(tried.url).into();
            }
            let mut kept = receiver.clone();
            if step == Step::Opened {
                // They are owed again.
                kept.triggers.values_mut().for_each(|spent| *spent = 0);
            }
            self.lanes.insert(tried.lane, kept);
        }
        (receiver, step)
    }

    /// A receiver that is back, and that nothing waits for: it is well, however few were sent to it since.
    pub(super) fn recover(&mut self, lane: LaneId) -> Option<Receiver> {
        self.make_healthy(lane, |breaker| matches!(breaker, Breaker::Ramping { .. }))
    }

    /// A receiver that is down, and that nobody has had anything for in a long time.
    pub(super) fn forget(&mut self, lane: LaneId) -> Option<Receiver> {
        self.make_healthy(lane, Breaker::is_open)
    }

    fn make_healthy(&mut self, lane: LaneId, is_so: impl Fn(&Breaker) -> bool) -> Option<Receiver> {
        let known = self.lanes.get_mut(&lane)?;
        if known.is_dirty || !is_so(&known.breaker) {
            return None;
        }
        known.breaker = Breaker::Healthy;
        known.is_dirty = true;
        Some(known.clone())
    }

    /// The next probe of a receiver that is down is due then, and not later.
    pub(super) fn probe_at(&mut self, lane: LaneId, at: Timestamp) -> Option<Receiver> {
        let known = self.lanes.get_mut(&lane)?;
        let Breaker::Open { probe_at, .. } = &mut known.breaker else { return None };
        // A new time, however little later, ends the lease of a probe.
        *probe_at = if *probe_at == at { at.plus_micros(1) } else { at };
        known.is_dirty = true;
        Some(known.clone())
    }

    /// A delivery was given up while its receiver goes on failing.
    pub(super) fn spent(&mut self, lane: LaneId, trigger: TriggerId) {
        if let Some(receiver) = self.lanes.get_mut(&lane) {
            *receiver.triggers.entry(trigger).or_default() += 1;
        }
    }

    /// What the store has is on the disk now: what it says from here on is as new as what is known here.
    pub(super) fn all_kept(&mut self) {
        for receiver in self.lanes.values_mut() {
            receiver.is_dirty = false;
        }
        self.lanes.retain(|_, receiver| receiver.breaker != Breaker::Healthy);
    }

    /// Takes over what the store says of one lane, where nothing newer is known. Says whether that is news.
    pub(super) fn take_over(
        &mut self,
        lane: LaneId,
        owner: TenantId,
        shown: &str,
        breaker: &Breaker,
    ) -> bool {
        match self.lanes.get_mut(&lane) {
            Some(known) if known.is_dirty || known.breaker == *breaker => false,
            Some(known) => {
                known.breaker = breaker.clone();
                true
            }
            None if *breaker == Breaker::Healthy => false,
            None => {
                let (breaker, shown) = (breaker.clone(), shown.into());
                let receiver = Receiver { breaker, owner, shown, triggers: BTreeMap::new(), is_dirty: false };
                self.lanes.insert(lane, receiver);
                true
            }
        }
    }

    /// Lanes that the store no longer names are healthy: another dispatcher found them so. Returns them.
    pub(super) fn drop_others(&mut self, named: &BTreeSet<LaneId>) -> Vec<LaneId> {
        let gone = |(lane, receiver): (&LaneId, &Receiver)| {
            (!receiver.is_dirty && !named.contains(lane)).then_some(*lane)
        };
        let gone: Vec<LaneId> = self.lanes.iter().filter_map(gone).collect();
        for lane in &gone {
            self.lanes.remove(lane);
        }
        gone
    }

    /// More triggers that go there, as debts tell.
    pub(super) fn add_triggers(&mut self, lane: LaneId, triggers: impl IntoIterator<Item = TriggerId>) {
        if let Some(receiver) = self.lanes.get_mut(&lane) {
            receiver.triggers.extend(triggers.into_iter().map(|trigger| (trigger, 0)));
        }
    }

    /// Whose lane it is.
    pub(super) fn owner(&self, lane: LaneId) -> Option<TenantId> {
        self.lanes.get(&lane).map(|receiver| receiver.owner)
    }

    /// All that count as down.
    pub(super) fn open(&self) -> impl Iterator<Item = (LaneId, &Receiver)> {
        self.lanes.iter().filter(|(_, receiver)| receiver.breaker.is_open()).map(|(lane, it)| (*lane, it))
    }
}

/// What a breaker lets through.
pub(super) fn gate(breaker: &Breaker) -> Gate {
    match breaker {
        Breaker::Healthy | Breaker::Failing { .. } => Gate::Free,
        Breaker::Open { .. } => Gate::Shut,
        Breaker::Ramping { limit, .. } => Gate::Few(*limit),
    }
}
