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

#[cfg(test)]
mod tests {
    use sealwax_protocol::DomainName;

    use super::*;
    use crate::{Cause, CertificateFacts, CertificateSource, Failure, Registration};

    /// Days into the 100 of a certificate's life, if there is one, after `attempts` failures.
    fn of_due(day: Option<u64>, attempts: u32) -> Lane {
        let at = |day: u64| Timestamp::from_millis(day * 86_400_000);
        let mut record = DomainRecord::registered(
            DomainName::parse("a.example.com").unwrap(),
            Registration::default(),
            at(0),
        );
        record.certificate = day.map(|_| CertificateFacts {
            serial: String::new(),
            issuer: String::new(),
            sans: Vec::new(),
            not_before: at(0),
            not_after: at(100),
            renew_at: Some(at(66)),
            fingerprint_sha256: String::new(),
            source: CertificateSource::Acme,
            ordered_from: None,
            ari_id: None,
        });
        record.failure = (attempts > 0).then(|| Failure {
            cause: Cause::DnsNoRecord,
            detail: String::new(),
            attempts,
            stalls: 0,
            outage: crate::failure::Outage::default(),
            next_attempt_at: Some(at(0)),
            refused: true,
        });
        Lane::of_due(&record, at(day.unwrap_or(0)))
    }

    #[test]
    fn what_is_due_goes_by_how_urgent_it_is_and_how_often_it_failed() {
        for (what, day, attempts, lane) in [
            ("a first issue", None, 0, Lane::Due),
            ("a first issue that failed", None, 1, Lane::Retry),
            ("a renewal", Some(70), 0, Lane::Due),
            ("a renewal that failed", Some(70), 1, Lane::Retry),
            ("a renewal just before its emergency", Some(94), 0, Lane::Due),
            ("a renewal in its last twentieth", Some(96), 0, Lane::Expiring),
            ("one that expired during an outage", Some(120), 0, Lane::Expiring),
            ("one that failed a few times", Some(96), URGENT_ATTEMPTS - 1, Lane::Expiring),
            ("one that keeps failing", Some(96), URGENT_ATTEMPTS, Lane::Retry),
            ("one that never worked", None, u32::MAX, Lane::Retry),
        ] {
            assert_eq!(of_due(day, attempts), lane, "{what}");
        }
    }
}
