//! Virtual time: tokio's paused clock, and each replica's idea of it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sealwax_core::{Clock, Span, Timestamp};
use tokio::time::Instant;

/// 2026-01-01.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// True time.
#[derive(Debug)]
pub(crate) struct Time {
    begin: Instant,
    taken: Mutex<BTreeSet<u64>>,
}

impl Time {
    pub(crate) fn begin() -> Self {
        Self { begin: Instant::now(), taken: Mutex::default() }
    }

    /// Since the begin of the run.
    pub(crate) fn passed(&self) -> Span {
        Span::from(self.begin.elapsed())
    }

    pub(crate) fn now(&self) -> Timestamp {
        START + self.passed()
    }

    /// Waits so long, and a few milliseconds more if need be: no two effects happen at the same
    /// moment, so that their order does not depend on which task is polled first.
    pub(crate) async fn pass(&self, wait: Span) {
        let at = {
            let now = self.passed().millis();
            let mut taken = self.taken.lock().unwrap();
            *taken = taken.split_off(&now);
            let mut at = now + wait.millis().max(1);
            while !taken.insert(at) {
                at += 1;
            }
            at
        };
        tokio::time::sleep_until(self.begin + Duration::from_millis(at)).await;
    }
}

/// What a replica takes for wall time: off by what an operator or a bad time server made of it.
#[derive(Debug)]
pub(crate) struct Wall {
    begin: Instant,
    off_millis: AtomicI64,
}

impl Wall {
    pub(crate) fn of(time: &Time) -> Self {
        Self { begin: time.begin, off_millis: AtomicI64::new(0) }
    }

    pub(crate) fn set_off(&self, millis: i64) {
        self.off_millis.store(millis, Ordering::Relaxed);
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let now = START + Span::from(self.begin.elapsed());
        let off = self.off_millis.load(Ordering::Relaxed);
        let by = Span::from_millis(off.unsigned_abs());
        if off < 0 { now - by } else { now + by }
    }
}
