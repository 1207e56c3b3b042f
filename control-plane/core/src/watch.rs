//! Watching a certificate between its issuance and its renewal: the CA's renewal information
//! (RFC 9773) for issued ones, the approaching end for imported ones.

use serde::{Deserialize, Serialize};

use crate::certificate::{CertificateFacts, CertificateSource};
use crate::clock::Jitter;
use crate::issuer::RenewalInfo;
use crate::record::DomainRecord;
use crate::timestamp::{Span, Timestamp};

/// The first question comes after this time at least: the CA has to know its certificate.
const FIRST_ASK_AFTER: Span = Span::from_secs(60);
/// It comes within this time after that, so that what was issued together is not asked
/// about together.
const FIRST_ASK_WITHIN: Span = Span::from_secs(6 * 3_600);
/// Asked at least this often, whatever the CA says: twice a day.
const ASK_MAX: Span = Span::from_secs(12 * 3_600);
/// After a question without an answer: what depends on it comes anyway, only by another rule.
const ASK_AGAIN: Span = Span::from_secs(3_600);
/// After the CA said that it does not know the certificate: a day, because it seldom learns.
const ASK_UNKNOWN: Span = Span::from_secs(86_400);
/// It is not asked about a certificate again that it did not know so often in a row.
const UNKNOWN_MAX: u8 = 5;
/// A certificate younger than this is not renewed because of a window that was over, or nearly,
/// when the CA first said one: whoever answers so answers so about the next one too. Doubled with
/// each certificate in a row that was renewed so.
const HURRY_MIN: Span = Span::from_secs(86_400);
/// No more of its life than this, 1/3, is waited for that reason: then it is renewed in any case.
const HURRY_PART: u64 = 3;
/// A renewal before this part of the life, 1/2, on the CA's word came in a hurry.
const HURRIED_PART: u64 = 2;
/// Doublings counted: a third of any life is reached long before.
const HURRIES_MAX: u8 = 10;
/// The last part of the life, 1/20: no window of a CA makes a renewal later than this.
const EMERGENCY_PART: u64 = 20;
/// Two warnings about an imported certificate are at least this far apart.
const WARN_MIN: Span = Span::from_secs(86_400);

/// When to look at a certificate again, and what the CA said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// When it is looked at next.
    pub look_at: Timestamp,
    /// The CA's window, once it has said one; the renewal's moment was chosen in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// How often in a row the CA did not know the certificate.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u8,
    /// How many certificates in a row were renewed before half of their life, because the CA's
    /// windows began so soon.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hurries: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &u8) -> bool {
    *count == 0
}

impl Watch {
    /// To be looked at then, and nothing known yet.
    #[must_use]
    pub const fn at(look_at: Timestamp) -> Self {
        Self { look_at, window: None, unknown: 0, hurries: 0 }
    }
}

/// The time a CA suggests for a renewal (RFC 9773 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Start.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
}

/// The watch over a certificate that was just put in place; `None`: there is nothing to look at.
#[must_use]
pub fn begun(facts: &CertificateFacts, now: Timestamp, jitter: &dyn Jitter) -> Option<Watch> {
    let look_at = match facts.source {
        CertificateSource::Acme => {
            facts.ari_id.as_ref().filter(|_| facts.ordered_from.is_some())?;
            now + FIRST_ASK_AFTER + FIRST_ASK_WITHIN.scale(jitter.permille().min(1000), 1000)
        }
        CertificateSource::Imported => facts.not_before + facts.lifetime().scale(2, 3),
    };
    Some(Watch::at(look_at))
}

/// The watch over a certificate that takes the place of the one before: it knows how many in a row
/// were renewed in a hurry.
#[must_use]
pub fn taken_over(begun: Option<Watch>, before: &DomainRecord, now: Timestamp) -> Option<Watch> {
    let hurried = before.certificate.as_ref().is_some_and(|old| {
        let told = before.watch.as_ref().is_some_and(|watch| watch.window.is_some());
        told && now < old.not_before + old.lifetime().scale(1, HURRIED_PART)
    });
    let hurries = before.watch.as_ref().filter(|_| hurried).map_or(0, |watch| watch.hurries + 1);
    begun.map(|watch| Watch { hurries: hurries.min(HURRIES_MAX), ..watch })
}

/// What the CA said about the renewal, in the record. A moment is chosen in the window once and
/// kept until the window moves; it is never in the last part of the life, and not at its very
/// begin unless the CA changed its mind: a window that was still to come and moved, as after a
/// revocation, is followed at once. `true`: the window is new.
#[must_use]
pub fn informed(
    mut record: DomainRecord,
    info: &RenewalInfo,
    now: Timestamp,
    jitter: &dyn Jitter,
) -> (DomainRecord, bool) {
    let Some(facts) = &mut record.certificate else { return (record, false) };
    let window = Window { start: info.start, end: info.end };
    let known = record.watch.as_ref().and_then(|watch| watch.window);
    let hurries = record.watch.as_ref().map_or(0, |watch| watch.hurries);
    let moved = known != Some(window);
    if moved && window.start < window.end {
        let changed = known.is_some_and(|known| known.end > now);
        let earliest = if changed { Timestamp::default() } else { unhurried(facts, hurries) };
        facts.renew_at = Some(chosen(window, facts, jitter).max(earliest));
    }
    let look_at = now + info.retry_after.min(ASK_MAX);
    record.watch = Some(Watch { window: Some(window), hurries, ..Watch::at(look_at) });
    (record, moved)
}

/// Before this a certificate is not renewed on the CA's first word.
fn unhurried(facts: &CertificateFacts, hurries: u8) -> Timestamp {
    let wait = HURRY_MIN.scale(1 << hurries.min(HURRIES_MAX), 1);
    facts.not_before + wait.min(facts.lifetime().scale(1, HURRY_PART))
}

/// A moment in the window, uniformly (RFC 9773 section 4.2), before it becomes an emergency.
fn chosen(window: Window, facts: &CertificateFacts, jitter: &dyn Jitter) -> Timestamp {
    let width = window.end.since(window.start);
    let moment = window.start + width.scale(jitter.permille().min(1000), 1000);
    let emergency = facts.not_after - facts.lifetime().scale(1, EMERGENCY_PART);
    moment.min(emergency)
}

/// The CA did not answer: the moment of the renewal stays as it is.
#[must_use]
pub fn uninformed(mut record: DomainRecord, now: Timestamp, jitter: &dyn Jitter) -> DomainRecord {
    if let Some(watch) = &mut record.watch {
        watch.look_at = now + ASK_AGAIN + ASK_AGAIN.scale(jitter.permille().min(1000), 1000);
    }
    record
}

/// The CA does not know the certificate (404): asked again rarely, and after some times no more.
/// The moment of the renewal stays as it is.
#[must_use]
pub fn not_known(mut record: DomainRecord, now: Timestamp, jitter: &dyn Jitter) -> DomainRecord {
    record.watch = record.watch.take().and_then(|watch| {
        let unknown = watch.unknown.saturating_add(1);
        let spread = ASK_UNKNOWN.scale(jitter.permille().min(1000), 10_000);
        let look_at = now + ASK_UNKNOWN + spread;
        (unknown < UNKNOWN_MAX).then_some(Watch { look_at, unknown, ..watch })
    });
    record
}

/// The CA has no renewal information: it is not asked about this certificate again.
#[must_use]
pub fn unknown(record: DomainRecord) -> DomainRecord {
    DomainRecord { watch: None, ..record }
}

/// An imported certificate's end was pointed out: again when half of the rest is gone, daily at
/// most, until it is over.
#[must_use]
pub fn warned(mut record: DomainRecord, now: Timestamp) -> DomainRecord {
    let end = record.certificate.as_ref().map_or(now, |facts| facts.not_after);
    let left = end.since(now);
    record.watch = (left > Span::ZERO).then(|| Watch::at(now + left.scale(1, 2).max(WARN_MIN)));
    record
}

#[cfg(test)]
mod tests;
