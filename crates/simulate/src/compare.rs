//! Compares the records of a run with the truth, key by key. Pure: lines in, a report out.

use std::collections::BTreeMap;
use std::fmt;

use ringpost_model::Cdr;
use serde_json::{Map, Value};

/// Keys that enrichment adds; the truth knows nothing of tables.
const ENRICHED: [&str; 10] = [
    "pbxName",
    "cliLoc",
    "cliArea",
    "cliState",
    "cliCtry",
    "rate",
    "rateCost",
    "rateBand",
    "rateName",
    "directoryMatches",
];
/// Keys that tell how often a call was told, not what happened in it.
const REVISION: [&str; 2] = ["rev", "replaces"];

/// What the records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// One record per call: all keys count but those that enrichment adds.
    Offline,
    /// Revisions: only the last of each id counts, and `rev`, `replaces` are not compared.
    Stream,
}

/// One key that differs; empty = the key is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Key of the record.
    pub key: String,
    /// As the script has it.
    pub truth: String,
    /// As the run printed it.
    pub record: String,
}

/// One call whose record is not the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Different {
    /// Session id.
    pub id: String,
    /// By key, in the record's order of bytes.
    pub keys: Vec<Difference>,
}

/// The result. Lists hold the first cases only, counts all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Calls as expected.
    pub equal: usize,
    /// Calls whose record differs.
    pub different: usize,
    /// The first of them.
    pub examples: Vec<Different>,
    /// Expected calls without a record.
    pub missing: usize,
    /// Ids of the first of them.
    pub missing_ids: Vec<String>,
    /// Records that no call explains.
    pub extra: usize,
    /// Ids of the first of them.
    pub extra_ids: Vec<String>,
    /// Lines that are no record, in either input.
    pub unreadable: usize,
}

impl Report {
    /// Nothing but the truth.
    pub fn is_equal(&self) -> bool {
        self.different + self.missing + self.extra + self.unreadable == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { equal, different, missing, extra, unreadable, .. } = self;
        writeln!(
            f,
            "equal {equal}, different {different}, missing {missing}, extra {extra}, unreadable {unreadable}"
        )?;
        for example in &self.examples {
            writeln!(f, "{}", example.id)?;
            for Difference { key, truth, record } in &example.keys {
                writeln!(f, "  {key}: expected {truth}, got {record}")?;
            }
        }
        for (word, ids) in [("missing", &self.missing_ids), ("extra", &self.extra_ids)] {
            for id in ids {
                writeln!(f, "{word} {id}")?;
            }
        }
        Ok(())
    }
}

/// Compares two lists of printed records, one a line, in any order; keeps `examples` cases of each kind.
pub fn compare<'a>(
    truth: impl IntoIterator<Item = &'a str>,
    records: impl IntoIterator<Item = &'a str>,
    run: Run,
    examples: usize,
) -> Report {
    let mut report = Report::default();
    let mut got = by_id(records, run, &mut report);
    for line in truth {
        let Some((id, _)) = identify(line, &mut report) else { continue };
        match got.remove(&id) {
            None => {
                report.missing += 1;
                keep(&mut report.missing_ids, id, examples);
            }
            Some((_, found)) => judge(line, found, id, run, examples, &mut report),
        }
    }
    for id in got.into_keys() {
        report.extra += 1;
        keep(&mut report.extra_ids, id, examples);
    }
    report
}

fn keep<T>(list: &mut Vec<T>, item: T, most: usize) {
    if list.len() < most {
        list.push(item);
    }
}

/// The last revision of each id. A second record of one id is extra where each call has one only.
fn by_id<'a>(
    lines: impl IntoIterator<Item = &'a str>,
    run: Run,
    report: &mut Report,
) -> BTreeMap<String, (u32, &'a str)> {
    let mut found: BTreeMap<String, (u32, &'a str)> = BTreeMap::new();
    let mut absorbed = Vec::new();
    for line in lines {
        let Some((id, cdr)) = identify(line, report) else { continue };
        if run == Run::Stream {
            absorbed.extend(cdr.replaces.iter().map(ToString::to_string));
        } else if found.contains_key(&id) {
            report.extra += 1;
        }
        let known = found.get(&id).map_or(0, |(rev, _)| *rev);
        if cdr.rev >= known {
            found.insert(id, (cdr.rev, line));
        }
    }
    for id in absorbed {
        found.remove(&id);
    }
    found
}

fn identify(line: &str, report: &mut Report) -> Option<(String, Cdr)> {
    if line.trim().is_empty() {
        return None;
    }
    match serde_json::from_str::<Cdr>(line) {
        Ok(cdr) => Some((cdr.id.to_string(), cdr)),
        Err(_) => {
            report.unreadable += 1;
            None
        }
    }
}

fn judge(truth: &str, record: &str, id: String, run: Run, examples: usize, report: &mut Report) {
    let keys = if truth == record { Vec::new() } else { differences(truth, record, run) };
    if keys.is_empty() {
        report.equal += 1;
    } else {
        report.different += 1;
        keep(&mut report.examples, Different { id, keys }, examples);
    }
}

fn differences(truth: &str, record: &str, run: Run) -> Vec<Difference> {
    let read = |line| serde_json::from_str::<Map<String, Value>>(line).unwrap_or_default();
    let (truth, record) = (read(truth), read(record));
    let mut keys: Vec<&String> = truth.keys().chain(record.keys()).collect();
    keys.sort();
    keys.dedup();
    let ignored = |key: &str| ENRICHED.contains(&key) || (run == Run::Stream && REVISION.contains(&key));
    let print = |value: Option<&Value>| value.map(ToString::to_string).unwrap_or_default();
    keys.into_iter()
        .filter(|key| !ignored(key) && truth.get(*key) != record.get(*key))
        .map(|key| Difference {
            key: key.clone(),
            truth: print(truth.get(key)),
            record: print(record.get(key)),
        })
        .collect()
}

#[cfg(test)]
mod tests;
