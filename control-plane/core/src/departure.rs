//! A domain that is said to be gone: evidence is collected before it is parked, and again before
//! its certificate is erased.
//!
//! One answer proves nothing. A platform that is being deployed, or a proxy in front of it,
//! answers 404 or 410 to everything for a while. So the same answer has to come several times over
//! longer than that takes; any other word of the platform's ends it.

use serde::{Deserialize, Serialize};

use crate::clock::Jitter;
use crate::failure::{Cause, Failure, Outage, bounded_detail};
use crate::record::{DomainRecord, Work};
use crate::timestamp::{Span, Timestamp};

/// Answers sooner after one that counted count nothing: they are the same moment's.
pub const APART: Span = Span::from_secs(300);
/// Answers this long after the last one stand for themselves: evidence begins anew. Longer than
/// any wait between two questions.
const STALE: Span = Span::from_secs(6 * 3_600);
/// Between two questions about a domain that is not parked yet: nothing is done for it meanwhile,
/// so what was the platform's mistake is over so soon after its end.
const ASK_WAIT: Span = Span::from_secs(540);
/// Between two questions before a certificate is erased.
const ERASE_WAIT: Span = Span::from_secs(1_800);
/// How long what could not be asked before an erasing rests, or was held back from it.
const HELD_WAIT: Span = Span::from_secs(3_600);
/// A parked domain that is visited is asked about once in this time.
pub const VISIT_PARKED: Span = Span::from_secs(600);
/// One that is not parked, and has no certificate.
pub const VISIT_WAITING: Span = Span::from_secs(30);

/// What the platform said: that it is gone, so often, from then till then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// When it first said so.
    pub first_at: Timestamp,
    /// When it last said so.
    pub last_at: Timestamp,
    /// How often it said so in a row.
    pub answers: u32,
}

/// Fewer answers prove nothing, before a domain is parked and before its certificate is erased.
const ANSWERS_MIN: u32 = 3;
/// Nor do answers of a shorter time than this: no deploy takes it.
const OVER_MIN: Span = Span::from_secs(3_600);

impl Departure {
    const fn first(now: Timestamp) -> Self {
        Self { first_at: now, last_at: now, answers: 1 }
    }
}

/// The platform says that the domain is gone. `None`: so it did just now, nothing is added.
#[must_use]
pub fn heard(record: &DomainRecord, now: Timestamp) -> Option<DomainRecord> {
    let departure = match record.departure {
        // A clock that was set back, or another replica's: nothing can be said about the time.
        Some(before) if now < before.last_at && before.last_at.since(now) < APART => return None,
        Some(before) if now < before.last_at => Departure::first(now),
        Some(before) if now.since(before.last_at) < APART => return None,
        Some(before) if now.since(before.last_at) > STALE => Departure::first(now),
        Some(before) => {
            Departure { last_at: now, answers: before.answers.saturating_add(1), ..before }
        }
        None => Departure::first(now),
    };
    Some(DomainRecord { departure: Some(departure), ..record.clone() })
}

/// There is enough evidence to park the domain, or, if it is parked, to erase its certificate.
#[must_use]
pub fn is_proven(record: &DomainRecord) -> bool {
    record.departure.is_some_and(|departure| {
        departure.answers >= ANSWERS_MIN && departure.last_at.since(departure.first_at) >= OVER_MIN
    })
}

/// It may be gone: nothing is done for it but asking again. What is served is served.
#[must_use]
pub fn doubted(
    record: DomainRecord,
    detail: &str,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> DomainRecord {
    waiting(record, detail, now + spread(ASK_WAIT, jitter))
}

/// As [`doubted`], of one that is not parked although it could be.
#[must_use]
pub fn held_back(
    record: DomainRecord,
    detail: &str,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> DomainRecord {
    waiting(record, detail, now + spread(ASK_WAIT, jitter))
}

fn waiting(record: DomainRecord, detail: &str, until: Timestamp) -> DomainRecord {
    let failure = failure(&record, detail, Some(until), false);
    DomainRecord { work: Work::Idle, failure: Some(failure), lease: None, ..record }
}

fn failure(
    record: &DomainRecord,
    detail: &str,
    next_attempt_at: Option<Timestamp>,
    refused: bool,
) -> Failure {
    let (cause, detail) = (Cause::PlatformGone, bounded_detail(detail));
    match record.failure.clone() {
        Some(before) => {
            let outage = Outage::default();
            Failure { cause, detail, next_attempt_at, refused, stalls: 0, outage, ..before }
        }
        None => Failure {
            cause,
            detail,
            attempts: 0,
            stalls: 0,
            outage: Outage::default(),
            next_attempt_at,
            refused,
        },
    }
}

/// The domain has left: it is parked, and what it has is deleted when the grace is over and the
/// platform says so again. Evidence for that begins from here.
#[must_use]
pub fn left(record: DomainRecord, detail: &str, erase_at: Timestamp) -> DomainRecord {
    let erase_at = record.certificate.as_ref().map(|_| erase_at);
    let mut failure = failure(&record, detail, None, true);
    failure.attempts = failure.attempts.max(1);
    DomainRecord {
        work: Work::Parked,
        failure: Some(failure),
        lease: None,
        erase_at,
        departure: None,
        ..record
    }
}

/// Not enough is known to erase its certificate: asked again after a while.
#[must_use]
pub fn kept(
    record: DomainRecord,
    told_so: bool,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> DomainRecord {
    let wait = if told_so { ERASE_WAIT } else { HELD_WAIT };
    DomainRecord { erase_at: Some(now + spread(wait, jitter)), ..record }
}

/// The platform knows it again: it goes on from where it was.
#[must_use]
pub fn returned(record: DomainRecord) -> DomainRecord {
    let parked = record.work == Work::Parked;
    let gone = record.failure.as_ref().is_some_and(|failure| failure.cause == Cause::PlatformGone);
    DomainRecord {
        work: if parked { Work::Idle } else { record.work },
        failure: record.failure.filter(|_| !parked && !gone),
        erase_at: None,
        departure: None,
        ..record
    }
}

/// It is parked because the platform said that it is gone.
#[must_use]
pub fn is_parked(record: &DomainRecord) -> bool {
    let gone = |failure: &Failure| failure.cause == Cause::PlatformGone;
    !record.removed && record.work == Work::Parked && record.failure.as_ref().is_some_and(gone)
}

/// It is parked, and someone who comes to it is reason enough to ask the platform again.
#[must_use]
pub fn may_be_asked(record: &DomainRecord, now: Timestamp) -> bool {
    let asked = |departure: Departure| departure.last_at + VISIT_PARKED <= now;
    is_parked(record) && record.departure.is_none_or(asked)
}

/// A visitor came to a domain without a certificate that is perhaps gone: the platform is asked
/// before the schedule has its turn. `None`: nothing to ask, or it was asked just now.
#[must_use]
pub fn visited(record: &DomainRecord, now: Timestamp) -> Option<DomainRecord> {
    let gone = |failure: &Failure| failure.cause == Cause::PlatformGone;
    let waits = record.work == Work::Idle
        && record.certificate.is_none()
        && record.failure.as_ref().is_some_and(gone);
    let asked = record.departure.filter(|_| waits)?.last_at;
    let work = Work::Wanted { since: now };
    (asked + VISIT_WAITING <= now).then(|| DomainRecord { work, ..record.clone() })
}

/// Up to a tenth more, so that what was asked about together does not come back together.
fn spread(wait: Span, jitter: &dyn Jitter) -> Span {
    wait + wait.scale(jitter.permille().min(1000), 10_000)
}

#[cfg(test)]
mod tests;
