//! Hash maps with a fixed seed: the pure crates make no random numbers, and no order of iteration shows outside.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

/// Builds the map's hashers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seeded;

impl BuildHasher for Seeded {
    type Hasher = ahash::AHasher;

    fn build_hasher(&self) -> ahash::AHasher {
        // Digits of pi: nothing up the sleeve.
        const STATE: ahash::RandomState = ahash::RandomState::with_seeds(
            0x243f_6a88_85a3_08d3,
            0x1319_8a2e_0370_7344,
            0xa409_3822_299f_31d0,
            0x082e_fa98_ec4e_6c89,
        );
        STATE.build_hasher()
    }
}

/// A hash map.
pub(crate) type Map<K, V> = HashMap<K, V, Seeded>;
/// A hash set.
pub(crate) type Set<K> = HashSet<K, Seeded>;
