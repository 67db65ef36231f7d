//! Random histories of debts: no debt is two senders' at once, and the order within a trigger and session holds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ringpost_store::{Batch, DebtFilter, Ending, EndingFilter, Store};

use crate::bench::{Bench, at, debt, delivery, ended, lane, names, with_triggers};

/// A delivery by trigger, session, revision.
type Name = (u128, u128, u32);

#[derive(Debug, Clone)]
enum Step {
    /// A delivery fires, and is owed at once.
    Fire {
        trigger: u128,
        session: u128,
    },
    /// A sender claims up to so many.
    Claim {
        sender: usize,
        most: usize,
    },
    /// A sender reports its oldest one: delivered, or due again.
    Report {
        sender: usize,
        delivered: bool,
    },
    /// A sender dies; its leases end in their own time.
    Die {
        sender: usize,
    },
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..=2_u128, 1..=3_u128).prop_map(|(trigger, session)| Step::Fire { trigger, session }),
        3 => (0..2_usize, 1..4_usize).prop_map(|(sender, most)| Step::Claim { sender, most }),
        3 => (0..2_usize, any::<bool>()).prop_map(|(sender, delivered)| Step::Report { sender, delivered }),
        1 => (0..2_usize).prop_map(|sender| Step::Die { sender }),
        1 => (1..15_i64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn claims_are_exclusive_and_in_order(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(World::run(steps, Bench::new()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn claims_are_exclusive_and_in_order_in_postgres(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            if let Some(bench) = Bench::postgres().await {
                World::run(steps, bench).await;
            }
        });
    }
}

struct World {
    store: Store,
    now: i64,
    /// By sender: what it has in flight, and until when it may.
    flying: [Vec<(Name, i64)>; 2],
    fired: BTreeMap<(u128, u128), u32>,
    /// The highest revision that any sender was given, by trigger and session.
    given: BTreeMap<(u128, u128), u32>,
    delivered: BTreeSet<Name>,
}

impl World {
    async fn run(steps: Vec<Step>, bench: Bench) {
        let store = with_triggers(&bench).await;
        let (fired, given, delivered) = Default::default();
        let mut world = Self { store, now: 0, flying: Default::default(), fired, given, delivered };
        for step in steps {
            world.step(step).await;
        }
        world.check_nothing_is_lost().await;
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Fire { trigger, session } => {
                let rev = self.fired.entry((trigger, session)).or_default();
                *rev += 1;
                let debts = vec![debt(delivery(trigger, session, *rev), at(self.now))];
                self.settle("dispatch", Batch { debts, ..Batch::default() }).await;
            }
            Step::Claim { sender, most } => self.claim(sender, most).await,
            Step::Report { sender, delivered } => self.report(sender, delivered).await,
            Step::Die { sender } => self.flying[sender].clear(),
            Step::Wait(seconds) => self.now += seconds,
        }
    }

    async fn claim(&mut self, sender: usize, most: usize) {
        let until = self.now + 10;
        let owner = sender.to_string();
        let claimed = self.store.claim(lane(1), &owner, at(self.now), most, at(until)).await.unwrap();
        assert!(claimed.len() <= most);
        for claim in claimed {
            let name = names(&claim.delivery);
            let (trigger, session, rev) = name;
            let mut others = self.flying.iter().flatten().filter(|(_, until)| *until > self.now);
            let same = others.find(|((t, s, _), _)| (*t, *s) == (trigger, session));
            assert_eq!(same, None, "{name:?} is given while one of its session is in flight");
            let before = self.given.insert((trigger, session), rev).unwrap_or_default();
            assert!(rev >= before, "{name:?} is given after revision {before}");
            assert!(!self.delivered.contains(&name), "{name:?} is given though it was delivered");
            // Claimed again by who still has it in a lane from an ended lease: lanes refuse it as a duplicate, so it
            // stays one request, and its report is that of the new lease.
            self.flying[sender].retain(|(flying, _)| *flying != name);
            self.flying[sender].push((name, until));
        }
    }

    async fn report(&mut self, sender: usize, is_delivered: bool) {
        if self.flying[sender].is_empty() {
            return;
        }
        let ((trigger, session, rev), until) = self.flying[sender].remove(0);
        let delivery = delivery(trigger, session, rev);
        let batch = if is_delivered {
            if until > self.now {
                self.delivered.insert((trigger, session, rev));
            }
            let ended = vec![ended(delivery, Ending::Delivered, at(self.now))];
            Batch { ended, ..Batch::default() }
        } else if until > self.now {
            Batch { debts: vec![debt(delivery, at(self.now + 2))], ..Batch::default() }
        } else {
            // A lease is longer than a try: a sender that is late has stopped, and reports nothing.
            return;
        };
        self.settle(&sender.to_string(), batch).await;
    }

    async fn settle(&self, owner: &str, batch: Batch) {
        self.store.settle(&batch, owner, at(self.now)).await.unwrap();
    }

    /// Every delivery that fired is owed, was reported as delivered, or a newer revision took its place on record.
    async fn check_nothing_is_lost(&self) {
        let owed = self.store.debts(&DebtFilter::default(), 1_000).await.unwrap();
        let owed: BTreeSet<Name> = owed.iter().map(|debt| names(&debt.delivery)).collect();
        let logged = self.store.endings(&EndingFilter::default(), 1_000).await.unwrap();
        let superseded: BTreeSet<Name> = logged.iter().map(|ended| names(&ended.delivery)).collect();
        for ((trigger, session), newest) in &self.fired {
            for rev in 1..=*newest {
                let name = (*trigger, *session, rev);
                let known =
                    owed.contains(&name) || self.delivered.contains(&name) || superseded.contains(&name);
                let late = self.given.get(&(*trigger, *session)).is_some_and(|given| *given >= rev);
                assert!(known || late, "{name:?} is lost");
            }
            assert!(!superseded.contains(&(*trigger, *session, *newest)), "the newest is never superseded");
        }
        let counts: u64 = self.store.owed_counts().await.unwrap().iter().map(|count| count.debts).sum();
        assert_eq!(counts as usize, owed.len());
    }
}
