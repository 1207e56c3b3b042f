//! Why the registry did not do what it was asked.

use sealwax_core::Timestamp;
use sealwax_core::store::StoreError;
use sealwax_protocol::DomainName;

/// Why the registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nobody registered it.
    #[error("{0} is not registered")]
    NotFound(DomainName),
    /// The registration names an issuer there is not.
    #[error("there is no issuer {issuer:?}; configured: {configured}")]
    UnknownIssuer {
        /// What was named.
        issuer: String,
        /// What there is.
        configured: String,
    },
    /// Its renewal is not due yet.
    #[error("the certificate of {domain} is not due for renewal{}", due(*renew_at))]
    NotDue {
        /// The domain.
        domain: DomainName,
        /// When it is; `None` for certificates brought along.
        renew_at: Option<Timestamp>,
    },
    /// It is parked.
    #[error("{0} is parked: register it again, or force the renewal")]
    Parked(DomainName),
    /// The caller believes that it is another tenant's than it is.
    #[error("{domain} is not that tenant's{}", whose(tenant))]
    OtherTenant {
        /// The domain.
        domain: DomainName,
        /// Whose it is; empty for nobody's.
        tenant: String,
    },
    /// Others kept writing the record.
    #[error("the record of {0} is being changed by others; try again")]
    Contended(DomainName),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn whose(tenant: &str) -> String {
    if tenant.is_empty() { " but nobody's".to_owned() } else { format!(" but of {tenant:?}") }
}

fn due(renew_at: Option<Timestamp>) -> String {
    renew_at.map(|at| format!(" before {at}")).unwrap_or_default()
}
