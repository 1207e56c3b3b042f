//! Randomness that a seed repeats.

use std::sync::atomic::{AtomicU64, Ordering};

use sealwax_core::Jitter;

/// A sequence of numbers that a seed determines (SplitMix64).
#[derive(Debug)]
pub struct Dice(AtomicU64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// The sequence of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The sequence of a seed and of what it is for: what is drawn from one such sequence changes
    /// nothing in the others.
    #[must_use]
    pub fn of(seed: u64, purpose: &str) -> Self {
        let mixed = purpose.bytes().fold(mix(seed), |mixed, byte| mix(mixed ^ u64::from(byte)));
        Self::new(mixed)
    }

    /// The next number.
    pub fn roll(&self) -> u64 {
        mix(self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }

    /// The next number, below `end`; zero if that is zero.
    pub fn below(&self, end: u64) -> u64 {
        let wide = u128::from(self.roll()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// The next number from `low` to `high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True so many times in a thousand.
    pub fn chance(&self, permille: u64) -> bool {
        self.below(1000) < permille
    }
}

impl Jitter for Dice {
    fn permille(&self) -> u64 {
        self.below(1001)
    }
}

const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_sequence_and_purposes_have_their_own() {
        let rolls = |dice: Dice| (0..5).map(|_| dice.roll()).collect::<Vec<_>>();
        assert_eq!(rolls(Dice::new(7)), rolls(Dice::new(7)));
        assert_ne!(rolls(Dice::of(7, "a")), rolls(Dice::of(7, "b")));
        assert_ne!(rolls(Dice::of(7, "a")), rolls(Dice::of(8, "a")));
    }

    #[test]
    fn rolls_fill_their_range_and_stay_in_it() {
        let dice = Dice::new(1);
        let mut seen = [0_u32; 6];
        for _ in 0..6_000 {
            let rolled = usize::try_from(dice.between(1, 6)).unwrap();
            seen[rolled - 1] += 1;
        }
        assert!(seen.iter().all(|times| (850..1150).contains(times)), "{seen:?}");
        assert_eq!(dice.below(0), 0);
        assert!(!dice.chance(0) && dice.chance(1000));
    }
}
