//! INV-25: what was the platform's or the CA's outage is over within ten minutes of its end for
//! every name.

use sealwax_core::{Cause, DomainRecord, Span};
use sealwax_protocol::DomainName;

use crate::plan::{DAY, HOUR, MINUTE, Plan, Trouble, Window};
use crate::world::World;

use super::Watch;

/// Within which every name is asked for again, and two minutes for that to come to its end.
pub(crate) const OVER_WITHIN: Span = MINUTE.scale(12, 1);

impl Plan {
    /// The outages after which every name must go on, with when that is looked at.
    pub(crate) fn outages(&self) -> impl Iterator<Item = (Window, Span)> {
        let judged = self.windows.iter().filter(|window| {
            matches!(
                window.trouble,
                Trouble::CaDown
                    | Trouble::CaBusy
                    | Trouble::PlatformDown
                    | Trouble::PlatformGone
                    | Trouble::StoreDown
            )
        });
        judged.map(|window| (*window, window.to + OVER_WITHIN)).filter(|(window, at)| {
            !self.windows.iter().any(|other| spoils(self, other, window.to, *at))
        })
    }
}

/// Something else holds the names up at this time.
fn spoils(plan: &Plan, other: &Window, from: Span, to: Span) -> bool {
    let shows = match other.trouble {
        // What holds nothing up.
        Trouble::StagingDown
        | Trouble::NotifierDown
        | Trouble::NotifierRests
        | Trouble::Puts
        | Trouble::Rollout => return false,
        // Times that it wrote are wrong by a day at most.
        Trouble::ClockOff => DAY + HOUR,
        // The CA said until when, or the run that was struck has a lease.
        Trouble::Storm | Trouble::CaLimits => HOUR.scale(4, 1),
        Trouble::CaSlow => HOUR.scale(4, 1),
        Trouble::CaHangs => plan.order_life + HOUR,
        // Validations failed for want of an answer: five of them take an hour to be forgotten.
        Trouble::StoreLost => HOUR.scale(4, 1),
        Trouble::CaBusy => return other.from < to && other.to > from,
        Trouble::CaDown | Trouble::PlatformDown | Trouble::PlatformGone | Trouble::StoreDown => {
            return other.from < to && other.to > from;
        }
    };
    other.from < to && from < other.to + shows
}

impl Watch {
    /// The outage ended a while ago.
    pub(crate) fn check_recovered(&self, world: &World, outage: &Window) {
        for domain in &world.domains {
            if world.is_broken(domain) || world.has_left(domain) {
                continue;
            }
            let held_up = world.with_record(domain, held_up).flatten();
            if let Some(how) = held_up {
                self.not_over(world, outage, domain, &how);
            }
        }
    }

    fn not_over(&self, world: &World, outage: &Window, domain: &DomainName, how: &str) {
        let (trouble, now) = (outage.trouble, world.time.now());
        let ended = crate::time::START + outage.to;
        let how = format!("{domain}: {trouble:?} ended at {ended}; at {now} it is {how}");
        self.broken("INV-25", &how);
    }
}

/// How the record shows that the outage is not over for it.
fn held_up(record: &DomainRecord) -> Option<String> {
    let outage = |cause| {
        matches!(cause, Cause::CaUnavailable | Cause::PlatformUnavailable | Cause::OrderLost)
    };
    let (work, failure) = (&record.work, &record.failure);
    let waits = match failure {
        // What is served waits for as long as evidence takes: nobody misses it.
        Some(failure) if failure.cause == Cause::PlatformGone => record.certificate.is_none(),
        Some(failure) => outage(failure.cause),
        // Everybody is visited all the while.
        None => record.certificate.is_none(),
    };
    waits.then(|| format!("{work:?}, {failure:?}"))
}
