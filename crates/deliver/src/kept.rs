//! What is kept by key in bounded memory: when it is full, what was used least recently goes. Pure.

use std::collections::HashMap;
use std::hash::Hash;

/// Values by key, so many at most. To make room it looks at all of them, which is why it is for hundreds and
/// not for millions.
#[derive(Debug)]
pub(crate) struct Kept<K, V> {
    most: usize,
    /// Counts uses, in place of a clock.
    uses: u64,
    values: HashMap<K, (u64, V)>,
}

impl<K: Hash + Eq + Copy, V> Kept<K, V> {
    /// Room for `most` values, at least one.
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), uses: 0, values: HashMap::new() }
    }

    /// The value of a key, used now.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        self.uses += 1;
        let (used, value) = self.values.get_mut(key)?;
        *used = self.uses;
        Some(value)
    }

    /// The same; a new value where there is none.
    pub(crate) fn get_or(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        self.uses += 1;
        if self.values.len() >= self.most && !self.values.contains_key(&key) {
            self.drop_oldest();
        }
        let (used, value) = self.values.entry(key).or_insert_with(|| (0, new()));
        *used = self.uses;
        value
    }

    fn drop_oldest(&mut self) {
        let oldest = self.values.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
        if let Some(key) = oldest {
            self.values.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_and_no_more_are_kept_than_may_be() {
        let mut kept = Kept::new(2);
        for key in [1, 2, 1, 3] {
            kept.get_or(key, || key * 10);
        }
        assert_eq!(kept.get(&2), None);
        assert_eq!(kept.get(&1), Some(&mut 10));
        // Key 3 was used before key 1 was looked at.
        kept.get_or(4, || 40);
        assert_eq!(
            (kept.get(&1).is_some(), kept.get(&3).is_some(), kept.get(&4).is_some()),
            (true, false, true)
        );
        assert_eq!(kept.values.len(), 2);
    }
}
