//! What was written and what is there, each boiled down to something that can be compared: how many, and a sum over the
//! hashes of all, which does not depend on their order.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::Partition;

/// Of records or entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) records: u64,
    hashes: u64,
}

impl Sum {
    /// `timestamp`: milliseconds; none where it does not matter.
    pub(super) fn add(
        &mut self,
        partition: Partition,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Option<i64>,
    ) {
        let mut hasher = DefaultHasher::new();
        (partition, key, value, timestamp).hash(&mut hasher);
        self.records += 1;
        self.hashes = self.hashes.wrapping_add(hasher.finish());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(records: &[(u32, &str, &str, i64)]) -> Sum {
        let mut sum = Sum::default();
        for (partition, key, value, timestamp) in records {
            sum.add(Partition(*partition), Some(key.as_bytes()), Some(value.as_bytes()), Some(*timestamp));
        }
        sum
    }

    #[test]
    fn order_is_no_difference_and_anything_else_is() {
        let records = [(0, "a", "1", 7), (1, "b", "2", 8)];
        assert_eq!(sum(&records), sum(&[records[1], records[0]]));
        for other in
            [(2, "b", "2", 8), (1, "c", "2", 8), (1, "b", "3", 8), (1, "b", "2", 9), (0, "a", "1", 7)]
        {
            assert_ne!(sum(&records), sum(&[records[0], other]), "{other:?}");
        }
        assert_ne!(sum(&records), sum(&records[..1]));
        assert_ne!(sum(&[(0, "ab", "c", 1)]), sum(&[(0, "a", "bc", 1)]));
    }
}
