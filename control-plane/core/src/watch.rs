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
    Some(Watch { look_at, window: None })
}

/// What the CA said about the renewal, in the record. A moment is chosen in the window once and
/// kept until the window moves; it is never in the last part of the life. `true`: the window is
/// new.
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
    let moved = known != Some(window);
    if moved && window.start < window.end {
        facts.renew_at = Some(chosen(window, facts, jitter));
    }
    let look_at = now + info.retry_after.min(ASK_MAX);
    record.watch = Some(Watch { look_at, window: Some(window) });
    (record, moved)
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
    record.watch = (left > Span::ZERO)
        .then(|| Watch { look_at: now + left.scale(1, 2).max(WARN_MIN), window: None });
    record
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
