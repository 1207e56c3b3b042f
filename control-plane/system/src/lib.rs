//! The system's clock and randomness: the only place where either is read.

use std::time::SystemTime;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use sealwax_core::{Clock, Jitter, Span, Timestamp};

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where wall time enters")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp::from_millis(since_epoch.map(Span::from).unwrap_or_default().millis())
    }
}

/// Randomness from the crypto library.
#[derive(Debug, Default)]
pub struct SystemJitter(SystemRandom);

impl Jitter for SystemJitter {
    fn permille(&self) -> u64 {
        let mut bytes = [0; 4];
        // Without randomness schedules are merely not spread.
        match self.0.fill(&mut bytes) {
            Ok(()) => u64::from(u32::from_le_bytes(bytes)) % 1001,
            Err(_) => 500,
        }
    }
}

/// A name for this process among all that ever use the store: a new one at each start, so that
/// nobody mistakes its leases for those of the process before.
#[must_use]
pub fn process_name() -> String {
    let mut bytes = [0; 8];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        bytes = SystemClock.now().millis().to_le_bytes();
    }
    format!("{:016x}", u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_told_apart_and_jitter_stays_in_range() {
        assert_ne!(process_name(), process_name());
        let jitter = SystemJitter::default();
        assert!((0..1000).all(|_| jitter.permille() <= 1000));
    }
}
