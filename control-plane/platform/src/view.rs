//! What the admin API shows: the public shape of records, events and pages.

use sealwax_core::record::KeyType;
use sealwax_core::store::{LifecycleEvent, Page};
use sealwax_core::{CertificateFacts, CertificateSource, DomainRecord, DomainState, Failure, Who};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DomainView {
    /// Its name, in A-labels.
    pub domain: String,
    /// Whose it is, in the platform's words.
    pub tenant: Option<String>,
    /// Where it stands.
    #[schema(value_type = String, example = "issued")]
    pub state: DomainState,
    /// The certificate that is served.
    pub certificate: Option<CertificateView>,
    /// What went wrong last.
    pub failure: Option<FailureView>,
    /// The issuer its registration names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The ACME profile its registration names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The key type its registration names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ecdsa_p256")]
    pub key_type: Option<KeyType>,
    /// The priority its registration names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// The certificate that is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateView {
    /// Hexadecimal.
    pub serial: String,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// The names it covers.
    pub sans: Vec<String>,
    /// RFC 3339.
    pub not_before: String,
    /// RFC 3339.
    pub not_after: String,
    /// RFC 3339; null for imported ones.
    pub renew_at: Option<String>,
    /// SHA-256 of the leaf, hexadecimal.
    pub fingerprint_sha256: String,
    /// `acme` or `imported`.
    #[schema(value_type = String, example = "acme")]
    pub source: CertificateSource,
}

/// Why a domain has no new certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureView {
    /// A word from the documented list of causes.
    #[schema(value_type = String, example = "dns_no_record")]
    pub cause: sealwax_core::Cause,
    /// `customer`, `platform` or `ca`.
    #[schema(value_type = String, example = "customer")]
    pub who: Who,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    pub fix: String,
    /// Failed attempts in a row; outages of the CA or the platform do not count.
    pub attempts: u32,
    /// Attempts in a row that an outage stopped; left out when the last one failed otherwise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stalls: u32,
    /// RFC 3339; null if it is not tried again by itself.
    pub next_attempt_at: Option<String>,
}

impl FailureView {
    /// The cause's public word.
    #[must_use]
    pub fn cause_word(&self) -> String {
        serde_json::to_value(self.cause)
            .ok()
            .and_then(|word| word.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// One page of domains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PageView {
    /// The domains.
    pub domains: Vec<DomainView>,
    /// What to send as `cursor` for the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// One thing that happened to a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// RFC 3339.
    pub at: String,
    /// What, from the documented list.
    pub kind: String,
    /// What was seen.
    pub detail: String,
}

/// The newest events of a domain, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventsView {
    /// The events.
    pub events: Vec<EventView>,
}

impl From<&DomainRecord> for DomainView {
    fn from(record: &DomainRecord) -> Self {
        let registration = &record.registration;
        Self {
            domain: record.domain.to_string(),
            tenant: registration.tenant.clone(),
            state: record.state(),
            certificate: record.certificate.as_ref().map(Into::into),
            failure: record.failure.as_ref().map(Into::into),
            issuer: registration.issuer.clone(),
            profile: registration.profile.clone(),
            key_type: registration.key_type,
            priority: registration.priority,
            created_at: record.created_at.rfc3339(),
            updated_at: record.updated_at.rfc3339(),
        }
    }
}

impl From<&CertificateFacts> for CertificateView {
    fn from(facts: &CertificateFacts) -> Self {
        Self {
            serial: facts.serial.clone(),
            issuer: facts.issuer.clone(),
            sans: facts.sans.clone(),
            not_before: facts.not_before.rfc3339(),
            not_after: facts.not_after.rfc3339(),
            renew_at: facts.renew_at.map(|at| at.rfc3339()),
            fingerprint_sha256: facts.fingerprint_sha256.clone(),
            source: facts.source,
        }
    }
}

impl From<&Failure> for FailureView {
    fn from(failure: &Failure) -> Self {
        Self {
            cause: failure.cause,
            who: failure.cause.who(),
            detail: failure.detail.clone(),
            fix: failure.cause.fix().to_owned(),
            attempts: failure.attempts,
            stalls: failure.stalls,
            next_attempt_at: failure.next_attempt_at.map(|at| at.rfc3339()),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl From<Page> for PageView {
    fn from(page: Page) -> Self {
        Self { domains: page.records.iter().map(Into::into).collect(), next_cursor: page.cursor }
    }
}

impl From<&LifecycleEvent> for EventView {
    fn from(event: &LifecycleEvent) -> Self {
        Self { at: event.at.rfc3339(), kind: event.kind.clone(), detail: event.detail.clone() }
    }
}
