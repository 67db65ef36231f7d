//! Random histories of one lane beside a plain model of it: what is owed, spent and in flight, who may probe, and
//! what claims give. A batch may come twice, and a process may stop at any time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ringpost_model::{Breaker, Run};
use ringpost_store::{Batch, Debt, Ending, LaneWord, Store};

use crate::bench::{Bench, at, debt, delivery, ended, lane, names, with_triggers};
use crate::lanes::{open_at, says};

/// Trigger and session. Trigger 2 does not hold.
type Id = (u128, u128);

#[derive(Debug, Clone)]
enum Step {
    /// A delivery is owed, or, if it failed at once for good, spent.
    Fire {
        trigger: u128,
        session: u128,
        is_spent: bool,
    },
    Claim {
        sender: usize,
        most: usize,
    },
    Probe {
        sender: usize,
    },
    ClaimLast {
        sender: usize,
        age: i64,
        most: usize,
    },
    Report {
        sender: usize,
        how: How,
    },
    Say(Word),
    Restart,
    Wait(i64),
}

#[derive(Debug, Clone, Copy)]
enum How {
    Delivered,
    Again,
    Spent,
}

#[derive(Debug, Clone, Copy)]
enum Word {
    Failing,
    Open { revives: bool },
    StillOpen,
    Ramping,
    Healthy,
    Forget,
    Pause(i64),
    Resume,
}

fn step() -> impl Strategy<Value = Step> {
    let sender = 0..2_usize;
    let word = prop_oneof![
        Just(Word::Failing),
        any::<bool>().prop_map(|revives| Word::Open { revives }),
        Just(Word::StillOpen),
        Just(Word::Open { revives: true }),
        Just(Word::Ramping),
        Just(Word::Healthy),
        Just(Word::Forget),
        (1..20_i64).prop_map(Word::Pause),
        Just(Word::Resume),
    ];
    let how = prop_oneof![Just(How::Delivered), Just(How::Again), Just(How::Spent)];
    prop_oneof![
        4 => (1..=2_u128, 1..=4_u128, any::<bool>())
            .prop_map(|(trigger, session, is_spent)| Step::Fire { trigger, session, is_spent }),
        3 => (sender.clone(), 1..3_usize).prop_map(|(sender, most)| Step::Claim { sender, most }),
        3 => sender.clone().prop_map(|sender| Step::Probe { sender }),
        1 => (sender.clone(), 0..30_i64, 1..3_usize)
            .prop_map(|(sender, age, most)| Step::ClaimLast { sender, age, most }),
        4 => (sender, how).prop_map(|(sender, how)| Step::Report { sender, how }),
        5 => word.prop_map(Step::Say),
        1 => Just(Step::Restart),
        2 => (1..12_i64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_lane_behaves_as_its_model(steps in prop::collection::vec(step(), 1..50), twice: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(World::run(steps, twice, Bench::new()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_lane_behaves_as_its_model_in_postgres(steps in prop::collection::vec(step(), 1..50), twice: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            if let Some(bench) = Bench::postgres().await {
                World::run(steps, twice, bench).await;
            }
        });
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Owed {
    due: i64,
    lease: Option<usize>,
    queued: i64,
    tries: u32,
}

#[derive(Default)]
struct Model {
    debts: BTreeMap<Id, Owed>,
    spent: BTreeMap<Id, Owed>,
    breaker: Breaker,
    probe_at: i64,
    probe_until: i64,
    paused_until: i64,
}

struct World {
    bench: Bench,
    store: Store,
    now: i64,
    model: Model,
    /// What senders have in flight, in the order in which they got it.
    flying: [Vec<Id>; 2],
    /// Every batch comes twice: its sender does not know that it is durable.
    twice: bool,
}

fn name(debt: &Debt) -> Id {
    let (trigger, session, _) = names(&debt.delivery);
    (trigger, session)
}

impl World {
    async fn run(steps: Vec<Step>, twice: bool, bench: Bench) {
        let store = with_triggers(&bench).await;
        let mut plain = crate::bench::trigger(2);
        plain.while_down = ringpost_model::WhileDown::Fail;
        let (acme, expect) = (crate::bench::tenant_key("acme"), ringpost_store::Expect::Anything);
        store.put_trigger(&acme, &plain, expect, at(0)).await.unwrap();
        let (model, flying) = Default::default();
        let mut world = Self { bench, store, now: 1, model, flying, twice };
        for step in steps {
            world.step(step).await;
            world.compare().await;
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Fire { trigger, session, is_spent } => self.fire((trigger, session), is_spent).await,
            Step::Claim { sender, most } => self.claim(sender, most).await,
            Step::Probe { sender } => self.probe(sender).await,
            Step::ClaimLast { sender, age, most } => self.claim_last(sender, self.now - age, most).await,
            Step::Report { sender, how } => self.report(sender, how).await,
            Step::Say(word) => self.say(word).await,
            Step::Restart => {
                self.store.close().await;
                self.store = self.bench.open().await;
            }
            Step::Wait(seconds) => self.now += seconds,
        }
    }

    fn debt(&self, id: Id, owed: &Owed) -> Debt {
        let of = delivery(id.0, id.1, 1);
        Debt { tries: owed.tries, queued: at(owed.queued), first_try: None, ..debt(of, at(owed.due)) }
    }

    async fn settle(&self, batch: Batch, sender: usize) {
        for _ in 0..=usize::from(self.twice) {
            self.store.settle(&batch, &sender.to_string(), at(self.now)).await.unwrap();
        }
    }

    /// Each delivery fires once: it is not known yet.
    async fn fire(&mut self, id: Id, is_spent: bool) {
        if self.model.debts.contains_key(&id) || self.model.spent.contains_key(&id) {
            return;
        }
        let owed = Owed { due: self.now, lease: None, queued: self.now, tries: 0 };
        let debt = self.debt(id, &owed);
        if is_spent {
            let word = LaneWord::Spent { debt: Box::new(debt), at: at(self.now) };
            self.model.spent.insert(id, owed);
            self.settle(Batch { lanes: vec![word], ..Batch::default() }, 0).await;
        } else {
            self.model.debts.insert(id, owed);
            self.settle(Batch { debts: vec![debt], ..Batch::default() }, 0).await;
        }
    }

    async fn claim(&mut self, sender: usize, most: usize) {
        let until = self.now + 10;
        let owner = sender.to_string();
        let claimed = self.store.claim(lane(1), &owner, at(self.now), most, at(until)).await.unwrap();
        let mut due: Vec<Id> = self.model.debts.keys().copied().collect();
        due.retain(|id| self.model.debts[id].due <= self.now && (!self.model.breaker.is_open() || id.0 == 2));
        if self.model.paused_until > self.now {
            due.clear();
        }
        self.check_claimed(sender, &claimed, &due, due.len().min(most), |owed| owed.due);
    }

    /// Of what could be claimed it is the right number, and the foremost by this order.
    fn check_claimed(
        &mut self,
        sender: usize,
        claimed: &[Debt],
        may: &[Id],
        count: usize,
        order: impl Fn(&Owed) -> i64,
    ) {
        assert_eq!(claimed.len(), count, "of {may:?}");
        let mut places: Vec<i64> = may.iter().map(|id| order(&self.model.debts[id])).collect();
        places.sort_unstable();
        let got: Vec<i64> = claimed.iter().map(|debt| order(&self.model.debts[&name(debt)])).collect();
        assert_eq!(got, places[..count], "in order");
        for debt in claimed {
            let id = name(debt);
            assert!(may.contains(&id), "{id:?} is given");
            let owed = self.model.debts.get_mut(&id).unwrap();
            (owed.due, owed.lease) = (self.now + 10, Some(sender));
            assert_eq!(debt.tries, owed.tries);
            self.flying[sender].retain(|flying| *flying != id);
            self.flying[sender].push(id);
        }
    }

    fn unleased(&self) -> Vec<Id> {
        let free = self.model.debts.iter().filter(|(_, owed)| owed.lease.is_none() || owed.due <= self.now);
        free.map(|(id, _)| *id).collect()
    }

    async fn probe(&mut self, sender: usize) {
        let due = self.store.open_lanes_due().await.unwrap();
        let (now, until) = (at(self.now), at(self.now + 10));
        let probe = self.store.claim_probe(lane(1), &sender.to_string(), now, until).await.unwrap();
        let model = &self.model;
        let may = model.breaker.is_open()
            && model.probe_at.max(model.probe_until).max(model.paused_until) <= self.now;
        let free = self.unleased();
        let count = usize::from(may && !free.is_empty());
        let is_told = due.first().is_some_and(|due| due.due <= now);
        assert_eq!(is_told, count == 1, "{due:?} says when to probe");
        if count == 1 {
            self.model.probe_until = self.now + 10;
        }
        self.check_claimed(sender, &Vec::from_iter(probe), &free, count, |owed| owed.queued);
    }

    async fn claim_last(&mut self, sender: usize, before: i64, most: usize) {
        let (now, until) = (at(self.now), at(self.now + 10));
        let claimed = self.store.claim_last(at(before), &sender.to_string(), now, most, until).await.unwrap();
        let mut old = self.unleased();
        old.retain(|id| self.model.debts[id].queued < before);
        if !self.model.breaker.is_open() || self.model.paused_until > self.now {
            old.clear();
        }
        self.check_claimed(sender, &claimed, &old, old.len().min(most), |owed| owed.queued);
    }

    async fn report(&mut self, sender: usize, how: How) {
        if self.flying[sender].is_empty() {
            return;
        }
        let id = self.flying[sender].remove(0);
        let Some(owed) = self.model.debts.get(&id).filter(|owed| owed.lease == Some(sender)).cloned() else {
            return;
        };
        let over = |ending| vec![ended(delivery(id.0, id.1, 1), ending, at(self.now))];
        let batch = match how {
            How::Delivered => {
                self.model.debts.remove(&id);
                Batch { ended: over(Ending::Delivered), ..Batch::default() }
            }
            How::Again => {
                let again = Owed { due: self.now + 3, lease: None, tries: owed.tries + 1, ..owed };
                let debts = vec![self.debt(id, &again)];
                self.model.debts.insert(id, again);
                Batch { debts, ..Batch::default() }
            }
            How::Spent => {
                let owed = self.model.debts.remove(&id).unwrap();
                let debt = Box::new(self.debt(id, &owed));
                self.model.spent.insert(id, owed);
                let lanes = vec![LaneWord::Spent { debt, at: at(self.now) }];
                Batch { ended: over(Ending::Failed), lanes, ..Batch::default() }
            }
        };
        self.settle(batch, sender).await;
    }

    async fn say(&mut self, word: Word) {
        let now = self.now;
        if let Word::Resume = word {
            self.store.resume_lane(lane(1), at(now)).await.unwrap();
            self.model.paused_until = 0;
            if let Breaker::Open { probe_at, .. } = &mut self.model.breaker {
                *probe_at = at(now);
                self.model.probe_at = now;
            }
            return;
        }
        let lanes = self.words(word);
        for word in &lanes {
            self.model.hear(word, now);
        }
        self.settle(Batch { lanes, ..Batch::default() }, 0).await;
    }

    fn words(&self, word: Word) -> Vec<LaneWord> {
        let now = self.now;
        match word {
            Word::Failing => {
                let run = Run { failures: 3, since: at(now), first: delivery(1, 1, 1).id, several: false };
                vec![says(lane(1), Breaker::Failing { run })]
            }
            Word::Open { revives } => {
                let opened = says(lane(1), open_at(now, now + 5));
                let revive = LaneWord::Revive { lane: lane(1), now: at(now), reason: "down".into() };
                if revives { vec![opened, revive] } else { vec![opened] }
            }
            Word::StillOpen => {
                let Breaker::Open { since, wait, reason, .. } = self.model.breaker.clone() else {
                    return vec![];
                };
                let probe_at = at(now + 7);
                vec![says(lane(1), Breaker::Open { since, probe_at, wait, reason })]
            }
            Word::Ramping => {
                vec![says(lane(1), Breaker::Ramping { since: at(now), limit: 1, done: 0, wait: 5 })]
            }
            Word::Healthy => vec![says(lane(1), Breaker::Healthy)],
            Word::Forget => vec![LaneWord::Forget { lane: lane(1) }],
            Word::Pause(seconds) => {
                let (owner, shown) = (crate::bench::tenant("acme").id, "https://crm.example/hooks".into());
                let until = at(now + seconds);
                vec![LaneWord::Pause { lane: lane(1), owner, shown, until, reason: "429".into() }]
            }
            Word::Resume => vec![],
        }
    }

    async fn compare(&self) {
        let owed = self.store.debts(&Default::default(), 100).await.unwrap();
        let owed: BTreeMap<Id, Owed> = owed.iter().map(|debt| (name(debt), self.owed(debt))).collect();
        assert_eq!(owed, self.model.debts);
        let stats = self.store.stats().await.unwrap();
        assert_eq!((stats.spent as usize, stats.damaged), (self.model.spent.len(), 0));
        let lanes = self.store.lanes().await.unwrap();
        let row = lanes.first();
        let breaker = row.map_or(Breaker::Healthy, |row| row.breaker.clone());
        assert_eq!(breaker, self.model.breaker);
        let paused = row.and_then(|row| row.paused_until).filter(|until| *until > at(self.now));
        assert_eq!(paused, Some(at(self.model.paused_until)).filter(|until| *until > at(self.now)));
        let counts: u64 = self.store.owed_counts().await.unwrap().iter().map(|count| count.debts).sum();
        assert_eq!(counts as usize, self.model.debts.len());
        assert!(row.is_none_or(|row| row.owed == counts));
    }

    fn owed(&self, debt: &Debt) -> Owed {
        let seconds = |time: ringpost_model::Timestamp| (time.micros() - at(0).micros()) / 1_000_000;
        let lease = debt.leased_until.and_then(|_| self.model.debts.get(&name(debt))?.lease);
        let lease = lease.or(debt.leased_until.map(|_| usize::MAX));
        Owed { due: seconds(debt.due), lease, queued: seconds(debt.queued), tries: debt.tries }
    }
}

impl Model {
    fn hear(&mut self, word: &LaneWord, now: i64) {
        let seconds = |time: &ringpost_model::Timestamp| (time.micros() - at(0).micros()) / 1_000_000;
        match word {
            LaneWord::Breaker { breaker, .. } => {
                let is_stale = match (&self.breaker, breaker) {
                    (Breaker::Open { .. } | Breaker::Ramping { .. }, Breaker::Failing { .. }) => true,
                    (Breaker::Open { since: old, .. }, Breaker::Open { since: new, .. }) => old != new,
                    _ => false,
                };
                if is_stale {
                    return;
                }
                let probe_at =
                    if let Breaker::Open { probe_at, .. } = breaker { seconds(probe_at) } else { 0 };
                if !(self.breaker.is_open() && breaker.is_open() && probe_at == self.probe_at) {
                    self.probe_until = 0;
                }
                (self.breaker, self.probe_at) = (breaker.clone(), probe_at);
            }
            LaneWord::Pause { until, .. } => self.paused_until = self.paused_until.max(seconds(until)),
            LaneWord::Forget { .. } => self.spent.clear(),
            LaneWord::Revive { now, .. } => {
                for (id, owed) in std::mem::take(&mut self.spent) {
                    self.debts.insert(id, Owed { due: seconds(now), lease: None, ..owed });
                }
            }
            LaneWord::Spent { .. } => {}
        }
        // A row of a lane that is well goes once its pause has ended.
        if self.breaker == Breaker::Healthy && self.paused_until <= now {
            self.paused_until = 0;
        }
    }
}
