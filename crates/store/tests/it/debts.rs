//! What is owed: claims, leases, order, pauses, cancelling, and what a start after a crash asks.

use ringpost_model::Timestamp;
use ringpost_store::{Batch, Debt, DebtFilter, Ending, EndingFilter, Expect, LaneDue, Store};

use crate::bench::{
    Bench, at, attempt, claim, debt, delivery, ended, failure, lane, names, settle_debts, settle_ended,
    suite, tenant_key, trigger, trigger_id, with_triggers,
};

suite! {
    a_debt_is_claimed_when_it_is_due_oldest_first
    a_leased_debt_is_nobody_elses_until_its_lease_ends
    a_lease_can_be_renewed_by_its_holder_only
    a_debt_survives_a_restart_as_it_was
    a_debt_that_failed_again_waits_for_its_next_time
    deliveries_of_one_session_go_one_at_a_time
    a_newer_revision_takes_the_place_of_an_owed_one
    a_newer_revision_waits_for_one_in_flight_and_takes_its_place_when_that_fails
    a_newer_revision_takes_the_place_of_one_whose_sender_died
    a_record_that_is_owed_later_than_its_correction_never_comes_after_it
    who_lost_a_lease_changes_nothing
    a_paused_trigger_is_owed_until_it_is_resumed
    a_disabled_or_removed_trigger_cancels_what_is_owed
    a_paused_lane_gives_nothing_and_none_of_its_debts_is_touched
    the_lane_with_the_earliest_debt_comes_first
    a_corrected_url_moves_what_is_owed
    what_is_owed_is_counted_by_trigger
    after_a_crash_what_is_done_or_owed_is_known
}

async fn a_debt_is_claimed_when_it_is_due_oldest_first(bench: Bench) {
    let store = with_triggers(&bench).await;
    let debts = vec![
        debt(delivery(1, 1, 1), at(30)),
        debt(delivery(1, 2, 1), at(10)),
        debt(delivery(1, 3, 1), at(20)),
        Debt { lane: lane(2), ..debt(delivery(1, 4, 1), at(0)) },
    ];
    settle_debts(&store, debts, at(0)).await;
    assert!(claim(&store, "me", at(9)).await.is_empty());
    assert_eq!(claim(&store, "me", at(25)).await, [(1, 2, 1), (1, 3, 1)]);
    let limited = store.claim(lane(1), "me", at(100), 1, at(110)).await.unwrap();
    assert_eq!(limited.len(), 1, "never more than there is capacity for");
}

async fn a_leased_debt_is_nobody_elses_until_its_lease_ends(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    assert_eq!(claim(&store, "one", at(0)).await, [(1, 1, 1)]);
    assert!(claim(&store, "one", at(5)).await.is_empty());
    assert!(claim(&store, "two", at(9)).await.is_empty());
    // It died: after ten seconds the debt is anybody's.
    assert_eq!(claim(&store, "two", at(10)).await, [(1, 1, 1)]);
    // Written down while in flight, it is leased from the first moment.
    let in_flight = Debt { leased_until: Some(at(15)), ..debt(delivery(1, 2, 1), at(0)) };
    settle_debts(&store, vec![in_flight], at(1)).await;
    assert!(claim(&store, "two", at(14)).await.is_empty());
    assert_eq!(claim(&store, "two", at(15)).await, [(1, 2, 1)]);
}

async fn a_lease_can_be_renewed_by_its_holder_only(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    claim(&store, "one", at(0)).await;
    let id = delivery(1, 1, 1).id;
    assert_eq!(store.renew("two", &[id], at(99)).await.unwrap(), 0);
    assert_eq!(store.renew("one", &[id], at(20)).await.unwrap(), 1);
    assert!(claim(&store, "two", at(19)).await.is_empty());
    assert_eq!(claim(&store, "two", at(20)).await, [(1, 1, 1)]);
    assert_eq!(store.renew("one", &[id], at(99)).await.unwrap(), 0, "it is another's now");
}

async fn a_debt_survives_a_restart_as_it_was(bench: Bench) {
    let store = with_triggers(&bench).await;
    let mut owed = debt(delivery(1, 1, 3), at(7));
    owed.delivery.matches = false;
    owed.delivery.trigger_version = 4;
    owed.first_try = None;
    (owed.attempts, owed.tries) = (5, 2);
    settle_debts(&store, vec![owed.clone()], at(0)).await;
    let store = bench.reopen(store).await;
    assert_eq!(store.debts(&DebtFilter::default(), 10).await.unwrap(), [owed.clone()]);
    let claimed = store.claim(lane(1), "me", at(7), 10, at(20)).await.unwrap();
    assert_eq!(claimed, [Debt { leased_until: Some(at(20)), ..owed }]);
}

async fn a_debt_that_failed_again_waits_for_its_next_time(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    claim(&store, "me", at(0)).await;
    let again = Debt { tries: 2, attempts: 2, reason: "timeout".into(), ..debt(delivery(1, 1, 1), at(4)) };
    settle_debts(&store, vec![again], at(1)).await;
    assert!(claim(&store, "me", at(3)).await.is_empty());
    let claimed = store.claim(lane(1), "me", at(4), 10, at(20)).await.unwrap();
    assert_eq!((claimed[0].tries, claimed[0].attempts, &*claimed[0].reason), (2, 2, "timeout"));
    settle_ended(&store, vec![ended(delivery(1, 1, 1), Ending::Delivered, at(5))], at(5)).await;
    assert!(store.debts(&DebtFilter::default(), 10).await.unwrap().is_empty());
}

/// Two events of one session would be two deliveries; today these are revisions, so the first is put in flight.
async fn in_flight(store: &Store, rev: u32, now: Timestamp) {
    let leased = Debt { leased_until: Some(now.plus_micros(15_000_000)), ..debt(delivery(1, 1, rev), now) };
    settle_debts(store, vec![leased], now).await;
}

async fn deliveries_of_one_session_go_one_at_a_time(bench: Bench) {
    let store = with_triggers(&bench).await;
    in_flight(&store, 1, at(0)).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 2), at(0)), debt(delivery(2, 1, 2), at(0))], at(0)).await;
    assert_eq!(claim(&store, "me", at(1)).await, [(2, 1, 2)], "the other trigger does not wait");
    assert_eq!(store.next_due().await.unwrap(), Some(at(11)), "what cannot be claimed wakes nobody");
    settle_ended(&store, vec![ended(delivery(1, 1, 1), Ending::Delivered, at(2))], at(2)).await;
    assert_eq!(claim(&store, "me", at(2)).await, [(1, 1, 2)]);
}

async fn a_newer_revision_takes_the_place_of_an_owed_one(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(60))], at(0)).await;
    let superseded = settle_debts(&store, vec![debt(delivery(1, 1, 2), at(0))], at(5)).await;
    assert_eq!(superseded.iter().map(|e| names(&e.delivery)).collect::<Vec<_>>(), [(1, 1, 1)]);
    assert_eq!(claim(&store, "me", at(5)).await, [(1, 1, 2)]);
    let logged = store.endings(&EndingFilter::default(), 10).await.unwrap();
    assert_eq!((logged.len(), logged[0].ending, logged[0].at), (1, Ending::Superseded, at(5)));
    // An older one that comes late is not owed any more: the newer is on its way.
    let late = settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(6)).await;
    assert_eq!(names(&late[0].delivery), (1, 1, 1));
    assert_eq!(store.debts(&DebtFilter::default(), 10).await.unwrap().len(), 1);
}

async fn a_newer_revision_waits_for_one_in_flight_and_takes_its_place_when_that_fails(bench: Bench) {
    let store = with_triggers(&bench).await;
    in_flight(&store, 1, at(0)).await;
    assert!(settle_debts(&store, vec![debt(delivery(1, 1, 2), at(0))], at(1)).await.is_empty());
    assert!(claim(&store, "me", at(1)).await.is_empty());
    let failed = settle_debts(&store, vec![debt(delivery(1, 1, 1), at(4))], at(2)).await;
    assert_eq!(names(&failed[0].delivery), (1, 1, 1));
    assert_eq!(claim(&store, "me", at(2)).await, [(1, 1, 2)]);
}

async fn a_newer_revision_takes_the_place_of_one_whose_sender_died(bench: Bench) {
    let store = with_triggers(&bench).await;
    in_flight(&store, 1, at(0)).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 2), at(0))], at(1)).await;
    // The lease has ended and nobody reported. The first claim finds that out, the next has the newer one.
    let first = claim(&store, "other", at(15)).await;
    let second = claim(&store, "other", at(15)).await;
    assert_eq!((first, second), (vec![], vec![(1, 1, 2)]));
    let logged = store.endings(&EndingFilter::default(), 10).await.unwrap();
    assert_eq!(logged[0].ending, Ending::Superseded);
}

async fn a_record_that_is_owed_later_than_its_correction_never_comes_after_it(bench: Bench) {
    let store = with_triggers(&bench).await;
    // The correction fires while the record is in flight for less than it takes to be owed.
    settle_debts(&store, vec![debt(delivery(1, 1, 2), at(0))], at(0)).await;
    in_flight(&store, 1, at(1)).await;
    assert!(claim(&store, "me", at(5)).await.is_empty(), "the correction waits for the record");
    // Its sender has died, and the correction takes its place.
    assert_eq!(claim(&store, "other", at(16)).await, []);
    assert_eq!(claim(&store, "other", at(16)).await, [(1, 1, 2)]);
    let delivered = ended(delivery(1, 1, 2), Ending::Delivered, at(17));
    store.settle(&Batch { ended: vec![delivered], ..Batch::default() }, "other", at(17)).await.unwrap();
    assert!(claim(&store, "other", at(100)).await.is_empty());
}

async fn who_lost_a_lease_changes_nothing(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    claim(&store, "one", at(0)).await;
    claim(&store, "two", at(10)).await;
    let batch = Batch { debts: vec![debt(delivery(1, 1, 1), at(12))], ..Batch::default() };
    store.settle(&batch, "one", at(11)).await.unwrap();
    let done = vec![ended(delivery(1, 1, 1), Ending::Failed, at(11))];
    store.settle(&Batch { ended: done, ..Batch::default() }, "one", at(11)).await.unwrap();
    assert!(claim(&store, "three", at(19)).await.is_empty(), "still the second one's");
    assert_eq!(claim(&store, "three", at(20)).await, [(1, 1, 1)]);
}

async fn put(store: &Store, n: u128, change: impl FnOnce(&mut ringpost_model::Trigger)) {
    let mut changed = trigger(n);
    change(&mut changed);
    store.put_trigger(&tenant_key("acme"), &changed, Expect::Anything, at(1)).await.unwrap();
}

async fn a_paused_trigger_is_owed_until_it_is_resumed(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    put(&store, 1, |trigger| trigger.paused = true).await;
    settle_debts(&store, vec![debt(delivery(1, 2, 1), at(0)), debt(delivery(2, 2, 1), at(0))], at(0)).await;
    assert_eq!(claim(&store, "me", at(5)).await, [(2, 2, 1)]);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.debts, stats.held, stats.oldest_due), (3, 2, Some(at(0))));
    assert!(store.cancel_debts(at(5), 100).await.unwrap().is_empty(), "paused is not disabled");
    put(&store, 1, |_| {}).await;
    assert_eq!(claim(&store, "me", at(6)).await, [(1, 1, 1), (1, 2, 1)]);
}

async fn a_disabled_or_removed_trigger_cancels_what_is_owed(bench: Bench) {
    let store = with_triggers(&bench).await;
    let owed = [1, 2, 3].map(|n| debt(delivery(n, 1, 1), at(0)));
    let flying = Debt { leased_until: Some(at(15)), ..debt(delivery(1, 2, 1), at(0)) };
    settle_debts(&store, owed.into_iter().chain([flying]).collect(), at(0)).await;
    put(&store, 1, |trigger| trigger.enabled = false).await;
    store.remove_trigger(trigger_id(2), Expect::Anything, at(1)).await.unwrap();
    // A trigger that is not there at all cannot be delivered to either.
    settle_debts(&store, vec![debt(delivery(9, 1, 1), at(0))], at(0)).await;
    assert_eq!(claim(&store, "me", at(1)).await, [(3, 1, 1)]);
    let mut cancelled: Vec<_> =
        store.cancel_debts(at(2), 100).await.unwrap().iter().map(|e| names(&e.delivery)).collect();
    cancelled.sort_unstable();
    assert_eq!(cancelled, [(1, 1, 1), (2, 1, 1), (9, 1, 1)], "not what is in flight");
    assert_eq!(store.cancel_debts(at(15), 100).await.unwrap().len(), 1, "that comes later");
    let of_kind = EndingFilter { ending: Some(Ending::Cancelled), ..EndingFilter::default() };
    assert_eq!(store.endings(&of_kind, 10).await.unwrap().len(), 4);
}

async fn a_paused_lane_gives_nothing_and_none_of_its_debts_is_touched(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    store.pause_lane(lane(1), at(30), "429").await.unwrap();
    let store = bench.reopen(store).await;
    assert!(claim(&store, "me", at(29)).await.is_empty());
    assert_eq!(store.next_due().await.unwrap(), Some(at(30)));
    assert_eq!(store.debts(&DebtFilter::default(), 1).await.unwrap()[0].due, at(0));
    let paused = store.paused_lanes(at(29)).await.unwrap();
    assert_eq!(paused, [(LaneDue { lane: lane(1), due: at(30) }, "429".into())]);
    assert!(store.paused_lanes(at(30)).await.unwrap().is_empty());
    assert_eq!(claim(&store, "me", at(30)).await, [(1, 1, 1)]);
    store.pause_lane(lane(1), at(60), "429").await.unwrap();
    store.resume_lane(lane(1), at(40)).await.unwrap();
    assert_eq!(claim(&store, "me", at(40)).await, [(1, 1, 1)]);
}

async fn the_lane_with_the_earliest_debt_comes_first(bench: Bench) {
    let store = with_triggers(&bench).await;
    assert_eq!(store.next_due().await.unwrap(), None);
    let of = |n, session, due| Debt { lane: lane(n), ..debt(delivery(1, session, 1), at(due)) };
    settle_debts(&store, vec![of(1, 1, 30), of(2, 2, 20), of(3, 3, 10), of(2, 4, 5)], at(0)).await;
    store.pause_lane(lane(3), at(25), "").await.unwrap();
    let lanes: Vec<_> = store.lanes_owed().await.unwrap().into_iter().map(|l| (l.lane, l.due)).collect();
    assert_eq!(lanes, [(lane(2), at(5)), (lane(3), at(25)), (lane(1), at(30))]);
    assert_eq!(store.next_due().await.unwrap(), Some(at(5)));
}

async fn a_corrected_url_moves_what_is_owed(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0)), debt(delivery(2, 1, 1), at(0))], at(0)).await;
    assert_eq!(store.move_debts(trigger_id(1), lane(5), at(0)).await.unwrap(), 1);
    assert_eq!(claim(&store, "me", at(0)).await, [(2, 1, 1)]);
    assert_eq!(store.claim(lane(5), "me", at(0), 10, at(9)).await.unwrap().len(), 1);
}

async fn what_is_owed_is_counted_by_trigger(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, (1..=4).map(|n| debt(delivery(1, n, 1), at(0))).collect(), at(0)).await;
    settle_debts(&store, vec![debt(delivery(2, 1, 1), at(0)), debt(delivery(1, 1, 1), at(9))], at(0)).await;
    settle_ended(&store, vec![ended(delivery(1, 4, 1), Ending::Failed, at(1))], at(1)).await;
    let counts = async || -> Vec<(u128, u64)> {
        let owed = store.owed_counts().await.unwrap();
        owed.iter().map(|count| (count.trigger.0.as_u128(), count.debts)).collect()
    };
    assert_eq!(counts().await, [(1, 3), (2, 1)]);
    settle_ended(&store, vec![ended(delivery(2, 1, 1), Ending::Failed, at(1))], at(1)).await;
    assert_eq!(counts().await, [(1, 3)]);
    let of_session = DebtFilter { session: Some(delivery(1, 2, 1).session), ..DebtFilter::default() };
    assert_eq!(store.debts(&of_session, 10).await.unwrap().len(), 1);
}

async fn after_a_crash_what_is_done_or_owed_is_known(bench: Bench) {
    let store = with_triggers(&bench).await;
    let deliveries: Vec<_> = (1..=6).map(|n| delivery(1, n, 1)).collect();
    let yesterday = at(-86_400);
    let batch = Batch {
        // Delivered at the first try, today and before; one that failed and was never written down as owed.
        attempts: vec![
            attempt(&deliveries[0], at(0), 1),
            attempt(&deliveries[1], yesterday, 2),
            failure(&deliveries[2], at(0), 3),
        ],
        debts: vec![debt(deliveries[3].clone(), at(99))],
        ended: vec![ended(deliveries[4].clone(), Ending::Failed, at(0))],
        ..Batch::default()
    };
    store.settle(&batch, "me", at(0)).await.unwrap();
    let store = bench.reopen(store).await;
    let known = async |since| {
        let known = store.settled_or_owed(&deliveries, since).await.unwrap();
        deliveries.iter().map(|delivery| known.contains(&delivery.id)).collect::<Vec<_>>()
    };
    assert_eq!(known(yesterday).await, [true, true, false, true, true, false]);
    assert!(store.settled_or_owed(&[], yesterday).await.unwrap().is_empty());
    // Another revision of a session that is done is not done.
    let newer = delivery(1, 1, 2);
    assert!(store.settled_or_owed(&[newer], yesterday).await.unwrap().is_empty());
}
