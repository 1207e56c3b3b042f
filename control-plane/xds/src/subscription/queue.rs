//! A queue of subscriptions whose entries may have become void.

use std::collections::VecDeque;

use super::table::Key;

/// First in, first out. An entry is void when its subscription has gone or has moved to another
/// queue; whoever pops it finds that out. Void entries are swept out when they may be half of the
/// queue, so its length is bounded by the number of subscriptions.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<Key>,
    /// Length after the last sweep.
    swept: usize,
}

/// Shorter queues are not swept.
const SWEEP_MIN: usize = 1024;

impl Queue {
    pub(super) fn push(&mut self, key: Key, valid: impl Fn(Key) -> bool) {
        if self.entries.len() >= SWEEP_MIN.max(self.swept * 2) {
            self.entries.retain(|&key| valid(key));
            self.swept = self.entries.len();
        }
        self.entries.push_back(key);
    }

    pub(super) fn pop(&mut self) -> Option<Key> {
        let key = self.entries.pop_front();
        if self.entries.is_empty() {
            // A burst's room is not kept for ever.
            self.entries = VecDeque::new();
            self.swept = 0;
        }
        key
    }

    /// Puts back what has just been popped.
    pub(super) fn unpop(&mut self, key: Key) {
        self.entries.push_front(key);
    }
}
