//! Parsed records through the machine: CPU time per 1,000 legs, and memory per live session.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringpost_model::{
    Bridge, Fields, LegDirection, LegId, LegRecord, LegReport, NumberName, PbxKey, Report, Side, TenantKey,
    Timestamp,
};
use ringpost_session::{Config, Machine, Settings};

const SECOND: i64 = 1_000_000;
const BEGIN: i64 = 1_773_133_200 * SECOND;

/// Calls of three legs, one every 20 ms: a caller, a desk that rings and one that answers.
fn calls(count: usize) -> Vec<LegRecord> {
    (0..count).flat_map(call).collect()
}

fn call(number: usize) -> [LegRecord; 3] {
    let begin = BEGIN + number as i64 * 20_000;
    let names =
        ["c0ffee00", "decade11", "facade22"].map(|part| format!("{part}-5d0c-4a52-9d3e-{number:012x}"));
    let time = |seconds: i64| Some(Timestamp::from_micros(begin + seconds * SECOND));
    let desk = |number: &str| Fields {
        side: Some(Side::Internal),
        direction: Some(LegDirection::Out),
        party: pair(number, "User of the desk"),
        device: pair(&format!("dev{number}"), "Desk phone"),
        user: pair(number, "User of the desk"),
        group: "Sales".into(),
        ..Fields::default()
    };
    let caller = Fields {
        side: Some(Side::External),
        direction: Some(LegDirection::In),
        party: pair("+441632960101", "Caller"),
        dialled: "+441614960000".into(),
        cause: "NORMAL_CLEARING".into(),
        sip: Some(200),
        ..Fields::default()
    };
    let with = LegId::new(&names[2]).expect("a short id");
    let bridge = Bridge { with, from: Timestamp::from_micros(begin + 8 * SECOND), to: time(60) };
    let life = |from, ringing, answered, to| LegReport {
        created: time(from),
        ringing,
        answered,
        ended: time(to),
        ..LegReport::default()
    };
    let report = LegReport { bridges: vec![bridge], ..life(0, None, time(8), 60) };
    [
        record(&names[1], number, desk("201"), life(1, time(2), None, 8)),
        record(&names[2], number, desk("202"), life(1, time(2), time(8), 60)),
        record(&names[0], number, caller, report),
    ]
}

fn pair(number: &str, name: &str) -> NumberName {
    NumberName { number: number.into(), name: name.into() }
}

fn record(leg: &str, number: usize, fields: Fields, report: LegReport) -> LegRecord {
    LegRecord {
        tenant: TenantKey::new("acme").expect("a valid key"),
        pbx: PbxKey::new("k1").expect("a valid key"),
        leg: LegId::new(leg).expect("a short id"),
        links: vec![format!("interaction-{number:012x}-9d3e").into()],
        fields,
        recordings: Vec::new(),
        tags: Default::default(),
        report: Report::Leg(report),
    }
}

fn play(config: Config, records: Vec<LegRecord>) -> usize {
    let mut machine = Machine::new(config, Arc::new(Settings::default()));
    let mut count = 0;
    for record in records {
        machine.handle(record.stream_time(), record);
        while machine.poll().is_some() {
            count += 1;
        }
    }
    machine.finish();
    count + std::iter::from_fn(|| machine.poll()).count()
}

fn throughput(criterion: &mut Criterion) {
    let records = calls(334);
    let mut group = criterion.benchmark_group("1,000 legs");
    group.throughput(Throughput::Elements(records.len() as u64));
    let live = Config { events: false, changes: false, ..Config::default() };
    let configs = [
        ("offline", Config::offline()),
        ("stream", Config::offline_stream()),
        ("live", live),
        ("live with events", Config { changes: false, ..Config::default() }),
    ];
    for (name, config) in configs {
        group.bench_with_input(BenchmarkId::from_parameter(name), &config, |bencher, config| {
            bencher.iter_batched(
                || records.clone(),
                |records| black_box(play(config.clone(), records)),
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// CPU seconds of this process so far, where the system says.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit(')').next()?;
    let mut fields = after_name.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// Prints CPU time per 1,000 legs, which neighbours on the machine disturb less than wall time.
fn cpu(_: &mut Criterion) {
    const SESSIONS: usize = 50_000;
    let records = calls(SESSIONS);
    for (name, config) in [
        ("offline", Config::offline()),
        ("stream", Config::offline_stream()),
        ("live", Config { events: false, changes: false, ..Config::default() }),
        ("live with events", Config { changes: false, ..Config::default() }),
    ] {
        let records = records.clone();
        let before = cpu_seconds();
        black_box(play(config, records));
        if let (Some(before), Some(after)) = (before, cpu_seconds()) {
            println!("{name}: {:.4} CPU s per 1,000 legs", (after - before) / (SESSIONS * 3) as f64 * 1000.0);
        }
    }
}

/// Resident bytes, where the system says.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<u64>().ok()? * 4096)
}

/// Prints how much memory a live session of three legs takes.
fn memory(_: &mut Criterion) {
    const SESSIONS: usize = 100_000;
    let mut machine = Machine::new(
        Config { events: false, changes: false, settle: i64::MAX / 4, ..Config::default() },
        Arc::new(Settings::default()),
    );
    let before = resident();
    for number in 0..SESSIONS {
        for record in call(number) {
            machine.handle(record.stream_time(), record);
        }
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        println!("{} bytes per live session of three legs", (after - before) / SESSIONS as u64);
    }
    assert_eq!(machine.stats().live_sessions, SESSIONS as u64);
}

criterion_group!(benches, memory, cpu, throughput);
criterion_main!(benches);
