//! Lanes whose receiver is down, paused ones, and rates shared by several processes.

use ringpost_model::{Breaker, Run, TriggerId};
use ringpost_store::{Batch, Debt, Ending, EndingFilter, Expect, LaneDue, LaneWord, Settled, Store};

use crate::bench::{
    Bench, at, attempt, claim, debt, delivery, ended, failure, lane, names, settle_debts, settle_ended,
    suite, tenant, tenant_key, trigger, trigger_id, with_triggers,
};

suite! {
    an_open_lane_gives_nothing_and_is_asked_for_probes_instead
    one_probe_is_in_flight_whoever_asks
    a_probe_takes_the_oldest_debt_whatever_its_due_time
    a_probe_skips_what_cannot_be_sent
    an_open_lane_without_debts_stays_open_and_wakes_nobody
    a_trigger_that_does_not_hold_goes_on_in_an_open_lane
    what_waited_for_too_long_gets_one_last_try
    a_lane_is_known_after_a_restart_and_forgotten_when_it_is_well
    a_process_that_knows_less_does_not_close_a_lane
    of_two_pauses_the_later_end_wins
    an_operator_probes_at_once
    triggers_of_a_failing_lane_are_named
    triggers_that_wait_for_receivers_that_are_down_are_told_with_their_versions
    what_a_clock_wrote_that_ran_ahead_is_due_now_and_nothing_else
    a_corrected_url_moves_all_but_what_is_in_flight
    shares_of_a_rate_are_never_more_than_the_rate
    failed_tries_are_counted_across_midnight_and_restarts
}

pub(crate) fn open_at(since: i64, probe_at: i64) -> Breaker {
    Breaker::Open { since: at(since), probe_at: at(probe_at), wait: 5_000_000, reason: "503".into() }
}

pub(crate) fn failing(failures: u32) -> Breaker {
    let run = Run { failures, since: at(0), first: delivery(1, 1, 1).id, several: true };
    Breaker::Failing { run }
}

const RAMPING: Breaker =
    Breaker::Ramping { since: ringpost_model::Timestamp::from_micros(0), limit: 2, done: 1, wait: 5_000_000 };

pub(crate) fn says(lane: ringpost_model::LaneId, breaker: Breaker) -> LaneWord {
    LaneWord::Breaker { lane, owner: tenant("acme").id, shown: "https://crm.example/hooks".into(), breaker }
}

pub(crate) async fn tell(store: &Store, words: Vec<LaneWord>, now: i64) -> Settled {
    store.settle(&Batch { lanes: words, ..Batch::default() }, "me", at(now)).await.unwrap()
}

/// Since 10 seconds before its first probe.
pub(crate) async fn open(store: &Store, lane: ringpost_model::LaneId, probe_at: ringpost_model::Timestamp) {
    let since = probe_at.plus_micros(-10_000_000);
    let breaker = Breaker::Open { since, probe_at, wait: 5_000_000, reason: "503".into() };
    let batch = Batch { lanes: vec![says(lane, breaker)], ..Batch::default() };
    store.settle(&batch, "me", since).await.unwrap();
}

pub(crate) async fn probe(store: &Store, owner: &str, now: i64) -> Option<(u128, u128, u32)> {
    let probe = store.claim_probe(lane(1), owner, at(now), at(now + 15)).await.unwrap();
    probe.map(|debt| names(&debt.delivery))
}

async fn an_open_lane_gives_nothing_and_is_asked_for_probes_instead(bench: Bench) {
    let store = with_triggers(&bench).await;
    let other = Debt { lane: lane(2), ..debt(delivery(1, 9, 1), at(0)) };
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0)), other], at(0)).await;
    tell(&store, vec![says(lane(1), open_at(0, 10))], 0).await;
    assert!(claim(&store, "me", at(100)).await.is_empty());
    let owed: Vec<_> = store.lanes_owed().await.unwrap().iter().map(|due| due.lane).collect();
    assert_eq!(owed, [lane(2)]);
    assert_eq!(store.open_lanes_due().await.unwrap(), [LaneDue { lane: lane(1), due: at(10) }]);
    tell(&store, vec![says(lane(1), RAMPING)], 11).await;
    assert!(store.open_lanes_due().await.unwrap().is_empty());
    assert_eq!(claim(&store, "me", at(11)).await, [(1, 1, 1)], "how many at a time is the lane's affair");
}

async fn one_probe_is_in_flight_whoever_asks(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, (1..=3).map(|n| debt(delivery(1, n, 1), at(n as i64))).collect(), at(0)).await;
    tell(&store, vec![says(lane(1), open_at(0, 10))], 0).await;
    assert_eq!(probe(&store, "one", 9).await, None, "not due");
    assert_eq!(probe(&store, "one", 10).await, Some((1, 1, 1)));
    assert_eq!(probe(&store, "two", 11).await, None);
    assert_eq!(probe(&store, "one", 24).await, None);
    assert_eq!(store.open_lanes_due().await.unwrap(), [LaneDue { lane: lane(1), due: at(25) }]);
    // Its process died: the lease has ended, and so has that of its debt.
    assert_eq!(probe(&store, "two", 25).await, Some((1, 1, 1)));
    // It failed: the next is due later, and nobody's until then. A word that changes nothing of that frees nothing.
    tell(&store, vec![says(lane(1), open_at(0, 10))], 26).await;
    assert_eq!(probe(&store, "one", 27).await, None);
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(28))], at(28)).await;
    tell(&store, vec![says(lane(1), open_at(0, 38))], 28).await;
    assert_eq!(probe(&store, "one", 37).await, None);
    assert_eq!(probe(&store, "one", 39).await, Some((1, 2, 1)), "the first one is leased to who lost it");
}

async fn a_probe_takes_the_oldest_debt_whatever_its_due_time(bench: Bench) {
    let store = with_triggers(&bench).await;
    let of = |session, queued, due| Debt {
        queued: at(queued),
        first_try: None,
        ..debt(delivery(1, session, 1), at(due))
    };
    settle_debts(&store, vec![of(1, 5, 0), of(2, 3, 900), of(3, 4, 0)], at(6)).await;
    tell(&store, vec![says(lane(1), open_at(0, 10))], 6).await;
    assert_eq!(probe(&store, "me", 10).await, Some((1, 2, 1)));
    let leased = store.debts(&Default::default(), 10).await.unwrap();
    let leased: Vec<_> = leased.iter().map(|debt| debt.leased_until).collect();
    assert_eq!(leased, [None, Some(at(25)), None]);
}

async fn a_probe_skips_what_cannot_be_sent(bench: Bench) {
    let store = with_triggers(&bench).await;
    let mut paused = trigger(2);
    paused.paused = true;
    store.put_trigger(&tenant_key("acme"), &paused, Expect::Anything, at(0)).await.unwrap();
    let flying = Debt { leased_until: Some(at(60)), ..debt(delivery(1, 1, 1), at(0)) };
    let debts = vec![flying, debt(delivery(1, 1, 2), at(0)), debt(delivery(2, 1, 1), at(0))];
    settle_debts(&store, debts, at(0)).await;
    tell(&store, vec![says(lane(1), open_at(0, 10))], 0).await;
    assert_eq!(probe(&store, "me", 10).await, None, "in flight, behind that, and paused");
    assert_eq!(store.open_lanes_due().await.unwrap(), [LaneDue { lane: lane(1), due: at(60) }]);
    // The sender of revision 1 died: revision 2 goes in its place.
    assert_eq!(probe(&store, "me", 60).await, Some((1, 1, 2)));
    let superseded = EndingFilter { ending: Some(Ending::Superseded), ..EndingFilter::default() };
    assert_eq!(names(&store.endings(&superseded, 9).await.unwrap()[0].delivery), (1, 1, 1));
    tell(&store, vec![says(lane(1), open_at(0, 70))], 61).await;
    store.pause_lane(lane(1), at(90), "429").await.unwrap();
    assert_eq!(
        probe(&store, "two", 89).await,
        None,
        "a receiver that asked for a pause is not probed meanwhile"
    );
    assert_eq!(probe(&store, "two", 90).await, Some((1, 1, 2)));
}

async fn an_open_lane_without_debts_stays_open_and_wakes_nobody(bench: Bench) {
    let store = with_triggers(&bench).await;
    tell(&store, vec![says(lane(1), open_at(0, 10))], 0).await;
    assert_eq!(probe(&store, "me", 20).await, None);
    assert!(store.open_lanes_due().await.unwrap().is_empty());
    assert_eq!(store.lanes().await.unwrap()[0].breaker, open_at(0, 10));
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(21)).await;
    assert_eq!(probe(&store, "two", 21).await, Some((1, 1, 1)), "the probe that found nothing is no one's");
}

async fn a_trigger_that_does_not_hold_goes_on_in_an_open_lane(bench: Bench) {
    let store = with_triggers(&bench).await;
    let debts = [1, 2].map(|n| debt(delivery(n, 1, 1), at(5)));
    settle_debts(&store, debts.to_vec(), at(0)).await;
    let mut plain = trigger(2);
    plain.while_down = ringpost_model::WhileDown::Fail;
    store.put_trigger(&tenant_key("acme"), &plain, Expect::Anything, at(1)).await.unwrap();
    tell(&store, vec![says(lane(1), open_at(0, 99))], 1).await;
    assert_eq!(store.lanes_owed().await.unwrap(), [LaneDue { lane: lane(1), due: at(5) }]);
    assert_eq!(claim(&store, "me", at(5)).await, [(2, 1, 1)]);
    store.put_trigger(&tenant_key("acme"), &trigger(2), Expect::Anything, at(6)).await.unwrap();
    assert!(claim(&store, "me", at(30)).await.is_empty(), "from now on it waits");
    assert!(store.lanes_owed().await.unwrap().is_empty());
}

async fn what_waited_for_too_long_gets_one_last_try(bench: Bench) {
    let store = with_triggers(&bench).await;
    let of = |n, session, queued, tried: Option<i64>| Debt {
        lane: lane(n),
        queued: at(queued),
        first_try: tried.map(at),
        ..debt(delivery(1, session, 1), at(9_999))
    };
    // The hold counts from the first try; from the firing, where none was made.
    let debts = vec![of(1, 1, 0, Some(50)), of(1, 2, 0, Some(200)), of(1, 3, 60, None), of(1, 4, 200, None)];
    let others = vec![of(2, 5, 0, Some(0)), of(3, 6, 0, Some(0)), of(3, 7, 0, Some(0)), of(3, 8, 0, Some(0))];
    settle_debts(&store, debts.into_iter().chain(others).collect(), at(0)).await;
    tell(&store, vec![says(lane(1), open_at(0, 99)), says(lane(3), open_at(0, 99))], 0).await;
    let last = async |now, limit| {
        let claimed = store.claim_last(at(100), "me", at(now), limit, at(now + 15)).await.unwrap();
        let mut sessions: Vec<_> = claimed.iter().map(|debt| names(&debt.delivery).1).collect();
        sessions.sort_unstable();
        sessions
    };
    // Lane 2 is not open: there the next try is the last one anyway.
    assert_eq!(last(1_000, 3).await, [1, 3, 6], "every lane gets its part");
    assert_eq!(last(1_001, 9).await, [7, 8], "the others are in flight");
    settle_ended(&store, vec![ended(delivery(1, 1, 1), Ending::Failed, at(1_002))], at(1_002)).await;
    assert_eq!(last(1_016, 9).await, [3, 6, 7, 8], "their sender died");
}

async fn a_lane_is_known_after_a_restart_and_forgotten_when_it_is_well(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    for breaker in [failing(3), open_at(0, 10), RAMPING] {
        let stale = tell(&store, vec![says(lane(1), breaker.clone())], 1).await.stale;
        let lanes = store.lanes().await.unwrap();
        assert_eq!((lanes.len(), lanes[0].lane, &lanes[0].breaker, stale.len()), (1, lane(1), &breaker, 0));
        assert_eq!(
            (lanes[0].owner, &*lanes[0].shown, lanes[0].owed),
            (Some(tenant("acme").id), "https://crm.example/hooks", 1)
        );
    }
    let store = bench.reopen(store).await;
    assert_eq!(store.lanes().await.unwrap()[0].breaker, RAMPING);
    store.pause_lane(lane(1), at(60), "429").await.unwrap();
    tell(&store, vec![says(lane(1), Breaker::Healthy)], 2).await;
    let lanes = store.lanes().await.unwrap();
    assert_eq!(
        (&lanes[0].breaker, lanes[0].paused_until),
        (&Breaker::Healthy, Some(at(60))),
        "it is still paused"
    );
    tell(&store, vec![says(lane(1), failing(1)), says(lane(1), Breaker::Healthy)], 60).await;
    assert!(store.lanes().await.unwrap().is_empty());
    // What nobody sends to any more goes with the log of its time.
    tell(&store, vec![says(lane(7), open_at(0, 10))], 0).await;
    store.retain(Default::default(), at(15 * 86_400)).await.unwrap();
    assert!(store.lanes().await.unwrap().is_empty());
}

async fn a_process_that_knows_less_does_not_close_a_lane(bench: Bench) {
    let store = with_triggers(&bench).await;
    tell(&store, vec![says(lane(1), open_at(5, 10))], 5).await;
    // Another still counts failures, and opens the lane on its own.
    assert_eq!(tell(&store, vec![says(lane(1), failing(7))], 6).await.stale, [lane(1)]);
    assert_eq!(tell(&store, vec![says(lane(1), open_at(6, 11))], 6).await.stale, [lane(1)]);
    assert_eq!(store.lanes().await.unwrap()[0].breaker, open_at(5, 10));
    // In order: it recovered, and fails anew.
    let words = vec![says(lane(1), Breaker::Healthy), says(lane(1), failing(1))];
    assert!(tell(&store, words, 7).await.stale.is_empty());
    assert_eq!(store.lanes().await.unwrap()[0].breaker, failing(1));
}

async fn of_two_pauses_the_later_end_wins(bench: Bench) {
    let store = with_triggers(&bench).await;
    store.pause_lane(lane(1), at(60), "first").await.unwrap();
    store.pause_lane(lane(1), at(30), "second").await.unwrap();
    let pause = |until, reason: &str| {
        let (owner, shown, reason) = (tenant("acme").id, "https://a.example".into(), reason.into());
        LaneWord::Pause { lane: lane(1), owner, shown, until: at(until), reason }
    };
    tell(&store, vec![pause(40, "third")], 0).await;
    let row = store.lanes().await.unwrap()[0].clone();
    assert_eq!(
        (row.paused_until, &*row.pause_reason, &*row.shown),
        (Some(at(60)), "first", "https://a.example")
    );
    tell(&store, vec![pause(90, "fourth")], 0).await;
    let row = store.lanes().await.unwrap()[0].clone();
    assert_eq!((row.paused_until, &*row.pause_reason), (Some(at(90)), "fourth"));
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    assert!(claim(&store, "me", at(89)).await.is_empty());
    assert_eq!(claim(&store, "me", at(90)).await, [(1, 1, 1)]);
}

async fn an_operator_probes_at_once(bench: Bench) {
    let store = with_triggers(&bench).await;
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0))], at(0)).await;
    tell(&store, vec![says(lane(1), open_at(0, 300))], 0).await;
    store.pause_lane(lane(1), at(400), "429").await.unwrap();
    store.resume_lane(lane(1), at(20)).await.unwrap();
    let row = store.lanes().await.unwrap()[0].clone();
    assert_eq!((row.breaker, row.paused_until), (open_at(0, 20), None), "every process sees it");
    assert_eq!(probe(&store, "me", 20).await, Some((1, 1, 1)));
    store.resume_lane(lane(1), at(21)).await.unwrap();
    assert_eq!(probe(&store, "two", 22).await, None, "one probe at a time, for operators too");
}

async fn triggers_of_a_failing_lane_are_named(bench: Bench) {
    let store = with_triggers(&bench).await;
    let elsewhere = Debt { lane: lane(2), ..debt(delivery(3, 1, 1), at(0)) };
    let debts = vec![
        debt(delivery(2, 1, 1), at(0)),
        debt(delivery(1, 1, 1), at(0)),
        debt(delivery(1, 2, 1), at(0)),
        elsewhere,
    ];
    settle_debts(&store, debts, at(0)).await;
    let named = async |n| -> Vec<TriggerId> { store.failing_triggers(lane(n)).await.unwrap() };
    assert_eq!(named(1).await, [trigger_id(1), trigger_id(2)]);
    settle_ended(&store, vec![ended(delivery(2, 1, 1), Ending::Delivered, at(1))], at(1)).await;
    assert_eq!(named(1).await, [trigger_id(1)]);
    assert!(named(9).await.is_empty());
}

async fn triggers_that_wait_for_receivers_that_are_down_are_told_with_their_versions(bench: Bench) {
    let store = with_triggers(&bench).await;
    let there = |trigger, session| Debt { lane: lane(2), ..debt(delivery(trigger, session, 1), at(0)) };
    settle_debts(&store, vec![debt(delivery(1, 1, 1), at(0)), there(2, 1), there(2, 2), there(3, 1)], at(0))
        .await;
    assert!(store.waiting_triggers().await.unwrap().is_empty(), "no receiver is down");
    tell(&store, vec![says(lane(1), failing(3)), says(lane(2), open_at(0, 10))], 0).await;
    let paused = ringpost_model::Trigger { paused: true, ..trigger(3) };
    store.put_trigger(&tenant_key("acme"), &paused, Expect::Anything, at(1)).await.unwrap();
    let told = store.waiting_triggers().await.unwrap();
    let told: Vec<_> = told.iter().map(|it| (it.lane, it.trigger, it.version)).collect();
    assert_eq!(told, [(lane(2), trigger_id(2), 1), (lane(2), trigger_id(3), 2)]);
    let row = &store.lanes().await.unwrap()[1];
    assert_eq!((row.owed, row.waiting), (3, 2), "one waits for its trigger");
}

async fn what_a_clock_wrote_that_ran_ahead_is_due_now_and_nothing_else(bench: Bench) {
    let store = with_triggers(&bench).await;
    let hours = |n: i64| n * 3_600;
    let leased = Debt { leased_until: Some(at(hours(3))), ..debt(delivery(1, 3, 1), at(hours(3))) };
    let debts = vec![debt(delivery(1, 1, 1), at(60)), debt(delivery(1, 2, 1), at(hours(2))), leased];
    settle_debts(&store, debts, at(hours(2))).await;
    let pause = |n, reason: &str| LaneWord::Pause {
        lane: lane(n),
        owner: tenant("acme").id,
        shown: "".into(),
        until: at(hours(2)),
        reason: reason.into(),
    };
    tell(&store, vec![pause(1, ringpost_store::ASKED_FOR_PAUSE), pause(2, "an operator says so")], 0).await;
    assert_eq!(store.undo_far_times(at(hours(2))).await.unwrap(), 0, "by the clock of then all may be true");
    assert_eq!(store.undo_far_times(at(0)).await.unwrap(), 3);
    assert_eq!(claim(&store, "me", at(0)).await, [(1, 2, 1), (1, 3, 1)], "the other is due in a minute");
    let paused: Vec<_> = store.paused_lanes(at(0)).await.unwrap().iter().map(|(it, _)| it.lane).collect();
    assert_eq!(paused, [lane(2)]);
    assert_eq!(store.undo_far_times(at(0)).await.unwrap(), 0);
}

async fn a_corrected_url_moves_all_but_what_is_in_flight(bench: Bench) {
    let store = with_triggers(&bench).await;
    let many = 2_500;
    settle_debts(&store, (1..=many).map(|n| debt(delivery(1, n, 1), at(0))).collect(), at(0)).await;
    settle_debts(&store, vec![debt(delivery(2, 1, 1), at(0))], at(0)).await;
    tell(&store, vec![says(lane(1), open_at(0, 0))], 0).await;
    let (_, flying, _) = probe(&store, "me", 0).await.unwrap();
    let moved = async |now| store.move_debts(trigger_id(1), lane(5), at(now)).await.unwrap();
    assert_eq!(moved(1).await, many as u64 - 1);
    assert_eq!(moved(1).await, 0);
    let row = store.lanes().await.unwrap()[0].clone();
    assert_eq!((row.lane, row.owed), (lane(1), 2), "one in flight, one of another trigger");
    assert_eq!(store.claim(lane(5), "me", at(1), 9_999, at(20)).await.unwrap().len(), many as usize - 1);
    assert_eq!(moved(15).await, 1, "its lease has ended");
    assert_eq!(names(&store.claim(lane(5), "me", at(16), 9, at(30)).await.unwrap()[0].delivery).1, flying);
}

async fn shares_of_a_rate_are_never_more_than_the_rate(bench: Bench) {
    let store = with_triggers(&bench).await;
    let lease = async |owner: &str, now: i64| {
        store.lease_rates(&[(lane(1), 10), (lane(2), 1)], owner, at(now), at(now + 2)).await.unwrap()
    };
    assert_eq!(lease("one", 0).await, [10_000, 1_000], "alone, all of it");
    // What the first has is its own until it renews.
    assert_eq!(lease("two", 0).await, [0, 0]);
    assert_eq!(lease("one", 1).await, [5_000, 500], "it makes room");
    assert_eq!(lease("two", 1).await, [5_000, 500]);
    assert_eq!(lease("three", 1).await, [0, 0]);
    assert_eq!(lease("one", 2).await, [3_333, 333]);
    assert_eq!(lease("two", 2).await, [3_333, 333]);
    assert_eq!(lease("three", 2).await, [3_333, 333]);
    // The others are gone: a process that died is not waited for longer than its lease.
    assert_eq!(lease("one", 4).await, [10_000, 1_000]);
    assert!(store.lease_rates(&[], "one", at(0), at(1)).await.unwrap().is_empty());
}

async fn failed_tries_are_counted_across_midnight_and_restarts(bench: Bench) {
    let store = with_triggers(&bench).await;
    let midnight = 15 * 3_600;
    let of = |n: u128, started| failure(&delivery(n, 1, 1), at(started), started as u64);
    let attempts = vec![of(1, midnight - 3), of(1, midnight - 1), of(1, midnight + 1), of(2, midnight + 1)];
    let fine = attempt(&delivery(1, 2, 1), at(midnight + 2), 99);
    let batch = Batch { attempts: attempts.into_iter().chain([fine]).collect(), ..Batch::default() };
    store.settle(&batch, "me", at(midnight)).await.unwrap();
    store.settle(&batch, "me", at(midnight)).await.unwrap();
    let store = bench.reopen(store).await;
    let count = async |since| store.failed_tries(trigger_id(1), at(since)).await.unwrap();
    assert_eq!((count(midnight - 60).await, count(midnight - 1).await, count(midnight + 9).await), (3, 2, 0));
}
