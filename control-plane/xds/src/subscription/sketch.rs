//! How often names have been seen lately, about: a count-min sketch with ageing.

use std::hash::{BuildHasher, RandomState};

/// Counters per name of the budget, half a byte each.
const COUNTERS_PER_NAME: usize = 32;
/// Largest count kept.
const COUNT_MAX: u8 = 15;
/// Counts are halved after this many sightings per name of the budget: what was busy last month
/// does not stay so for ever, and few names seen once look as if they had been seen twice.
const SIGHTINGS_PER_NAME: usize = 4;
/// A name's count is the least of so many counters.
const ROWS: usize = 4;
/// Fewest and most counters: 2 KiB to 16 MiB.
const COUNTERS_MIN: usize = 1 << 12;
const COUNTERS_MAX: usize = 1 << 25;

/// An edge's memory of names, those it has been made to forget included. It costs 16 to 32 bytes
/// per name of the budget whatever is thrown at it, and outlives the edge's streams.
#[derive(Debug)]
pub(crate) struct Sketch {
    /// Two counters a byte.
    pairs: Box<[u8]>,
    /// Number of counters less one, a mask.
    mask: u64,
    sightings: usize,
    halve_at: usize,
    hasher: RandomState,
}

impl Sketch {
    pub(crate) fn new(budget: usize) -> Self {
        let len = budget
            .saturating_mul(COUNTERS_PER_NAME)
            .clamp(COUNTERS_MIN, COUNTERS_MAX)
            .next_power_of_two();
        Self {
            pairs: vec![0; len / 2].into(),
            mask: (len as u64) - 1,
            sightings: 0,
            halve_at: len / COUNTERS_PER_NAME * SIGHTINGS_PER_NAME,
            hasher: RandomState::new(),
        }
    }

    /// Counts a sighting.
    pub(crate) fn see(&mut self, name: &str) {
        let count = self.count(name);
        if count < COUNT_MAX {
            for place in self.places(name) {
                // Only the least counters are raised: less error for others (conservative update).
                if self.counter(place) == count
                    && let Some(pair) = self.pairs.get_mut(pair_of(place))
                {
                    *pair += if place & 1 == 0 { 1 } else { 1 << 4 };
                }
            }
        }
        self.sightings += 1;
        if self.sightings >= self.halve_at {
            self.sightings /= 2;
            for pair in &mut self.pairs {
                *pair = *pair >> 1 & 0x77;
            }
        }
    }

    /// How often a name has been seen lately: seldom less than it was, sometimes more.
    pub(crate) fn count(&self, name: &str) -> u8 {
        self.places(name).map(|place| self.counter(place)).into_iter().min().unwrap_or(0)
    }

    fn counter(&self, place: u64) -> u8 {
        let pair = self.pairs.get(pair_of(place)).copied().unwrap_or(0);
        if place & 1 == 0 { pair & 0xf } else { pair >> 4 }
    }

    /// Where a name is counted; with few counters, two places may be the same.
    fn places(&self, name: &str) -> [u64; ROWS] {
        let hash = self.hasher.hash_one(name);
        let (low, high) = (hash & 0xffff_ffff, hash >> 32 | 1);
        let mut row = 0;
        [(); ROWS].map(|()| {
            row += 1;
            low.wrapping_add(high.wrapping_mul(row)) & self.mask
        })
    }
}

fn pair_of(place: u64) -> usize {
    usize::try_from(place / 2).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_names_stand_out_of_a_flood_and_are_forgotten_in_time() {
        let mut sketch = Sketch::new(1000);
        for _ in 0..10 {
            sketch.see("busy.example");
        }
        for one_off in 0..2000 {
            sketch.see(&format!("{one_off}.flood.example"));
        }
        assert!(sketch.count("busy.example") >= 5);
        let loud = (0..2000).filter(|n| sketch.count(&format!("{n}.flood.example")) > 2).count();
        assert!(loud < 100, "{loud} one-off names look busy");
        for one_off in 0..50_000 {
            sketch.see(&format!("{one_off}.later.example"));
        }
        assert!(sketch.count("busy.example") < 5, "{}", sketch.count("busy.example"));
    }
}
