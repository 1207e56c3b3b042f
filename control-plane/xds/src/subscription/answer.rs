//! What the source says, and what time does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealwax_protocol::DomainName;
use tokio::time::Instant;

use super::table::{Key, QuestionState, QueueKind};
use super::{Outgoing, Question, Registry, Subscriptions, TICK};
use crate::{Lookup, ServedCertificate};

/// Names whose comparison is started at a time.
const COMPARED_AT_A_TIME: usize = 512;

impl<R: Registry> Subscriptions<R> {
    /// A name to ask the source about; handshakes first. Each is to be followed by
    /// [`Self::answer`].
    pub(crate) fn next_question(&mut self) -> Option<Question> {
        loop {
            let (key, unhurried) = match self.hurried.pop() {
                Some(key) => (key, false),
                None => (self.unhurried.pop()?, true),
            };
            let entry = self.table.live(key).and_then(|slot| self.table.get_mut(slot));
            if let Some(entry) = entry
                && entry.question == QuestionState::Open
            {
                entry.question = QuestionState::Asked;
                let unhurried = unhurried && !entry.owed;
                return Some(Question {
                    key,
                    name: entry.name.clone(),
                    owed: entry.owed,
                    unhurried,
                });
            }
        }
    }

    /// Whether a question is still worth asking.
    pub(crate) fn is_live(&self, key: Key) -> bool {
        self.table.live(key).is_some()
    }

    /// The answer to a question will take time: the wait is bounded from now on.
    pub(crate) fn hold(&mut self, key: Key, now: Instant) {
        if let Some(slot) = self.table.live(key)
            && self.table.get(slot).is_some_and(|entry| entry.owed)
        {
            self.timers.hold(slot, now + self.limits.max_wait);
        }
    }

    /// The source's answer to a question.
    pub(crate) fn answer(&mut self, key: Key, lookup: Lookup, now: Instant) {
        let Some(slot) = self.table.live(key) else { return };
        let Some(entry) = self.table.get_mut(slot) else { return };
        let owed = entry.owed;
        let before = std::mem::replace(&mut entry.question, QuestionState::Settled);
        if before == QuestionState::AskedStale {
            self.open_question(slot, true);
        }
        match lookup {
            Lookup::Ready(certificate) => self.ready(slot, certificate, now),
            Lookup::Absent => self.absent(slot),
            Lookup::Pending if owed => self.hold(key, now),
            Lookup::Unavailable if owed => {
                self.hold(key, now);
                self.timers.retry(slot, now + self.limits.retry_after);
            }
            // Whatever the edge holds is better than nothing.
            Lookup::Pending | Lookup::Unavailable => {}
        }
    }

    /// The answer for a name may be different now.
    pub(crate) fn changed(&mut self, name: &DomainName) {
        for slot in self.table.of_name(name) {
            self.open_question(slot, true);
        }
    }

    /// Every answer may be different now.
    pub(crate) fn changed_all(&mut self) {
        self.compared = Some(0);
    }

    /// Goes on comparing everything, a piece at a time. False: there is nothing to compare.
    pub(crate) fn compare_more(&mut self) -> bool {
        let Some(mut from) = self.compared else { return false };
        for _ in 0..COMPARED_AT_A_TIME {
            let Some(slot) = self.table.next_used(from) else {
                self.compared = None;
                return true;
            };
            self.open_question(slot, false);
            from = slot + 1;
        }
        self.compared = Some(from);
        true
    }

    /// When [`Self::tick`] is to be called next.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        self.timers.next().into_iter().chain(self.evict_at).min()
    }

    /// Lets time do its work: waits that are over, questions to repeat, evictions that had to wait.
    pub(crate) fn tick(&mut self, now: Instant) {
        while let Some((slot, timer)) = self.timers.take_due(now) {
            let owed = self.table.get(slot).is_some_and(|entry| entry.owed);
            match timer.deadline {
                Some(deadline) if owed && deadline <= now => {
                    self.figures.timeouts.fetch_add(1, Ordering::Relaxed);
                    self.set_outgoing(slot, Outgoing::Removal);
                }
                Some(deadline) if owed => {
                    self.timers.hold(slot, deadline);
                    self.open_question(slot, true);
                }
                Some(_) | None => self.open_question(slot, true),
            }
        }
        if self.evict_at.is_some_and(|at| at <= now) {
            self.evict_at = None;
        }
    }

    fn ready(&mut self, slot: u32, certificate: Arc<ServedCertificate>, now: Instant) {
        let Some(entry) = self.table.get(slot) else { return };
        let version = certificate.content_version();
        if self.rejected.is(&entry.name, version) {
            if entry.owed {
                self.set_outgoing(slot, Outgoing::Removal);
            }
            return;
        }
        if !entry.owed {
            if matches!(self.outgoing.get(&slot), Some(Outgoing::Eviction)) {
                return;
            }
            let gap_end = self.began + TICK * entry.touched + self.limits.removal_gap;
            if entry.removed && now < gap_end {
                return self.timers.retry(slot, gap_end);
            }
            let latest = if entry.sent.is_some() { entry.sent } else { entry.held };
            if latest == version {
                self.rank(slot, &certificate);
                return self.drop_outgoing(slot);
            }
        }
        self.set_outgoing(slot, Outgoing::Push(certificate));
    }

    fn absent(&mut self, slot: u32) {
        let Some(entry) = self.table.get(slot) else { return };
        if entry.owed || entry.held.is_some() || entry.sent.is_some() {
            if !matches!(self.outgoing.get(&slot), Some(Outgoing::Eviction)) {
                self.set_outgoing(slot, Outgoing::Removal);
            }
        } else {
            self.drop_outgoing(slot);
        }
    }

    /// The latest answer wins over one that has not been sent yet.
    pub(super) fn set_outgoing(&mut self, slot: u32, outgoing: Outgoing) {
        let Some(key) = self.table.key(slot) else { return };
        let Some(entry) = self.table.get_mut(slot) else { return };
        let queue = match outgoing {
            Outgoing::Removal | Outgoing::Eviction => QueueKind::Removals,
            Outgoing::Push(_) if entry.owed || entry.alone => QueueKind::Interactive,
            Outgoing::Push(_) => QueueKind::Bulk,
        };
        self.timers.clear(slot);
        self.outgoing.insert(slot, outgoing);
        if std::mem::replace(&mut entry.queue, queue) != queue {
            let table = &self.table;
            let valid = |key: Key| {
                let entry = table.live(key).and_then(|slot| table.get(slot));
                entry.is_some_and(|entry| entry.queue == queue)
            };
            match queue {
                QueueKind::None => {}
                QueueKind::Interactive => self.interactive.push(key, valid),
                QueueKind::Removals => self.removals.push(key, valid),
                QueueKind::Bulk => self.bulk.push(key, valid),
            }
        }
    }

    pub(super) fn drop_outgoing(&mut self, slot: u32) {
        self.outgoing.remove(&slot);
        if let Some(entry) = self.table.get_mut(slot) {
            entry.queue = QueueKind::None;
        }
    }
}
