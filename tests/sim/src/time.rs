//! Virtual time: tokio's paused clock, and each replica's idea of it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sealwax_core::{Clock, Span, Timestamp};
use tokio::time::Instant;

/// 2026-01-01.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Milliseconds after which a slot comes round.
pub(crate) const SLOTS: u64 = 512;
/// Slots of a process: one for each name, and one for what is not done for one of them.
const SLOTS_EACH: u64 = 8;
/// The slot of a process that is no name's.
pub(crate) const COMMON: usize = 7;

/// When a process acts for a name.
pub(crate) fn slot(instance: u32, name: usize) -> u64 {
    let name = u64::try_from(name.min(COMMON)).unwrap();
    (u64::from(instance) * SLOTS_EACH + name) % SLOTS
}

/// True time.
#[derive(Debug)]
pub(crate) struct Time {
    begin: Instant,
}

impl Time {
    pub(crate) fn begin() -> Self {
        Self { begin: Instant::now() }
    }

    /// Since the begin of the run.
    pub(crate) fn passed(&self) -> Span {
        Span::from(self.begin.elapsed())
    }

    pub(crate) fn now(&self) -> Timestamp {
        START + self.passed()
    }

    /// Waits so long, and less than half a second more: until a millisecond that is this slot's.
    /// Nothing else happens in it, so that what happens does not depend on which task is polled
    /// first.
    pub(crate) async fn pass(&self, wait: Span, slot: u64) {
        let at = self.passed().millis() + wait.millis().max(1);
        let at = at + (slot + SLOTS - at % SLOTS) % SLOTS;
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
