//! Whether one certificate may take the place of another without anyone being worse off.

use std::fmt;

use super::{CertificateFacts, Trust};
use crate::timestamp::Timestamp;

/// What a certificate is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What is known about it.
    pub facts: &'a CertificateFacts,
    /// Whom its chain leads to.
    pub trust: Trust,
}

/// Why the certificate that is there stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Fewer would trust the other.
    Trust {
        /// The issuer of the other.
        issuer: String,
    },
    /// It renews itself, and the other would not.
    Renews(Timestamp),
    /// It is valid longer.
    Longer {
        /// Its end.
        held: Timestamp,
        /// The other's end.
        other: Timestamp,
    },
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trust { issuer } => {
                write!(f, "visitors would not trust {issuer:?}, and trust the one that is there")
            }
            Self::Renews(at) => {
                write!(f, "the one that is there renews itself (at {at}), and this would not")
            }
            Self::Longer { held, other } => {
                write!(f, "the one that is there is valid until {held}, this only until {other}")
            }
        }
    }
}

/// Why `held` stays where `other` is offered; `None`: the other may take its place. Whether either
/// may be served at all is known before.
#[must_use]
pub fn kept(held: &Candidate<'_>, other: &Candidate<'_>, now: Timestamp) -> Option<Kept> {
    let (ours, theirs) = (held.facts, other.facts);
    if !ours.valid_at(now) || ours.fingerprint_sha256 == theirs.fingerprint_sha256 {
        return None;
    }
    if other.trust < held.trust {
        return Some(Kept::Trust { issuer: theirs.issuer.clone() });
    }
    if other.trust > held.trust && other.trust == Trust::Public {
        return None;
    }
    // One that is overdue may never renew: its end counts then, like any other's.
    if let (Some(at), None) = (ours.renew_at, theirs.renew_at)
        && now < at
    {
        return Some(Kept::Renews(at));
    }
    if other.trust > held.trust {
        return None;
    }
    (theirs.not_after < ours.not_after)
        .then_some(Kept::Longer { held: ours.not_after, other: theirs.not_after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::CertificateSource;

    const DAY: i64 = 86_400;

    fn facts(mark: &str, days: i64, renews: Option<i64>) -> CertificateFacts {
        let at = |days: i64| Timestamp::from_secs(1_000_000 + days * DAY);
        CertificateFacts {
            serial: mark.to_owned(),
            issuer: format!("CN={mark}"),
            sans: Vec::new(),
            not_before: at(-60),
            not_after: at(days),
            fingerprint_sha256: mark.to_owned(),
            ari_id: None,
            source: CertificateSource::Imported,
            ordered_from: None,
            renew_at: renews.map(at),
        }
    }

    fn verdict(
        (held, ours): (&CertificateFacts, Trust),
        (other, theirs): (&CertificateFacts, Trust),
    ) -> Option<Kept> {
        let held = Candidate { facts: held, trust: ours };
        kept(&held, &Candidate { facts: other, trust: theirs }, Timestamp::from_secs(1_000_000))
    }

    #[test]
    fn nothing_good_is_replaced_by_something_worse() {
        use Trust::{Nobody, Public, Unknown};
        let (long, short) = (facts("long", 60, None), facts("short", 5, None));
        let (fresh, due) = (facts("fresh", 50, Some(20)), facts("due", 50, Some(-1)));
        let gone = facts("gone", -1, Some(-20));
        let longer = verdict((&long, Unknown), (&short, Unknown));
        assert!(matches!(longer, Some(Kept::Longer { .. })));
        assert_eq!(verdict((&short, Unknown), (&long, Unknown)), None);
        assert!(matches!(verdict((&short, Public), (&long, Nobody)), Some(Kept::Trust { .. })));
        assert!(matches!(verdict((&short, Unknown), (&long, Nobody)), Some(Kept::Trust { .. })));
        assert_eq!(verdict((&fresh, Nobody), (&short, Public)), None, "staging gives way");
        assert!(matches!(verdict((&fresh, Nobody), (&long, Unknown)), Some(Kept::Renews(_))));
        assert_eq!(verdict((&long, Nobody), (&short, Unknown)), None);
        assert!(matches!(verdict((&fresh, Unknown), (&long, Unknown)), Some(Kept::Renews(_))));
        assert_eq!(verdict((&due, Unknown), (&long, Unknown)), None, "its renewal did not come");
        assert!(matches!(verdict((&due, Unknown), (&short, Unknown)), Some(Kept::Longer { .. })));
        assert_eq!(verdict((&gone, Public), (&short, Nobody)), None, "better than an expired one");
        assert_eq!(verdict((&long, Public), (&long, Unknown)), None, "the same once more");
    }
}
