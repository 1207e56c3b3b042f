//! What the suite stores.

use sealwax_core::certificate::Chain;
use sealwax_core::store::{Challenge, LifecycleEvent, StoredCertificate};
use sealwax_core::{DomainRecord, Registration, SealedKey, Span, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};

use super::START;

/// A name nobody else uses.
///
/// # Panics
/// When the label is not one.
#[must_use]
pub fn domain(label: &str) -> DomainName {
    DomainName::parse(&format!("{label}.example.com")).unwrap()
}

/// A freshly registered domain.
#[must_use]
pub fn record(label: &str) -> DomainRecord {
    DomainRecord::registered(domain(label), Registration::default(), START)
}

/// A certificate that is told apart from others by `mark`; not a real one.
///
/// # Panics
/// Never: the chain is short.
#[must_use]
pub fn certificate(mark: &str) -> StoredCertificate {
    let pem = format!("-----BEGIN CERTIFICATE-----\n{mark}\n-----END CERTIFICATE-----\n");
    StoredCertificate { chain: Chain::from_pem(pem).unwrap(), key: sealed(mark) }
}

/// Sealed bytes that are told apart by `mark`; nothing is in them.
#[must_use]
pub fn sealed(mark: &str) -> SealedKey {
    SealedKey::new(mark.as_bytes().to_vec())
}

/// A challenge's token.
///
/// # Panics
/// When the label is not base64url.
#[must_use]
pub fn token(label: &str) -> ChallengeToken {
    ChallengeToken::parse(&format!("token-of-{label}-0123456789")).unwrap()
}

/// A challenge's answer that ends an hour after [`START`].
#[must_use]
pub fn challenge(label: &str) -> Challenge {
    Challenge {
        token: token(label),
        domain: domain(label),
        key_authorization: format!("{}.thumbprint", token(label).as_str()),
        expires_at: START + Span::from_secs(3_600),
    }
}

/// An event.
#[must_use]
pub fn event(at: Timestamp, detail: &str) -> LifecycleEvent {
    LifecycleEvent { at, kind: "test.happened".to_owned(), detail: detail.to_owned() }
}
