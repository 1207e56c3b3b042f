//! Time and chance in the hands of tests: one of each for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Clock, Jitter, Span, Timestamp};

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// At this moment.
    #[must_use]
    pub fn at(moment: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(moment.millis())))
    }

    /// At this moment, in seconds of the epoch.
    #[must_use]
    pub fn at_secs(secs: i64) -> Arc<Self> {
        Self::at(Timestamp::from_secs(secs))
    }

    /// Sets it, forwards or backwards.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.millis(), Ordering::SeqCst);
    }

    /// Moves it forwards.
    pub fn advance(&self, span: Span) {
        self.0.fetch_add(span.millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A jitter that always says the same, from 0 to 1000.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedJitter(pub u64);

impl Jitter for FixedJitter {
    fn permille(&self) -> u64 {
        self.0
    }
}
