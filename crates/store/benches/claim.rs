//! What it costs to take up a backlog: CPU seconds for 1,000 debts claimed, for 1,000 next tries prepared, and for as
//! many that are over.
//!
//! `cargo bench -p ringpost-store --bench claim`, and with PostgreSQL as well: `scripts/postgres run cargo bench …`

use std::time::Instant;

use ringpost_model::{
    Cdr, Context, Envelope, LaneId, PbxKey, SessionId, Tenant, TenantId, TenantKey, Timestamp, Trigger,
    TriggerId,
};
use ringpost_store::{Batch, Debt, Ended, Ending, Expect, NewSession, Store};
use uuid::Uuid;

#[path = "place/debt.rs"]
mod debt;
#[path = "place/place.rs"]
mod place;

use debt::Owed;
use place::{own_cpu, places, server_cpu};

const DEBTS: u64 = 20_000;
const TRIGGERS: u64 = 20;
/// As dispatch claims.
const CLAIM: usize = 64;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for place in places().await {
            println!("in {}:", place.name);
            run(&place.store).await;
            place.store.close().await;
            println!("  {} MB on disk", place.bytes().await >> 20);
        }
    });
}

async fn run(store: &Store) {
    let mut clock = Clock::start();
    fill(store).await;
    clock.tell("sessions and debts written");
    let mut claimed = Vec::new();
    for lane in 0..TRIGGERS {
        loop {
            let debts = store.claim(lane_id(lane), "bench", time(DEBTS), CLAIM, time(DEBTS * 9)).await;
            let debts = debts.expect("claimed");
            if debts.is_empty() {
                break;
            }
            claimed.push(debts);
        }
    }
    clock.tell("claimed");
    for debts in &claimed {
        let prepared = store.prepare(debts).await.expect("prepared");
        assert!(prepared.iter().all(|it| it.as_ref().is_ok_and(|it| it.content.is_some())));
    }
    clock.tell("prepared");
    for delivery in claimed.iter().flatten().map(|debt| &debt.delivery) {
        store.trigger(delivery.trigger).await.expect("read").expect("there");
        store
            .trigger_version(delivery.trigger, delivery.trigger_version)
            .await
            .expect("read")
            .expect("there");
        store.envelope(delivery.session, delivery.rev).await.expect("read").expect("there");
    }
    clock.tell("the same, read one by one");
    for debts in claimed {
        let over = |debt: Debt| {
            let (delivery, ending) = (debt.delivery, Ending::Delivered);
            Ended { delivery, ending, reason: "".into(), at: time(DEBTS) }
        };
        let ended = debts.into_iter().map(over).collect();
        store.settle(&Batch { ended, ..Batch::default() }, "bench", time(DEBTS)).await.expect("settled");
    }
    clock.tell("over");
}

struct Clock {
    begun: Instant,
    own: f64,
    server: f64,
}

impl Clock {
    fn start() -> Self {
        Self { begun: Instant::now(), own: own_cpu(), server: server_cpu() }
    }

    fn tell(&mut self, what: &str) {
        let took = self.begun.elapsed().as_secs_f64();
        let thousands = DEBTS as f64 / 1_000.0;
        println!(
            "  {what}: {:.0}/s, {:.4} CPU s per 1,000 of ours, {:.4} of a server",
            DEBTS as f64 / took,
            (own_cpu() - self.own) / thousands,
            (server_cpu() - self.server) / thousands
        );
        *self = Self::start();
    }
}

async fn fill(store: &Store) {
    let acme = TenantKey::new("acme").expect("a key");
    let tenant = Tenant { region: "GB".into(), ..Tenant::new(TenantId(Uuid::from_u128(7)), acme.clone()) };
    store.put_tenant(&tenant, time(0)).await.expect("saved");
    for n in 0..TRIGGERS {
        let id = trigger_id(n);
        let text = format!(r#"{{"id":"{id}","name":"CRM {n}","url":"https://crm.example/hooks/{n}"}}"#);
        let trigger: Trigger = serde_json::from_str(&text).expect("a trigger");
        store.put_trigger(&acme, &trigger, Expect::Anything, time(0)).await.expect("saved");
    }
    for from in (0..DEBTS).step_by(100) {
        let rows = from..from + 100;
        let batch = Batch {
            sessions: rows.clone().map(|n| session(n, &acme)).collect(),
            debts: rows.map(|n| debt(n, &acme)).collect(),
            ..Batch::default()
        };
        store.settle(&batch, "bench", time(0)).await.expect("settled");
    }
}

fn time(n: u64) -> Timestamp {
    Timestamp::from_micros(1_773_133_200_000_000 + n as i64 * 1_000)
}

fn trigger_id(n: u64) -> TriggerId {
    TriggerId(Uuid::from_u128(u128::from(n) + 1))
}

fn lane_id(n: u64) -> LaneId {
    LaneId(Uuid::from_u128(u128::from(n) + 1))
}

/// Ids of calls are hashes: they come in no order.
fn session_id(n: u64) -> SessionId {
    SessionId(Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes()))
}

fn debt(n: u64, tenant: &TenantKey) -> Debt {
    let owner = TenantId(Uuid::from_u128(7));
    let (trigger, lane) = (trigger_id(n % TRIGGERS), lane_id(n % TRIGGERS));
    Owed { owner, tenant, trigger, lane, session: session_id(n), at: time(n) }.debt()
}

fn session(n: u64, tenant: &TenantKey) -> NewSession {
    let mut cdr = Cdr::empty(session_id(n));
    (cdr.start, cdr.end, cdr.ans) = (time(n), time(n + 60_000), true);
    let envelope = Envelope {
        v: 1,
        tenant: tenant.clone(),
        pbx: PbxKey::new("k1").expect("a key"),
        session: cdr.id,
        rev: 1,
        emitted: cdr.end,
        cdr,
        context: Context::default(),
        legs: Vec::new(),
        timeline: Vec::new(),
        tables: Default::default(),
        cut: Vec::new(),
        quiet: false,
    };
    // As large as one with two legs and their time line.
    NewSession::of(&envelope, vec![b'z'; 3_000])
}
