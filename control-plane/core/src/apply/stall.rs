//! An outage stopped an attempt: nobody's failure, with a schedule of its own.
//!
//! A stall counts no attempt, so it moves nothing that counts them: not the schedule of failures,
//! the lane, the headroom, the look before an order or its trial.

use crate::backoff;
use crate::clock::Jitter;
use crate::failure::{Cause, Failure, Outage, bounded_detail};
use crate::issuer::Refusal;
use crate::record::{DomainRecord, Work};
use crate::timestamp::Timestamp;

/// Orders in a row that may get lost before that counts as a failure: each of them is placed, so
/// a name whose orders never survive must not take a new one every ten minutes.
pub const LOST_MAX: u32 = 4;

/// How often in a row an order may have stalled for the wait after one that turns out to be gone.
const SOON: u32 = 2;

/// Something that is not the domain's was away: the order, if any, is kept, and gone on with soon.
/// An attempt that a visit asked for before its time leaves the schedule's clock alone.
#[must_use]
pub fn stalled(
    record: DomainRecord,
    cause: Cause,
    detail: &str,
    not_before: Option<Timestamp>,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> DomainRecord {
    let refusal = Refusal { cause, detail: bounded_detail(detail) };
    let mut failure = stall(&record, &refusal, not_before, now, jitter);
    failure.outage.missing = missing_after(&record, cause, now);
    // Nothing at the CA yet: the next attempt starts over from the platform's permission.
    let wanted = matches!(record.work, Work::Wanted { .. });
    let work = if wanted { Work::Idle } else { record.work.clone() };
    DomainRecord { work, failure: Some(failure), lease: None, ..record }
}

/// Whether a failure for this cause is an outage, for this record.
pub(super) const fn is_stall(record: &DomainRecord, cause: Cause) -> bool {
    cause.is_outage() && !(matches!(cause, Cause::OrderLost) && loses_orders(record))
}

/// So many of its orders got lost in a row that each further one counts as a failure.
#[must_use]
pub const fn loses_orders(record: &DomainRecord) -> bool {
    record.lost_orders >= LOST_MAX
}

/// The count of lost orders after an attempt that ended so.
pub(super) const fn lost_after(record: &DomainRecord, cause: Cause) -> u32 {
    if matches!(cause, Cause::OrderLost) {
        record.lost_orders.saturating_add(1)
    } else if cause.is_outage() {
        record.lost_orders
    } else {
        0
    }
}

/// The order is kept: its certificate may be found yet, and an outage in between says nothing of
/// it. A visit before its time is no run of the row.
fn missing_after(record: &DomainRecord, cause: Cause, now: Timestamp) -> u32 {
    let row = record.failure.as_ref().filter(|row| row.is_stall());
    let early = row.and_then(|row| row.next_attempt_at).is_some_and(|at| at > now);
    let before = row.map_or(0, |row| row.outage.missing);
    before.saturating_add(u32::from(cause == Cause::OrderLost && !early))
}

pub(super) fn stall(
    record: &DomainRecord,
    refusal: &Refusal,
    not_before: Option<Timestamp>,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> Failure {
    let before = record.failure.as_ref();
    let row = before.filter(|row| row.is_stall() && row.cause.same_outage(refusal.cause));
    let early = row.and_then(|row| row.next_attempt_at).filter(|at| *at > now);
    let stalls = row.map_or(0, |row| row.stalls).saturating_add(u32::from(early.is_none()));
    // The CA answers again, and what it says is that the order is gone: soon placed anew.
    let found_lost = refusal.cause == Cause::OrderLost;
    let found_lost = found_lost && row.is_some_and(|row| row.cause != Cause::OrderLost);
    let next = match early {
        _ if found_lost => backoff::next_stall(stalls.min(SOON), now, not_before, jitter),
        Some(at) => not_before.map_or(at, |until| at.max(until)),
        None => backoff::next_stall(stalls, now, not_before, jitter),
    };
    Failure {
        cause: refusal.cause,
        detail: bounded_detail(&refusal.detail),
        attempts: before.map_or(0, |before| before.attempts),
        stalls,
        outage: Outage {
            not_before: not_before.filter(|until| *until > now),
            told: row.is_some_and(|row| row.outage.told) || is_news(stalls, next, now),
            missing: 0,
            behind: before.and_then(Failure::counted),
        },
        next_attempt_at: Some(next),
        refused: false,
    }
}

/// Whether the platform wants to hear of a row of stalls: it lasts, or is going to.
fn is_news(stalls: u32, next: Timestamp, now: Timestamp) -> bool {
    stalls >= backoff::STALLS_NEWS || next.since(now) > backoff::STALL_MAX
}

#[cfg(test)]
mod tests;
