//! What is sent next, and what has to leave.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::time::Instant;

use super::in_flight::Pushed;
use super::table::{Backing, Key, QueueKind};
use super::{Outgoing, Registry, Subscriptions, TICK};
use crate::ServedCertificate;
use crate::served::Version;

/// Most certificates in one response.
const BATCH_MAX: usize = 16;
/// Most bytes of certificates in one response of several.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Most removals in one response.
const REMOVALS_MAX: usize = 256;
/// Every so many responses, the removals and renewals go first: a flood of handshakes does not
/// starve them.
const TURNS: u32 = 8;
/// Residents passed over in one go when looking for one to evict.
const SPARED_MAX: usize = 16;

/// One response; either part may be empty, not both.
#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(crate) nonce: Bytes,
    /// Encoded resources.
    pub(crate) resources: Vec<Bytes>,
    pub(crate) removed: Vec<Bytes>,
}

impl<R: Registry> Subscriptions<R> {
    /// The next response, made of what is true now. To be called only when it can be sent.
    pub(crate) fn next_response(&mut self, now: Instant) -> Option<Response> {
        self.evict(now);
        self.turn = self.turn.wrapping_add(1);
        if self.turn.is_multiple_of(TURNS) {
            self.next_removals(now)
                .or_else(|| self.next_batch(now))
                .or_else(|| self.next_interactive(now))
        } else {
            self.next_interactive(now)
                .or_else(|| self.next_removals(now))
                .or_else(|| self.next_batch(now))
        }
    }

    fn next_interactive(&mut self, now: Instant) -> Option<Response> {
        if self.in_flight.is_full() {
            return None;
        }
        while let Some(key) = self.interactive.pop() {
            let Some((slot, certificate)) = self.take_push(key, QueueKind::Interactive) else {
                continue;
            };
            let resource = self.encode(slot, &certificate);
            let version = self.mark_sent(slot, &certificate, now);
            let nonce = self.in_flight.add(Pushed::One(key, version));
            return Some(Response { nonce, resources: vec![resource], removed: Vec::new() });
        }
        None
    }

    fn next_batch(&mut self, now: Instant) -> Option<Response> {
        if self.in_flight.is_full() {
            return None;
        }
        let mut resources = Vec::new();
        let mut pushed = Vec::new();
        let mut bytes = 0;
        while resources.len() < BATCH_MAX
            && let Some(key) = self.bulk.pop()
        {
            let Some((slot, certificate)) = self.take_push(key, QueueKind::Bulk) else { continue };
            bytes += certificate.encoded_len();
            if bytes > BATCH_BYTES_MAX && !resources.is_empty() {
                self.put_back(slot, key, certificate);
                break;
            }
            resources.push(self.encode(slot, &certificate));
            pushed.push((key, self.mark_sent(slot, &certificate, now)));
        }
        let pushed = match *pushed.as_slice() {
            [] => return None,
            [(key, version)] => Pushed::One(key, version),
            [..] => Pushed::Batch(pushed),
        };
        let nonce = self.in_flight.add(pushed);
        Some(Response { nonce, resources, removed: Vec::new() })
    }

    fn next_removals(&mut self, now: Instant) -> Option<Response> {
        let mut removed = Vec::new();
        while removed.len() < REMOVALS_MAX
            && let Some(key) = self.removals.pop()
        {
            removed.extend(self.take_removal(key, now));
        }
        if !self.refusals.is_empty() {
            // A name twice in one response would have Envoy refuse it.
            let mut once: HashSet<Bytes> = removed.iter().cloned().collect();
            while removed.len() < REMOVALS_MAX
                && let Some(name) = self.refusals.pop_front()
            {
                if once.insert(name.clone()) {
                    removed.push(name);
                }
            }
        }
        if removed.is_empty() {
            return None;
        }
        self.figures.removals.fetch_add(removed.len() as u64, Ordering::Relaxed);
        let nonce = self.in_flight.nonce();
        Some(Response { nonce, resources: Vec::new(), removed })
    }

    fn take_push(&mut self, key: Key, queue: QueueKind) -> Option<(u32, Arc<ServedCertificate>)> {
        let slot = self.take_queued(key, queue)?;
        let certificate = match self.outgoing.remove(&slot)? {
            Outgoing::Push(certificate) => certificate,
            Outgoing::Removal | Outgoing::Eviction => return None,
        };
        let entry = self.table.get(slot)?;
        if self.rejected.is(&entry.name, certificate.content_version()) {
            // Refused since it was queued, under this or another spelling.
            if entry.owed || entry.has_nothing() {
                self.set_outgoing(slot, Outgoing::Removal);
            }
            return None;
        }
        Some((slot, certificate))
    }

    fn put_back(&mut self, slot: u32, key: Key, certificate: Arc<ServedCertificate>) {
        self.outgoing.insert(slot, Outgoing::Push(certificate));
        if let Some(entry) = self.table.get_mut(slot) {
            entry.queue = QueueKind::Bulk;
        }
        self.bulk.unpop(key);
    }

    fn take_removal(&mut self, key: Key, now: Instant) -> Option<Bytes> {
        let slot = self.take_queued(key, QueueKind::Removals)?;
        self.outgoing.remove(&slot);
        self.timers.clear(slot);
        self.back(slot, Backing::Known);
        self.residents.leave(&mut self.table, slot);
        let ticks = self.ticks(now);
        let entry = self.table.get_mut(slot)?;
        entry.held = Version::NONE;
        entry.sent = Version::NONE;
        entry.owed = false;
        entry.removed = true;
        entry.touched = ticks;
        Some(Bytes::copy_from_slice(self.table.requested(slot)))
    }

    /// The slot, if the name still is in that queue; it is in none afterwards.
    fn take_queued(&mut self, key: Key, queue: QueueKind) -> Option<u32> {
        let slot = self.table.live(key)?;
        let entry = self.table.get_mut(slot)?;
        (entry.queue == queue).then(|| {
            entry.queue = QueueKind::None;
            slot
        })
    }

    fn encode(&self, slot: u32, certificate: &ServedCertificate) -> Bytes {
        match std::str::from_utf8(self.table.requested(slot)) {
            Ok(requested) if requested != certificate.name().as_str() => {
                certificate.resource_spelled(requested)
            }
            Ok(_) | Err(_) => certificate.resource(),
        }
    }

    fn mark_sent(&mut self, slot: u32, certificate: &ServedCertificate, now: Instant) -> Version {
        let version = certificate.content_version();
        let ticks = self.ticks(now);
        self.timers.clear(slot);
        if let Some(entry) = self.table.get_mut(slot) {
            entry.sent = version;
            entry.owed = false;
            entry.removed = false;
            entry.touched = ticks;
        }
        self.enter(slot);
        self.rank(slot, certificate);
        self.figures.pushes.fetch_add(1, Ordering::Relaxed);
        version
    }

    /// Marks what has to leave so that the budget is kept. What has been delivered just now, or
    /// not yet, stays: a handshake waits for it.
    fn evict(&mut self, now: Instant) {
        let mut spared = 0;
        while self.residents.len() > self.limits.budget
            && self.evict_at.is_none()
            && let Some(slot) = self.residents.oldest()
            && let Some(entry) = self.table.get(slot)
        {
            let free_at = self.began + TICK * entry.touched + self.limits.eviction_grace;
            if entry.owed || entry.sent.is_some() || entry.queue != QueueKind::None {
                self.residents.spare(&mut self.table, slot);
                spared += 1;
                if spared == SPARED_MAX {
                    self.evict_at = Some(now + TICK);
                }
            } else if entry.touched > 0 && free_at > now {
                self.evict_at = Some(free_at);
            } else {
                self.residents.leave(&mut self.table, slot);
                self.set_outgoing(slot, Outgoing::Eviction);
                self.figures.evictions.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
