//! Short stand-ins for names, so that caches hold fixed-size entries and never allocate.

use std::hash::{DefaultHasher, Hasher};

/// 64 bits that stand for a text. Within one worker they are keyed, so that nobody outside can
/// construct two names that share one; by chance, two of a million cached names do so once in
/// 37 million runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of `parts`, in this order, under `key`.
    #[must_use]
    pub fn of(key: u64, parts: &[&[u8]]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(key);
        for part in parts {
            hasher.write(part);
            // No part contains this byte, so ("ab", "c") and ("a", "bc") differ.
            hasher.write_u8(0xff);
        }
        Self(hasher.finish())
    }

    /// An index below `buckets`; 0 for no buckets.
    #[must_use]
    pub fn bucket(self, buckets: usize) -> usize {
        let buckets = u64::try_from(buckets).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0 % buckets).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_parts_and_their_borders_all_matter() {
        let base = Fingerprint::of(1, &[b"ab", b"c"]);
        assert_eq!(base, Fingerprint::of(1, &[b"ab", b"c"]));
        assert_ne!(base, Fingerprint::of(2, &[b"ab", b"c"]));
        assert_ne!(base, Fingerprint::of(1, &[b"a", b"bc"]));
        assert_ne!(base, Fingerprint::of(1, &[b"abc"]));
    }

    #[test]
    fn a_bucket_is_always_in_range() {
        for name in ["a.example", "b.example", "c.example"] {
            assert!(Fingerprint::of(7, &[name.as_bytes()]).bucket(3) < 3);
            assert_eq!(Fingerprint::of(7, &[name.as_bytes()]).bucket(0), 0);
        }
    }
}
