//! Chance by a seed: the same seed and name give the same throws, on every machine and in every process.

/// A source of throws (SplitMix64). Each part of the world has its own, so that a new throw in one part leaves the
/// others as they were.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The dice of one part of the world of a seed.
    pub fn new(seed: u64, part: &str) -> Self {
        let mut dice = Self(seed ^ 0x9e37_79b9_7f4a_7c15);
        for byte in part.bytes() {
            dice.0 = dice.0.rotate_left(8) ^ u64::from(byte);
            dice.draw();
        }
        dice
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }

    /// From `first` to `last`, both included.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True in so many of a hundred throws.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// True in so many of a thousand throws.
    pub fn permille(&mut self, chance: u64) -> bool {
        self.below(1_000) < chance
    }

    /// One of some.
    pub fn pick<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.below(some.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_kept_as_a_test_is_the_same_schedule_for_ever() {
        let mut dice = Dice::new(7, "log");
        let throws: Vec<u64> = (0..4).map(|_| dice.below(1_000)).collect();
        assert_eq!(throws, [936, 304, 253, 889]);
        assert_ne!(Dice::new(7, "log").draw(), Dice::new(7, "store").draw());
        assert_ne!(Dice::new(7, "log").draw(), Dice::new(8, "log").draw());
    }
}
