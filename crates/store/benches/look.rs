//! What it costs dispatch to look around, twice a second, when very many receivers are down: 10,000 lanes with
//! 100,000 debts. It looks between two tries of everybody, so all of it together has to stay far below half a second.
//!
//! `cargo bench -p ringpost-store --bench look`, and with PostgreSQL as well: `scripts/postgres run cargo bench …`

use std::time::Instant;

use ringpost_model::{
    Breaker, LaneId, Limits, SessionId, Tenant, TenantId, TenantKey, Thresholds, Timestamp, Trigger,
    TriggerId,
};
use ringpost_store::{Batch, Debt, Expect, LaneWord, Store};
use uuid::Uuid;

#[path = "place/debt.rs"]
mod debt;
#[path = "place/place.rs"]
mod place;

use debt::Owed;
use place::{own_cpu, places, server_cpu};

const LANES: u64 = 10_000;
const DEBTS: u64 = 100_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for place in places().await {
            println!("in {}:", place.name);
            let server = server_cpu();
            run(&place.store).await;
            place.store.close().await;
            let (mb, server) = (place.bytes().await >> 20, server_cpu() - server);
            println!(
                "  {mb} MB on disk; {:.1} CPU s of ours since the start, {server:.1} of a server",
                own_cpu()
            );
        }
    });
}

async fn run(store: &Store) {
    let begun = Instant::now();
    fill(store).await;
    tell("all written", begun);
    look(store, "healthy").await;
    let word = |lane| LaneWord::Breaker {
        lane: lane_id(lane),
        owner: owner(),
        shown: "https://crm.example/hooks/…".into(),
        breaker: Breaker::Open {
            since: time(0),
            probe_at: time(DEBTS * 2),
            wait: 5_000_000,
            reason: "answered 503".into(),
        },
    };
    let begun = Instant::now();
    let lanes = (0..LANES).map(word).collect();
    store.settle(&Batch { lanes, ..Batch::default() }, "bench", time(DEBTS)).await.expect("settled");
    tell("all receivers go down", begun);
    look(store, "down").await;
    probes(store).await;
}

/// Each part of a look.
async fn look(store: &Store, state: &str) {
    let now = time(DEBTS);
    let begun = Instant::now();
    let rows = store.lanes().await.expect("read");
    tell(&format!("{state}: {} lanes listed", rows.found.len()), begun);
    let begun = Instant::now();
    let counts = store.owed_counts().await.expect("read");
    tell(&format!("{state}: debts of {} triggers counted", counts.len()), begun);
    let begun = Instant::now();
    let due = store.lanes_owed().await.expect("read");
    tell(&format!("{state}: {} lanes that are due listed", due.len()), begun);
    let begun = Instant::now();
    let last = store.claim_last(time(0), "bench", now, 64, time(DEBTS * 9)).await.expect("claimed");
    tell(&format!("{state}: {} claimed for a last try", last.len()), begun);
    let begun = Instant::now();
    for row in &rows.found {
        for trigger in store.failing_triggers(row.lane).await.expect("read") {
            let stored = store.trigger(trigger).await.expect("read").expect("there");
            assert!(stored.trigger.enabled);
            assert_eq!(store.move_debts(trigger, row.lane, now).await.expect("moved"), 0);
        }
    }
    tell(&format!("{state}: each trigger asked where it goes"), begun);
    let begun = Instant::now();
    for lane in due.iter().take(1_000) {
        store.claim(lane.lane, "bench", now, 1, time(DEBTS * 9)).await.expect("claimed");
    }
    tell(&format!("{state}: one of each of {} lanes claimed", due.len().min(1_000)), begun);
}

/// All receivers are asked whether they are back.
async fn probes(store: &Store) {
    let begun = Instant::now();
    for lane in 0..1_000 {
        let now = time(DEBTS * 2);
        store.claim_probe(lane_id(lane), "bench", now, time(DEBTS * 9)).await.expect("claimed").expect("one");
    }
    tell("1,000 probes claimed", begun);
}

fn tell(what: &str, begun: Instant) {
    println!("  {what}: {:.1} ms", begun.elapsed().as_secs_f64() * 1_000.0);
}

async fn fill(store: &Store) {
    let acme = TenantKey::new("acme").expect("a key");
    let tenant = Tenant {
        key: acme.clone(),
        id: owner(),
        name: "".into(),
        parent: None,
        zone: None,
        region: "GB".into(),
        thresholds: Thresholds::default(),
        limits: Limits::default(),
    };
    store.put_tenant(&tenant, time(0)).await.expect("saved");
    for n in 0..LANES {
        let id = trigger_id(n);
        let text = format!(r#"{{"id":"{id}","name":"CRM {n}","url":"https://crm.example/hooks/{n}"}}"#);
        let trigger: Trigger = serde_json::from_str(&text).expect("a trigger");
        store.put_trigger(&acme, &trigger, Expect::Anything, time(0)).await.expect("saved");
    }
    for from in (0..DEBTS).step_by(1_000) {
        let debts = (from..from + 1_000).map(|n| debt(n, &acme)).collect();
        store.settle(&Batch { debts, ..Batch::default() }, "bench", time(0)).await.expect("settled");
    }
}

fn owner() -> TenantId {
    TenantId(Uuid::from_u128(7))
}

fn time(n: u64) -> Timestamp {
    Timestamp::from_micros(1_773_133_200_000_000 + n as i64 * 1_000)
}

fn trigger_id(n: u64) -> TriggerId {
    TriggerId(Uuid::new_v5(&Uuid::NAMESPACE_URL, &n.to_be_bytes()))
}

/// Ids are hashes: they come in no order.
fn lane_id(n: u64) -> LaneId {
    LaneId(Uuid::new_v5(&Uuid::NAMESPACE_DNS, &n.to_be_bytes()))
}

fn debt(n: u64, tenant: &TenantKey) -> Debt {
    let session = SessionId(Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes()));
    let (trigger, lane) = (trigger_id(n % LANES), lane_id(n % LANES));
    Owed { owner: owner(), tenant, trigger, lane, session, at: time(n) }.debt()
}
