//! One worker's verdicts: a fixed number of fixed-size entries, allocated once.

use crate::clock::Instant;
use crate::fingerprint::Fingerprint;
use crate::verdict::Verdict;

/// Entries that compete for room with each other; recency is kept within them.
const WAYS: usize = 4;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    name: Fingerprint,
    expires: Instant,
    verdict: Verdict,
}

/// A set-associative cache with expiry. Its memory never grows, whatever names it is fed.
#[derive(Debug)]
pub struct VerdictCache {
    sets: Vec<[Entry; WAYS]>,
}

impl VerdictCache {
    /// Room for `entries` verdicts, rounded up to a multiple of 4.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self { sets: vec![[Entry::default(); WAYS]; entries.div_ceil(WAYS).max(1)] }
    }

    /// The verdict for `name` and when it ends, if it still holds.
    pub fn get(&mut self, name: Fingerprint, now: Instant) -> Option<(Verdict, Instant)> {
        let set = self.set(name)?;
        let way = set.iter().position(|entry| entry.name == name && entry.expires > now)?;
        // The front of a set is what was used last.
        set.get_mut(..=way)?.rotate_right(1);
        set.first().map(|entry| (entry.verdict, entry.expires))
    }

    /// Keeps a verdict, in the place of an older one for the same name, an expired one, or the
    /// one that was not used for longest.
    pub fn put(&mut self, name: Fingerprint, verdict: Verdict, expires: Instant, now: Instant) {
        let Some(set) = self.set(name) else { return };
        let same = set.iter().position(|entry| entry.name == name);
        let way =
            same.or_else(|| set.iter().position(|entry| entry.expires <= now)).unwrap_or(WAYS - 1);
        if let Some(used) = set.get_mut(..=way) {
            used.rotate_right(1);
        }
        if let Some(front) = set.first_mut() {
            *front = Entry { name, expires, verdict };
        }
    }

    fn set(&mut self, name: Fingerprint) -> Option<&mut [Entry; WAYS]> {
        let index = name.bucket(self.sets.len());
        self.sets.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(index: u32) -> Fingerprint {
        Fingerprint::of(1, &[&index.to_le_bytes()])
    }

    fn at(ms: u64) -> Instant {
        Instant::default().after_ms(ms)
    }

    #[test]
    fn a_verdict_holds_until_it_expires() {
        let mut cache = VerdictCache::new(16);
        cache.put(name(1), Verdict::Ready, at(100), at(0));
        assert_eq!(cache.get(name(1), at(99)), Some((Verdict::Ready, at(100))));
        assert_eq!(cache.get(name(1), at(100)), None);
        assert_eq!(cache.get(name(2), at(0)), None);
    }

    #[test]
    fn a_newer_verdict_replaces_the_older() {
        let mut cache = VerdictCache::new(4);
        cache.put(name(1), Verdict::Pending, at(100), at(0));
        cache.put(name(1), Verdict::Ready, at(200), at(10));
        assert_eq!(cache.get(name(1), at(150)), Some((Verdict::Ready, at(200))));
        cache.put(name(1), Verdict::Unknown, at(160), at(150));
        assert_eq!(cache.get(name(1), at(170)), None, "the older one does not come back");
    }

    #[test]
    fn expired_entries_give_way_first_then_the_longest_unused() {
        let mut cache = VerdictCache::new(4);
        for index in 0..4 {
            cache.put(name(index), Verdict::Ready, at(1_000), at(0));
        }
        assert!(cache.get(name(0), at(1)).is_some(), "used again");
        cache.put(name(4), Verdict::Ready, at(1_000), at(1));
        assert!(cache.get(name(1), at(1)).is_none(), "1 was not used for longest");
        assert!(cache.get(name(0), at(1)).is_some());
        cache.put(name(2), Verdict::Ready, at(5), at(1));
        cache.put(name(5), Verdict::Ready, at(1_000), at(6));
        for index in [0, 3, 4, 5] {
            assert!(cache.get(name(index), at(6)).is_some(), "{index}");
        }
    }
}
