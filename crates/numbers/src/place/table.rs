//! The table of places, as it lies in the binary: which prefix has which description.
//!
//! Format 1, built by `cargo run -p ringpost-numbers --example build-places`: the bytes `RPPL` and 1; the length of the
//! automaton (u32); the number of descriptions (u32); for each of them where it ends among the texts (u32); the texts;
//! the automaton (crate `fst`), from the digits of a prefix, calling code first, to the number of its description.
//! All numbers are little-endian.

use std::sync::LazyLock;

use fst::raw::{Fst, Output};

const EMBEDDED: &[u8] = include_bytes!("../../data/places.bin");
/// Format and version.
const MAGIC: &[u8; 5] = b"RPPL\x01";

/// Prefixes and what they are called.
pub(super) struct Table {
    prefixes: Fst<&'static [u8]>,
    ends: &'static [u8],
    texts: &'static str,
}

impl Table {
    /// The one that is part of the binary.
    pub(super) fn embedded() -> &'static Self {
        static TABLE: LazyLock<Table> =
            LazyLock::new(|| Table::read(EMBEDDED).expect("the file is ours, and a test reads all of it"));
        &TABLE
    }

    fn read(bytes: &'static [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (automaton, rest) = number(rest)?;
        let (count, rest) = number(rest)?;
        let (ends, rest) = rest.split_at_checked(count.checked_mul(4)?)?;
        let (texts, automaton) = rest.split_at_checked(rest.len().checked_sub(automaton)?)?;
        Some(Self { prefixes: Fst::new(automaton).ok()?, ends, texts: std::str::from_utf8(texts).ok()? })
    }

    /// What the longest known prefix of a number is called; empty where none is known.
    pub(super) fn description(&self, calling_code: i32, national: &str) -> &'static str {
        let mut room = [0; 24];
        let Some(digits) = joined(&mut room, calling_code, national) else { return "" };
        let mut node = self.prefixes.root();
        let (mut output, mut found) = (Output::zero(), None);
        for digit in digits {
            let Some(at) = node.find_input(*digit) else { break };
            let transition = node.transition(at);
            output = output.cat(transition.out);
            node = self.prefixes.node(transition.addr);
            if node.is_final() {
                found = Some(output.cat(node.final_output()).value());
            }
        }
        found.and_then(|at| usize::try_from(at).ok()).and_then(|at| self.text(at)).unwrap_or_default()
    }

    fn text(&self, at: usize) -> Option<&'static str> {
        let begin = match at {
            0 => 0,
            at => number(self.ends.get((at - 1) * 4..)?)?.0,
        };
        self.texts.get(begin..number(self.ends.get(at * 4..)?)?.0)
    }
}

fn number(bytes: &'static [u8]) -> Option<(usize, &'static [u8])> {
    let (four, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*four)).ok()?, rest))
}

/// Calling code and national number, without an allocation.
fn joined<'a>(room: &'a mut [u8; 24], calling_code: i32, national: &str) -> Option<&'a [u8]> {
    let mut code = u32::try_from(calling_code).ok()?;
    let mut length = code.checked_ilog10()? as usize + 1;
    for digit in room.get_mut(..length)?.iter_mut().rev() {
        *digit = b'0' + (code % 10) as u8;
        code /= 10;
    }
    room.get_mut(length..length + national.len())?.copy_from_slice(national.as_bytes());
    length += national.len();
    room.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data as libphonenumber has it, in the crate that carries it.
    fn prefixes() -> Vec<(String, String)> {
        let metadata =
            cargo_metadata::MetadataCommand::new().other_options(["--offline".into()]).exec().unwrap();
        let package =
            metadata.packages.iter().find(|package| package.name.as_str() == "phonenumber").unwrap();
        let folder = package.manifest_path.with_file_name("assets/geocoding/en");
        let mut prefixes = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let pairs = lines.filter_map(|line| line.split_once('|'));
            prefixes.extend(pairs.map(|(prefix, name)| (prefix.to_owned(), name.trim().to_owned())));
        }
        prefixes
    }

    #[test]
    fn every_prefix_of_the_data_has_its_description() {
        let prefixes = prefixes();
        assert_eq!(prefixes.len(), 269_380);
        for (prefix, name) in prefixes {
            let (first, rest) = prefix.split_at(1);
            assert_eq!(Table::embedded().description(first.parse().unwrap(), rest), name, "{prefix}");
        }
    }
}
