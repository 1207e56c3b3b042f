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
/// After 1, 2, … attempts in a row that an outage stopped, and from then on. The longest one, a
/// sweep and a run's own tries fit into ten minutes: so long after an outage every name was tried
/// again.
const STALLS: [Span; 4] =
    [Span::from_secs(10), Span::from_secs(30), Span::from_secs(60), Span::from_secs(150)];
/// Longest wait between two attempts during an outage.
pub const STALL_MAX: Span = Span::from_secs(540);
/// Stalls in a row that are news for the platform: their waits make more than ten minutes at
/// least, so an outage that short tells it nothing, and a longer one each name once.
pub const STALLS_NEWS: u32 = 7;
/// What is left of a certificate's life is divided by this for the longest wait after a failure.
const LIFE_PART: u64 = 8;
/// Shortest wait for that reason: four attempts an hour, of the five failed validations that Let's
/// Encrypt allows a name in an hour ("Authorization Failures per Identifier per Account").
pub const LIFE_FLOOR: Span = Span::from_secs(900);
/// How often a visit may ask again for a name that an outage stopped, before its schedule does.
pub const VISIT_EVERY: Span = Span::from_secs(5);
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

/// The longest wait after a failure while a certificate has `left` of its life: an eighth of it, so
/// that what was mended in time is renewed in time, be it one of six days. Never less than
/// [`LIFE_FLOOR`].
#[must_use]
pub fn within_life(left: Span) -> Span {
    left.scale(1, LIFE_PART).max(LIFE_FLOOR)
}

/// When to try again after `stalls` attempts in a row that an outage stopped, not before
/// `not_before`. Between half of the wait and all of it, so that ten thousand names do not come
/// back together.
#[must_use]
pub fn next_stall(
    stalls: u32,
    now: Timestamp,
    not_before: Option<Timestamp>,
    jitter: &dyn Jitter,
) -> Timestamp {
    let index = usize::try_from(stalls.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = STALLS.get(index).copied().unwrap_or(STALL_MAX);
    let half = wait.scale(1, 2);
    let spread = half.scale(jitter.permille().min(1000), 1000);
    let asked = not_before.map_or(now, |at| at + spread);
    (now + half + spread).max(asked)
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
    fn an_outage_is_asked_about_in_seconds_at_first_and_never_more_than_ten_minutes_apart() {
        let now = Timestamp::from_secs(1_000_000);
        let wait = |stalls, jitter| next_stall(stalls, now, None, &Fixed(jitter)).since(now).secs();
        assert_eq!([1, 2, 3, 4, 5].map(|stalls| wait(stalls, 1000)), [10, 30, 60, 150, 540]);
        assert_eq!([1, 2, 3, 4, 5].map(|stalls| wait(stalls, 0)), [5, 15, 30, 75, 270]);
        assert_eq!(wait(u32::MAX, 1000), 540);
        let until = now + Span::from_secs(7_200);
        assert!(next_stall(1, now, Some(until), &Fixed(0)) >= until, "the CA's own word counts");
    }

    #[test]
    fn what_is_left_of_a_life_bounds_the_wait() {
        let wait = |hours: u64| within_life(Span::from_secs(hours * 3_600)).secs();
        assert_eq!([wait(72), wait(20), wait(1)], [32_400, 9_000, 900]);
    }

    #[test]
    fn no_outage_of_ten_minutes_is_news_and_each_longer_one_is() {
        let all: u64 = (1..STALLS_NEWS)
            .map(|stalls| {
                let now = Timestamp::from_secs(0);
                next_stall(stalls, now, None, &Fixed(0)).since(now).secs()
            })
            .sum();
        assert!(all > 600, "{all}");
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
