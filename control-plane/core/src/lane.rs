//! How urgent a domain is.

use crate::{DomainRecord, Timestamp, schedule};

/// A renewal that failed this often has its place among the others that failed.
const URGENT_ATTEMPTS: u32 = 4;

/// How urgent a domain is, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// A handshake is held for it.
    Handshake,
    /// Its certificate expires soon, or did.
    Expiring,
    /// A plain request or an operator asks for it.
    Request,
    /// The sweep found it due.
    Due,
    /// It failed before.
    Retry,
}

impl Lane {
    /// Every lane, most urgent first.
    pub const ALL: [Self; 5] =
        [Self::Handshake, Self::Expiring, Self::Request, Self::Due, Self::Retry];

    /// The name metrics show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Expiring => "expiring",
            Self::Request => "request",
            Self::Due => "due",
            Self::Retry => "retry",
        }
    }

    /// The lane of a domain that is due. One that keeps failing is never urgent.
    #[must_use]
    pub fn of_due(record: &DomainRecord, now: Timestamp) -> Self {
        let attempts = record.failure.as_ref().map_or(0, |failure| failure.attempts);
        let expires = record
            .certificate
            .as_ref()
            .is_some_and(|held| schedule::is_emergency(held.not_before, held.not_after, now));
        match attempts {
            0..URGENT_ATTEMPTS if expires => Self::Expiring,
            0 => Self::Due,
            _ => Self::Retry,
        }
    }
}
