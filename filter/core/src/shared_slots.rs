//! What workers tell each other: a fixed set of keys in the proxy's shared data, each holding the
//! last value that hashed to it.
//!
//! Shared data cannot be deleted, so keys must not be made from names: an attacker who asks for a
//! million names would fill the proxy's memory. Slots overwrite each other instead, and say whose
//! value they hold.

use crate::clock::{Clock, Instant};
use crate::fingerprint::Fingerprint;
use crate::host::Host;

/// Longest slot value read, in bytes.
const SLOT_BYTES_MAX: usize = 1_024;
/// First byte of a value; another layout gets another number.
const LAYOUT: u8 = 1;
/// Layout byte, expiry, key length.
const HEAD_BYTES: usize = 1 + 8 + 2;

/// A group of slots.
#[derive(Debug)]
pub struct SharedSlots {
    prefix: String,
    slots: usize,
}

impl SharedSlots {
    /// `slots` keys that begin with `prefix`; 0 shares nothing.
    #[must_use]
    pub const fn new(prefix: String, slots: usize) -> Self {
        Self { prefix, slots }
    }

    /// The value stored under `key` and when it ends, if it still holds.
    pub fn get<H: Host>(
        &self,
        host: &mut H,
        clock: &Clock,
        key: &[u8],
    ) -> Option<(Vec<u8>, Instant)> {
        if self.slots == 0 {
            return None;
        }
        let slot = host.shared(&self.slot(key))?;
        let (payload, expires_wall_ms) = decode(&slot, key)?;
        let expires = clock.from_wall_ms(expires_wall_ms);
        (expires > clock.now()).then(|| (payload.to_vec(), expires))
    }

    /// Stores `payload` under `key` for every worker.
    pub fn put<H: Host>(
        &self,
        host: &mut H,
        clock: &Clock,
        key: &[u8],
        payload: &[u8],
        expires: Instant,
    ) {
        let Ok(key_bytes) = u16::try_from(key.len()) else { return };
        let bytes = HEAD_BYTES + key.len() + payload.len();
        if self.slots == 0 || bytes > SLOT_BYTES_MAX {
            return;
        }
        let mut slot = Vec::with_capacity(bytes);
        slot.push(LAYOUT);
        slot.extend_from_slice(&clock.to_wall_ms(expires).to_le_bytes());
        slot.extend_from_slice(&key_bytes.to_le_bytes());
        slot.extend_from_slice(key);
        slot.extend_from_slice(payload);
        // Lossy by design: without it, the other workers ask for themselves.
        host.set_shared(&self.slot(key), &slot);
    }

    fn slot(&self, key: &[u8]) -> String {
        // Not keyed by worker: all of them must find the same slot.
        let slot = Fingerprint::of(0, &[key]).bucket(self.slots);
        format!("{}{slot}", self.prefix)
    }
}

fn decode<'a>(slot: &'a [u8], key: &[u8]) -> Option<(&'a [u8], u64)> {
    if slot.len() > SLOT_BYTES_MAX {
        return None;
    }
    let (&layout, rest) = slot.split_first()?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let (key_bytes, rest) = rest.split_first_chunk::<2>()?;
    let (stored, payload) = rest.split_at_checked(usize::from(u16::from_le_bytes(*key_bytes)))?;
    (layout == LAYOUT && stored == key).then(|| (payload, u64::from_le_bytes(*expires)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_in_a_slot_is_nothing() {
        let mut good = vec![LAYOUT];
        good.extend_from_slice(&7_u64.to_le_bytes());
        good.extend_from_slice(&3_u16.to_le_bytes());
        good.extend_from_slice(b"keyvalue");
        assert_eq!(decode(&good, b"key"), Some((b"value".as_slice(), 7)));
        assert_eq!(decode(&good, b"kex"), None);
        for cut in 0..HEAD_BYTES + 3 {
            assert_eq!(decode(&good[..cut], b"key"), None, "{cut}");
        }
        good[0] = LAYOUT + 1;
        assert_eq!(decode(&good, b"key"), None);
        assert_eq!(decode(&vec![LAYOUT; SLOT_BYTES_MAX + 1], b"key"), None);
    }
}
