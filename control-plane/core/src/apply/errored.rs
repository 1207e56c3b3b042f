//! What a CA's errors make of a record.

use super::{deferred, gave_up, parked, stalled};
use crate::clock::Jitter;
use crate::decide;
use crate::failure::{Cause, bounded_detail};
use crate::issuer::{IssueError, LimitScope, Refusal};
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
        IssueError::RateLimited { until, scope, detail } => {
            // What it holds for all others, the process holds: this name's limit is its own.
            let own = *scope == LimitScope::Name || decide::is_placed(&record);
            let limited = stalled(record, Cause::CaRateLimited, detail, Some(*until), now, jitter);
            if own { left_alone(limited) } else { limited }
        }
        IssueError::UnknownOutcome { detail } => {
            stalled(record, Cause::CaUnavailable, detail, None, now, jitter)
        }
        IssueError::ProfileRefused { detail } => {
            let detail = format!("the profile of this domain's registration is refused: {detail}");
            deferred(record, Cause::CaAccount, &detail, None, now, jitter)
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
        IssueError::Protocol { detail } | IssueError::Unfindable { detail } => {
            let refusal = Refusal { cause: Cause::CaProtocol, detail: bounded_detail(detail) };
            gave_up(record, &refusal, now, jitter)
        }
    }
}

/// A CA that does not say until when is left alone until the schedule asks it: a visit does not.
fn left_alone(record: DomainRecord) -> DomainRecord {
    let failure = record.failure.map(|mut failure| {
        failure.outage.not_before = failure.outage.not_before.or(failure.next_attempt_at);
        failure
    });
    DomainRecord { failure, ..record }
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
