//! What callers are told when something cannot be done.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sealwax_core::store::StoreError;

use super::NameError;
use sealwax_registry::RegistryError;
use sealwax_web::Problem;

/// What a handler fails with: a problem, made from whatever went wrong below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) Problem);

impl Refused {
    /// A problem of a kind (`domain-not-found`).
    pub(super) fn new(status: StatusCode, word: &str, detail: impl Into<String>) -> Self {
        Self(Problem::new(status, word, detail))
    }

    /// The same, worth trying again after this many seconds.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self(self.0.retry_after(seconds))
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// When a store that did not answer is worth asking again, in seconds.
const STORE_RETRY_AFTER: u64 = 2;

impl From<NameError> for Refused {
    fn from(error: NameError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-domain", error.to_string())
    }
}

impl From<RegistryError> for Refused {
    fn from(error: RegistryError) -> Self {
        let detail = error.to_string();
        match error {
            RegistryError::NotFound(_) => {
                Self::new(StatusCode::NOT_FOUND, "domain-not-found", detail)
            }
            RegistryError::UnknownIssuer { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "unknown-issuer", detail)
            }
            RegistryError::NotDue { .. } => {
                let detail = format!("{detail}; renew it all the same with force=true");
                Self::new(StatusCode::CONFLICT, "not-due", detail)
            }
            RegistryError::OtherTenant { .. } => {
                Self::new(StatusCode::CONFLICT, "other-tenant", detail)
            }
            RegistryError::Parked(_) => Self::new(StatusCode::CONFLICT, "parked", detail),
            RegistryError::Contended(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "contended", detail).retry_after(1)
            }
            RegistryError::Store(error) => store_problem(&error),
        }
    }
}

/// The store's own words stay in the log: they may name hosts and tables.
fn store_problem(error: &StoreError) -> Refused {
    match error {
        StoreError::Bug { detail } => {
            tracing::warn!(%error, "the store was asked for something it cannot do");
            Refused::new(StatusCode::BAD_REQUEST, "malformed-query", detail.clone())
        }
        StoreError::Unreadable { .. } => {
            tracing::error!(%error, "a stored item cannot be read");
            let said = "a stored item cannot be read; the log says which";
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable-item", said)
        }
        StoreError::Lost { .. }
        | StoreError::Unavailable { .. }
        | StoreError::Misconfigured { .. }
        | _ => {
            tracing::debug!(%error, "the store did not do what it was asked");
            let said = "the store does not answer: `sealwax doctor`, /readyz and the log of the \
                        control plane say why. Try again";
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", said)
                .retry_after(STORE_RETRY_AFTER)
        }
    }
}
