//! Bytes of every dialect to leg records: MB a second of one core.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringpost_ingest::{Source, decode};
use ringpost_model::{Dialect, PbxKey, TenantKey};

/// As large as a file is read at a time.
const BYTES: usize = 1 << 20;

/// One fixture again and again; of a table the rows, each time of another call.
fn body(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file);
    let text = std::fs::read_to_string(path).expect("a fixture can be read");
    let (header, rows) =
        if file.starts_with("asterisk") { text.split_once('\n').unwrap_or_default() } else { ("", &*text) };
    let mut body = header.to_owned();
    for copy in 0.. {
        if body.len() >= BYTES {
            break;
        }
        body.push('\n');
        body.push_str(rows.replace("1773133200.", &format!("{copy}-1773133200.")).trim_end());
    }
    body.into_bytes()
}

fn dialects(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let source =
        Source { tenant: TenantKey::new("acme").ok(), pbx: PbxKey::new("pbx1").ok(), ..Source::default() };
    for (dialect, file) in [
        (Dialect::Native, "fuzz/leg/everything.json"),
        (Dialect::FreeswitchCdr, "freeswitch-cdr/both-a.json"),
        (Dialect::FreeswitchEvent, "freeswitch-event/incoming-held.ndjson"),
        (Dialect::Kazoo, "kazoo/internal-held.ndjson"),
        (Dialect::AsteriskCel, "asterisk-cel/queue-local.csv"),
        (Dialect::AsteriskCdr, "asterisk-cdr/ring-group.csv"),
    ] {
        let body = body(file);
        assert!(decode(dialect, &source, &body).rejects.is_empty(), "{file} is read");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(dialect.name(), |bencher| {
            bencher.iter(|| decode(dialect, &source, black_box(&body)).records.len());
        });
    }
    group.finish();
}

criterion_group!(benches, dialects);
criterion_main!(benches);
