//! When a certificate is renewed.

use crate::clock::Jitter;
use crate::timestamp::{Span, Timestamp};

/// Certificates that live shorter are renewed at half of their life.
const SHORT_LIFE: Span = Span::from_secs(10 * 86_400);
/// Renewals are spread over this part of the life before their time: 1/30, two days of sixty.
const SPREAD_PART: u64 = 30;
/// Below this part of its life left, a certificate is an emergency.
const EMERGENCY_PART: u64 = 20;

/// Without word from the CA: at 2/3 of the life, at 1/2 below ten days (Let's Encrypt's
/// integration guide, "When to Renew"), and up to 1/30 of the life earlier, so that what was
/// issued together is not renewed together.
#[must_use]
pub fn renew_at(not_before: Timestamp, not_after: Timestamp, jitter: &dyn Jitter) -> Timestamp {
    let life = not_after.since(not_before);
    let share = if life < SHORT_LIFE { life.scale(1, 2) } else { life.scale(2, 3) };
    let early = life.scale(jitter.permille().min(1000), 1000 * SPREAD_PART);
    (not_before + share) - early
}

/// Little enough of the life is left that everything else has to wait.
#[must_use]
pub fn is_emergency(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> bool {
    not_after.since(now) < not_after.since(not_before).scale(1, EMERGENCY_PART)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Fixed(u64);

    impl Jitter for Fixed {
        fn permille(&self) -> u64 {
            self.0
        }
    }

    const DAY: u64 = 86_400;

    fn day_of_renewal(life_days: u64, jitter: u64) -> f64 {
        let start = Timestamp::from_secs(1_000_000);
        let at = renew_at(start, start + Span::from_secs(life_days * DAY), &Fixed(jitter));
        f64::from(u32::try_from(at.since(start).secs()).unwrap()) / 86_400.0
    }

    #[test]
    fn ninety_forty_five_and_six_day_certificates_are_renewed_in_time() {
        assert_eq!(day_of_renewal(90, 0), 60.0);
        assert_eq!(day_of_renewal(90, 1000), 57.0);
        assert_eq!(day_of_renewal(45, 0), 30.0);
        assert_eq!(day_of_renewal(6, 0), 3.0);
    }

    #[test]
    fn an_emergency_begins_at_a_twentieth() {
        let start = Timestamp::from_secs(0);
        let end = Timestamp::from_secs(2_000);
        assert!(!is_emergency(start, end, Timestamp::from_secs(1_900)));
        assert!(is_emergency(start, end, Timestamp::from_secs(1_901)));
    }

    proptest! {
        #[test]
        fn renewal_lies_between_a_third_and_two_thirds_of_any_life(
            start in 0_u64..4_000_000_000, life in 0_u64..400_000_000, jitter in 0_u64..=2000
        ) {
            let start = Timestamp::from_millis(start);
            let life = Span::from_secs(life);
            let at = renew_at(start, start + life, &Fixed(jitter));
            prop_assert!(at >= start + life.scale(1, 3));
            prop_assert!(at <= start + life.scale(2, 3));
        }
    }
}
