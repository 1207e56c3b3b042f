//! One token bucket, as Let's Encrypt keeps its own: the generic cell rate algorithm.

use crate::timestamp::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A limit: so many at once, one more after each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many tokens a full bucket has. Zero is read as one: a limit that allows nothing would
    /// never say until when.
    pub burst: u64,
    /// How long one token takes to come back, in milliseconds.
    pub interval: Span,
}

impl Limit {
    /// So many in each period; rounded so that it is never one more.
    #[must_use]
    pub const fn per(count: u64, period: Span) -> Self {
        let count = if count == 0 { 1 } else { count };
        Self { burst: count, interval: Span::from_millis(period.millis().div_ceil(count)) }
    }

    /// A part of this limit, in thousandths; at least one token.
    #[must_use]
    pub fn share(self, permille: u64) -> Self {
        let permille = permille.clamp(1, 1000);
        Self {
            burst: (self.burst.saturating_mul(permille) / 1000).max(1),
            interval: Span::from_millis(
                self.interval.millis().saturating_mul(1000).div_ceil(permille),
            ),
        }
    }

    /// How long an empty bucket takes to be full.
    #[must_use]
    pub fn period(self) -> Span {
        self.interval.scale(self.burst.max(1), 1)
    }
}

/// The state of a bucket: when it is full again. A bucket nobody ever took from is full, so it
/// need not be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket {
    full_at: Timestamp,
}

impl Bucket {
    /// When `cost` tokens can be taken: now, or later. More than a full bucket holds are never
    /// there at once, so they count as a full bucket.
    #[must_use]
    pub fn available_at(self, limit: Limit, cost: u64, now: Timestamp) -> Timestamp {
        let cost = limit.interval.scale(cost.min(limit.burst.max(1)), 1);
        let after = self.full_at.max(now) + cost;
        (after - limit.period()).max(now)
    }

    /// Tokens that can be taken now.
    #[must_use]
    pub fn left(self, limit: Limit, now: Timestamp) -> u64 {
        let burst = limit.burst.max(1);
        let missing = self.full_at.since(now).millis().div_ceil(limit.interval.millis().max(1));
        burst.saturating_sub(missing)
    }

    /// Takes tokens, whether or not they are there.
    #[must_use]
    pub fn take(self, limit: Limit, cost: u64, now: Timestamp) -> Self {
        Self { full_at: self.full_at.max(now) + limit.interval.scale(cost, 1) }
    }

    /// Gives tokens back that were taken for nothing.
    #[must_use]
    pub fn give_back(self, limit: Limit, cost: u64) -> Self {
        Self { full_at: self.full_at - limit.interval.scale(cost, 1) }
    }

    /// The CA says that nothing is there before `until`: from then on there is one token.
    #[must_use]
    pub fn empty_until(self, limit: Limit, until: Timestamp) -> Self {
        let rest = limit.interval.scale(limit.burst.max(1) - 1, 1);
        Self { full_at: self.full_at.max(until + rest) }
    }

    /// When nothing is missing any more.
    #[must_use]
    pub const fn full_at(self) -> Timestamp {
        self.full_at
    }

    /// Nothing is missing: it need not be kept.
    #[must_use]
    pub fn is_full(self, now: Timestamp) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_786_752_000_000);

    #[test]
    fn the_published_refills_are_exact() {
        let refill = |count, period| Limit::per(count, Span::from_secs(period)).interval.secs();
        assert_eq!(refill(300, 3 * 3600), 36);
        assert_eq!(refill(50, 7 * 86_400) / 60, 201, "one in 202 minutes, rounded");
        assert_eq!(refill(5, 7 * 86_400), 33 * 3600 + 36 * 60);
        assert_eq!(refill(5, 3600), 12 * 60);
    }

    #[test]
    fn a_share_is_smaller_and_never_nothing() {
        let limit = Limit::per(300, Span::from_secs(10_800));
        assert_eq!(limit.share(500), Limit { burst: 150, interval: Span::from_secs(72) });
        assert_eq!(limit.share(1000), limit);
        assert_eq!(limit.share(0).burst, 1);
    }

    proptest! {
        /// In no window are there more than a bucket holds and what refills meanwhile.
        #[test]
        fn never_exceeds(
            burst in 1u64..20,
            interval in 1u64..5000,
            pauses in prop::collection::vec(0u64..3000, 1..200),
        ) {
            let limit = Limit { burst, interval: Span::from_millis(interval) };
            let (mut bucket, mut now, mut taken) = (Bucket::default(), START, Vec::new());
            for pause in pauses {
                now = now + Span::from_millis(pause);
                if bucket.available_at(limit, 1, now) == now {
                    bucket = bucket.take(limit, 1, now);
                    taken.push(now);
                }
            }
            for (index, start) in taken.iter().enumerate() {
                for (count, end) in taken[index..].iter().enumerate() {
                    let refilled = end.since(*start).millis() / interval;
                    prop_assert!((count as u64) < burst + refilled);
                }
            }
        }

        /// What is said to be available then is: not a millisecond earlier, and not later.
        #[test]
        fn refills_when_it_says(
            burst in 1u64..50,
            interval in 1u64..100_000,
            taken in 0u64..200,
            cost in 1u64..50,
            wait in 0u64..1_000_000,
        ) {
            let limit = Limit { burst, interval: Span::from_millis(interval) };
            let bucket = Bucket::default().take(limit, taken, START);
            let now = START + Span::from_millis(wait);
            let until = bucket.available_at(limit, cost, now);
            prop_assert!(until >= now);
            prop_assert_eq!(bucket.available_at(limit, cost, until), until);
            if until > now {
                let early = until - Span::from_millis(1);
                prop_assert!(bucket.available_at(limit, cost, early) > early);
            }
            let full = now + limit.period() + limit.interval.scale(taken, 1);
            prop_assert_eq!(bucket.available_at(limit, burst, full), full);
        }

        /// A correction holds until its moment, and costs no more than that.
        #[test]
        fn a_correction_holds_until_its_moment(
            burst in 1u64..50, interval in 1u64..100_000, wait in 1u64..10_000_000,
        ) {
            let limit = Limit { burst, interval: Span::from_millis(interval) };
            let until = START + Span::from_millis(wait);
            let bucket = Bucket::default().empty_until(limit, until);
            prop_assert_eq!(bucket.available_at(limit, 1, START), until);
            let spent = bucket.take(limit, 1, until);
            prop_assert_eq!(spent.available_at(limit, 1, until), until + limit.interval);
        }

        /// What is said to be left can be taken at once, and not one more.
        #[test]
        fn what_is_left_is_there_and_no_more(
            burst in 1u64..50, interval in 1u64..100_000, taken in 0u64..100, wait in 0u64..1_000_000,
        ) {
            let limit = Limit { burst, interval: Span::from_millis(interval) };
            let bucket = Bucket::default().take(limit, taken, START);
            let now = START + Span::from_millis(wait);
            let left = bucket.left(limit, now);
            prop_assert!(left <= burst);
            prop_assert!(left == 0 || bucket.available_at(limit, left, now) == now);
            prop_assert!(left == burst || bucket.available_at(limit, left + 1, now) > now);
        }

        #[test]
        fn what_is_given_back_is_as_if_never_taken(taken in 0u64..10, cost in 1u64..10) {
            let limit = Limit::per(20, Span::from_secs(2000));
            let bucket = Bucket::default().take(limit, taken + 1, START);
            prop_assert_eq!(bucket.take(limit, cost, START).give_back(limit, cost), bucket);
        }
    }
}
