//! Throws mutated filter documents at the compiler, and what compiles at records: there is never a panic, and index,
//! plain loop and explanation agree. `cargo run -p ringpost-trigger --example fuzz -- SECONDS SEED`; the same seed
//! gives the same documents.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringpost_model::{Cdr, ContactField, DirectoryMatch, Filter, Rate, SessionId, Timestamp};
use ringpost_numbers::Region;
use ringpost_trigger::{Compiled, Set};
use serde_json::{Value, json};

const FIELDS: [&str; 20] = [
    "cliNum",
    "ddiNum",
    "ansUsrNum",
    "cliName",
    "cause",
    "talk",
    "rateCost",
    "rev",
    "lost",
    "hasRec",
    "dir",
    "type",
    "start",
    "answer",
    "weekday",
    "timeOfDay",
    "recordingIds",
    "directoryMatches.phone1",
    "directoryMatches.companyName",
    "tags.x",
];
const OPERATORS: [&str; 14] = [
    "eq",
    "in",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "lt",
    "lte",
    "gt",
    "gte",
    "between",
    "before",
    "after",
    "exists",
];
const TEXTS: [&str; 18] = [
    "",
    "302",
    "+441614960000",
    "0161 496 0000",
    "Sales",
    "ſ",
    "É",
    "(a|b)+",
    "^\\d{3,}$",
    "[[:alpha:]]{50}{50}",
    "(?P<n>x)",
    "09:00",
    "23:59",
    "2026-03-10T09:00:00Z",
    "incoming",
    "1e-5",
    "\u{0}\u{202e}",
    "😀",
];
const NUMBERS: [&str; 10] =
    ["0", "-0", "1", "2", "7", "0.10", "1e3", "1e-28", "79228162514264337593543950335", "1E+999"];

/// Filters that are right; the fuzzer puts other fields, values and operators into them.
const RIGHT: [&str; 16] = [
    r#"{"field":"cliNum","op":"eq","value":"0161 496 0000"}"#,
    r#"{"field":"ddiNum","op":"in","value":["302","+441614960000",""]}"#,
    r#"{"field":"ansUsrNum","op":"startsWith","value":"30"}"#,
    r#"{"field":"directoryMatches.phone1","op":"endsWith","value":"0000"}"#,
    r#"{"field":"cliName","op":"contains","value":"É"}"#,
    r#"{"field":"tags.x","op":"matches","value":"^(s|é)\\w*"}"#,
    r#"{"field":"recordingIds","op":"in","value":["s","302"]}"#,
    r#"{"field":"talk","op":"between","value":[1,5.5]}"#,
    r#"{"field":"rateCost","op":"lt","value":"0.1"}"#,
    r#"{"field":"rateCost","op":"in","value":[0,1e-28,0.10]}"#,
    r#"{"field":"hasRec","op":"eq","value":1}"#,
    r#"{"field":"dir","op":"in","value":["unknown",2]}"#,
    r#"{"field":"start","op":"after","value":"2026-03-14T09:00:00+01:00"}"#,
    r#"{"field":"weekday","op":"in","value":[1,2,7]}"#,
    r#"{"field":"timeOfDay","op":"between","value":["22:00","06:00"]}"#,
    r#"{"field":"answer","op":"exists"}"#,
];

/// Splitmix64: the same numbers everywhere from one seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap_or_default()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.roll(if depth < 3 { 8 } else { 6 }) {
            0 | 1 => self.pick(&TEXTS).into(),
            // As a number of JSON where serde_json's own numbers can hold it.
            2 | 3 => serde_json::from_str(self.pick(&NUMBERS)).unwrap_or(Value::Null),
            4 => json!(self.roll(2) == 0),
            5 => [Value::Null, json!({"a": 1})][self.roll(2)].clone(),
            _ => (0..self.roll(4)).map(|_| self.value(depth + 1)).collect(),
        }
    }

    fn filter(&mut self) -> Value {
        let mut filter: Value = serde_json::from_str(self.pick(&RIGHT)).expect("the examples are JSON");
        filter["not"] = (self.roll(2) == 0).into();
        match self.roll(6) {
            0 => filter["field"] = self.pick(&FIELDS).into(),
            1 => filter["op"] = self.pick(&OPERATORS).into(),
            2 => filter["value"] = self.value(0),
            3 => filter["caseSensitive"] = true.into(),
            _ => {}
        }
        filter
    }

    /// Half of them stay JSON; of the others a few bytes are changed.
    fn document(&mut self) -> Vec<u8> {
        let filters: Vec<Value> = (0..1 + self.roll(4)).map(|_| self.filter()).collect();
        let mut bytes = Value::from(filters).to_string().into_bytes();
        if self.roll(2) == 0 {
            for _ in 0..1 + self.roll(4) {
                self.damage(&mut bytes);
            }
        }
        bytes
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.roll(bytes.len().max(1));
        match self.roll(4) {
            0 if !bytes.is_empty() => _ = bytes.remove(at),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << self.roll(8),
            2 => bytes.insert(at.min(bytes.len()), self.pick(b"\"\\[]{}:,0e-.(*+\xc3u")),
            _ => bytes.truncate(at.max(1)),
        }
    }
}

fn records(dice: &mut Dice) -> Vec<Cdr> {
    let mut records = Vec::new();
    for at in 0..20 {
        let mut cdr = Cdr::empty(SessionId(uuid::Uuid::from_u128(at)));
        cdr.tz = dice.pick(&[chrono_tz::Tz::UTC, chrono_tz::Tz::Australia__Lord_Howe]);
        cdr.start = Timestamp::from_micros(1_773_133_200_000_000 + dice.roll(1_000_000) as i64 * 1_000_000);
        cdr.answer = (dice.roll(2) == 0).then_some(cdr.start);
        cdr.talk = u32::try_from(dice.roll(8)).unwrap_or_default();
        cdr.cli.number = dice.pick(&TEXTS).into();
        cdr.cli.name = dice.pick(&TEXTS).into();
        cdr.ddi.number = dice.pick(&TEXTS).into();
        cdr.users.answered.number = dice.pick(&TEXTS).into();
        cdr.recording_ids = (0..dice.roll(3)).map(|_| dice.pick(&TEXTS).into()).collect();
        cdr.tags = BTreeMap::from([("x".into(), dice.pick(&TEXTS).into())]);
        cdr.rate =
            dice.pick(&NUMBERS).parse().ok().map(|cost| Rate { cost, band: "".into(), name: "".into() });
        cdr.directory_matches = vec![DirectoryMatch {
            dir_name: "d".into(),
            dir_id: "1".into(),
            dir_type: "DirectoryContactMatch".into(),
            contact_id: "1".into(),
            fields: BTreeMap::from([(ContactField::Phone1, dice.pick(&TEXTS).into())]),
        }];
        records.push(cdr);
    }
    records
}

/// What compiles, or None.
fn try_compile(bytes: &[u8], region: Option<Region>, counts: &mut Counts) -> Option<Compiled> {
    counts.documents += 1;
    let filters: Vec<Filter> = serde_json::from_slice(bytes).ok()?;
    counts.filters += 1;
    match Compiled::new(&filters, region) {
        Ok(compiled) => {
            counts.compiled += 1;
            Some(compiled)
        }
        Err(errors) => {
            let is_placed = errors.iter().all(|error| error.pointer.starts_with("/filters"));
            assert!(!errors.is_empty() && is_placed, "{errors:?} for {}", String::from_utf8_lossy(bytes));
            None
        }
    }
}

fn compare(batch: &[Compiled], records: &[Cdr]) {
    let set = Set::new(batch.to_vec());
    let mut found = Vec::new();
    for cdr in records {
        set.matches(cdr, &mut found);
        for (at, compiled) in batch.iter().enumerate() {
            let held = compiled.holds(cdr);
            assert_eq!(held, found.contains(&at), "{compiled:?}\n{cdr:?}");
            assert_eq!(held, compiled.explain(cdr).iter().all(|it| it.held), "{compiled:?}\n{cdr:?}");
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    documents: u64,
    filters: u64,
    compiled: u64,
}

fn main() {
    let mut arguments =
        std::env::args().skip(1).map(|text| text.parse::<u64>().expect("SECONDS and SEED are numbers"));
    let seconds = arguments.next().unwrap_or(10);
    let seed = arguments.next().unwrap_or(1);
    let mut dice = Dice(seed);
    let records = records(&mut dice);
    let regions = [Region::new("GB").ok(), Region::new("US").ok(), None];
    let mut counts = Counts::default();
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        let documents: Vec<Vec<u8>> = (0..400).map(|_| dice.document()).collect();
        let compiled =
            documents.iter().filter_map(|bytes| try_compile(bytes, dice.pick(&regions), &mut counts));
        compare(&compiled.collect::<Vec<_>>(), &records);
    }
    println!("seed {seed}, {seconds} s: {counts:?}, no panic, no disagreement");
}
