//! What it costs to write down finished deliveries: CPU seconds for 1,000, which repeat, and the rate, which the
//! disk and the neighbours decide.
//!
//! `cargo bench -p ringpost-store --bench settle`, and with PostgreSQL as well: `scripts/postgres run cargo bench …`

use std::time::Instant;

use ringpost_model::{
    AttemptId, Cdr, Context, DeliveryId, Envelope, PbxKey, SessionId, TenantId, TenantKey, Timestamp,
    TriggerId,
};
use ringpost_store::{Attempt, Batch, Exchange, NewSession};
use uuid::{NoContext, Uuid};

#[path = "place/place.rs"]
mod place;

use place::{Place, own_cpu, places, server_cpu};

const ATTEMPTS: usize = 20_000;
const BATCH: usize = 100;
const TENANTS: u128 = 50;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for (name, with_sessions) in [("attempts", false), ("attempts and sessions", true)] {
        runtime.block_on(async {
            for place in places().await {
                measure(&place, name, with_sessions).await;
            }
        });
    }
}

async fn measure(place: &Place, name: &str, with_sessions: bool) {
    // The tables of the day are made by the first.
    place.store.settle(&batch(ATTEMPTS as u64, with_sessions), "bench", time(0)).await.expect("settled");
    let batches: Vec<Batch> = (0..ATTEMPTS / BATCH).map(|n| batch(n as u64, with_sessions)).collect();
    let (begun, own, server) = (Instant::now(), own_cpu(), server_cpu());
    for batch in &batches {
        place.store.settle(batch, "bench", time(0)).await.expect("settled");
    }
    let took = begun.elapsed().as_secs_f64();
    let (own, server) = (own_cpu() - own, if place.name == "files" { 0.0 } else { server_cpu() - server });
    place.store.close().await;
    let thousands = ATTEMPTS as f64 / 1_000.0;
    println!(
        "{name} in {}: {:.0}/s, {:.4} CPU s per 1,000 of ours and {:.4} of the server, {} KB on disk per 1,000",
        place.name,
        ATTEMPTS as f64 / took,
        own / thousands,
        server / thousands,
        place.bytes().await / 1_000 / (ATTEMPTS as u64 / 1_000)
    );
}

fn batch(n: u64, with_sessions: bool) -> Batch {
    let rows = (0..BATCH as u64).map(|row| n * BATCH as u64 + row);
    let sessions = rows.clone().filter(|_| with_sessions).map(session).collect();
    Batch { sessions, attempts: rows.map(attempt).collect(), ..Batch::default() }
}

/// Ids of calls and deliveries are hashes: they come in no order.
fn random_id(n: u64) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes())
}

fn time(n: u64) -> Timestamp {
    Timestamp::from_micros(1_773_133_200_000_000 + n as i64 * 1_000)
}

fn attempt(n: u64) -> (Attempt, Exchange) {
    let started = time(n);
    let micros = started.micros() as u64;
    let at = uuid::Timestamp::from_unix(NoContext, micros / 1_000_000, (micros % 1_000_000) as u32 * 1_000);
    let (trigger, session) =
        (TriggerId(Uuid::from_u128(u128::from(n) % (2 * TENANTS))), SessionId(random_id(n)));
    let row = Attempt {
        id: AttemptId(Uuid::new_v7(at)),
        delivery: DeliveryId::of_record(trigger, session, 1),
        owner: TenantId(Uuid::from_u128(u128::from(n) % TENANTS)),
        trigger,
        session,
        rev: 1,
        number: 1,
        queued: started,
        started,
        ended: started.plus_micros(120_000),
        class: "success".into(),
        ok: true,
        last: true,
        status: Some(200),
        error: "".into(),
        address: "203.0.113.7:443".into(),
    };
    let header = |name: &str| (name.to_owned(), "0123456789abcdef0123456789abcdef".to_owned());
    let exchange = Exchange {
        request_line: "POST https://hooks.example/first/…".into(),
        request_headers: ["content-type", "user-agent", "webhook-id", "webhook-signature", "x-hook-id"]
            .map(header)
            .to_vec(),
        request_body: vec![b'x'; 1_400],
        response_headers: ["content-type", "date", "server"].map(header).to_vec(),
        response_body: vec![b'y'; 200],
        response_cut: false,
    };
    (row, exchange)
}

fn session(n: u64) -> NewSession {
    let mut cdr = Cdr::empty(SessionId(random_id(n)));
    (cdr.start, cdr.end, cdr.ans) = (time(n), time(n + 60_000), true);
    cdr.cli.number = format!("+4416329{:05}", n % 60_000).into();
    cdr.ddi.number = format!("+4416149{:05}", n % 200).into();
    let envelope = Envelope {
        v: 1,
        tenant: TenantKey::new(&format!("tenant-{}", u128::from(n) % TENANTS)).expect("a key"),
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
