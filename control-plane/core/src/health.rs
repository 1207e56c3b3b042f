//! Whether somebody is worth asking: three values with three lives, pure.
//!
//! - A [`Breaker`] knows whether anybody answers. One that is down is asked by one at a time and
//!   less and less often, instead of by everyone who is due.
//! - A [`Hold`] is what a CA said: leave me alone until then. Nothing but time ends it.
//! - A [`Stop`] is an account, or a setting, that is refused: someone must act.
//!
//! None ends another: that a CA answers does not end a limit, and that a limit is over does not
//! mend an account.

use crate::timestamp::{Span, Timestamp};

/// Failures in a row before a CA is left alone: more than one domain's tries in a run.
pub const FAILURES_MAX: u32 = 5;
/// How long it is left alone at first; doubled after each failed probe, so that the way back takes
/// about as long as it was away, and a blip costs seconds.
const FIRST_REST: Span = Span::from_secs(2);
/// Longest time between two probes.
const REST_MAX: Span = Span::from_secs(600);
/// How long one probe keeps the others away.
const PROBE: Span = Span::from_secs(60);
/// A probe is over in a moment, most of the time: then the others may go.
const PROBE_SOON: Span = Span::from_secs(2);
/// How long a limit is taken to last at first when the CA does not say; doubled on repetition.
const FIRST_HOLD: Span = Span::from_secs(60);

/// A rest by a wall clock. One that is set back meanwhile makes it begin again, and never longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rest {
    since: Timestamp,
    until: Timestamp,
}

impl Rest {
    fn of(span: Span, now: Timestamp) -> Self {
        Self { since: now, until: now + span }
    }

    /// Until when, if it still lasts.
    fn until(&mut self, now: Timestamp) -> Option<Timestamp> {
        if now < self.since {
            *self = Self::of(self.until.since(self.since), now);
        }
        Some(self.until).filter(|until| *until > now)
    }
}

/// Leave to ask, given back with what came of it. One that was given before the breaker opened, or
/// before another probe was let through, says nothing about what came after it.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass(u64);

/// How many may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Everyone.
    All,
    /// One, to see whether it is back.
    Probe,
}

/// Whether anybody answers. Kept per process: each replica may reach a CA or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    state: State,
    /// Grows with each change of the state, so that what came before it is told from what follows.
    round: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// It answers, as far as is known, after so many failures in a row.
    Closed { failures: u32 },
    /// It is left alone until then, after so many probes that failed.
    Open { rest: Rest, probes: u32 },
    /// One has gone to see; given up for lost at that moment.
    Probing { rest: Rest, probes: u32 },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Who may ask now; takes no leave.
    ///
    /// # Errors
    /// When it is worth looking again.
    pub fn look(&mut self, now: Timestamp) -> Result<Leave, Timestamp> {
        let until = match &mut self.state {
            State::Closed { .. } => return Ok(Leave::All),
            State::Open { rest, .. } => rest.until(now),
            State::Probing { rest, .. } => rest.until(now).map(|at| at.min(now + PROBE_SOON)),
        };
        until.map_or(Ok(Leave::Probe), Err)
    }

    /// Leave to ask now. After a rest the first one to ask is the probe, and the others wait for
    /// what comes of it.
    ///
    /// # Errors
    /// When it is worth looking again.
    pub fn admit(&mut self, now: Timestamp) -> Result<Pass, Timestamp> {
        if self.look(now)? == Leave::Probe {
            self.turn(State::Probing { rest: Rest::of(PROBE, now), probes: self.probes() });
        }
        Ok(Pass(self.round))
    }

    /// It did what it was asked.
    pub fn succeeded(&mut self, pass: Pass) {
        if pass.0 != self.round {
            return;
        }
        match self.state {
            State::Closed { .. } => self.state = State::default(),
            State::Open { .. } | State::Probing { .. } => self.turn(State::default()),
        }
    }

    /// It did not answer, or answered with an error of its own. Only a probe that fails makes the
    /// rest longer.
    pub fn failed(&mut self, pass: Pass, now: Timestamp) {
        if pass.0 != self.round {
            return;
        }
        match self.state {
            State::Closed { failures } if failures + 1 < FAILURES_MAX => {
                self.state = State::Closed { failures: failures + 1 };
            }
            State::Closed { .. } => {
                self.turn(State::Open { rest: Rest::of(FIRST_REST, now), probes: 0 });
            }
            State::Open { .. } | State::Probing { .. } => {
                let probes = self.probes().saturating_add(1);
                let span = FIRST_REST.scale(1 << probes.min(16), 1).min(REST_MAX);
                self.turn(State::Open { rest: Rest::of(span, now), probes });
            }
        }
    }

    /// What came of it says nothing, or nobody was asked after all: another one may probe.
    pub fn void(&mut self, pass: Pass) {
        if pass.0 == self.round && matches!(self.state, State::Probing { .. }) {
            let probes = self.probes();
            self.turn(State::Open { rest: Rest::default(), probes });
        }
    }

    const fn probes(&self) -> u32 {
        match self.state {
            State::Closed { .. } => 0,
            State::Open { probes, .. } | State::Probing { probes, .. } => probes,
        }
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.round += 1;
    }
}

/// What a CA wants to be left alone with, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    rest: Rest,
    /// How often in a row it did not say until when.
    row: u32,
}

impl Hold {
    /// Until when, if it still is.
    #[must_use]
    pub fn resting_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.rest.until(now)
    }

    /// The CA said until when: the longest counts.
    pub fn said(&mut self, until: Timestamp, now: Timestamp) {
        if self.rest.until(now).is_none_or(|lasts| lasts < until) {
            self.rest = Rest::of(until.since(now), now);
        }
    }

    /// The CA did not say: a minute at most, twice as long each time, up to ten minutes, between
    /// half of it and all. What was under way when it began does not lengthen it.
    pub fn unsaid(&mut self, now: Timestamp, jitter_permille: u64) {
        if self.resting_until(now).is_some() {
            return;
        }
        let wait = FIRST_HOLD.scale(1 << self.row.min(16), 1).min(REST_MAX);
        let jitter = wait.scale(jitter_permille.min(1000), 2000);
        self.rest = Rest::of(wait.scale(1, 2) + jitter, now);
        self.row = self.row.saturating_add(1);
    }

    /// What it was about was done. That ends the row, and never a hold that lasts.
    pub fn succeeded(&mut self, now: Timestamp) {
        if self.resting_until(now).is_none() {
            *self = Self::default();
        }
    }
}

/// An account or a setting that is refused, until someone acts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stop(Option<(String, Rest)>);

impl Stop {
    /// Why, if it is.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.0.as_ref().map(|(why, _)| why.as_str())
    }

    /// It is refused: not asked for so long from now. True: that is news.
    pub fn set(&mut self, why: &str, rest: Span, now: Timestamp) -> bool {
        let news = self.why() != Some(why);
        self.0 = Some((why.to_owned(), Rest::of(rest, now)));
        news
    }

    /// Until when nobody asks.
    #[must_use]
    pub fn resting_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.0.as_mut().and_then(|(_, rest)| rest.until(now))
    }

    /// One may see whether someone acted, and the others wait for it.
    ///
    /// # Errors
    /// Until when nobody asks.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        if let Some(until) = self.resting_until(now) {
            return Err(until);
        }
        if let Some((_, rest)) = &mut self.0 {
            *rest = Rest::of(PROBE, now);
        }
        Ok(())
    }

    /// What was refused was done.
    pub fn lift(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests;
