//! What happened, written into the record: each function is one transition of the work.

mod errored;
mod stall;

use crate::backoff;
use crate::certificate::CertificateFacts;
use crate::clock::Jitter;
use crate::failure::{Cause, Failure, Outage, bounded_detail};
use crate::issuer::Refusal;
use crate::record::{DomainRecord, Lease, Work};
use crate::secret::SealedKey;
use crate::timestamp::{Span, Timestamp};
use crate::trial::{self, TrialOrder};

pub use errored::errored;
pub use stall::{LOST_MAX, loses_orders, stalled};

/// Why a transition does not apply to a record: a fault of this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a domain whose work stands at {at} cannot become {to}")]
pub struct IllegalTransition {
    /// Where the work stood.
    pub at: &'static str,
    /// Where it should have gone.
    pub to: &'static str,
}

/// A handshake or a request asks for a certificate. `None`: nothing to start, because there is
/// one, it is being worked on, or the schedule has the word: demand never restarts its clock.
/// What an outage stopped may be asked for before its time, at a bounded rate; an order that is
/// kept is gone on with.
#[must_use]
pub fn demand(record: &DomainRecord, now: Timestamp) -> Option<DomainRecord> {
    if record.certificate.as_ref().is_some_and(|held| now < held.not_after) {
        return None;
    }
    let visited = record.visit_at().is_some_and(|at| at <= now);
    match record.work {
        Work::Idle if visited => Some(want(record, now)),
        Work::Idle => {
            let first = record.certificate.is_none() && record.failure.is_none();
            first.then(|| want(record, now))
        }
        Work::Wanted { .. }
        | Work::Trial { .. }
        | Work::Ordering { .. }
        | Work::Ordered { .. }
        | Work::Challenged { .. }
        | Work::Keyed { .. }
        | Work::Parked => visited.then(|| record.clone()),
    }
}

/// The sweep found the record due: a renewal, or a retry after a failure.
#[must_use]
pub fn due(record: &DomainRecord, now: Timestamp) -> Option<DomainRecord> {
    let due = record.due_at().is_some_and(|at| at <= now);
    due.then(|| want(record, now))
}

/// An operator asks for a new certificate now. `None`: someone is at work on it already. An order
/// that waits for the schedule is gone on with at once.
#[must_use]
pub fn force(record: &DomainRecord, now: Timestamp) -> Option<DomainRecord> {
    if matches!(record.work, Work::Idle | Work::Parked) {
        return Some(want(record, now));
    }
    let waiting = record.failure.as_ref().filter(|_| record.resting_until() > Some(now))?;
    let failure = Failure { next_attempt_at: Some(now), ..waiting.clone() };
    Some(DomainRecord { failure: Some(failure), ..record.clone() })
}

fn want(record: &DomainRecord, now: Timestamp) -> DomainRecord {
    DomainRecord { work: Work::Wanted { since: now }, erase_at: None, ..record.clone() }
}

/// The next order is placed whatever a look at the domain says, and without a trial. Holds until
/// one comes to something, a certificate or a failure.
#[must_use]
pub fn waived(record: DomainRecord) -> DomainRecord {
    DomainRecord { preflight_waived: true, ..record }
}

/// This process works on the record from now on, or still does.
#[must_use]
pub fn leased(record: DomainRecord, holder: &str, id: u64, duration: Span) -> DomainRecord {
    match record.lease {
        Some(lease) if lease.holder == holder => {
            DomainRecord { lease: Some(Lease { id, duration, ..lease }), ..record }
        }
        _ => {
            let lease = Some(Lease { holder: holder.to_owned(), id, duration });
            DomainRecord { lease, fence: record.fence.saturating_add(1), ..record }
        }
    }
}

/// The platform agreed, an issuer was chosen, and its budget has room.
///
/// # Errors
/// When no certificate is wanted.
pub fn permitted(record: DomainRecord, issuer: &str) -> Result<DomainRecord, IllegalTransition> {
    let Work::Wanted { .. } = record.work else { return Err(illegal(&record.work, "ordering")) };
    Ok(DomainRecord { work: Work::Ordering { issuer: issuer.to_owned() }, ..record })
}

/// The CA has the order.
///
/// # Errors
/// When no order was to be placed.
pub fn ordered(record: DomainRecord, order_url: String) -> Result<DomainRecord, IllegalTransition> {
    let work = match record.work {
        Work::Ordering { issuer } => Work::Ordered { issuer, order_url },
        Work::Trial { issuer, order: TrialOrder::Unplaced } => {
            Work::Trial { issuer, order: TrialOrder::Placed { order_url } }
        }
        other @ (Work::Idle
        | Work::Wanted { .. }
        | Work::Trial { .. }
        | Work::Ordered { .. }
        | Work::Challenged { .. }
        | Work::Keyed { .. }
        | Work::Parked) => return Err(illegal(&other, "ordered")),
    };
    Ok(DomainRecord { work, ..record })
}

/// The order does not come to anything: a certificate is wanted as before.
///
/// # Errors
/// When there is no order.
pub fn abandoned(record: DomainRecord, now: Timestamp) -> Result<DomainRecord, IllegalTransition> {
    if !record.work.in_flight() {
        return Err(illegal(&record.work, "wanted"));
    }
    let lost_orders = record.lost_orders.saturating_add(1);
    Ok(DomainRecord { work: Work::Wanted { since: now }, lost_orders, ..record })
}

/// The challenge's answer goes into the store with this very record.
///
/// # Errors
/// When there is no order whose challenge it could be.
pub fn challenged(record: DomainRecord, token: String) -> Result<DomainRecord, IllegalTransition> {
    let work = match record.work {
        Work::Ordered { issuer, order_url } | Work::Challenged { issuer, order_url, .. } => {
            Work::Challenged { issuer, order_url, token }
        }
        Work::Trial {
            issuer,
            order: TrialOrder::Placed { order_url } | TrialOrder::Challenged { order_url, .. },
        } => Work::Trial { issuer, order: TrialOrder::Challenged { order_url, token } },
        other @ (Work::Idle
        | Work::Wanted { .. }
        | Work::Trial { .. }
        | Work::Ordering { .. }
        | Work::Keyed { .. }
        | Work::Parked) => return Err(illegal(&other, "challenged")),
    };
    Ok(DomainRecord { work, ..record })
}

/// The private key goes into the store with this very record.
///
/// # Errors
/// When there is no order it could be for.
pub fn keyed(record: DomainRecord, key: SealedKey) -> Result<DomainRecord, IllegalTransition> {
    let token = record.work.token().map(str::to_owned);
    let (Work::Ordered { issuer, order_url } | Work::Challenged { issuer, order_url, .. }) =
        record.work
    else {
        return Err(illegal(&record.work, "keyed"));
    };
    Ok(DomainRecord { work: Work::Keyed { issuer, order_url, token, key }, ..record })
}

/// The certificate goes into the store with this very record. Ends the count of failures.
///
/// # Errors
/// When no key was stored for it.
pub fn issued(
    record: DomainRecord,
    facts: CertificateFacts,
) -> Result<DomainRecord, IllegalTransition> {
    let Work::Keyed { .. } = record.work else { return Err(illegal(&record.work, "issued")) };
    Ok(DomainRecord {
        work: Work::Idle,
        certificate: Some(facts),
        failure: None,
        lease: None,
        watch: None,
        erase_at: None,
        preflight: None,
        preflight_waived: false,
        trials: None,
        departure: None,
        lost_orders: 0,
        ..record
    })
}

/// A certificate was brought along: it takes the place of the one before. Work in flight goes on.
#[must_use]
pub fn imported(record: DomainRecord, facts: CertificateFacts) -> DomainRecord {
    let idle = matches!(record.work, Work::Idle | Work::Parked);
    DomainRecord {
        work: if idle { Work::Idle } else { record.work },
        certificate: Some(facts),
        failure: if idle { None } else { record.failure },
        trials: if idle { None } else { record.trials },
        departure: None,
        watch: None,
        erase_at: None,
        preflight: None,
        ..record
    }
}

/// The attempt failed and the order, if any, is over: wait for the schedule.
#[must_use]
pub fn gave_up(
    record: DomainRecord,
    refusal: &Refusal,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> DomainRecord {
    let failure = if stall::is_stall(&record, refusal.cause) {
        stall::stall(&record, refusal, None, now, jitter)
    } else {
        failed(&record, refusal, !refusal.cause.is_outage(), None, now, jitter)
    };
    DomainRecord {
        trials: trial::after(&record, refusal.cause),
        lost_orders: stall::lost_after(&record, refusal.cause),
        work: Work::Idle,
        failure: Some(failure),
        lease: None,
        preflight_waived: false,
        ..record
    }
}

/// The attempt failed and the order, if any, is kept and gone on with by the schedule.
#[must_use]
pub fn deferred(
    record: DomainRecord,
    cause: Cause,
    detail: &str,
    not_before: Option<Timestamp>,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> DomainRecord {
    let refusal = Refusal { cause, detail: bounded_detail(detail) };
    let failure = failed(&record, &refusal, false, not_before, now, jitter);
    // Nothing at the CA yet: the next attempt starts over from the platform's permission.
    let wanted = matches!(record.work, Work::Wanted { .. });
    let work = if wanted { Work::Idle } else { record.work.clone() };
    DomainRecord { work, failure: Some(failure), lease: None, ..record }
}

/// There is no room for it now, which is nobody's failure: it waits for its turn, which is still
/// to come even if it took long to be told of it. What went wrong before stays in view.
#[must_use]
pub fn postponed(
    record: DomainRecord,
    cause: Cause,
    detail: &str,
    until: Timestamp,
    now: Timestamp,
) -> DomainRecord {
    let until = until.max(now + backoff::IN_RUN_FIRST_WAIT);
    let failed_before = record.failure.clone();
    let failed_before = failed_before.filter(|failure| {
        failure.attempts > 0 || (failure.is_stall() && failure.cause.same_outage(cause))
    });
    let failure = match failed_before {
        // A visit came before its time: that moves nothing of the schedule.
        Some(failure) if failure.is_stall() && failure.next_attempt_at > Some(now) => failure,
        Some(failure) => Failure { next_attempt_at: Some(until), ..failure },
        None => Failure {
            cause,
            detail: bounded_detail(detail),
            attempts: 0,
            stalls: 0,
            outage: Outage::default(),
            next_attempt_at: Some(until),
            refused: false,
        },
    };
    let unplaced = matches!(
        record.work,
        Work::Wanted { .. }
            | Work::Ordering { .. }
            | Work::Trial { order: TrialOrder::Unplaced, .. }
    );
    let work = if unplaced { Work::Idle } else { record.work.clone() };
    DomainRecord { work, failure: Some(failure), lease: None, ..record }
}

/// The grace is over: the certificate and its key are deleted with this very record.
#[must_use]
pub fn erased(record: DomainRecord) -> DomainRecord {
    DomainRecord { certificate: None, erase_at: None, watch: None, departure: None, ..record }
}

/// The platform removed it: what was is over, and only notices are left of it.
#[must_use]
pub fn removed(record: DomainRecord, now: Timestamp) -> DomainRecord {
    let mut left = DomainRecord::registered(record.domain, record.registration, now);
    left.work = Work::Parked;
    left.removed = true;
    left.fence = record.fence.saturating_add(1);
    left.created_at = record.created_at;
    left.outbox = record.outbox;
    left
}

/// Stopped until someone registers the domain again.
#[must_use]
pub fn parked(record: DomainRecord, cause: Cause, detail: &str) -> DomainRecord {
    let attempts = attempts_after(&record);
    let detail = bounded_detail(detail);
    let failure = Failure {
        cause,
        detail,
        attempts,
        stalls: 0,
        outage: Outage::default(),
        next_attempt_at: None,
        refused: true,
    };
    DomainRecord { work: Work::Parked, failure: Some(failure), lease: None, ..record }
}

fn failed(
    record: &DomainRecord,
    refusal: &Refusal,
    refused: bool,
    not_before: Option<Timestamp>,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> Failure {
    let attempts = attempts_after(record);
    let next = backoff::next_attempt(attempts, now, not_before, jitter);
    // What is left of the certificate's life does not wait for the schedule.
    let left = record.certificate.as_ref().map(|held| held.not_after.since(now));
    let soon = left.filter(|left| *left > Span::ZERO).map(|left| now + backoff::within_life(left));
    let next = soon.map_or(next, |soon| next.min(soon)).max(not_before.unwrap_or(now));
    Failure {
        cause: refusal.cause,
        detail: bounded_detail(&refusal.detail),
        attempts,
        stalls: 0,
        outage: Outage::default(),
        next_attempt_at: Some(next),
        refused,
    }
}

fn attempts_after(record: &DomainRecord) -> u32 {
    record.failure.as_ref().map_or(0, |failure| failure.attempts).saturating_add(1)
}

pub(crate) const fn illegal(work: &Work, to: &'static str) -> IllegalTransition {
    IllegalTransition { at: work.name(), to }
}

#[cfg(test)]
mod tests;
