//! Random processes that share the rate of a lane, come and go: together they never have more than all of it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::bench::{Bench, at, lane};

const RATE: u32 = 10;
const LEASE: i64 = 3;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn shares_are_never_more_than_the_rate_and_soon_equal(steps in prop::collection::vec((0..4_u8, 0..3_i64), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps, Bench::new()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn shares_are_never_more_than_the_rate_in_postgres(steps in prop::collection::vec((0..4_u8, 0..3_i64), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            if let Some(bench) = Bench::postgres().await {
                run(steps, bench).await;
            }
        });
    }
}

/// Each step: who asks, after so many seconds.
async fn run(steps: Vec<(u8, i64)>, bench: Bench) {
    let store = bench.open().await;
    let (mut now, mut shares) = (0, BTreeMap::<u8, (i64, u64)>::new());
    let ask = async |owner: u8, now: i64| {
        let (asked, name) = ([(lane(1), RATE)], owner.to_string());
        store.lease_rates(&asked, &name, at(now), at(now + LEASE)).await.unwrap()[0]
    };
    for (owner, later) in steps {
        now += later;
        shares.insert(owner, (now + LEASE, ask(owner, now).await));
        shares.retain(|_, (until, _)| *until > now);
        let sum: u64 = shares.values().map(|(_, share)| share).sum();
        assert!(sum <= u64::from(RATE) * 1_000, "{shares:?} at {now}");
    }
    // Whoever asks on gets an equal part at the second time at the latest.
    let live: Vec<u8> = shares.keys().copied().collect();
    for owner in &live {
        ask(*owner, now).await;
    }
    for owner in &live {
        assert_eq!(ask(*owner, now).await, u64::from(RATE) * 1_000 / live.len() as u64);
    }
}
