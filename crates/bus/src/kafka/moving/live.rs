//! Which entries of a partition of state are the newest of their keys. Only hashes of keys and offsets are in memory, of
//! one partition at a time: some 32 bytes for each key, whatever its value takes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use rdkafka::message::Message as _;

use super::MoveError;
use super::read::Stream;

/// Offsets of the newest values, by key. What was deleted is not in it.
pub(super) struct Live {
    /// Two hashes together are as good as the key: 128 bits, with seeds that nobody knows.
    seeds: [RandomState; 2],
    newest: HashMap<u128, u64>,
}

impl Live {
    /// Reads a partition. `tell` is told each record.
    pub(super) fn read(stream: &mut Stream, mut tell: impl FnMut(&Stream)) -> Result<Self, MoveError> {
        let mut live = Self { seeds: [RandomState::new(), RandomState::new()], newest: HashMap::new() };
        while let Some((_, message)) = stream.next()? {
            live.see(message.key().unwrap_or_default(), message.payload().is_some(), message.offset() as u64);
            tell(stream);
        }
        Ok(live)
    }

    fn see(&mut self, key: &[u8], has_value: bool, offset: u64) {
        let name = self.name(key);
        match has_value {
            true => self.newest.insert(name, offset),
            false => self.newest.remove(&name),
        };
    }

    /// Whether it is what the state has under this key.
    pub(super) fn is_newest(&self, key: &[u8], offset: u64) -> bool {
        self.newest.get(&self.name(key)) == Some(&offset)
    }

    fn name(&self, key: &[u8]) -> u128 {
        let [high, low] = self.seeds.each_ref().map(|seed| u128::from(seed.hash_one(key)));
        high << 64 | low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_key_the_newest_value_counts_and_what_was_deleted_is_nothing() {
        let mut live = Live { seeds: [RandomState::new(), RandomState::new()], newest: HashMap::new() };
        let told = [
            ("a", true),
            ("b", true),
            ("a", true),
            ("c", true),
            ("b", false),
            ("d", false),
            ("c", false),
            ("c", true),
        ];
        for (offset, (key, has_value)) in told.into_iter().enumerate() {
            live.see(key.as_bytes(), has_value, offset as u64);
        }
        let kept =
            told.into_iter().enumerate().filter(|(at, (key, _))| live.is_newest(key.as_bytes(), *at as u64));
        let kept: Vec<(usize, &str)> = kept.map(|(at, (key, _))| (at, key)).collect();
        assert_eq!(kept, [(2, "a"), (7, "c")]);
    }
}
