//! The names, each in the few bytes that a record comes down to between two walks.

use sealwax_core::failure::Outage;
use sealwax_core::record::Registration;
use sealwax_core::schedule::{Place, renew_at};
use sealwax_core::{Cause, CertificateFacts, CertificateSource, DomainRecord, Failure, Span, Work};
use sealwax_protocol::DomainName;

use crate::dice::Dice;
use crate::moment::{Moment, START};
use crate::scenario::{Scenario, Start};
use crate::world::BACKDATED;

/// The one issuer. Short names cost nothing to copy.
pub(crate) const ISSUER: &str = "";
/// So many names in a row may have a registered domain in common.
const NAMES_TOGETHER: u32 = 20;

/// Where a name rests between two walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rests {
    /// Not registered yet.
    Unknown,
    /// For its renewal or its next attempt.
    Idle,
    /// For its first walk.
    Wanted,
    /// With permission, for the CA to take its order.
    Ordering,
    /// Until someone acts.
    Parked,
}

/// The fleet is run in two halves at once, each with half of what the account and the address
/// may do: so two processors are used, and what comes of it does not depend on them. Names of one
/// registered domain are in one half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// Names with even numbers.
    Even,
    /// The others.
    Odd,
}

impl Half {
    /// The numbers of its names, of so many in all.
    pub(crate) fn numbers(self, of: u32) -> impl Iterator<Item = u32> {
        (self as u32..of).step_by(2)
    }

    /// Where a name is among the half's.
    pub(crate) fn index(number: u32) -> usize {
        usize::try_from(number / 2).unwrap_or(usize::MAX)
    }
}

/// One name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    pub(crate) not_before: Moment,
    /// `NEVER`: there is no certificate.
    pub(crate) not_after: Moment,
    pub(crate) wake_at: Moment,
    pub(crate) attempts: u16,
    /// Attempts in a row that an outage stopped, up to where that changes nothing any more.
    pub(crate) stalls: u8,
    /// It waits for its next attempt, be it only for its turn.
    pub(crate) waits: bool,
    pub(crate) rests: Rests,
    /// Validation fails for ever.
    pub(crate) broken: bool,
    /// The CA withdrew its certificate.
    pub(crate) revoked: bool,
}

impl Name {
    pub(crate) const UNKNOWN: Self = Self {
        not_before: Moment::NEVER,
        not_after: Moment::NEVER,
        wake_at: Moment::NEVER,
        attempts: 0,
        stalls: 0,
        waits: false,
        rests: Rests::Unknown,
        broken: false,
        revoked: false,
    };

    pub(crate) fn has_certificate(&self) -> bool {
        self.not_after != Moment::NEVER
    }

    /// The record this is short for.
    pub(crate) fn record(&self, domain: DomainName) -> DomainRecord {
        let failure = self.waits.then(|| Failure {
            cause: Cause::CaUnavailable,
            detail: String::new(),
            attempts: u32::from(self.attempts),
            stalls: u32::from(self.stalls),
            outage: Outage::default(),
            next_attempt_at: Some(self.wake_at.timestamp()),
            refused: false,
        });
        let certificate = self.has_certificate().then(|| CertificateFacts {
            serial: String::new(),
            issuer: String::new(),
            sans: Vec::new(),
            not_before: self.not_before.timestamp(),
            not_after: self.not_after.timestamp(),
            fingerprint_sha256: String::new(),
            ari_id: Some(String::new()),
            source: CertificateSource::Acme,
            ordered_from: Some(ISSUER.to_owned()),
            renew_at: Some(self.wake_at.timestamp()),
        });
        let work = match self.rests {
            Rests::Unknown | Rests::Idle => Work::Idle,
            Rests::Wanted => Work::Wanted { since: self.wake_at.timestamp() },
            Rests::Ordering => Work::Ordering { issuer: ISSUER.to_owned() },
            Rests::Parked => Work::Parked,
        };
        let registered = DomainRecord::registered(domain, Registration::default(), START);
        DomainRecord { work, certificate, failure, ..registered }
    }

    /// What a record comes down to.
    pub(crate) fn of(record: &DomainRecord, before: &Self) -> Self {
        let certificate = record.certificate.as_ref();
        let moment = |at: Option<_>| at.map_or(Moment::NEVER, Moment::not_before);
        let attempts = record.failure.as_ref().map_or(0, |failure| failure.attempts);
        let stalls = record.failure.as_ref().map_or(0, |failure| failure.stalls);
        Self {
            not_before: moment(certificate.map(|held| held.not_before)),
            not_after: moment(certificate.map(|held| held.not_after)),
            wake_at: moment(record.wake_at()),
            waits: record.failure.is_some(),
            attempts: u16::try_from(attempts).unwrap_or(u16::MAX),
            stalls: u8::try_from(stalls).unwrap_or(u8::MAX),
            rests: match record.work {
                Work::Wanted { .. } => Rests::Wanted,
                Work::Idle => Rests::Idle,
                Work::Parked => Rests::Parked,
                // A fleet's CA has no staging.
                Work::Trial { .. }
                | Work::Ordering { .. }
                | Work::Ordered { .. }
                | Work::Challenged { .. }
                | Work::Keyed { .. } => Rests::Ordering,
            },
            ..*before
        }
    }
}

/// The domain with this number: nineteen in twenty have a registered domain of their own.
pub(crate) fn domain(number: u32) -> Option<DomainName> {
    let text = if is_subdomain(number) {
        format!("shop{number}.agency{}.com", registered(number))
    } else {
        format!("www.shop{number}.com")
    };
    DomainName::parse(&text).ok()
}

/// The number of a name's registered domain.
pub(crate) fn registered(number: u32) -> u32 {
    if is_subdomain(number) { number - number % (NAMES_TOGETHER * NAMES_TOGETHER) } else { number }
}

fn is_subdomain(number: u32) -> bool {
    number.is_multiple_of(NAMES_TOGETHER)
}

/// A half's names as they stand at the start, in the order of their numbers.
pub(crate) fn at_start(scenario: &Scenario, half: Half) -> Vec<Name> {
    let dice = Dice::of(scenario.seed, &format!("start {half:?}"));
    let life = scenario.life_at(Span::ZERO);
    let name = |number: u32| {
        let broken = dice.chance(scenario.broken_permille);
        if number >= scenario.domains {
            return Name { broken, ..Name::UNKNOWN };
        }
        let place = domain(number).map(|domain| Place::of(&domain));
        let issued_at = match (scenario.start, place) {
            (Start::Together, _) | (Start::InPlace, None) => {
                START - Span::from_millis(dice.below(86_400_000))
            }
            (Start::InPlace, Some(place)) => last_renewal(life, place),
        };
        let not_before = issued_at - BACKDATED;
        let not_after = not_before + life;
        let wake_at = place.map_or(not_after, |place| renew_at(not_before, not_after, place));
        Name {
            not_before: Moment::not_before(not_before),
            not_after: Moment::not_before(not_after),
            wake_at: Moment::not_before(wake_at),
            rests: Rests::Idle,
            broken,
            ..Name::UNKNOWN
        }
    };
    half.numbers(scenario.names()).map(name).collect()
}

/// When a name that has long been in its place was renewed last before the start.
fn last_renewal(life: Span, place: Place) -> sealwax_core::Timestamp {
    let mut at = START - life.scale(3, 1);
    loop {
        let not_before = at - BACKDATED;
        let next = renew_at(not_before, not_before + life, place);
        if next > START || next <= at {
            return at;
        }
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_its_record_comes_down_to() {
        let scenario = Scenario::steady(50, 10);
        let halves = [at_start(&scenario, Half::Even), at_start(&scenario, Half::Odd)];
        assert_eq!(halves.concat().len(), 50);
        for (number, name) in Half::Odd.numbers(50).zip(&halves[1]) {
            let record = name.record(domain(number).unwrap());
            assert_eq!(record.wake_at(), Some(name.wake_at.timestamp()));
            assert!(record.wake_at().unwrap() > START);
            let again = Name::of(&record, name);
            assert_eq!(format!("{again:?}"), format!("{name:?}"));
        }
    }

    #[test]
    fn some_names_share_a_registered_domain() {
        let of = |number| domain(number).unwrap().to_string();
        assert_eq!(of(7), "www.shop7.com");
        assert_eq!(of(420), "shop420.agency400.com");
        assert_eq!((registered(7), registered(420), registered(440)), (7, 400, 400));
    }
}
