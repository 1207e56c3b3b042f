//! What a budget is restored from, and what it is kept as.

use sealwax_core::budget::{Budget, Limits, Need, OrderKind};
use sealwax_core::store::{Document, StoreError};
use sealwax_core::{DomainRecord, Timestamp};

use super::{KEPT, Refused};

/// What could not be given back is lost, and keeps nothing else from being given back.
pub(super) fn tell_lost(given: Vec<Result<(), Refused>>, record: &DomainRecord, issuer: &str) {
    for refused in given.into_iter().filter_map(Result::err) {
        if let Refused::Store(error) = refused {
            tracing::warn!(domain = %record.domain, issuer, %error, "a token is not given back");
        }
    }
}

/// What an order of this record counts for.
pub(crate) fn need<'a>(record: &'a DomainRecord, issuer: &str, now: Timestamp) -> Need<'a> {
    let held = record.certificate.as_ref();
    let held = held.filter(|held| held.ordered_from.as_deref() == Some(issuer));
    let window = record.watch.as_ref().and_then(|watch| watch.window);
    let kind = match held {
        None => OrderKind::First,
        // Exempt only in the window that the CA itself has said (Let's Encrypt's rule).
        Some(held) if held.ari_id.is_some() && window.is_some_and(|w| w.start <= now) => {
            OrderKind::ReplacingRenewal
        }
        Some(_) => OrderKind::Renewal,
    };
    Need { domain: &record.domain, tenant: record.registration.tenant.as_deref(), kind }
}

pub(super) fn restored(limits: &Limits, found: Option<&Document>) -> Result<Budget, StoreError> {
    let Some(found) = found else { return Ok(Budget::new(limits.clone())) };
    let state = serde_json::from_str(&found.text).map_err(|error| StoreError::Unreadable {
        key: "a budget".to_owned(),
        detail: error.to_string(),
    })?;
    Ok(Budget::restore(limits.clone(), state))
}

pub(super) fn document(
    budget: &Budget,
    version: u64,
    now: Timestamp,
) -> Result<Document, StoreError> {
    let text = serde_json::to_string(&budget.state(now))
        .map_err(|error| StoreError::Bug { detail: format!("a budget as JSON: {error}") })?;
    Ok(Document { text, version, expires_at: budget.full_at().max(now) + KEPT })
}

pub(super) fn contended(name: &str) -> StoreError {
    StoreError::Unavailable { detail: format!("{name} is written all the time") }
}

pub(super) fn account_document(issuer: &str) -> String {
    format!("budget#{issuer}")
}
