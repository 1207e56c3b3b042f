//! The brake on departures: when many domains are said to be gone at once, it is more likely the
//! platform that is wrong.
//!
//! Its state is one document of the store, so it counts the parkings and erasings of all control
//! planes, without a look at any domain.

use serde::{Deserialize, Serialize};

use crate::timestamp::{Span, Timestamp};

/// What is counted together.
const WINDOW: Span = Span::from_secs(3_600);
/// How long a brake that went on by itself stays on.
pub const HOLDS: Span = Span::from_secs(86_400);
/// How long a released one stays off: each domain held back is asked about within it.
pub const RELEASED: Span = Span::from_secs(2 * 3_600);

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Departing {
    /// Domains are parked.
    Parked,
    /// Certificates and keys of parked ones are deleted.
    Erased,
}

impl Departing {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Parked, Self::Erased];

    /// The name metrics show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Erased => "erased",
        }
    }
}

/// How many there were since when; a moment within a window that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// When the window began.
    pub since: Timestamp,
    /// How many since then.
    pub count: u64,
}

/// The brake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// Parkings within the hour.
    #[serde(default)]
    pub parked: Counted,
    /// Erasings within the hour.
    #[serde(default)]
    pub erased: Counted,
    /// Since when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tripped_at: Option<Timestamp>,
    /// An operator said that it is right: nothing is held back or counted until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_until: Option<Timestamp>,
}

impl Brake {
    /// It holds now.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.tripped_at.is_some_and(|at| now < at + HOLDS)
    }

    /// An operator released it a while ago.
    #[must_use]
    pub fn is_free(&self, now: Timestamp) -> bool {
        self.free_until.is_some_and(|until| now < until)
    }

    /// One more, if that is not too many: at most `limit` within an hour, of each kind. Either
    /// kind's excess holds both. `false`: it is held back.
    pub fn admits(&mut self, departing: Departing, limit: u64, now: Timestamp) -> bool {
        if self.is_free(now) {
            return true;
        }
        if self.holds(now) {
            return false;
        }
        let counted = match departing {
            Departing::Parked => &mut self.parked,
            Departing::Erased => &mut self.erased,
        };
        let over = now < counted.since || now >= counted.since + WINDOW;
        let before = if over { Counted { since: now, count: 0 } } else { *counted };
        if before.count >= limit {
            self.tripped_at = Some(now);
            return false;
        }
        *counted = Counted { count: before.count + 1, ..before };
        true
    }

    /// It lets go, for as long as it takes to ask about everything that is held back.
    #[must_use]
    pub fn released(now: Timestamp) -> Self {
        Self { free_until: Some(now + RELEASED), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    #[test]
    fn so_many_an_hour_and_then_none_for_a_day_or_until_it_is_released() {
        let mut brake = Brake::default();
        let day = 1_440;
        for n in 0..3 {
            assert!(brake.admits(Departing::Parked, 3, at(n)));
        }
        assert!(brake.admits(Departing::Parked, 3, at(60)), "an hour later");
        assert!(brake.admits(Departing::Parked, 3, at(61)));
        assert!(brake.admits(Departing::Parked, 3, at(62)) && !brake.holds(at(62)));
        assert!(!brake.admits(Departing::Parked, 3, at(63)) && brake.holds(at(63)));
        assert!(!brake.admits(Departing::Erased, 3, at(63)), "nothing is erased either");
        assert!(!brake.admits(Departing::Parked, 3, at(62 + day)) && brake.holds(at(62 + day)));
        let mut later = brake;
        assert!(later.admits(Departing::Parked, 3, at(63 + day)), "a day later");
        let mut free = Brake::released(at(70));
        assert!(!free.holds(at(70)) && free.is_free(at(70)));
        assert!((0..100).all(|_| free.admits(Departing::Parked, 3, at(80))));
        assert!(!free.is_free(at(190)));
        assert_eq!((0..9).filter(|_| free.admits(Departing::Erased, 3, at(191))).count(), 3);
    }
}
