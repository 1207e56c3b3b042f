//! Names that something has to happen to at a time: exactly one entry each.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Instant, u32)>,
    by_slot: HashMap<u32, Timer>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    /// When to look at the name again.
    pub(super) at: Instant,
    /// When a name whose answer is owed is answered with a removal.
    pub(super) deadline: Option<Instant>,
}

impl Timers {
    /// Holds a name: a removal at `deadline`, unless it has one already.
    pub(super) fn hold(&mut self, slot: u32, deadline: Instant) {
        let deadline = self.by_slot.get(&slot).and_then(|timer| timer.deadline).unwrap_or(deadline);
        self.set(slot, Timer { at: deadline, deadline: Some(deadline) });
    }

    /// Looks at a name again at `at`, or at its deadline if that is earlier.
    pub(super) fn retry(&mut self, slot: u32, at: Instant) {
        let deadline = self.by_slot.get(&slot).and_then(|timer| timer.deadline);
        let at = deadline.map_or(at, |deadline| deadline.min(at));
        self.set(slot, Timer { at, deadline });
    }

    pub(super) fn clear(&mut self, slot: u32) {
        if let Some(timer) = self.by_slot.remove(&slot) {
            self.order.remove(&(timer.at, slot));
        }
    }

    /// Takes a name whose time has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(u32, Timer)> {
        let &(at, slot) = self.order.first().filter(|(at, _)| *at <= now)?;
        self.order.remove(&(at, slot));
        self.by_slot.remove(&slot).map(|timer| (slot, timer))
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|&(at, _)| at)
    }

    fn set(&mut self, slot: u32, timer: Timer) {
        self.clear(slot);
        self.order.insert((timer.at, slot));
        self.by_slot.insert(slot, timer);
    }
}
