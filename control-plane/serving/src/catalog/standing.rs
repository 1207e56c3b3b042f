//! How a domain stands, as far as serving it goes.

use std::cmp::Ordering;
use std::sync::Arc;

use sealwax_core::certificate::{CertificateFacts, verify};
use sealwax_core::record::{DomainRecord, DomainState, Work};
use sealwax_core::secret::{SealPlace, Sealer};
use sealwax_core::store::{Entry, StoredCertificate};
use sealwax_core::{Cause, Chain, PrivateKey, Timestamp, departure};
use sealwax_protocol::DomainName;
use sealwax_xds::{Importance, ServedCertificate};
use zeroize::Zeroizing;

/// The priority of a registration that names none.
const PRIORITY_USUAL: u8 = 100;

/// How a domain stands.
#[derive(Clone)]
pub enum Standing {
    /// It has a certificate.
    Ready(Arc<Held>),
    /// It has none yet and may get one.
    Waiting {
        /// Nothing has been asked for yet.
        idle: bool,
        /// Whose it is.
        tenant: Option<Arc<str>>,
    },
    /// It has none and the schedule, or someone, has the word.
    Failed {
        /// When it is tried again.
        next_attempt_at: Option<Timestamp>,
        /// An outage stopped it: from when on a visit may ask again.
        visit_at: Option<Timestamp>,
        /// The platform said no.
        denied: bool,
        /// The platform says that it is gone: a visit is reason to ask again.
        gone: bool,
        /// Whose it is.
        tenant: Option<Arc<str>>,
    },
    /// The store has nothing of it: it is not registered, or the store lost it.
    Unknown,
    /// It may not be served, and something says so: it was removed, or is another edge's.
    Gone,
}

/// A certificate ready to be served.
pub struct Held {
    /// Encoded once for every edge.
    pub served: Arc<ServedCertificate>,
    /// What is known about it.
    pub facts: CertificateFacts,
    /// It is parked, because the platform said that it is gone: a visit is reason to ask again.
    pub parked: bool,
    /// Whose it is.
    pub tenant: Option<Arc<str>>,
    /// Memory it takes, roughly.
    pub bytes: usize,
}

impl Standing {
    /// Whose domain it is, if it is somebody's.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Ready(held) => held.tenant.as_deref(),
            Self::Waiting { tenant, .. } | Self::Failed { tenant, .. } => tenant.as_deref(),
            Self::Unknown | Self::Gone => None,
        }
    }
}

impl Standing {
    /// An outage stopped it, and a visit may ask again now.
    #[must_use]
    pub fn may_be_asked_for(&self, now: Timestamp) -> bool {
        matches!(self, Self::Failed { visit_at: Some(at), .. } if *at <= now)
    }

    /// The platform said that it is gone, so nothing is done for it until it says otherwise.
    pub(super) fn is_doubted(&self) -> bool {
        match self {
            Self::Ready(held) => held.parked,
            Self::Failed { gone, .. } => *gone,
            Self::Waiting { .. } | Self::Unknown | Self::Gone => false,
        }
    }
}

impl Held {
    /// Its time to be renewed has come.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> bool {
        self.facts.renew_at.is_some_and(|at| at <= now) && !self.facts.valid_at(now)
    }
}

/// Reads how a domain stands from what the store has of it. Every certificate is verified again
/// here: a bad one, however it got into the store, is never served.
pub(super) async fn read(entry: Option<Entry>, sealer: &dyn Sealer, now: Timestamp) -> Standing {
    let Some(entry) = entry else { return Standing::Unknown };
    let record = entry.stored.record;
    if record.removed {
        return Standing::Gone;
    }
    if let Some(certificate) = entry.certificate {
        match open(&record, &certificate, sealer, now).await {
            Ok(held) => return Standing::Ready(Arc::new(held)),
            Err(error) => {
                tracing::error!(domain = %record.domain, %error, "the stored certificate is not served");
            }
        }
    }
    without_certificate(&record)
}

fn without_certificate(record: &DomainRecord) -> Standing {
    let tenant = tenant(record);
    match record.state() {
        DomainState::Deferred | DomainState::Refused | DomainState::Parked => {
            let failure = record.failure.as_ref();
            Standing::Failed {
                next_attempt_at: failure.and_then(|failure| failure.next_attempt_at),
                visit_at: record.visit_at(),
                denied: failure.is_some_and(|failure| {
                    matches!(failure.cause, Cause::PlatformDenied | Cause::PlatformGone)
                }),
                gone: failure.is_some_and(|failure| failure.cause == Cause::PlatformGone),
                tenant,
            }
        }
        DomainState::Pending | DomainState::Issuing | DomainState::Issued => {
            Standing::Waiting { idle: matches!(record.work, Work::Idle), tenant }
        }
    }
}

async fn open(
    record: &DomainRecord,
    certificate: &StoredCertificate,
    sealer: &dyn Sealer,
    now: Timestamp,
) -> Result<Held, String> {
    let domain = &record.domain;
    let place = SealPlace::Certificate(domain.as_str());
    let key = sealer.open(place, &certificate.key).await.map_err(|error| error.to_string())?;
    let known = record.certificate.as_ref().ok_or("its record knows nothing of it")?;
    // An expired one is still opened: what it was tells when it is renewed.
    let checked_at = if now < known.not_after { now } else { known.not_before };
    let mut facts = verify(&certificate.chain, &key, domain, checked_at, known.source)
        .map_err(|error| error.to_string())?;
    facts.renew_at = known.renew_at;
    // What an older version stored may hold more than certificates.
    let chain = certificate.chain.normal().map_err(|error| error.to_string())?;
    let served = encode(domain, &chain, &key).map_err(|error| error.to_string())?;
    let served = served.with_importance(importance(record));
    let bytes = certificate.chain.pem().len() + 2 * key.expose().len();
    let parked = departure::is_parked(record);
    Ok(Held { served: Arc::new(served), facts, parked, tenant: tenant(record), bytes })
}

fn tenant(record: &DomainRecord) -> Option<Arc<str>> {
    record.registration.tenant.as_deref().map(Arc::from)
}

/// A domain of more than the usual priority is pinned in edges' memory; one of less leaves first.
fn importance(record: &DomainRecord) -> Importance {
    match record.registration.priority.unwrap_or(PRIORITY_USUAL).cmp(&PRIORITY_USUAL) {
        Ordering::Less => Importance::Low,
        Ordering::Equal => Importance::Ordinary,
        Ordering::Greater => Importance::High,
    }
}

fn encode(
    domain: &DomainName,
    chain: &Chain,
    key: &PrivateKey,
) -> Result<ServedCertificate, sealwax_xds::SecretError> {
    let pem = key_pem(key);
    ServedCertificate::new(domain, chain.pem().as_bytes(), &pem)
}

/// PKCS#8 in PEM (RFC 7468 section 10), the only form Envoy reads inline.
fn key_pem(key: &PrivateKey) -> Zeroizing<Vec<u8>> {
    use base64::Engine as _;
    let body = Zeroizing::new(base64::prelude::BASE64_STANDARD.encode(key.expose()));
    let mut pem = Zeroizing::new(Vec::with_capacity(body.len() + body.len() / 64 + 64));
    pem.extend_from_slice(b"-----BEGIN PRIVATE KEY-----\n");
    for line in body.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END PRIVATE KEY-----\n");
    pem
}
