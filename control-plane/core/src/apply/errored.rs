//! What a CA's errors make of a record.

use super::{deferred, gave_up, parked, stalled};
use crate::clock::Jitter;
use crate::failure::{Cause, bounded_detail};
use crate::issuer::{IssueError, Refusal};
use crate::record::{DomainRecord, Work};
use crate::timestamp::Timestamp;

/// What a CA's error, after the tries a run has, makes of the record.
#[must_use]
pub fn errored(
    record: DomainRecord,
    error: &IssueError,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> DomainRecord {
    let record = unless_placed(record, error);
    match error {
        IssueError::Retry { after, detail } => {
            let not_before = after.map(|after| now + after);
            stalled(record, Cause::CaUnavailable, detail, not_before, now, jitter)
        }
        IssueError::RateLimited { until, detail, .. } => {
            stalled(record, Cause::CaRateLimited, detail, Some(*until), now, jitter)
        }
        IssueError::UnknownOutcome { detail } => {
            stalled(record, Cause::CaUnavailable, detail, None, now, jitter)
        }
        // What the CA refuses may be the profile, and that is the domain's own.
        IssueError::Misconfigured { detail } if record.registration.profile.is_some() => {
            deferred(record, Cause::CaAccount, detail, None, now, jitter)
        }
        IssueError::Misconfigured { detail } => {
            stalled(record, Cause::CaAccount, detail, None, now, jitter)
        }
        IssueError::Paused { detail } => parked(record, Cause::CaPaused, detail),
        IssueError::Refused(refusal) => gave_up(record, refusal, now, jitter),
        IssueError::OrderGone { detail } => {
            let refusal = Refusal { cause: Cause::OrderLost, detail: bounded_detail(detail) };
            gave_up(record, &refusal, now, jitter)
        }
        IssueError::Protocol { detail } => {
            let refusal = Refusal { cause: Cause::CaProtocol, detail: bounded_detail(detail) };
            gave_up(record, &refusal, now, jitter)
        }
    }
}

/// An order that was certainly not placed binds nobody: the next attempt chooses its CA anew.
fn unless_placed(record: DomainRecord, error: &IssueError) -> DomainRecord {
    let placed = matches!(error, IssueError::UnknownOutcome { .. });
    if placed || !matches!(record.work, Work::Ordering { .. }) {
        return record;
    }
    let since = record.updated_at;
    DomainRecord { work: Work::Wanted { since }, ..record }
}
