//! Builds `data/places.bin` from the data of libphonenumber that crate `phonenumber` carries: the same input gives the
//! same bytes. `cargo run -p ringpost-numbers --example build-places`, or with `-- --check` only compares.
//!
//! The format is described in `src/place/table.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};

const OUTPUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/places.bin");

fn main() -> anyhow::Result<ExitCode> {
    let prefixes = read(&assets()?)?;
    let bytes = build(&prefixes)?;
    if std::env::args().any(|argument| argument == "--check") {
        let same = std::fs::read(OUTPUT)? == bytes;
        println!("{OUTPUT}: {}", if same { "as built" } else { "differs from what is built now" });
        return Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    std::fs::write(OUTPUT, &bytes).with_context(|| format!("write {OUTPUT}"))?;
    println!("{} prefixes, {} bytes in {OUTPUT}", prefixes.len(), bytes.len());
    Ok(ExitCode::SUCCESS)
}

/// Where cargo has unpacked crate `phonenumber`.
fn assets() -> anyhow::Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new().exec().context("ask cargo where crates lie")?;
    let package = metadata.packages.iter().find(|package| package.name.as_str() == "phonenumber");
    let manifest = &package.context("crate phonenumber is no dependency")?.manifest_path;
    Ok(manifest.with_file_name("assets/geocoding/en").into())
}

/// `441614|Manchester`, a line each, in a file for each calling code.
fn read(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut prefixes = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (prefix, name) = line.split_once('|').with_context(|| format!("{line:?} has no |"))?;
            ensure!(prefix.bytes().all(|byte| byte.is_ascii_digit()), "{prefix:?} is no prefix");
            prefixes.insert(prefix.to_owned(), name.trim().to_owned());
        }
    }
    Ok(prefixes)
}

fn build(prefixes: &BTreeMap<String, String>) -> anyhow::Result<Vec<u8>> {
    let names: BTreeMap<&str, ()> = prefixes.values().map(|name| (name.as_str(), ())).collect();
    let numbers: BTreeMap<&str, u64> = names.keys().copied().zip(0..).collect();
    let mut automaton = fst::MapBuilder::memory();
    for (prefix, name) in prefixes {
        automaton.insert(prefix, numbers[name.as_str()])?;
    }
    let automaton = automaton.into_inner()?;
    let mut bytes = b"RPPL\x01".to_vec();
    bytes.extend(u32::try_from(automaton.len())?.to_le_bytes());
    bytes.extend(u32::try_from(names.len())?.to_le_bytes());
    let mut end = 0;
    for name in names.keys() {
        end += name.len();
        bytes.extend(u32::try_from(end)?.to_le_bytes());
    }
    for name in names.keys() {
        bytes.extend(name.as_bytes());
    }
    bytes.extend(automaton);
    Ok(bytes)
}
