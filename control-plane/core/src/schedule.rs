//! When a certificate is renewed.
//!
//! Every name has a [`Place`] in the cycle of renewals and comes back to it, whatever brought it
//! out of step: names that were imported together, or waited out one outage together, are spread
//! evenly over the cycle from their first renewal on, without anyone keeping count.

use sealwax_protocol::DomainName;

use crate::timestamp::{Span, Timestamp};

/// Certificates that live shorter are renewed at half of their life.
const SHORT_LIFE: Span = Span::from_secs(10 * 86_400);
/// Below this part of its life left, a certificate is an emergency.
const EMERGENCY_PART: u64 = 20;
/// A cycle is this part of the life shorter than the longest wait for a renewal, so that a name
/// finds its place again although CAs date certificates an hour back and orders take their time.
const SLACK_PART: u64 = 30;
/// Renewals within which every place can be reached from everywhere: three, by the shorter cycle.
const RENEWALS_TO_PLACE: u64 = 3;

/// Where in the cycle of renewals a name belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// The same at every replica and for ever; evenly spread over names (FNV-1a, its bits mixed
    /// as MurmurHash3 does). Someone who searches for names of one place gains nothing: the queue
    /// and the CA's budget are what they have to pass.
    #[must_use]
    pub fn of(domain: &DomainName) -> Self {
        let hash = domain.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        // The upper half always fits.
        Self(u32::try_from(mixed >> 32).unwrap_or(u32::MAX))
    }
}

/// Without word from the CA: at the name's place in the cycle, not before a third of the life and
/// not after 2/3 of it, 1/2 below ten days (Let's Encrypt's integration guide, "When to Renew").
///
/// The cycle is nearly as long as the longest wait, so a name in its place is renewed as late as
/// the guide allows. Where the place cannot be reached by one renewal, the next one is as late as
/// it can be for the one or two after it to get there.
#[must_use]
pub fn renew_at(not_before: Timestamp, not_after: Timestamp, place: Place) -> Timestamp {
    let life = not_after.since(not_before);
    let earliest = life.scale(1, 3);
    let latest = if life < SHORT_LIFE { life.scale(1, 2) } else { life.scale(2, 3) };
    let cycle = latest.less(life.scale(1, SLACK_PART));
    for renewals in 1..=RENEWALS_TO_PLACE {
        let soonest = earliest.scale(renewals, 1);
        let reached = soonest + until_place(not_before + soonest, cycle, place);
        if reached <= latest.scale(renewals, 1) {
            return not_before + reached.less(earliest.scale(renewals - 1, 1)).min(latest);
        }
    }
    not_before + latest
}

/// How long after `from` the place comes round.
fn until_place(from: Timestamp, cycle: Span, place: Place) -> Span {
    let cycle = cycle.millis().max(1);
    let offset = Span::from_millis(cycle).scale(u64::from(place.0), 1 << 32).millis();
    let passed = from.millis() % cycle;
    Span::from_millis((offset + cycle - passed) % cycle)
}

/// Little enough of the life is left that everything else has to wait.
#[must_use]
pub fn is_emergency(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> bool {
    not_after.since(now) < not_after.since(not_before).scale(1, EMERGENCY_PART)
}

#[cfg(test)]
mod tests;
