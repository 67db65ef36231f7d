//! Mutation fuzzing on stable Rust: `cargo run --release -p ringpost-ingest --example fuzz -- DIALECT SECONDS SEED`.
//!
//! Half of the mutants are valid JSON, changed in structure, and so get past the parser; half have bytes flipped,
//! cut, doubled or spliced. Of every mutant: decoding returns (a panic ends the run with the mutant on standard
//! error), all elements are accepted or rejected, and cutting it in pieces gives the same frames as cutting it whole.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringpost_ingest::{Decoded, Decoder, Source, Splitter, decode, frames};
use ringpost_model::{Dialect, PbxKey, TenantKey};
use serde_json::{Map, Value};

/// splitmix64: a seed names a run for ever, whatever version of whatever library.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: fuzz leg|freeswitch|event|kazoo|cel|cdr SECONDS SEED";
    let [dialect, seconds, seed] = arguments.as_slice() else {
        eprintln!("{usage}");
        return ExitCode::from(64);
    };
    let dialect = match dialect.as_str() {
        "leg" => Dialect::Native,
        "freeswitch" => Dialect::FreeswitchCdr,
        "event" => Dialect::FreeswitchEvent,
        "kazoo" => Dialect::Kazoo,
        "cel" => Dialect::AsteriskCel,
        "cdr" => Dialect::AsteriskCdr,
        _ => {
            eprintln!("{usage}");
            return ExitCode::from(64);
        }
    };
    let (Ok(seconds), Ok(seed)) = (seconds.parse(), seed.parse()) else {
        eprintln!("{usage}");
        return ExitCode::from(64);
    };
    run(dialect, Duration::from_secs(seconds), seed);
    ExitCode::SUCCESS
}

fn run(dialect: Dialect, time: Duration, seed: u64) {
    let corpus = corpus(dialect);
    let trees: Vec<Value> = corpus.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect();
    assert!(!trees.is_empty(), "the corpus has JSON in it");
    let (mut dice, begin) = (Dice(seed), Instant::now());
    let (mut mutants, mut accepted, mut rejected) = (0_u64, 0, 0);
    while begin.elapsed() < time {
        let mutant =
            if dice.below(2) == 0 { of_tree(&mut dice, &trees) } else { of_bytes(&mut dice, &corpus) };
        // Some come from an input that does not say which platform it is.
        let pbx = PbxKey::new("fs1").ok().filter(|_| dice.below(8) > 0);
        let outcome = std::panic::catch_unwind(|| check(dialect, &mutant, pbx));
        let Ok((good, bad)) = outcome else {
            eprintln!("seed {seed}, mutant {mutants}: {:?}", String::from_utf8_lossy(&mutant));
            std::process::exit(1);
        };
        (mutants, accepted, rejected) = (mutants + 1, accepted + good, rejected + bad);
    }
    println!("{dialect}: {mutants} mutants, {accepted} elements accepted, {rejected} rejected, seed {seed}");
}

/// The seeds: fixtures of the dialect.
fn corpus(dialect: Dialect) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folders: &[&str] = match dialect {
        Dialect::Native => &["fuzz/leg"],
        Dialect::FreeswitchCdr => &["freeswitch-cdr", "fuzz/freeswitch"],
        Dialect::FreeswitchEvent => &["freeswitch-event"],
        Dialect::Kazoo => &["kazoo", "fuzz/kazoo"],
        Dialect::AsteriskCel => &["asterisk-cel"],
        Dialect::AsteriskCdr => &["asterisk-cdr"],
    };
    let files = folders.iter().flat_map(|folder| {
        let entries = std::fs::read_dir(root.join(folder)).expect("the corpus is beside the source");
        entries.map(|entry| entry.expect("a folder can be listed").path())
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files.iter().map(|path| std::fs::read(path).expect("a fixture can be read")).collect()
}

/// Returns how many elements were accepted and rejected.
fn check(dialect: Dialect, bytes: &[u8], pbx: Option<PbxKey>) -> (u64, u64) {
    let source = Source { tenant: TenantKey::new("acme").ok(), pbx, ..Source::default() };
    let decoded = decode(dialect, &source, bytes);
    let handled = handled(&decoded);
    let sent = frames(dialect, bytes).count() as u64;
    assert!(handled == sent || handled == 1, "{handled} of {sent} elements were handled");
    // A row of a table says little by itself, and some say nothing; so do some messages.
    let is_table = matches!(dialect, Dialect::AsteriskCel | Dialect::AsteriskCdr);
    let is_list = dialect == Dialect::Kazoo && decoded.records.is_empty() && decoded.notices.is_empty();
    let records = (decoded.records.len() + decoded.notices.len()) as u64;
    assert!(
        is_table || is_list || records + decoded.notes.passed_over >= decoded.accepted,
        "an accepted element gives a record"
    );
    assert!(decoded.accepted > 0 || records == 0, "what is not accepted gives no record");
    for reject in &decoded.rejects {
        assert!(!reject.to_string().is_empty() && !reject.reason.code().is_empty());
    }
    let again = decode(dialect, &source, bytes);
    assert_eq!(again.records, decoded.records, "the same bytes give the same records");
    in_pieces(dialect, &source, bytes, decoded.accepted, sent);
    (decoded.accepted, decoded.rejects.len() as u64)
}

/// Elements that were accepted or rejected; a line that names the columns of a table is none, but a frame.
fn handled(decoded: &Decoded) -> u64 {
    decoded.accepted + decoded.rejects.len() as u64 + decoded.notes.headers
}

fn in_pieces(dialect: Dialect, source: &Source<'_>, bytes: &[u8], accepted: u64, sent: u64) {
    let mut splitter = Splitter::new(dialect);
    let mut decoder = Decoder::new(dialect);
    let mut decoded = Decoded::default();
    for piece in bytes.chunks(1 + bytes.len() / 7) {
        splitter.feed(piece);
        while let Some(frame) = splitter.next() {
            decoder.frame(source, &frame, &mut decoded);
        }
    }
    splitter.finish();
    while let Some(frame) = splitter.next() {
        decoder.frame(source, &frame, &mut decoded);
    }
    decoder.finish(&mut decoded);
    assert_eq!(handled(&decoded), sent, "pieces give the same frames as the whole");
    assert!(decoded.accepted == accepted || sent > 1, "pieces give the same records as the whole");
}

fn of_bytes(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = dice.pick(corpus).clone();
    for _ in 0..=dice.below(6) {
        let (at, other) = (dice.below(bytes.len()), dice.below(bytes.len()));
        let (from, to) = (at.min(other), at.max(other));
        match dice.below(8) {
            _ if bytes.is_empty() => {}
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = *dice.pick(b"\"\\{}[],:\n\0\xff%&=+-e0"),
            2 => _ = bytes.remove(at),
            3 => bytes.truncate(at),
            4 => bytes.extend_from_within(from..to.min(from + 600)),
            5 => _ = bytes.drain(from..to.min(from + 40)),
            6 => bytes.splice(at..at, dice.pick(corpus).iter().copied().take(400)).for_each(drop),
            _ => bytes.insert(at, *dice.pick(b"\"\\{}[],:\n\0\xff%&=+-e0")),
        }
    }
    bytes
}

fn of_tree(dice: &mut Dice, trees: &[Value]) -> Vec<u8> {
    let mut tree = dice.pick(trees).clone();
    for _ in 0..=dice.below(4) {
        let donor = dice.pick(trees).clone();
        change(dice, &mut tree, &donor, 0);
    }
    let pretty = dice.below(4) == 0;
    if pretty { serde_json::to_vec_pretty(&tree) } else { serde_json::to_vec(&tree) }
        .expect("a value is JSON")
}

/// Walks to a random place of the tree and changes what is there.
fn change(dice: &mut Dice, value: &mut Value, donor: &Value, depth: usize) {
    let stops_here = dice.below(3) == 0 && depth > 0;
    match value {
        Value::Object(entries) if !entries.is_empty() && !stops_here => {
            let key =
                entries.keys().nth(dice.below(entries.len())).cloned().expect("an index below the length");
            match dice.below(8) {
                0 => _ = entries.remove(&key),
                1 => rename(dice, entries, &key),
                _ => change(dice, &mut entries[&key], donor, depth + 1),
            }
        }
        Value::Array(items) if !items.is_empty() && !stops_here => {
            let at = dice.below(items.len());
            match dice.below(6) {
                0 => _ = items.remove(at),
                1 => items.push(items[at].clone()),
                2 => items.reverse(),
                _ => change(dice, &mut items[at], donor, depth + 1),
            }
        }
        _ => *value = replacement(dice, value, donor),
    }
}

fn rename(dice: &mut Dice, entries: &mut Map<String, Value>, key: &str) {
    let other = entries.keys().nth(dice.below(entries.len())).cloned().expect("an index below the length");
    if let Some(value) = entries.get(key).cloned() {
        entries.insert(other, value);
    }
}

fn replacement(dice: &mut Dice, value: &Value, donor: &Value) -> Value {
    match dice.below(16) {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => Value::from(dice.roll() as i64),
        3 => Value::from(dice.roll()),
        4 => Value::from(1.5),
        5 => Value::from(""),
        6 => Value::Array(vec![value.clone()]),
        7 => Value::Object(Map::from_iter([("a".to_owned(), value.clone())])),
        8 => Value::from("x".repeat(dice.below(400))),
        9 => Value::from("ARRAY::a;b;c|:d|:;;"),
        10 => Value::from("{{1773133200000000,0},{9,"),
        11 => Value::from("\u{0}\u{202e}%zz%ff%20é"),
        12 => (0..dice.below(90)).fold(Value::Null, |inner, _| Value::Array(vec![inner])),
        13 => donor.clone(),
        14 => number_text(dice, value),
        _ => Value::from(1_773_133_200_000_000_i64 + dice.below(1_000_000_000) as i64),
    }
}

/// A number beside the one that was there, as text if that was text.
fn number_text(dice: &mut Dice, value: &Value) -> Value {
    let old = value.as_str().and_then(|text| text.parse::<i64>().ok()).or(value.as_i64()).unwrap_or_default();
    let new = old.wrapping_add(dice.roll() as i64 % 10_000_000_000);
    if value.is_string() { Value::from(new.to_string()) } else { Value::from(new) }
}
