//! The two sources of unpredictability a decision may depend on, as traits.

use crate::timestamp::Timestamp;

/// Wall time. Moves backwards when an operator sets it; nothing is timed by it but schedules.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Randomness that spreads schedules.
pub trait Jitter: Send + Sync + 'static {
    /// Uniform in `0..=1000`, thousandths of whatever is spread.
    fn permille(&self) -> u64;
}
