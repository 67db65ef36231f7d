//! What matching costs with 10,000 triggers in one tenant (docs/filters.md, Cost): the usual mixture, contains and
//! expressions only, and the single decision.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringpost_model::{CallDirection, CallType, Cdr, Filter, NumberName, SessionId, Timestamp};
use ringpost_numbers::Region;
use ringpost_trigger::{Compiled, Set};
use serde_json::{Value, json};

const TRIGGERS: usize = 10_000;

/// One after the other, so that no cache has the last one's numbers.
const RECORDS: usize = 64;

fn compiled(filters: &[Value]) -> Compiled {
    let filters: Vec<Filter> =
        filters.iter().map(|it| serde_json::from_str(&it.to_string()).expect("a filter")).collect();
    Compiled::new(&filters, Region::new("GB").ok()).expect("the filters are right")
}

fn ddi(at: usize) -> String {
    format!("+44161496{:04}", at % 10_000)
}

/// An answered incoming call; five of the triggers of [`mixture`] ask for its numbers.
fn record(at: usize) -> Cdr {
    let mut cdr = Cdr::empty(SessionId(uuid::Uuid::from_u128(at as u128)));
    cdr.tz = chrono_tz::Tz::Europe__London;
    cdr.start = Timestamp::parse("2026-03-10T10:30:20Z").expect("a time");
    cdr.end = cdr.start.plus_micros(75_000_000);
    (cdr.dur, cdr.ring, cdr.talk, cdr.ans) = (75, 7, 68, true);
    (cdr.direction, cdr.call_type) = (CallDirection::Incoming, CallType::External);
    cdr.cause = "NORMAL_CLEARING".into();
    cdr.cli.number = format!("+44790090{at:04}").into();
    cdr.cli.name = format!("Jane O'Neill {at}").into();
    cdr.cli.location = "Manchester, United Kingdom".into();
    cdr.ddi = NumberName { number: ddi(at).into(), name: "Main line of the house".into() };
    let user = |number: usize| NumberName { number: format!("{number}").into(), name: "Example User".into() };
    cdr.users.first_rang = user(2000 + at);
    cdr.users.last_rang = user(3000 + at);
    cdr.users.answered = user(3000 + at);
    cdr.users.last_answered = user(3000 + at);
    cdr.devices.answered = user(3000 + at);
    cdr.answer_group = "Customer service desk".into();
    cdr
}

/// 60 % eq or in on the public number or users' numbers, 20 % prefix, 15 % ranges and `not`, 5 % contains and
/// expressions only.
fn mixture(at: usize) -> Vec<Value> {
    let number = at / 20;
    match at % 20 {
        0..=5 => vec![
            json!({"field": "ddiNum", "op": "eq", "value": ddi(at * 7 % 600)}),
            json!({"field": "ans", "op": "eq", "value": true}),
        ],
        6..=8 => vec![
            json!({"field": "ddiNum", "op": "in", "value": [ddi(at), ddi(at + 5_000), ddi(at + 7_000)]}),
            json!({"field": "dir", "op": "eq", "value": "incoming"}),
        ],
        9..=11 => vec![
            json!({"field": "ansUsrNum", "op": "in", "value": [format!("{}", 5000 + at), format!("{}", 6000 + at)]}),
        ],
        12..=15 => vec![
            json!({"field": "cliNum", "op": "startsWith", "value": format!("+4420{number:04}")}),
            json!({"field": "dur", "op": "gt", "value": 5}),
        ],
        16 => vec![json!({"field": "talk", "op": "between", "value": [100 + number, 110 + number]})],
        17 => vec![
            json!({"field": "dur", "op": "gt", "value": 80 + number}),
            json!({"field": "cause", "op": "eq", "value": "USER_BUSY", "not": true}),
        ],
        18 => vec![
            json!({"field": "cliName", "op": "exists", "not": true}),
            json!({"field": "ddiNum", "op": "eq", "value": ddi(number), "not": true}),
        ],
        _ if number.is_multiple_of(2) => {
            vec![json!({"field": "cliName", "op": "contains", "value": format!("smith {number}")})]
        }
        _ => vec![
            json!({"field": "ansGroupName", "op": "matches", "value": format!("^(sales|support) {number}\\b")}),
        ],
    }
}

/// Contains and expressions only; five hold for a record, some find a part of it, and some expressions need no fixed
/// text at all.
fn searches(at: usize) -> Vec<Value> {
    let field = ["cliName", "ansUsrName", "ansGroupName", "cliLoc", "ddiName"][at % 5];
    let (op, value) = match at % 10 {
        0 => ("contains", format!("neill {}", at / 10 % 200)),
        1..=4 => ("contains", format!("customer {at}")),
        5 | 6 => ("contains", format!("{}{}", ["ne", "us", "de", "er"][at % 4], at)),
        7 => ("matches", format!("^(sales|support) {at}\\b")),
        8 if at.is_multiple_of(8) => ("matches", format!("united .*{at}$")),
        8 => ("matches", format!("(north|south)-{at}.*desk$")),
        9 if at % 50 == 9 => ("matches", format!("^\\d{{{}}}[a-f]?$", 1 + at / 50)),
        _ => ("matches", format!("o'?brien .*{at}")),
    };
    vec![json!({"field": field, "op": op, "value": value})]
}

/// One eq, in or range each.
fn decisions(at: usize) -> Vec<Value> {
    vec![match at % 4 {
        0 => json!({"field": "ddiNum", "op": "eq", "value": ddi(at)}),
        1 => {
            json!({"field": "ansUsrNum", "op": "in", "value": [format!("{}", 3000 + at), format!("{}", 4000 + at), "302"]})
        }
        2 => json!({"field": "talk", "op": "between", "value": [at / 10, at]}),
        _ => json!({"field": "dur", "op": "gt", "value": at}),
    }]
}

fn set(filters: fn(usize) -> Vec<Value>) -> Set {
    Set::new((0..TRIGGERS).map(|at| compiled(&filters(at))).collect())
}

fn benchmarks(criterion: &mut Criterion) {
    let records: Vec<Cdr> = (0..RECORDS).map(record).collect();
    let mut found = Vec::new();
    let mut group = criterion.benchmark_group("10000 triggers");

    for (name, filters) in [("mixture", mixture as fn(usize) -> Vec<Value>), ("searches", searches)] {
        let set = set(filters);
        let matches: usize = records
            .iter()
            .map(|cdr| {
                set.matches(cdr, &mut found);
                found.len()
            })
            .sum();
        eprintln!("{name}: {:.1} matches a record", matches as f64 / RECORDS as f64);
        let mut next = (0..RECORDS).cycle();
        group.bench_function(name, |bench| {
            bench.iter_batched(
                || &records[next.next().expect("a cycle has no end")],
                |cdr| {
                    set.matches(black_box(cdr), &mut found);
                    found.len()
                },
                BatchSize::SmallInput,
            );
        });
    }

    let set = set(decisions);
    group.throughput(Throughput::Elements(TRIGGERS as u64));
    group.bench_function("decisions, indexed", |bench| {
        bench.iter(|| {
            set.matches(black_box(&records[1]), &mut found);
            found.len()
        });
    });
    group.bench_function("decisions, one by one", |bench| {
        bench.iter(|| {
            set.scan(black_box(&records[1]), &mut found);
            found.len()
        });
    });
    group.finish();
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
