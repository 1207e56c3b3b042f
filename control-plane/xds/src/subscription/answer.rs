//! What the source says, and what time does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sealwax_protocol::DomainName;
use tokio::time::Instant;

use super::table::{Backing, Key, QuestionState, QueueKind};
use super::{Outgoing, Question, Registry, Subscriptions, TICK};
use crate::brake::Leave;
use crate::{Lookup, ServedCertificate};

/// What a client holds is asked about again after this, when nobody could tell or it was held back;
/// up to as much later, so that many do not ask at one moment.
const HELD_AGAIN_AFTER: Duration = Duration::from_secs(15);
/// Parts of that time over which names are spread.
const SPREAD: u32 = 64;
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

    /// The client has a certificate for the name and waits for nothing.
    pub(crate) fn is_held(&self, key: Key) -> bool {
        let entry = self.table.live(key).and_then(|slot| self.table.get(slot));
        entry.is_some_and(|entry| !entry.owed && entry.has_something())
    }

    /// The version of what the client has for the name, if it waits for nothing.
    pub(crate) fn held_version(&self, key: Key) -> Option<String> {
        let entry = self.table.live(key).and_then(|slot| self.table.get(slot))?;
        let latest = if entry.sent.is_some() { entry.sent } else { entry.held };
        (!entry.owed && latest.is_some()).then(|| latest.to_string())
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
        let (owed, holds) = (entry.owed, entry.has_something());
        let before = std::mem::replace(&mut entry.question, QuestionState::Settled);
        if before == QuestionState::AskedStale {
            self.open_question(slot, true);
        }
        match lookup {
            Lookup::Ready(certificate) => self.ready(slot, certificate, now),
            Lookup::Absent => self.absent(slot, now),
            Lookup::Missing => self.missing(slot, now),
            Lookup::Pending if owed => self.hold(key, now),
            Lookup::Unavailable if owed => {
                self.hold(key, now);
                self.timers.retry(slot, now + self.limits.retry_after);
            }
            // Whatever the edge holds is better than nothing, and may have been removed.
            Lookup::Unavailable if holds => {
                self.timers.retry(slot, now + HELD_AGAIN_AFTER + spread(slot));
            }
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
                Some(_) | None => {
                    // What a client holds already comes after handshakes.
                    let holds = self.table.get(slot).is_some_and(|entry| entry.has_something());
                    self.open_question(slot, owed || !holds);
                }
            }
        }
        if self.evict_at.is_some_and(|at| at <= now) {
            self.evict_at = None;
        }
    }

    fn ready(&mut self, slot: u32, certificate: Arc<ServedCertificate>, now: Instant) {
        self.back(slot, Backing::Known);
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

    /// There is evidence that it may not be served.
    fn absent(&mut self, slot: u32, now: Instant) {
        let Some(entry) = self.table.get(slot) else { return };
        if !entry.owed && !entry.has_something() {
            return self.drop_outgoing(slot);
        }
        match self.outgoing.get(&slot) {
            Some(Outgoing::Eviction | Outgoing::Removal) => return,
            // Nothing is taken from a client that waits for an answer.
            Some(Outgoing::Push(_)) | None if entry.owed => {}
            Some(Outgoing::Push(_)) | None => {
                if let Leave::Refused(again) = self.registry.withdraw(&entry.name, now) {
                    self.drop_outgoing(slot);
                    self.back(slot, Backing::HeldBack);
                    return self.timers.retry(slot, again + spread(slot));
                }
            }
        }
        self.set_outgoing(slot, Outgoing::Removal);
    }

    /// The source has nothing of it, which is no evidence: what the client holds it keeps.
    fn missing(&mut self, slot: u32, now: Instant) {
        let Some(entry) = self.table.get(slot) else { return };
        if entry.owed || !entry.has_something() || self.registry.unknown_released(now) {
            return self.absent(slot, now);
        }
        if !matches!(self.outgoing.get(&slot), Some(Outgoing::Eviction)) {
            self.drop_outgoing(slot);
        }
        self.back(slot, Backing::Unknown);
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

/// A part of [`HELD_AGAIN_AFTER`], another one for each of many names.
fn spread(slot: u32) -> Duration {
    HELD_AGAIN_AFTER * (slot % SPREAD) / SPREAD
}
