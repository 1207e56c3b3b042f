//! Randomness for spreading things over time, from one seed.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A sequence of numbers that need not be secret (splitmix64).
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    /// `None`: a seed of the process's own.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(AtomicU64::new(seed.unwrap_or_else(|| RandomState::new().hash_one(0_u8))))
    }

    /// Within a fifth of `span`, on either side.
    pub(crate) fn around(&self, span: Duration) -> Duration {
        span.mul_f64(0.8 + 0.4 * self.fraction())
    }

    /// From nothing to `span`.
    pub(crate) fn up_to(&self, span: Duration) -> Duration {
        span.mul_f64(self.fraction())
    }

    fn fraction(&self) -> f64 {
        let state = self.0.fetch_add(GOLDEN_GAMMA, Ordering::Relaxed);
        let mut value = state.wrapping_add(GOLDEN_GAMMA);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^= value >> 31;
        let top = u32::try_from(value >> 32).unwrap_or(u32::MAX);
        f64::from(top) / (f64::from(u32::MAX) + 1.0)
    }
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_range_spread_out_and_repeat_with_the_seed() {
        let (jitter, again) = (Jitter::new(Some(7)), Jitter::new(Some(7)));
        let span = Duration::from_secs(100);
        let values: Vec<_> = (0..1000).map(|_| jitter.around(span)).collect();
        assert!(values.iter().all(|v| (80.0..120.0).contains(&v.as_secs_f64())));
        assert!(
            values.iter().any(|v| v.as_secs() < 85) && values.iter().any(|v| v.as_secs() > 114)
        );
        assert_eq!(values, (0..1000).map(|_| again.around(span)).collect::<Vec<_>>());
        assert!((0..1000).all(|_| jitter.up_to(span) < span));
    }
}
