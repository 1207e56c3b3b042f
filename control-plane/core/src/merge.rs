//! A change that came too late is made on the record as it is now, if it still is the same work.
//!
//! A write that is lost to someone else's would throw away what was done: an order that the CA has
//! taken, a key, a certificate. Others change a record in work as well (a registration, an
//! operator's wish, a campaign's mark), and none of that is about the order.

use crate::notice::Notice;
use crate::record::DomainRecord;

/// What `ours`, made of `base`, comes to on top of `newest`. `None`: the work, its lease or its
/// fence are not what they were, so it is decided anew. So it is where `ours` only begins
/// something: nothing was done yet that could get lost.
///
/// Each part that `ours` changed is as `ours` has it, every other one as `newest` does.
#[must_use]
pub fn merged(
    base: &DomainRecord,
    ours: &DomainRecord,
    newest: &DomainRecord,
) -> Option<DomainRecord> {
    let same_work = newest.work == base.work
        && newest.lease == base.lease
        && newest.fence == base.fence
        && newest.removed == base.removed
        && newest.created_at == base.created_at;
    let done = base.work.in_flight() || ours.work == base.work;
    if !same_work || !done {
        return None;
    }
    let issued = ours.certificate != base.certificate;
    let DomainRecord {
        schema,
        domain,
        registration,
        work,
        certificate,
        failure,
        lease,
        fence,
        watch,
        erase_at,
        outbox,
        removed,
        usage,
        replacing,
        preflight,
        preflight_waived,
        trials,
        departure,
        ordered_at,
        lost_orders,
        created_at,
        updated_at,
    } = ours.clone();
    Some(DomainRecord {
        schema,
        domain,
        registration: pick(&base.registration, registration, &newest.registration),
        work,
        certificate: pick(&base.certificate, certificate, &newest.certificate),
        failure: pick(&base.failure, failure, &newest.failure),
        lease,
        fence,
        watch: pick(&base.watch, watch, &newest.watch),
        erase_at: pick(&base.erase_at, erase_at, &newest.erase_at),
        outbox: notices(&base.outbox, outbox, &newest.outbox),
        removed,
        usage: pick(&base.usage, usage, &newest.usage),
        replacing: pick(&base.replacing, replacing, &newest.replacing),
        preflight: pick(&base.preflight, preflight, &newest.preflight),
        // It was for this certificate, if it was given while its order was in work.
        preflight_waived: !issued
            && pick(&base.preflight_waived, preflight_waived, &newest.preflight_waived),
        trials: pick(&base.trials, trials, &newest.trials),
        departure: pick(&base.departure, departure, &newest.departure),
        ordered_at,
        lost_orders,
        created_at,
        updated_at: updated_at.max(newest.updated_at),
    })
}

fn pick<T: Clone + PartialEq>(base: &T, ours: T, newest: &T) -> T {
    if ours == *base { newest.clone() } else { ours }
}

/// What waits now, without what was taken out, as it was changed, and with what was put in.
fn notices(base: &[Notice], ours: Vec<Notice>, newest: &[Notice]) -> Vec<Notice> {
    let named = |notices: &[Notice], id: &str| notices.iter().any(|notice| notice.id == id);
    let mut all: Vec<Notice> = newest
        .iter()
        .filter(|notice| named(&ours, &notice.id) || !named(base, &notice.id))
        .map(|notice| {
            let known = base.iter().find(|known| known.id == notice.id);
            let changed = ours.iter().find(|mine| mine.id == notice.id);
            changed.filter(|mine| known != Some(*mine)).unwrap_or(notice).clone()
        })
        .collect();
    let put_in = ours.into_iter().filter(|notice| !named(base, &notice.id));
    let put_in: Vec<Notice> = put_in.filter(|notice| !named(&all, &notice.id)).collect();
    all.extend(put_in);
    all
}

/// Whether a write whose answer got lost was made: the lease of a holder that still is at work is
/// new with each of its writes.
#[must_use]
pub fn is_written(ours: &DomainRecord, newest: &DomainRecord) -> bool {
    let leased = ours.lease.is_some() && newest.lease == ours.lease && newest.work == ours.work;
    leased || newest == ours
}

#[cfg(test)]
mod tests;
