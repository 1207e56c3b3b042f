//! How long an order is gone on with. Its age is the record's: nothing of it is lost with a run.

use super::{Sight, Step};
use crate::issuer::OrderStatus;
use crate::record::{DomainRecord, Work};
use crate::timestamp::{Span, Timestamp};

/// Longest time an order stays in `processing`: the slowest public CAs need some minutes for a
/// domain-validated certificate. Where another CA can be asked, [`PATIENCE`] is enough.
pub const PROCESSING_MAX: Span = Span::from_secs(3_600);
/// An order that is older, and whose CA does not answer or is not known any more, is given up for
/// a CA that can be asked.
pub const PATIENCE: Span = Span::from_secs(300);
/// Longest time an order is kept that does not move, whatever it says of its end: as long as Let's
/// Encrypt keeps one.
const KEPT_MAX: Span = Span::from_secs(7 * 86_400);
/// The same of one that says nothing of its end. A day of it is for clocks that are off.
const KEPT_UNSAID: Span = Span::from_secs(2 * 86_400);
/// An order of a later moment than this from now was placed by a clock that was wrong.
const AHEAD_MAX: Span = Span::from_secs(86_400);

/// The record with an age for its order: one that does not say when it was placed was written by an
/// earlier version, and is taken to be as old as its last write. So is one from far ahead.
#[must_use]
pub fn dated(record: DomainRecord, now: Timestamp) -> DomainRecord {
    let known = record.ordered_at.filter(|at| *at <= now + AHEAD_MAX);
    if known.is_some() || !is_placed(&record) {
        return record;
    }
    DomainRecord { ordered_at: Some(record.updated_at.min(now)), ..record }
}

/// It has an order that is old enough to be given up for another CA.
#[must_use]
pub fn is_old(record: &DomainRecord, now: Timestamp) -> bool {
    is_placed(record) && record.ordered_at.is_none_or(|since| now.since(since) >= PATIENCE)
}

/// Its order is with a CA that may issue from it.
#[must_use]
pub const fn is_placed(record: &DomainRecord) -> bool {
    match record.work {
        Work::Ordered { .. } | Work::Challenged { .. } | Work::Keyed { .. } => true,
        Work::Idle
        | Work::Wanted { .. }
        | Work::Trial { .. }
        | Work::Ordering { .. }
        | Work::Parked => false,
    }
}

/// An order that will not come to anything, by its own `expires`, or because the CA is at it for
/// too long. One whose certificate is there is downloaded whatever its age; one that was over by
/// our clock when it was placed is judged by a wrong clock.
pub(super) fn stuck(record: &DomainRecord, sight: &Sight, now: Timestamp) -> Option<Step> {
    let view = sight.order.as_ref()?;
    match view.status {
        OrderStatus::Valid | OrderStatus::Invalid => return None,
        OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing => {}
    }
    let since = record.ordered_at;
    let older = |most: Span| since.is_some_and(|since| now.since(since) >= most);
    let expires = view.expires.filter(|expires| since.is_none_or(|since| *expires > since));
    let kept = if expires.is_some() { KEPT_MAX } else { KEPT_UNSAID };
    let detail = if expires.is_some_and(|expires| expires <= now) {
        "the order expired before the CA finished it".to_owned()
    } else if view.status == OrderStatus::Processing && older(PROCESSING_MAX) {
        let minutes = PROCESSING_MAX.secs() / 60;
        format!("the CA has the order in work for more than {minutes} minutes")
    } else if older(kept) {
        format!("the order did not move for more than {} hours", kept.secs() / 3_600)
    } else {
        return None;
    };
    Some(Step::Abandon { detail })
}
