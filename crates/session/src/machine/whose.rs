//! Whose the entries of the kept state are, told without reading sessions: for whoever moves state to another number of
//! partitions.

use super::state::VERSION;
use crate::pack::{Reader, signed};

/// First bytes of a stub's key and of a given revision's: the letter with two numbers, and with an id.
const UNNAMED: usize = 17;

/// Whose an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose<'a> {
    /// What it is.
    pub kind: Kind,
    /// None = it is the partition's own, or was written by a version that did not say. To a machine without the tenant's
    /// other state it means nothing, and does no harm.
    pub tenant: Option<&'a str>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A live session, or one that is kept for what comes late.
    Session,
    /// What is left of a forgotten one.
    Stub,
    /// A revision given to a record that was made elsewhere.
    Revision,
    /// The time of the stream: one in each partition.
    Time,
}

/// By its key. None: it is no entry of this version.
pub fn whose(key: &[u8]) -> Option<Whose<'_>> {
    let (letter, rest) = key.split_first()?;
    let named = |kind| {
        let tenant = std::str::from_utf8(key.get(UNNAMED..)?).ok()?;
        Some(Whose { kind, tenant: Some(tenant).filter(|tenant| !tenant.is_empty()) })
    };
    match letter {
        b's' => {
            let tenant = rest.strip_prefix(&[0x1f])?.split(|byte| *byte == 0x1f).next()?;
            Some(Whose { kind: Kind::Session, tenant: Some(std::str::from_utf8(tenant).ok()?) })
        }
        b'd' => named(Kind::Stub),
        b'r' => named(Kind::Revision),
        b'm' if rest.is_empty() => Some(Whose { kind: Kind::Time, tenant: None }),
        _ => None,
    }
}

/// The time of the stream, in microseconds, by its value. None: it is not what this version writes.
pub fn stream_time(value: &[u8]) -> Option<i64> {
    let (version, body) = value.split_first()?;
    (*version == VERSION).then(|| Reader { bytes: body }.signed()).flatten()
}

/// The entry that says the time of the stream.
pub fn stream_time_entry(micros: i64) -> (Vec<u8>, Vec<u8>) {
    let mut value = vec![VERSION];
    signed(&mut value, micros);
    (super::state::META.to_vec(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &[u8], expected: &str) {
        assert_eq!(
            whose(key).map_or_else(
                || "nobody's".to_owned(),
                |whose| format!("{:?} {:?}", whose.kind, whose.tenant)
            ),
            expected
        );
    }

    #[test]
    fn every_entry_says_whose_it_is_and_one_of_an_older_version_that_it_does_not() {
        check(b"s\x1facme\x1fk1\x1fleg-1", "Session Some(\"acme\")");
        check(b"d0123456789abcdefacme", "Stub Some(\"acme\")");
        check(b"d0123456789abcdef", "Stub None");
        check(b"r0123456789abcdefacme", "Revision Some(\"acme\")");
        check(b"r0123456789abcdef", "Revision None");
        check(b"m", "Time None");
    }

    #[test]
    fn what_is_no_entry_of_this_version_is_nobodys() {
        for key in [&b""[..], b"x", b"mm", b"s", b"sacme", b"dshort", b"d0123456789abcdef\xff"] {
            check(key, "nobody's");
        }
    }

    #[test]
    fn the_time_of_the_stream_is_read_as_it_was_written() {
        for micros in [i64::MIN, -1, 0, 1_773_133_200_000_000] {
            let (key, value) = stream_time_entry(micros);
            check(&key, "Time None");
            assert_eq!(stream_time(&value), Some(micros));
        }
        assert_eq!(stream_time(&[VERSION + 1, 0]), None);
    }
}
