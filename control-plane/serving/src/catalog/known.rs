//! Which names are registered, as far as a few bytes each can tell: strangers are refused without
//! a question to the store, whether it is there or not.
//!
//! ```text
//! a pass over the listing index, at each start --> filled
//! announcements, of this process and of others --> one more
//! the change log was interrupted --> filled before: what is missing may be new, until the next pass
//! ```
//!
//! The set only grows between two passes: what left is still in it, and costs an exact look-up.
//! What is not in a filled set is a stranger for sure, but for a registration elsewhere that the
//! change log has not told yet.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sealwax_protocol::DomainName;

/// Parts of the set, each with a lock of its own. With the 32 bits kept of a name they tell names
/// apart by 44 bits: of a stranger's names one in a million is looked up for nothing, at ten
/// million registered ones.
const SHARDS: usize = 4_096;
const SHARD_BITS: u32 = SHARDS.trailing_zeros();
/// Most names: about 600 MB. A fleet beyond it is served as one whose set is not filled.
pub(super) const NAMES_MAX: usize = 64_000_000;

/// What the set says of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// It is registered, or was.
    Registered,
    /// It is not.
    Stranger,
    /// Nothing: the set was filled before, and may have missed something since.
    Stale,
    /// Nothing: the set was never filled.
    Unfilled,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fill {
    #[default]
    Never,
    Whole,
    Missed,
}

/// The names that are registered.
pub(super) struct KnownNames {
    /// Keyed at random, so that nobody can choose names that fall together.
    keyed: RandomState,
    sets: RwLock<Sets>,
    refused: AtomicU64,
}

struct Sets {
    current: Set,
    fill: Fill,
    /// What a pass has found so far.
    next: Option<Set>,
    /// The pass may have missed something.
    missed: bool,
}

impl Default for KnownNames {
    fn default() -> Self {
        let sets = Sets { current: Set::default(), fill: Fill::Never, next: None, missed: false };
        Self { keyed: RandomState::new(), sets: RwLock::new(sets), refused: AtomicU64::new(0) }
    }
}

impl KnownNames {
    /// A name that is registered, as far as anyone knows.
    pub(super) fn insert(&self, domain: &DomainName) {
        let mark = Mark::of(self.keyed.hash_one(domain.as_str()));
        let sets = self.read();
        sets.current.insert(mark);
        if let Some(next) = &sets.next {
            next.insert(mark);
        }
    }

    pub(super) fn says(&self, domain: &DomainName) -> Says {
        let mark = Mark::of(self.keyed.hash_one(domain.as_str()));
        let sets = self.read();
        match sets.fill {
            _ if sets.current.has(mark) => Says::Registered,
            Fill::Whole => Says::Stranger,
            Fill::Missed => Says::Stale,
            Fill::Never => Says::Unfilled,
        }
    }

    /// A pass begins.
    pub(super) fn begin(&self) {
        let mut sets = self.write();
        sets.next = Some(Set::default());
        sets.missed = false;
    }

    /// What a pass found. False: there is no room for all of it.
    pub(super) fn found(&self, domains: &[DomainName]) -> bool {
        let sets = self.read();
        let Some(next) = &sets.next else { return true };
        for domain in domains {
            next.insert(Mark::of(self.keyed.hash_one(domain.as_str())));
        }
        next.len() <= NAMES_MAX
    }

    /// The pass came to its end: what it found and what was announced meanwhile counts from now on.
    pub(super) fn finish(&self) {
        let mut sets = self.write();
        if let Some(next) = sets.next.take() {
            sets.current = next;
            sets.fill = if sets.missed { Fill::Missed } else { Fill::Whole };
        }
    }

    /// What a pass found is of no use.
    pub(super) fn give_up(&self) {
        self.write().next = None;
    }

    /// Changes may have been missed: until the next pass a name that is not here may be new.
    pub(super) fn interrupted(&self) {
        let mut sets = self.write();
        sets.missed = true;
        if sets.fill == Fill::Whole {
            sets.fill = Fill::Missed;
        }
    }

    /// A name was refused without a question to the store.
    pub(super) fn count_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        self.read().current.len()
    }

    pub(super) fn is_filled(&self) -> bool {
        self.read().fill == Fill::Whole
    }

    fn read(&self) -> RwLockReadGuard<'_, Sets> {
        self.sets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sets> {
        self.sets.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of a name: in which shard, and which there.
#[derive(Clone, Copy)]
struct Mark {
    shard: usize,
    rest: u32,
}

impl Mark {
    fn of(hash: u64) -> Self {
        let shard = usize::try_from(hash >> (u64::BITS - SHARD_BITS)).unwrap_or(0);
        let rest = u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0);
        Self { shard, rest }
    }
}

/// Marks of names: five bytes a place, 6 to 12 a name.
struct Set {
    shards: Vec<RwLock<HashSet<u32, BuildHasherDefault<Spread>>>>,
    count: AtomicUsize,
}

impl Default for Set {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, count: AtomicUsize::new(0) }
    }
}

impl Set {
    fn insert(&self, mark: Mark) {
        let Some(shard) = self.shards.get(mark.shard) else { return };
        // Most are there already: a renewal is announced as a registration is.
        if shard.read().unwrap_or_else(PoisonError::into_inner).contains(&mark.rest) {
            return;
        }
        if shard.write().unwrap_or_else(PoisonError::into_inner).insert(mark.rest) {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn has(&self, mark: Mark) -> bool {
        let shard = self.shards.get(mark.shard);
        shard.is_some_and(|shard| {
            shard.read().unwrap_or_else(PoisonError::into_inner).contains(&mark.rest)
        })
    }

    fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// What is hashed is a part of a hash: it has only to be spread over 64 bits.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, part: u32) {
        // Fibonacci hashing: the golden ratio's odd neighbour in 64 bits.
        self.0 = (self.0 ^ u64::from(part)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: usize) -> DomainName {
        DomainName::parse(&format!("n{n}.example.com")).unwrap()
    }

    #[test]
    fn a_filled_set_knows_its_names_and_no_others() {
        let known = KnownNames::default();
        known.insert(&name(0));
        assert_eq!(
            (known.says(&name(0)), known.says(&name(1))),
            (Says::Registered, Says::Unfilled)
        );
        known.begin();
        assert!(known.found(&(10..20_010).map(name).collect::<Vec<_>>()));
        assert_eq!(known.says(&name(10)), Says::Unfilled, "a pass counts when it is at its end");
        known.insert(&name(5));
        known.finish();
        assert_eq!((known.len(), known.is_filled()), (20_001, true));
        assert!((10..20_010).all(|n| known.says(&name(n)) == Says::Registered));
        assert_eq!(known.says(&name(5)), Says::Registered, "announced while the pass went on");
        assert_eq!(known.says(&name(0)), Says::Stranger, "gone since");
        let wrong = (30_000..130_000).filter(|n| known.says(&name(*n)) != Says::Stranger).count();
        assert!(wrong <= 1, "{wrong} of 100,000 strangers taken for known");
    }

    #[test]
    fn after_an_interruption_nobody_is_a_stranger_until_the_next_pass() {
        let known = KnownNames::default();
        known.interrupted();
        assert_eq!(known.says(&name(1)), Says::Unfilled);
        known.begin();
        known.finish();
        known.interrupted();
        assert_eq!(known.says(&name(1)), Says::Stale);
        known.begin();
        known.interrupted();
        known.finish();
        assert_eq!(known.says(&name(1)), Says::Stale, "interrupted again while the pass went on");
        known.begin();
        known.give_up();
        assert!(!known.is_filled());
        known.begin();
        known.finish();
        assert_eq!(known.says(&name(1)), Says::Stranger);
    }
}
