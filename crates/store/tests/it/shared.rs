//! Several processes on one store in PostgreSQL, at the same time: each of them a store of its own here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ringpost_store::{Batch, Debt, DebtFilter, Ending, EndingFilter, Kind, LaneWord, Store};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use tokio::task::JoinSet;

use crate::bench::{
    Bench, Database, at, attempt, debt, delivery, ended, key, lane, names, settle_debts, tenant, tenant_key,
    with_triggers,
};
use crate::lanes::{open_at, says, tell};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_made_once_however_many_start_together() {
    let Some(database) = Database::new().await else { return };
    let mut starts = JoinSet::new();
    for _ in 0..4 {
        starts.spawn(Store::connect(database.config(ringpost_store::Keyring::new(key('a')))));
    }
    for store in starts.join_all().await {
        assert!(store.unwrap().tenants().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_debt_is_claimed_twice_and_none_is_left() {
    let Some(bench) = Bench::postgres().await else { return };
    let one = with_triggers(&bench).await;
    let of = |n: u128| Debt { lane: lane(n % 3), ..debt(delivery(1 + n % 3, n, 1), at(0)) };
    settle_debts(&one, (0..600).map(of).collect(), at(0)).await;
    let mut processes = JoinSet::new();
    for (owner, store) in [("one", one), ("two", bench.open().await), ("three", bench.open().await)] {
        processes.spawn(async move {
            let (mut claimed, mut idle) = (Vec::new(), 0);
            // Where others are about to claim the rest, nothing is got; then it is asked again.
            while idle < 3 {
                let mut some = Vec::new();
                for n in 0..3 {
                    some.extend(store.claim(lane(n), owner, at(1), 7, at(20)).await.unwrap());
                }
                idle = if some.is_empty() { idle + 1 } else { 0 };
                claimed.extend(some.into_iter().map(|debt| debt.delivery.id));
            }
            claimed
        });
    }
    let claimed = processes.join_all().await.concat();
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), claimed.len(), "one was claimed twice");
    assert_eq!(claimed.len(), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_probes_a_receiver_at_a_time() {
    let Some(bench) = Bench::postgres().await else { return };
    let one = with_triggers(&bench).await;
    settle_debts(&one, (1..=5).map(|n| debt(delivery(1, n, 1), at(0))).collect(), at(0)).await;
    tell(&one, vec![says(lane(1), open_at(0, 10))], 0).await;
    let stores = Arc::new([one, bench.open().await]);
    for round in 1..20 {
        let now = 10 + round * 20;
        let mut asked = JoinSet::new();
        for n in 0..6_usize {
            let stores = Arc::clone(&stores);
            let owner = format!("process {n}");
            asked.spawn(
                async move { stores[n % 2].claim_probe(lane(1), &owner, at(now), at(now + 15)).await },
            );
        }
        let probes = asked.join_all().await.into_iter().filter_map(Result::unwrap).count();
        assert_eq!(probes, 1, "in round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_of_a_rate_that_are_leased_at_once_are_never_more_than_the_rate() {
    let Some(bench) = Bench::postgres().await else { return };
    let stores = Arc::new([bench.open().await, bench.open().await, bench.open().await]);
    let lanes = [(lane(1), 30), (lane(2), 7)];
    let mut held: BTreeMap<usize, (i64, Vec<u64>)> = BTreeMap::new();
    for round in 0..12_i64 {
        let mut asked = JoinSet::new();
        // Not all ask every time: leases of two rounds are in force together.
        for n in (0..3_usize).filter(|n| !(round as usize + n).is_multiple_of(4)) {
            let stores = Arc::clone(&stores);
            asked.spawn(async move {
                let owner = format!("process {n}");
                let granted = stores[n].lease_rates(&lanes, &owner, at(round), at(round + 2)).await;
                (n, granted.unwrap())
            });
        }
        for (n, granted) in asked.join_all().await {
            held.insert(n, (round + 2, granted));
        }
        held.retain(|_, (until, _)| *until > round);
        for (place, (_, rate)) in lanes.iter().enumerate() {
            let sum: u64 = held.values().map(|(_, granted)| granted[place]).sum();
            assert!(sum <= u64::from(*rate) * 1_000, "{held:?} in round {round}");
        }
    }
}

/// Two processes owe revisions of the same sessions, two others claim and deliver: never are two revisions of one
/// session in flight, each is delivered or superseded once, and nothing stays behind for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_of_one_session_go_one_at_a_time_whoever_owes_them() {
    let Some(bench) = Bench::postgres().await else { return };
    let store = with_triggers(&bench).await;
    let (over, flying) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
    let (mut owing, mut sending) = (JoinSet::new(), JoinSet::new());
    for process in 0..2_u32 {
        owing.spawn(owe_revisions(bench.open().await, process));
        let sender = Sender {
            store: bench.open().await,
            name: format!("sends {process}"),
            flying: Arc::clone(&flying),
        };
        sending.spawn(sender.deliver_all(Arc::clone(&over)));
    }
    owing.join_all().await;
    over.store(true, Ordering::SeqCst);
    let delivered: usize = sending.join_all().await.into_iter().sum();
    assert!(store.debts(&DebtFilter::default(), 10).await.unwrap().is_empty(), "one stayed behind");
    assert_eq!(store.owed_counts().await.unwrap(), []);
    let superseded = store.endings(&EndingFilter::default(), 1_000).await.unwrap().len();
    assert_eq!(delivered + superseded, 2 * 40 * 4);
}

/// Odd revisions by one, even ones by the other; several sessions in each batch.
async fn owe_revisions(store: Store, process: u32) {
    for step in 0..40_u32 {
        let rev = 1 + 2 * step + process;
        let debts = (0..4).map(|session| debt(delivery(1, session, rev), at(0))).collect();
        let batch = Batch { debts, ..Batch::default() };
        store.settle(&batch, &format!("owes {process}"), at(1)).await.unwrap();
    }
}

struct Sender {
    store: Store,
    name: String,
    /// Sessions with a delivery in flight, of both.
    flying: Arc<Mutex<BTreeSet<u128>>>,
}

impl Sender {
    /// How many it delivered.
    async fn deliver_all(self, over: Arc<AtomicBool>) -> usize {
        let (mut delivered, mut idle) = (0, 0);
        loop {
            let is_last = over.load(Ordering::SeqCst);
            let claimed = self.store.claim(lane(1), &self.name, at(2), 2, at(60)).await.unwrap();
            let sessions: Vec<_> = claimed.iter().map(|debt| names(&debt.delivery).1).collect();
            for session in &sessions {
                assert!(
                    self.flying.lock().unwrap().insert(*session),
                    "two of session {session} are in flight"
                );
            }
            delivered += claimed.len();
            // What the other holds, or is just letting go, is got at the next turn.
            idle = if claimed.is_empty() && is_last { idle + 1 } else { 0 };
            for session in &sessions {
                self.flying.lock().unwrap().remove(session);
            }
            let ended =
                claimed.into_iter().map(|debt| ended(debt.delivery, Ending::Delivered, at(2))).collect();
            self.store.settle(&Batch { ended, ..Batch::default() }, &self.name, at(2)).await.unwrap();
            let left = self.store.stats().await.unwrap().debts;
            if is_last && (left == 0 || idle > 1_000) {
                return delivered;
            }
        }
    }
}

/// Each word of a lane is about the state that the process knew; of two that open it at once one is told it is late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_that_open_a_lane_at_once_one_is_late() {
    let Some(bench) = Bench::postgres().await else { return };
    let one = with_triggers(&bench).await;
    let two = bench.open().await;
    for n in 1..=10 {
        let open = |store: Store, since: i64| async move {
            let words: Vec<LaneWord> = vec![says(lane(n), open_at(since, since + 5))];
            store.settle(&Batch { lanes: words, ..Batch::default() }, "me", at(since)).await.unwrap().stale
        };
        let (first, second) =
            tokio::join!(tokio::spawn(open(one.clone(), 1)), tokio::spawn(open(two.clone(), 2)));
        let late = first.unwrap().len() + second.unwrap().len();
        assert_eq!(late, 1, "lane {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_changes_misses_none_whoever_commits_first() {
    let Some(bench) = Bench::postgres().await else { return };
    let reader = bench.open().await;
    let mut writers = JoinSet::new();
    for process in 0..3 {
        let store = bench.open().await;
        writers.spawn(async move {
            for n in 0..30 {
                store.put_tenant(&tenant(&format!("t{process}-{n}")), at(n)).await.unwrap();
            }
        });
    }
    let (mut seen, mut last) = (BTreeSet::new(), 0);
    loop {
        let is_last = writers.is_empty();
        while writers.try_join_next().is_some() {}
        for change in reader.changes_since(last).await.unwrap() {
            assert!(change.seq > last, "in order");
            last = change.seq;
            seen.insert(change.tenant.unwrap());
        }
        if is_last {
            break;
        }
    }
    assert_eq!(seen.len(), 90);
}

/// What a sequence alone would do: the later number is there first, and who has read it never asks for the earlier.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_waits_for_the_one_before_it() {
    let Some(database) = Database::new().await else { return };
    let store = Store::connect(database.config(ringpost_store::Keyring::new(key('a')))).await.unwrap();
    let mut slow = PgConnection::connect(&database.url).await.unwrap();
    // Another process has noted a change, and is about to commit: the statements of `change::bump`.
    for sql in [
        "BEGIN",
        "SELECT pg_advisory_xact_lock(8244241981539090434)",
        "INSERT INTO changes (kind, tenant) VALUES ('pbx', '')",
    ] {
        sqlx::raw_sql(sql).execute(&mut slow).await.unwrap();
    }
    let of_others = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    let writing = tokio::spawn({
        let store = store.clone();
        async move { store.put_tenant(&tenant("acme"), at(0)).await.unwrap() }
    });
    let waits = async |slow: &mut PgConnection| -> i64 {
        sqlx::query(of_others).fetch_one(&mut *slow).await.unwrap().get(0)
    };
    while waits(&mut slow).await == 0 {
        assert!(!writing.is_finished(), "it did not wait");
    }
    assert_eq!(store.changes_since(0).await.unwrap(), [], "the later one is not to be seen before");
    sqlx::raw_sql("COMMIT").execute(&mut slow).await.unwrap();
    writing.await.unwrap();
    let changes = store.changes_since(0).await.unwrap();
    let seen: Vec<_> = changes.iter().map(|change| (change.kind, change.tenant.clone())).collect();
    assert_eq!(seen, [(Kind::Pbx, None), (Kind::Tenant, Some(tenant_key("acme")))]);
}

/// A process stood still with a revision in its hands; meanwhile another one delivered it, or the one after it. What it
/// writes down as owed then is over, and is not in the way of others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_delivered_meanwhile_or_its_correction_is_not_sent_again() {
    let Some(bench) = Bench::postgres().await else { return };
    let store = with_triggers(&bench).await;
    let attempts = vec![attempt(&delivery(1, 1, 1), at(1), 1), attempt(&delivery(1, 2, 2), at(1), 2)];
    store.settle(&Batch { attempts, ..Batch::default() }, "quick", at(1)).await.unwrap();
    let owed = (1..=3).map(|session| debt(delivery(1, session, 1), at(0))).collect();
    settle_debts(&store, owed, at(2)).await;
    let claimed = store.claim(lane(1), "me", at(3), 100, at(20)).await.unwrap();
    assert_eq!(claimed.iter().map(|debt| names(&debt.delivery)).collect::<Vec<_>>(), [(1, 3, 1)]);
    let left = store.debts(&DebtFilter::default(), 10).await.unwrap();
    assert_eq!(left.iter().map(|debt| names(&debt.delivery)).collect::<Vec<_>>(), [(1, 3, 1)]);
    let endings = store.endings(&EndingFilter::default(), 10).await.unwrap();
    let ended: Vec<_> = endings.iter().map(|ended| (names(&ended.delivery), ended.ending)).collect();
    assert_eq!(ended, [((1, 2, 1), Ending::Superseded)]);
}
