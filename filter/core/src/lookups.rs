//! Questions to the control plane under way, and the requests that wait for them.
//!
//! One question per subject and worker, however many requests want to know. Everything here is
//! bounded: questions by the callout limits, waiters by `waiters_max`, both in time by deadlines.

use sealwax_protocol::{ChallengeToken, DomainName};

use crate::clock::Instant;
use crate::fingerprint::Fingerprint;
use crate::host::{CalloutToken, ContextId};

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A domain's certificate.
    Certificate(DomainName),
    /// A challenge's answer.
    Challenge {
        /// The token asked for.
        token: ChallengeToken,
        /// The host it was asked for under, if it can be said in a header.
        host: String,
    },
}

impl Subject {
    const fn is_challenge(&self) -> bool {
        matches!(self, Self::Challenge { .. })
    }
}

/// Where a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A callout is out.
    Asked(CalloutToken),
    /// The answer was "not yet", or another worker asks; whoever waits is served by looking again
    /// then.
    Resting {
        /// When to look again.
        until: Instant,
    },
}

/// A paused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Its stream.
    pub stream: ContextId,
    /// When it waits no longer.
    pub deadline: Instant,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The subject's fingerprint.
    pub key: Fingerprint,
    /// The subject.
    pub subject: Subject,
    /// Where it stands.
    pub stage: Stage,
    /// When the stage began.
    pub since: Instant,
    /// Who waits, in the order they came.
    pub waiters: Vec<Waiter>,
}

/// All questions of one worker.
#[derive(Debug)]
pub struct Lookups {
    all: Vec<Lookup>,
    waiters: usize,
    waiters_max: usize,
}

impl Lookups {
    /// At most `waiters_max` requests wait.
    #[must_use]
    pub const fn new(waiters_max: usize) -> Self {
        Self { all: Vec::new(), waiters: 0, waiters_max }
    }

    /// How many requests wait.
    #[must_use]
    pub const fn waiters(&self) -> usize {
        self.waiters
    }

    /// Whether one more request may wait.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.waiters < self.waiters_max
    }

    /// Callouts out for certificates.
    #[must_use]
    pub fn certificates_asked(&self) -> usize {
        self.asked(|subject| matches!(subject, Subject::Certificate(_)))
    }

    /// Callouts out for challenges.
    #[must_use]
    pub fn challenges_asked(&self) -> usize {
        self.asked(Subject::is_challenge)
    }

    /// Challenges that rest.
    #[must_use]
    pub fn challenges_resting(&self) -> usize {
        let rests = |lookup: &&Lookup| {
            matches!(lookup.stage, Stage::Resting { .. }) && lookup.subject.is_challenge()
        };
        self.all.iter().filter(rests).count()
    }

    /// Whether `key` is being asked about.
    #[must_use]
    pub fn contains(&self, key: Fingerprint) -> bool {
        self.all.iter().any(|lookup| lookup.key == key)
    }

    /// Notes a question. Any waiters in it are counted.
    pub fn insert(&mut self, lookup: Lookup) {
        self.waiters = self.waiters.saturating_add(lookup.waiters.len());
        self.all.push(lookup);
    }

    /// Lets a request wait for `key`. `false`: nobody asks about it, or too many wait already.
    pub fn join(&mut self, key: Fingerprint, waiter: Waiter) -> bool {
        if !self.has_room() {
            return false;
        }
        let Some(lookup) = self.all.iter_mut().find(|lookup| lookup.key == key) else {
            return false;
        };
        lookup.waiters.push(waiter);
        self.waiters += 1;
        true
    }

    /// Takes the question that `token` answers. `None`: it was given up before.
    pub fn take(&mut self, token: CalloutToken) -> Option<Lookup> {
        let index = self.all.iter().position(|lookup| lookup.stage == Stage::Asked(token))?;
        Some(self.remove(index))
    }

    /// Takes a question whose callout was sent more than `patience_ms` ago.
    pub fn take_lost(&mut self, now: Instant, patience_ms: u64) -> Option<Lookup> {
        let index = self.all.iter().position(|lookup| {
            matches!(lookup.stage, Stage::Asked(_)) && now.since_ms(lookup.since) > patience_ms
        })?;
        Some(self.remove(index))
    }

    /// Takes a question that has rested.
    pub fn take_rested(&mut self, now: Instant) -> Option<Lookup> {
        self.take_rested_about(now, |_| true)
    }

    /// Takes a challenge that has rested.
    pub fn take_rested_challenge(&mut self, now: Instant) -> Option<Lookup> {
        self.take_rested_about(now, Subject::is_challenge)
    }

    /// Takes the next waiter whose deadline has come, and what it waited for. Questions that rest
    /// for nobody are dropped.
    pub fn take_overdue(&mut self, now: Instant) -> Option<(Waiter, Subject)> {
        if self.waiters > 0 {
            for lookup in &mut self.all {
                let overdue = lookup.waiters.iter().position(|waiter| waiter.deadline <= now);
                if let Some(index) = overdue {
                    self.waiters = self.waiters.saturating_sub(1);
                    return Some((lookup.waiters.remove(index), lookup.subject.clone()));
                }
            }
        }
        self.all
            .retain(|lookup| matches!(lookup.stage, Stage::Asked(_)) || !lookup.waiters.is_empty());
        None
    }

    /// Forgets a stream that is gone.
    pub fn forget(&mut self, stream: ContextId) {
        if self.waiters == 0 {
            return;
        }
        for lookup in &mut self.all {
            let before = lookup.waiters.len();
            lookup.waiters.retain(|waiter| waiter.stream != stream);
            self.waiters = self.waiters.saturating_sub(before - lookup.waiters.len());
        }
    }

    fn take_rested_about(
        &mut self,
        now: Instant,
        about: impl Fn(&Subject) -> bool,
    ) -> Option<Lookup> {
        let index = self.all.iter().position(|lookup| {
            matches!(lookup.stage, Stage::Resting { until } if until <= now)
                && about(&lookup.subject)
        })?;
        Some(self.remove(index))
    }

    fn asked(&self, about: impl Fn(&Subject) -> bool) -> usize {
        let asked =
            |lookup: &&Lookup| matches!(lookup.stage, Stage::Asked(_)) && about(&lookup.subject);
        self.all.iter().filter(asked).count()
    }

    fn remove(&mut self, index: usize) -> Lookup {
        let lookup = self.all.swap_remove(index);
        self.waiters = self.waiters.saturating_sub(lookup.waiters.len());
        lookup
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::default().after_ms(ms)
    }

    fn lookup(index: u32, stage: Stage) -> Lookup {
        Lookup {
            key: Fingerprint::of(0, &[&index.to_le_bytes()]),
            subject: Subject::Certificate(DomainName::parse("a.example.com").unwrap()),
            stage,
            since: at(0),
            waiters: Vec::new(),
        }
    }

    fn waiter(stream: u32, deadline: u64) -> Waiter {
        Waiter { stream: ContextId(stream), deadline: at(deadline) }
    }

    #[test]
    fn waiters_are_bounded_counted_and_kept_in_order() {
        let mut lookups = Lookups::new(2);
        let asked = lookup(1, Stage::Asked(CalloutToken(9)));
        let key = asked.key;
        lookups.insert(asked);
        assert!(lookups.join(key, waiter(1, 10)) && lookups.join(key, waiter(2, 10)));
        assert!(!lookups.join(key, waiter(3, 10)), "no room");
        lookups.forget(ContextId(1));
        assert!(lookups.join(key, waiter(3, 10)));
        let taken = lookups.take(CalloutToken(9)).unwrap();
        assert_eq!(taken.waiters, [waiter(2, 10), waiter(3, 10)]);
        assert_eq!(lookups.waiters(), 0);
        assert!(lookups.take(CalloutToken(9)).is_none());
        assert!(!lookups.join(key, waiter(4, 10)), "nobody asks any more");
    }

    #[test]
    fn overdue_waiters_leave_and_resting_questions_without_any_are_dropped() {
        let mut lookups = Lookups::new(8);
        let mut resting = lookup(1, Stage::Resting { until: at(100) });
        resting.waiters = vec![waiter(1, 5), waiter(2, 50)];
        let key = resting.key;
        lookups.insert(resting);
        assert_eq!(lookups.take_overdue(at(5)).map(|(waiter, _)| waiter), Some(waiter(1, 5)));
        assert!(lookups.take_overdue(at(5)).is_none());
        assert!(lookups.contains(key));
        lookups.forget(ContextId(2));
        assert!(lookups.take_overdue(at(5)).is_none());
        assert!(!lookups.contains(key));
    }

    #[test]
    fn questions_become_due_by_time() {
        let mut lookups = Lookups::new(8);
        lookups.insert(lookup(1, Stage::Asked(CalloutToken(1))));
        lookups.insert(lookup(2, Stage::Resting { until: at(100) }));
        assert!(lookups.take_rested(at(99)).is_none());
        assert!(lookups.take_rested(at(100)).is_some());
        assert!(lookups.take_lost(at(100), 100).is_none());
        assert!(lookups.take_lost(at(101), 100).is_some());
        assert_eq!(lookups.certificates_asked(), 0);
    }
}
