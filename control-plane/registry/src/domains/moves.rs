//! A domain that moves from one tenant to another. Whoever brought a certificate along has its
//! private key: it is replaced by one that only this program has the key of.

use sealwax_core::{CertificateSource, DomainRecord, Registration, Timestamp, apply};
use sealwax_protocol::DomainName;

use super::RegistryError;

/// On what terms a domain is registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms<'a> {
    /// Only if it is this tenant's, as it is now; an empty text means nobody's, or not registered.
    pub if_tenant: Option<&'a str>,
    /// A certificate that its former tenant brought along stays when it moves.
    pub keep_certificate: bool,
}

impl Terms<'_> {
    /// Whether the domain is as the caller believes.
    ///
    /// # Errors
    /// It is another tenant's.
    pub(super) fn check(
        self,
        domain: &DomainName,
        was: Option<&DomainRecord>,
    ) -> Result<(), RegistryError> {
        let Some(expected) = self.if_tenant else { return Ok(()) };
        let tenant = was.and_then(tenant).unwrap_or_default();
        if tenant == expected {
            return Ok(());
        }
        Err(RegistryError::OtherTenant { domain: domain.clone(), tenant: tenant.to_owned() })
    }
}

fn tenant(record: &DomainRecord) -> Option<&str> {
    record.registration.tenant.as_deref()
}

/// From whom to whom it moves; `None`: it was nobody's, or stays whose it is.
pub(super) fn told(was: Option<&DomainRecord>, registration: &Registration) -> Option<String> {
    let from = was.and_then(tenant)?;
    let to = registration.tenant.as_deref();
    (to != Some(from)).then(|| {
        let to = to.map_or_else(|| "no tenant".to_owned(), |to| format!("tenant {to:?}"));
        format!("moved from tenant {from:?} to {to}")
    })
}

/// The moved record: what the former tenant brought along is replaced at once, and served until it
/// is.
pub(super) fn moved(
    next: DomainRecord,
    was: &DomainRecord,
    terms: Terms<'_>,
    now: Timestamp,
) -> DomainRecord {
    let brought = was.certificate.as_ref().map(|held| held.source);
    if terms.keep_certificate || brought != Some(CertificateSource::Imported) {
        return next;
    }
    apply::force(&next, now).unwrap_or(next)
}
