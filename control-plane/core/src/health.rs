//! Whether a CA is worth asking: a circuit breaker, pure.
//!
//! A CA that is down, or that refuses the account, is asked by one domain at a time and less and
//! less often, instead of by every domain that is due.

use crate::timestamp::{Span, Timestamp};

/// Failures in a row before a CA is left alone: more than one domain's tries in a run.
pub const FAILURES_MAX: u32 = 5;
/// How long it is left alone at first; doubled after each failed probe.
const FIRST_REST: Span = Span::from_secs(30);
/// Longest time between two probes.
const REST_MAX: Span = Span::from_secs(600);
/// Time between two probes of a CA that refuses the account: someone must change something.
const STOPPED_REST: Span = Span::from_secs(3_600);
/// How long one probe keeps the others away.
const PROBE: Span = Span::from_secs(60);

/// What is known about a CA's health. Kept per process: each replica may reach a CA or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    failures: u32,
    rest_until: Option<Timestamp>,
    stopped: Option<String>,
}

impl Health {
    /// Until when it is left alone, if it is; asks for no probe.
    #[must_use]
    pub fn resting_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.rest_until.filter(|until| *until > now)
    }

    /// Whether an order may be placed now. After a rest the first one to ask is the probe, and
    /// the others wait for it.
    ///
    /// # Errors
    /// When it is worth asking again.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        match self.rest_until {
            None => Ok(()),
            Some(until) if until > now => Err(until),
            Some(_) => {
                self.rest_until = Some(now + PROBE);
                Ok(())
            }
        }
    }

    /// Why it is stopped until someone acts, if it is.
    #[must_use]
    pub fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// It answered as it should, or refused one domain: it works.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It did not answer, or answered with an error of its own.
    pub fn failed(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            let doublings = (self.failures - FAILURES_MAX).min(16);
            let rest = FIRST_REST.scale(1 << doublings, 1).min(REST_MAX);
            self.hold(now + rest);
        }
    }

    /// It wants to be left alone until a moment.
    pub fn hold(&mut self, until: Timestamp) {
        self.rest_until = self.rest_until.max(Some(until));
    }

    /// It refuses the account, or its configuration is wrong. True: that is news.
    pub fn stop(&mut self, detail: &str, now: Timestamp) -> bool {
        let news = self.stopped.as_deref() != Some(detail);
        self.stopped = Some(detail.to_owned());
        self.rest_until = Some(now + STOPPED_REST);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn a_ca_that_is_down_is_probed_by_one_and_ever_more_rarely() {
        let mut health = Health::default();
        for _ in 1..FAILURES_MAX {
            health.failed(at(0));
            assert_eq!(health.admit(at(0)), Ok(()));
        }
        health.failed(at(0));
        assert_eq!(health.admit(at(0)), Err(at(30)));
        assert_eq!(health.admit(at(30)), Ok(()), "the probe");
        assert!(health.admit(at(30)).is_err(), "the others wait for it");
        health.failed(at(31));
        assert_eq!(health.admit(at(31)), Err(at(91)), "twice as long");
        for _ in 0..40 {
            health.failed(at(100));
        }
        assert_eq!(health.admit(at(100)), Err(at(700)), "never longer than ten minutes");
        health.succeeded();
        assert_eq!(health.admit(at(100)), Ok(()));
    }

    #[test]
    fn a_probe_that_never_comes_back_is_followed_by_another() {
        let mut health = Health::default();
        health.hold(at(10));
        assert_eq!(health.admit(at(10)), Ok(()));
        assert_eq!(health.admit(at(11)), Err(at(70)));
        assert_eq!(health.admit(at(70)), Ok(()));
    }

    #[test]
    fn a_refused_account_is_news_once_and_asked_again_hourly() {
        let mut health = Health::default();
        assert!(health.stop("terms changed", at(0)));
        assert!(!health.stop("terms changed", at(5)));
        assert_eq!(health.stopped(), Some("terms changed"));
        assert_eq!(health.admit(at(6)), Err(at(3605)));
        assert_eq!(health.admit(at(3605)), Ok(()));
        health.succeeded();
        assert_eq!(health.stopped(), None);
    }
}
