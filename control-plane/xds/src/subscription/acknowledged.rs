//! What became of responses: a version arrived, or the edge refused it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::in_flight::Pushed;
use super::table::Key;
use super::{Event, Outgoing, Registry, Subscriptions};
use crate::edge::NackView;
use crate::served::Version;

impl<R: Registry> Subscriptions<R> {
    /// The client has applied a response.
    pub(crate) fn ack(&mut self, nonce: &[u8], now: Instant) {
        self.figures.acks.fetch_add(1, Ordering::Relaxed);
        match self.in_flight.take(nonce) {
            Some(Pushed::One(key, version)) => self.delivered(key, version, now),
            Some(Pushed::Batch(pushed)) => {
                for (key, version) in pushed {
                    self.delivered(key, version, now);
                }
            }
            None => {}
        }
    }

    /// The client has refused a response. Which part of a batch was at fault is unknown, and the
    /// others may or may not have been applied.
    pub(crate) fn nack(&mut self, nonce: &[u8], detail: &str) {
        self.figures.nacks.fetch_add(1, Ordering::Relaxed);
        match self.in_flight.take(nonce) {
            Some(Pushed::One(key, version)) => self.refused(key, version, detail),
            Some(Pushed::Batch(pushed)) => {
                for (key, version) in pushed {
                    self.send_alone(key, version);
                }
            }
            None => {}
        }
    }

    fn delivered(&mut self, key: Key, version: Version, now: Instant) {
        let ticks = self.ticks(now);
        let Some(slot) = self.table.live(key) else { return };
        let Some(entry) = self.table.get_mut(slot) else { return };
        if entry.removed {
            return;
        }
        entry.held = version;
        entry.touched = ticks;
        entry.alone = false;
        if entry.sent == version {
            entry.sent = Version::NONE;
        }
        self.events.push(Event::Delivered(entry.name.clone(), version));
    }

    fn refused(&mut self, key: Key, version: Version, detail: &str) {
        let Some(slot) = self.table.live(key) else { return };
        let Some(entry) = self.table.get_mut(slot) else { return };
        entry.alone = false;
        if entry.sent == version {
            entry.sent = Version::NONE;
        }
        let name = entry.name.clone();
        // With nothing to fall back on and nothing on the way, its handshakes wait as before.
        entry.owed |= entry.has_nothing();
        if entry.owed && !matches!(self.outgoing.get(&slot), Some(Outgoing::Push(_))) {
            self.set_outgoing(slot, Outgoing::Removal);
        }
        self.rejected.insert(&name, version);
        let nack = NackView {
            name: name.clone(),
            version: version.to_string(),
            detail: detail.to_owned(),
        };
        *self.figures.last_nack.lock().unwrap_or_else(PoisonError::into_inner) = Some(nack);
        self.events.push(Event::Rejected(name, version, detail.to_owned()));
    }

    fn send_alone(&mut self, key: Key, version: Version) {
        let Some(slot) = self.table.live(key) else { return };
        let Some(entry) = self.table.get_mut(slot) else { return };
        if entry.sent == version {
            entry.sent = Version::NONE;
            entry.alone = true;
            entry.owed |= entry.has_nothing();
            self.open_question(slot, true);
        }
    }
}
