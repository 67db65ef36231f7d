//! Deliveries that failed for good in a run of failures: they come back if their receiver turns out to be down.

use ringpost_model::Delivery;
use ringpost_store::{Batch, Debt, Ending, EndingFilter, LaneWord};

use crate::bench::{
    Bench, at, attempt, claim, debt, delivery, ended, failure, lane, settle_debts, settle_ended, suite,
    with_triggers,
};
use crate::lanes::{failing, open_at, probe, says, tell};

suite! {
    what_failed_in_the_run_that_opens_a_lane_is_owed_again
    what_failed_before_a_success_stays_failed
    what_comes_back_is_no_longer_told_as_failed
    a_newer_revision_keeps_an_older_one_from_coming_back
    a_record_that_fails_for_good_while_its_correction_is_owed_does_not_come_back
    the_same_words_twice_change_nothing
}

fn revive(now: i64) -> LaneWord {
    LaneWord::Revive { lane: lane(1), now: at(now), reason: "the receiver is down".into() }
}

fn spent(delivery: Delivery, failed: i64) -> LaneWord {
    LaneWord::Spent { debt: Box::new(Debt { tries: 1, ..debt(delivery, at(failed)) }), at: at(failed) }
}

async fn what_failed_in_the_run_that_opens_a_lane_is_owed_again(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    claim(&store, "me", at(0)).await;
    // One that was owed, one that never was.
    let last = |n| {
        let (row, exchange) = failure(&delivery(1, n, 1), at(1), n as u64);
        (ringpost_store::Attempt { last: true, ..row }, exchange)
    };
    let batch = Batch {
        attempts: vec![last(1), last(2)],
        ended: vec![ended(delivery(1, 1, 1), Ending::Failed, at(2))],
        lanes: vec![spent(delivery(1, 1, 1), 2), spent(delivery(1, 2, 1), 2), says(lane(1), failing(2))],
        ..Batch::default()
    };
    store.settle(&batch, "me", at(2)).await.unwrap();
    assert_eq!((store.stats().await.unwrap().debts, store.stats().await.unwrap().spent), (0, 2));
    let store = bench.reopen(store).await;
    let settled = tell(&store, vec![says(lane(1), open_at(5, 10)), revive(5)], 5).await;
    assert_eq!(settled.revived, [delivery(1, 1, 1).id, delivery(1, 2, 1).id]);
    let owed = store.debts(&Default::default(), 10).await.unwrap();
    let expected =
        |n| Debt { tries: 1, reason: "the receiver is down".into(), ..debt(delivery(1, n, 1), at(5)) };
    assert_eq!(owed, [expected(1), expected(2)]);
    assert_eq!(store.stats().await.unwrap().spent, 0);
    assert_eq!(store.lanes().await.unwrap()[0].owed, 2);
    assert_eq!(probe(&store, "me", 10).await, Some((1, 1, 1)));
}

async fn what_failed_before_a_success_stays_failed(bench: Bench) {
    let store = with_triggers(&bench).await;
    let other = LaneWord::Spent {
        debt: Box::new(Debt { lane: lane(2), ..debt(delivery(2, 1, 1), at(1)) }),
        at: at(1),
    };
    let words = vec![
        spent(delivery(1, 1, 1), 1),
        other,
        LaneWord::Forget { lane: lane(1) },
        spent(delivery(1, 2, 1), 3),
    ];
    tell(&store, words, 3).await;
    assert_eq!(tell(&store, vec![revive(9)], 9).await.revived, [delivery(1, 2, 1).id]);
    assert_eq!(store.stats().await.unwrap().spent, 1, "the other lane's is kept");
    let keep = Default::default();
    store.retain(keep, at(86_400)).await.unwrap();
    assert_eq!(store.stats().await.unwrap().spent, 1);
    store.retain(keep, at(86_402)).await.unwrap();
    assert_eq!(store.stats().await.unwrap().spent, 0, "nothing is held for longer than a day");
}

async fn what_comes_back_is_no_longer_told_as_failed(bench: Bench) {
    let store = with_triggers(&bench).await;
    let failed = async || store.endings(&EndingFilter::default(), 10).await.unwrap().len();
    let over = |n| ended(delivery(1, n, 1), Ending::Failed, at(1));
    let batch =
        Batch { ended: vec![over(1), over(2)], lanes: vec![spent(delivery(1, 1, 1), 1)], ..Batch::default() };
    store.settle(&batch, "me", at(1)).await.unwrap();
    assert_eq!(failed().await, 2);
    tell(&store, vec![revive(5)], 5).await;
    assert_eq!(failed().await, 1);
    settle_ended(&store, vec![ended(delivery(1, 1, 1), Ending::Failed, at(9))], at(9)).await;
    assert_eq!(failed().await, 2, "given up after all");
}

/// A crash right after the lane was opened, before the log of the day was corrected.
/// In PostgreSQL debts and log are of one transaction.
#[tokio::test]
async fn what_came_back_and_is_delivered_is_not_told_as_failed_on_any_day() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    let yesterday = -86_400;
    let over = ended(delivery(1, 1, 1), Ending::Failed, at(yesterday));
    let words = vec![spent(delivery(1, 1, 1), yesterday), revive(yesterday + 1)];
    store.settle(&Batch { lanes: words, ..Batch::default() }, "me", at(yesterday)).await.unwrap();
    // Without the debt in the way: as the log was before.
    let (other, bench_of_log) = (Bench::new(), &bench);
    let log = with_triggers(&other).await;
    settle_ended(&log, vec![over], at(yesterday)).await;
    log.close().await;
    let store = {
        store.close().await;
        let name = "attempts-2026-03-09.db";
        std::fs::copy(other.folder().join(name), bench_of_log.folder().join(name)).unwrap();
        bench_of_log.open().await
    };
    assert_eq!(store.endings(&EndingFilter::default(), 10).await.unwrap().len(), 1);
    let batch = Batch {
        attempts: vec![attempt(&delivery(1, 1, 1), at(0), 1)],
        ended: vec![ended(delivery(1, 1, 1), Ending::Delivered, at(1))],
        ..Batch::default()
    };
    store.settle(&batch, "me", at(1)).await.unwrap();
    assert!(store.endings(&EndingFilter::default(), 10).await.unwrap().is_empty());
}

async fn a_newer_revision_keeps_an_older_one_from_coming_back(bench: Bench) {
    let store = with_triggers(&bench).await;
    tell(
        &store,
        vec![spent(delivery(1, 1, 1), 1), spent(delivery(1, 2, 1), 1), spent(delivery(2, 1, 1), 1)],
        1,
    )
    .await;
    settle_debts(&store, vec![debt(delivery(1, 1, 2), at(2))], at(2)).await;
    settle_ended(&store, vec![ended(delivery(1, 1, 2), Ending::Delivered, at(3))], at(3)).await;
    // Replayed by hand.
    settle_debts(&store, vec![debt(delivery(1, 2, 1), at(2))], at(3)).await;
    assert_eq!(tell(&store, vec![revive(5)], 5).await.revived, [delivery(2, 1, 1).id]);
    assert_eq!(store.debts(&Default::default(), 10).await.unwrap().len(), 2);
}

/// The correction goes another way: the URL was corrected too.
async fn a_record_that_fails_for_good_while_its_correction_is_owed_does_not_come_back(bench: Bench) {
    let store = with_triggers(&bench).await;
    let correction = Debt { lane: lane(2), ..debt(delivery(1, 1, 2), at(1)) };
    settle_debts(&store, vec![correction], at(1)).await;
    tell(&store, vec![spent(delivery(1, 1, 1), 2), spent(delivery(1, 2, 1), 2)], 2).await;
    settle_ended(&store, vec![ended(delivery(1, 1, 2), Ending::Delivered, at(3))], at(3)).await;
    assert_eq!(tell(&store, vec![revive(5)], 5).await.revived, [delivery(1, 2, 1).id]);
}

async fn the_same_words_twice_change_nothing(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0)), debt(delivery(1, 3, 1), at(0))], at(0)).await;
    claim(&store, "me", at(0)).await;
    let batch = Batch {
        ended: vec![
            ended(delivery(1, 1, 1), Ending::Failed, at(2)),
            ended(delivery(1, 3, 1), Ending::Failed, at(2)),
        ],
        lanes: vec![
            spent(delivery(1, 3, 1), 2),
            LaneWord::Forget { lane: lane(1) },
            spent(delivery(1, 1, 1), 2),
            spent(delivery(1, 2, 1), 2),
            says(lane(1), open_at(2, 7)),
            revive(2),
            spent(delivery(1, 4, 1), 2),
        ],
        ..Batch::default()
    };
    let state = async || {
        let mut owed = store.debts(&Default::default(), 10).await.unwrap().found;
        owed.sort_by_key(|debt| debt.delivery.session);
        let endings = store.endings(&EndingFilter::default(), 10).await.unwrap().found;
        let counts = store.owed_counts().await.unwrap();
        (owed, endings, counts, store.lanes().await.unwrap().found, store.stats().await.unwrap().spent)
    };
    store.settle(&batch, "me", at(2)).await.unwrap();
    let once = state().await;
    assert_eq!((once.0.len(), once.1.len(), once.4), (2, 1, 1));
    store.settle(&batch, "me", at(2)).await.unwrap();
    assert_eq!(state().await, once);
    // Somebody has claimed one meanwhile: it stays theirs.
    assert!(probe(&store, "two", 7).await.is_some());
    let claimed = state().await;
    store.settle(&batch, "me", at(8)).await.unwrap();
    assert_eq!(state().await.0, claimed.0);
}
