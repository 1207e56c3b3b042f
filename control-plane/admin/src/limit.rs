//! How many requests a caller may make.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many seconds' worth of requests may come at once.
const BURST_SECS: u32 = 2;

/// A rate with a burst, as one moment (the generic cell rate algorithm): nothing to refill, and
/// nothing that grows.
#[derive(Debug)]
pub(super) struct Limit {
    interval: Duration,
    /// When the bucket is empty again.
    empty_at: Mutex<Option<Instant>>,
}

impl Limit {
    /// So many a second, and twice as many at once.
    pub(super) fn a_second(rate: u32) -> Self {
        let interval = Duration::from_secs(1) / rate.max(1);
        Self { interval, empty_at: Mutex::new(None) }
    }

    /// Takes a place, or says how long to wait for one.
    pub(super) fn take(&self) -> Result<(), Duration> {
        let now = Instant::now();
        let most = Duration::from_secs(u64::from(BURST_SECS));
        let mut empty_at = self.empty_at.lock().unwrap_or_else(PoisonError::into_inner);
        let from = empty_at.map_or(now, |at| at.max(now));
        let full = from.saturating_duration_since(now).saturating_add(self.interval);
        if full > most {
            return Err(full.saturating_sub(most));
        }
        *empty_at = Some(from + self.interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_taken_and_then_the_rate() {
        let limit = Limit::a_second(10);
        for _ in 0..20 {
            assert_eq!(limit.take(), Ok(()));
        }
        assert_eq!(limit.take(), Err(Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(limit.take(), Ok(()));
        assert!(limit.take().is_err());
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!((0..100).filter(|_| limit.take().is_ok()).count(), 20, "no more than a burst");
    }
}
