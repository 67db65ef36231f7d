//! What a delivery costs: making the request, and sending it, beside a bare reqwest loop in the same run.
//!
//! `cargo bench -p ringpost-deliver`. The loops go against a sink in this process, so only their ratio says
//! something; the sink's own cost is in all of them. What the bare loop has in common with ours: the body, one pool of
//! connections kept alive, no TLS, as many requests in flight, each a task of its own, the answer read to its end. What
//! it goes without: nine headers (`bare, headed` sends them, ready made), rendering, signature, the deadline, the
//! check of addresses, and all that the log keeps.

use std::future::Future;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, Throughput, criterion_group};
use ringpost_deliver::{
    Class, Client, ClientConfig, Clock, Content, Job, LaneConfig, Lanes, ReadyTrigger, Report, SystemLookup,
    Tries, render, request,
};
use ringpost_model::{
    AttemptId, Cdr, Delivery, DeliveryId, SessionId, TenantId, TenantKey, Timestamp, Trigger, TriggerId,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
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
    let trigger: Trigger = serde_json::from_str(&document).expect("the document is a trigger");
    job_of(Arc::new(ReadyTrigger::new(TenantId(Uuid::nil()), trigger)), session, cdr)
}

fn job_of(trigger: Arc<ReadyTrigger>, session: u128, cdr: &Arc<Cdr>) -> Job {
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

/// As many requests in flight as everywhere here, each a task of its own.
async fn spawned<F, S>(send: S) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(usize) -> F,
{
    let begin = Instant::now();
    let mut running = JoinSet::new();
    (0..IN_FLIGHT).for_each(|at| drop(running.spawn(send(at))));
    let mut started = IN_FLIGHT;
    while let Some(ended) = running.join_next().await {
        ended.expect("it does not panic");
        if started < DELIVERIES {
            running.spawn(send(started));
            started += 1;
        }
    }
    begin.elapsed()
}

/// The same body by reqwest alone: what a loop without lanes, log and signatures would do.
async fn bare_loop(address: SocketAddr, body: bytes::Bytes, headers: http::HeaderMap) -> Duration {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let urls: Vec<String> = (0..4).map(|at| format!("http://{address}/{at}")).collect();
    spawned(move |at| {
        let sending = client.post(&urls[at % 4]).headers(headers.clone()).body(body.clone()).send();
        async move {
            let answer = sending.await.expect("the sink answers");
            assert!(answer.status().is_success());
            black_box(answer.bytes().await.expect("with a body"));
        }
    })
    .await
}

fn client() -> Client {
    let config = ClientConfig {
        allowed: vec!["127.0.0.1/32".parse().expect("a network")],
        allow_http: true,
        ..ClientConfig::default()
    };
    let lookup = Arc::new(SystemLookup::new().expect("a resolver"));
    Client::new(config, lookup, clock()).expect("a client")
}

/// The deliveries of one loop, to four receivers. Made before it is measured.
fn jobs(address: SocketAddr, cdr: &Arc<Cdr>) -> Vec<Job> {
    let trigger = |at| job(&format!("http://{address}/{at}"), "", 0, cdr).trigger;
    let triggers: Vec<Arc<ReadyTrigger>> = (0..4).map(trigger).collect();
    (0..DELIVERIES).map(|at| job_of(triggers[at % 4].clone(), at as u128, cdr)).collect()
}

/// Rendered, signed and sent by our client, without lanes.
async fn client_loop(jobs: Vec<Job>) -> Duration {
    let (client, clock, jobs) = (client(), clock(), Arc::new(jobs));
    spawned(move |at| {
        let (client, clock, jobs) = (client.clone(), clock.clone(), jobs.clone());
        async move {
            let request = request(&jobs[at], AttemptId(Uuid::nil()), clock());
            let exchange = client.send(request.expect("it can be made")).await;
            assert_eq!(exchange.status(), Some(200));
            black_box(exchange);
        }
    })
    .await
}

/// Jobs through lanes and client, four receivers of 16 in flight each.
async fn lane_loop(jobs: Vec<Job>) -> Duration {
    let (lanes, mut reports) = Lanes::new(LaneConfig::default(), Arc::new(client()), clock());
    let mut jobs = jobs.into_iter();
    let mut submit = || {
        if let Some(job) = jobs.next() {
            lanes.submit(job).expect("there is room");
        }
    };
    let begin = Instant::now();
    (0..IN_FLIGHT).for_each(|_| submit());
    let mut finished = 0;
    while finished < DELIVERIES {
        let report = reports.recv().await.expect("lanes live");
        let Report::Finished(done) = report else { continue };
        assert_eq!(done.outcome.class, Class::Success);
        finished += 1;
        submit();
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

/// Runs a loop as a task; gives the CPU time of one delivery, in microseconds. It repeats where the rate does not,
/// which moves with the neighbours' load.
async fn measured(what: &str, work: impl Future<Output = Duration> + Send + 'static) -> f64 {
    let before = cpu();
    let wall = tokio::spawn(work).await.expect("it does not panic");
    let micros = (cpu() - before).as_secs_f64() * 1e6 / DELIVERIES as f64;
    let rate = DELIVERIES as f64 / wall.as_secs_f64();
    println!("{what:<12} {rate:>8.0}/s  {micros:>5.1} µs of CPU each, the sink's among them");
    micros
}

/// The loops, as they can be asked for.
const LOOPS: [&str; 4] = ["bare", "headed", "client", "lanes"];
/// Turns of them.
const TURNS: usize = 15;

/// The loops in turns, so that a busy neighbour hits all of them.
fn sending(only: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let wants = |what: &str| only.is_none_or(|only| only == what);
    runtime.block_on(async {
        let (address, cdr) = (sink().await, cdr());
        let job = job("https://hooks.example/in", "", 1, &cdr);
        let made = request(&job, AttemptId(Uuid::nil()), clock()()).expect("it can be made");
        let content_type = http::HeaderValue::from_static("application/json");
        let plain = http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type)]);
        let mut micros = LOOPS.map(|_| Vec::new());
        for _ in 0..TURNS {
            for (what, micros) in LOOPS.iter().zip(&mut micros).filter(|(what, _)| wants(what)) {
                let body = made.payload.clone();
                micros.push(match *what {
                    "bare" => measured("bare reqwest", bare_loop(address, body, plain.clone())).await,
                    "headed" => {
                        measured("bare, headed", bare_loop(address, body, made.headers.clone())).await
                    }
                    "client" => measured("client", client_loop(jobs(address, &cdr))).await,
                    _ => measured("lanes", lane_loop(jobs(address, &cdr))).await,
                });
            }
        }
        if only.is_none() {
            let [bare, others @ ..] = &micros;
            for (what, other) in LOOPS[1..].iter().zip(others) {
                let ratio = median(other.iter().zip(bare).map(|(other, bare)| other / bare).collect());
                let (micros, bare) = (median(other.clone()), median(bare.clone()));
                println!("{what}: {ratio:.2} x the bare loop, turn by turn ({micros:.1} to {bare:.1} µs)");
            }
        }
    });
}

/// Medians of all turns: of the ratio within each, not the ratio of medians.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

criterion_group!(benches, making);

fn main() {
    // The bare client takes its provider from the process; ours does not.
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.expect("nobody else has installed one");
    // `cargo bench -- sending`, or `sending lanes` for a profile of one loop.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen = arguments.iter().position(|argument| argument == "sending");
    let only = chosen.and_then(|at| arguments.get(at + 1)).filter(|next| !next.starts_with("--"));
    if chosen.is_none() {
        benches();
    }
    sending(only.map(String::as_str));
    Criterion::default().configure_from_args().final_summary();
}
