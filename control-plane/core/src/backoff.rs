//! When a failed attempt is tried again.

use crate::clock::Jitter;
use crate::timestamp::{Span, Timestamp};

/// Tries of one step within a run, the first included.
pub const IN_RUN_TRIES: u32 = 3;
/// Wait before the second try; doubled for each further one.
pub const IN_RUN_FIRST_WAIT: Span = Span::from_secs(1);
/// The longest wait a CA may impose on a run; longer ones end the run and go into the schedule.
pub const IN_RUN_WAIT_MAX: Span = Span::from_secs(30);

/// After 1, 2, 3 failed attempts; after that daily. The schedule Let's Encrypt's integration
/// guide recommends ("Retrying failures").
const SCHEDULE: [Span; 3] = [Span::from_secs(60), Span::from_secs(600), Span::from_secs(6_000)];
const DAILY: Span = Span::from_secs(86_400);
/// Wait after a validation that an edge of ours left without an answer.
pub const OURS_WAIT: Span = Span::from_secs(10);
/// Spread: up to this share of the wait is added, in thousandths.
const SPREAD_PERMILLE: u64 = 100;

/// The wait before trying a step again in the same run, after `tries` failed ones. `None`: enough
/// was tried, or the CA asks for more patience than a run has.
#[must_use]
pub fn in_run(tries: u32, retry_after: Option<Span>) -> Option<Span> {
    if tries >= IN_RUN_TRIES {
        return None;
    }
    let doublings = tries.saturating_sub(1).min(16);
    let wait = IN_RUN_FIRST_WAIT.scale(1 << doublings, 1).max(retry_after.unwrap_or(Span::ZERO));
    (wait <= IN_RUN_WAIT_MAX).then_some(wait)
}

/// When to try again after `attempts` failed attempts in a row, not before `not_before`.
#[must_use]
pub fn next_attempt(
    attempts: u32,
    now: Timestamp,
    not_before: Option<Timestamp>,
    jitter: &dyn Jitter,
) -> Timestamp {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = SCHEDULE.get(index).copied().unwrap_or(DAILY);
    spread(now + wait, wait, jitter).max(not_before.map_or(now, |at| spread(at, wait, jitter)))
}

/// Adds up to a tenth of `wait`, so that what failed together does not come back together.
fn spread(at: Timestamp, wait: Span, jitter: &dyn Jitter) -> Timestamp {
    at + wait.scale(SPREAD_PERMILLE * jitter.permille().min(1000), 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u64);

    impl Jitter for Fixed {
        fn permille(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn a_run_tries_three_times_with_doubling_waits() {
        assert_eq!(in_run(1, None), Some(Span::from_secs(1)));
        assert_eq!(in_run(2, None), Some(Span::from_secs(2)));
        assert_eq!(in_run(3, None), None);
    }

    #[test]
    fn a_short_retry_after_is_waited_for_and_a_long_one_ends_the_run() {
        assert_eq!(in_run(1, Some(Span::from_secs(7))), Some(Span::from_secs(7)));
        assert_eq!(in_run(1, Some(Span::from_secs(600))), None);
    }

    #[test]
    fn the_schedule_is_a_minute_ten_a_hundred_then_daily() {
        let now = Timestamp::from_secs(1_000_000);
        let wait = |attempts| next_attempt(attempts, now, None, &Fixed(0)).since(now).secs();
        assert_eq!([wait(0), wait(1), wait(2), wait(3)], [60, 60, 600, 6_000]);
        assert_eq!([wait(4), wait(5), wait(u32::MAX)], [86_400; 3]);
    }

    #[test]
    fn jitter_adds_at_most_a_tenth() {
        let now = Timestamp::from_secs(1_000_000);
        let wait = next_attempt(9, now, None, &Fixed(1000)).since(now);
        assert_eq!(wait, Span::from_secs(86_400 + 8_640));
    }

    #[test]
    fn a_limit_of_the_ca_is_never_undercut() {
        let now = Timestamp::from_secs(1_000_000);
        let until = now + Span::from_secs(5_000);
        assert!(next_attempt(1, now, Some(until), &Fixed(500)) >= until);
    }
}
