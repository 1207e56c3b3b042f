//! The circuit breaker: a dead control plane costs one callout a pause, not one a request.

use crate::clock::Instant;

/// Counts failures in a row and says whether a callout may be made.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    failures_max: u32,
    open_ms: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One callout is out to see whether the control plane is back; forgotten at `until`.
    Probing {
        until: Instant,
    },
}

impl Breaker {
    /// Opens for `open_ms` after `failures_max` failures in a row.
    #[must_use]
    pub const fn new(failures_max: u32, open_ms: u64) -> Self {
        Self { failures_max, open_ms, state: State::Closed { failures: 0 } }
    }

    /// Whether a callout may be made now. While open, the first caller after the pause gets
    /// `true`, and its callout is the probe.
    pub fn admit(&mut self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } | State::Probing { until } => {
                if now < until {
                    return false;
                }
                self.state = State::Probing { until: now.after_ms(self.open_ms) };
                true
            }
        }
    }

    /// A callout was answered.
    pub const fn succeed(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// A callout failed. `true` if that opened the breaker.
    pub fn fail(&mut self, now: Instant) -> bool {
        let failures = match self.state {
            State::Closed { failures } => failures.saturating_add(1),
            State::Open { .. } => return false,
            State::Probing { .. } => self.failures_max,
        };
        if failures < self.failures_max {
            self.state = State::Closed { failures };
            return false;
        }
        self.state = State::Open { until: now.after_ms(self.open_ms) };
        true
    }

    /// Whether callouts are being refused (or probed).
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::default().after_ms(ms)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(2, 100);
        assert!(!breaker.fail(at(0)));
        breaker.succeed();
        assert!(!breaker.fail(at(0)));
        assert!(breaker.fail(at(0)));
        assert!(!breaker.admit(at(99)));
    }

    #[test]
    fn one_probe_a_pause_decides() {
        let mut breaker = Breaker::new(1, 100);
        assert!(breaker.fail(at(0)));
        assert!(breaker.admit(at(100)));
        assert!(!breaker.admit(at(101)), "one probe at a time");
        assert!(breaker.fail(at(150)));
        assert!(!breaker.admit(at(249)));
        assert!(breaker.admit(at(250)));
        breaker.succeed();
        assert!(breaker.admit(at(251)) && !breaker.is_open());
    }

    #[test]
    fn a_probe_that_is_never_answered_is_followed_by_another() {
        let mut breaker = Breaker::new(1, 100);
        breaker.fail(at(0));
        assert!(breaker.admit(at(100)));
        assert!(breaker.admit(at(200)));
    }

    #[test]
    fn late_failures_do_not_extend_the_pause() {
        let mut breaker = Breaker::new(1, 100);
        breaker.fail(at(0));
        assert!(!breaker.fail(at(90)));
        assert!(breaker.admit(at(100)));
    }
}
