//! The brake: how many names may be withdrawn within a time, whatever the evidence.
//!
//! A withdrawal takes a certificate from an edge that holds it. One at a time is a customer who
//! left; thousands at once are more likely a store, a configuration or a script that is wrong.
//! Beyond a share of the names held, withdrawals wait until the time is over or someone releases
//! them. What an edge does not hold, and what leaves to keep a budget, is not counted.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sealwax_protocol::DomainName;
use tokio::time::Instant;

use crate::XdsConfig;

/// A withdrawal that was put off is not asked about again before this: many may be.
const AGAIN_AFTER: Duration = Duration::from_secs(15);

/// Whether a name may be withdrawn now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Granted,
    /// Not now; worth asking about again then.
    Refused(Instant),
}

#[derive(Debug)]
pub(crate) struct Brake {
    percent: usize,
    floor: usize,
    window: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was withdrawn within the window, oldest first. Each name once, so no more than may be.
    withdrawn: VecDeque<(Instant, DomainName)>,
    names: HashSet<DomainName>,
    released_until: Option<Instant>,
    unknown_released_until: Option<Instant>,
    /// Refusals up to then belong to one application of the brake.
    engaged_until: Option<Instant>,
    engagements: u64,
}

impl Brake {
    pub(crate) fn new(config: &XdsConfig) -> Self {
        Self {
            percent: config.withdrawal_percent.min(100),
            floor: config.withdrawal_floor,
            window: config.withdrawal_window,
            state: Mutex::default(),
        }
    }

    /// Asks to withdraw a name that an edge holds. `held`: how many names edges hold now.
    pub(crate) fn withdraw(
        &self,
        name: &DomainName,
        now: Instant,
        held: impl FnOnce() -> usize,
    ) -> Leave {
        let mut state = self.state();
        state.forget_before(now, self.window);
        if self.percent == 100 || state.released(now) || state.names.contains(name) {
            return Leave::Granted;
        }
        let so_far = state.names.len();
        if so_far >= self.floor {
            // What was withdrawn counts among what was held.
            // One at least: a share of few that is none would never let go.
            let allowed = ((held() + so_far) * self.percent / 100).max(1);
            if so_far >= allowed {
                self.engage(&mut state, now, so_far);
                let free = state.withdrawn.front().map(|(at, _)| *at + self.window);
                let soonest = now + AGAIN_AFTER;
                return Leave::Refused(free.map_or(soonest, |free| free.max(soonest)));
            }
        }
        state.withdrawn.push_back((now, name.clone()));
        state.names.insert(name.clone());
        Leave::Granted
    }

    /// Lets withdrawals go for one window; with `unknown` also those of names that the store has
    /// no trace of.
    pub(crate) fn release(&self, now: Instant, unknown: bool) {
        let mut state = self.state();
        state.released_until = Some(now + self.window);
        if unknown {
            state.unknown_released_until = Some(now + self.window);
        }
        state.engaged_until = None;
        tracing::warn!(unknown, window = ?self.window, "withdrawals from edges were released");
    }

    /// Ends the release of names that the store has no trace of.
    pub(crate) fn keep_unknown(&self) {
        self.state().unknown_released_until = None;
    }

    /// Whether held names that the store has no trace of may be withdrawn.
    pub(crate) fn unknown_released(&self, now: Instant) -> bool {
        self.state().unknown_released_until.is_some_and(|until| now < until)
    }

    /// How often it was applied.
    pub(crate) fn engagements(&self) -> u64 {
        self.state().engagements
    }

    /// How long withdrawals are let go yet.
    pub(crate) fn released_for(&self, now: Instant) -> Duration {
        let until = self.state().released_until;
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn engage(&self, state: &mut State, now: Instant, so_far: usize) {
        if state.engaged_until.is_none_or(|until| until < now) {
            state.engagements += 1;
            tracing::error!(withdrawn = so_far, percent = self.percent, window = ?self.window,
                "the brake holds withdrawals back: edges keep their certificates; if the domains \
                 are really gone, run `sealwax envoy release`");
        }
        state.engaged_until = Some(now + self.window);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_before(&mut self, now: Instant, window: Duration) {
        while let Some((at, _)) = self.withdrawn.front()
            && *at + window <= now
            && let Some((_, name)) = self.withdrawn.pop_front()
        {
            self.names.remove(&name);
        }
    }

    fn released(&self, now: Instant) -> bool {
        self.released_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brake(percent: usize, floor: usize) -> Brake {
        let config = XdsConfig {
            withdrawal_percent: percent,
            withdrawal_floor: floor,
            withdrawal_window: Duration::from_secs(600),
            ..XdsConfig::default()
        };
        Brake::new(&config)
    }

    fn name(n: usize) -> DomainName {
        DomainName::parse(&format!("n{n}.example.com")).unwrap()
    }

    /// How many of so many distinct names may go at a moment.
    fn granted(brake: &Brake, names: std::ops::Range<usize>, now: Instant, held: usize) -> usize {
        let go = |n: &usize| brake.withdraw(&name(*n), now, || held) == Leave::Granted;
        names.filter(go).count()
    }

    #[test]
    fn a_share_of_what_is_held_may_go_within_the_window_and_a_few_always() {
        let began = Instant::now();
        let large = brake(10, 100);
        assert_eq!(granted(&large, 0..2_000, began, 10_000), 1_000 + 111, "a tenth of what was");
        assert_eq!(granted(&large, 0..1_000, began, 10_000), 1_000, "each name counts once");
        assert_eq!(large.engagements(), 1, "said once");
        let later = began + Duration::from_secs(600);
        assert!(granted(&large, 2_000..4_000, later, 10_000) >= 1_000, "time frees it");
        assert_eq!(granted(&brake(10, 100), 0..2_000, began, 50), 100, "a few always may");
        assert_eq!(granted(&brake(100, 0), 0..2_000, began, 50), 2_000, "turned off");
    }

    #[test]
    fn without_a_floor_few_names_leave_one_by_one() {
        let (brake, began) = (brake(10, 0), Instant::now());
        assert_eq!(granted(&brake, 0..5, began, 5), 1);
        assert_eq!(granted(&brake, 1..5, began + Duration::from_secs(600), 4), 1, "and the next");
    }

    #[test]
    fn a_release_lets_all_go_for_one_window() {
        let began = Instant::now();
        let brake = brake(10, 1);
        assert_eq!(granted(&brake, 0..20, began, 20), 2);
        let refused = brake.withdraw(&name(9), began, || 20);
        assert_eq!(refused, Leave::Refused(began + Duration::from_secs(600)));
        brake.release(began, false);
        assert_eq!(granted(&brake, 0..20, began, 20), 20);
        assert!(!brake.unknown_released(began));
        let over = began + Duration::from_secs(601);
        assert_eq!(granted(&brake, 20..40, over, 20), 2, "once only");
        brake.release(over, true);
        assert!(brake.unknown_released(over));
        brake.keep_unknown();
        assert!(!brake.unknown_released(over), "the store is doubted since");
    }
}
