//! What a delivery costs: making the request, and sending it, beside a bare reqwest loop in the same run.
//!
//! `cargo bench -p ringpost-deliver`. The loops go against a sink in this process, so only their ratio says
//! something; the sink's own cost is in both.

use std::future::Future;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, Throughput, criterion_group};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ringpost_deliver::{
    Class, Client, ClientConfig, Clock, Content, Job, LaneConfig, Lanes, Report, SystemLookup, Tries, render,
    request,
};
use ringpost_model::{
    AttemptId, Cdr, Delivery, DeliveryId, SessionId, TenantId, TenantKey, Timestamp, Trigger, TriggerId,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

/// In flight at the same time, in both loops.
const IN_FLIGHT: usize = 64;
/// Deliveries of one loop.
const DELIVERIES: usize = 20_000;

fn cdr() -> Arc<Cdr> {
    Arc::new(serde_json::from_str(include_str!("../src/samples/cdr.json")).expect("the sample is a record"))
}

fn job(url: &str, keys: &str, session: u128, cdr: &Arc<Cdr>) -> Job {
    let document = format!(
        r#"{{"id":"11111111-1111-4111-8111-111111111111","name":"CRM","url":"{url}",
        "secrets":["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],"headers":{{"X-Api-Key":"0123456789"}}{keys}}}"#
    );
    let trigger: Arc<Trigger> = Arc::new(serde_json::from_str(&document).expect("the document is a trigger"));
    job_of(trigger, session, cdr)
}

fn job_of(trigger: Arc<Trigger>, session: u128, cdr: &Arc<Cdr>) -> Job {
    let id: TriggerId = trigger.id;
    let session = SessionId(Uuid::from_u128(session));
    let delivery = Delivery {
        id: DeliveryId::of_record(id, session, 1),
        owner: TenantId(Uuid::nil()),
        tenant_id: TenantId(Uuid::nil()),
        tenant: TenantKey::new("acme").expect("a key"),
        trigger: id,
        trigger_version: 1,
        session,
        rev: 1,
        matches: true,
    };
    Job {
        delivery,
        version: trigger.clone(),
        trigger,
        content: Content::Record(cdr.clone()),
        attempt: 1,
        tries: Tries::NONE,
        queued: Timestamp::default(),
        owed: false,
        probe: false,
        last: false,
    }
}

fn making(criterion: &mut Criterion) {
    let cdr = cdr();
    let mut group = criterion.benchmark_group("make");
    group.throughput(Throughput::Elements(1));
    for (name, keys) in [("json", ""), ("form", r#","format":"form""#), ("get", r#","method":"GET""#)] {
        let job = job("https://hooks.example/in/catch?sig=0123456789", keys, 1, &cdr);
        group.bench_function(format!("render {name}"), |bencher| {
            bencher.iter(|| render(&job.version, &job.trigger.url, black_box(&job.delivery), &job.content));
        });
        group.bench_function(format!("request {name}: render, headers, sign"), |bencher| {
            let attempt = AttemptId(Uuid::nil());
            bencher.iter(|| request(black_box(&job), attempt, Timestamp::from_micros(1_773_133_200_000_000)));
        });
    }
    group.finish();
}

/// Answers every request with 200, as fast as it can.
async fn sink() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    loop {
        while let Some(length) = request_length(&bytes) {
            bytes.drain(..length);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?.to_ascii_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    (bytes.len() >= head + body).then_some(head + body)
}

fn clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or_default())
    })
}

/// The same bytes by reqwest alone: what a loop without lanes, log and signatures would do.
async fn bare_loop(address: SocketAddr, body: bytes::Bytes) -> Duration {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("http://{address}/in");
    let send = || {
        let sending = client.post(&url).header("content-type", "application/json").body(body.clone()).send();
        async move { sending.await.expect("the sink answers").bytes().await.expect("with a body") }
    };
    let begin = Instant::now();
    let mut running: FuturesUnordered<_> = (0..IN_FLIGHT).map(|_| tokio::spawn(send())).collect();
    let mut started = IN_FLIGHT;
    while running.next().await.is_some() {
        if started < DELIVERIES {
            started += 1;
            running.push(tokio::spawn(send()));
        }
    }
    begin.elapsed()
}

/// Jobs through lanes and client, four receivers of 16 in flight each.
async fn lane_loop(address: SocketAddr, cdr: &Arc<Cdr>) -> Duration {
    let config = ClientConfig {
        allowed: vec!["127.0.0.1/32".parse().expect("a network")],
        allow_http: true,
        ..ClientConfig::default()
    };
    let lookup = Arc::new(SystemLookup::new().expect("a resolver"));
    let client = Client::new(config, lookup, clock()).expect("a client");
    let (lanes, mut reports) = Lanes::new(LaneConfig::default(), Arc::new(client), clock());
    let triggers: Vec<Arc<Trigger>> =
        (0..4).map(|at| job(&format!("http://{address}/{at}"), "", 0, cdr).trigger).collect();
    let submit = |at: usize| {
        lanes.submit(job_of(triggers[at % 4].clone(), at as u128, cdr)).expect("there is room");
    };
    let begin = Instant::now();
    (0..IN_FLIGHT).for_each(submit);
    let (mut submitted, mut finished) = (IN_FLIGHT, 0);
    while finished < DELIVERIES {
        let report = reports.recv().await.expect("lanes live");
        let Report::Finished(done) = report else { continue };
        assert_eq!(done.outcome.class, Class::Success);
        finished += 1;
        if submitted < DELIVERIES {
            submit(submitted);
            submitted += 1;
        }
    }
    begin.elapsed()
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Runs a loop; gives the CPU time of one delivery, in microseconds. It repeats where the rate does not, which
/// moves with the neighbours' load.
async fn measured(what: &str, work: impl Future<Output = Duration>) -> f64 {
    let before = cpu();
    let wall = work.await;
    let micros = (cpu() - before).as_secs_f64() * 1e6 / DELIVERIES as f64;
    let rate = DELIVERIES as f64 / wall.as_secs_f64();
    println!("{what:<12} {rate:>8.0}/s  {micros:>5.1} µs of CPU each, the sink's among them");
    micros
}

/// Both loops in turns, so that a busy neighbour hits both.
fn sending() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (address, cdr) = (sink().await, cdr());
        let job = job("https://hooks.example/in", "", 1, &cdr);
        let rendered =
            render(&job.version, &job.trigger.url, &job.delivery, &job.content).expect("it renders");
        let mut ratios = Vec::new();
        for _ in 0..5 {
            let bare = measured("bare reqwest", bare_loop(address, rendered.payload.clone())).await;
            let lanes = measured("lanes", lane_loop(address, &cdr)).await;
            ratios.push(lanes / bare);
        }
        ratios.sort_by(f64::total_cmp);
        println!("lanes take {:.2} × the CPU time of the bare loop (median of 5)", ratios[2]);
    });
}

criterion_group!(benches, making);

fn main() {
    // The bare client takes its provider from the process; ours does not.
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.expect("nobody else has installed one");
    benches();
    sending();
    Criterion::default().configure_from_args().final_summary();
}
