//! Which buckets each kind of order draws on.

use crate::issuer::LimitScope;

use super::limits::RequestKind;
use super::need::{BucketKey, Need, OrderKind};
use super::registered::registered_domain;

/// What an order takes from one bucket.
pub(super) struct Claim {
    /// Which one.
    pub(super) key: BucketKey,
    /// Zero: there must be room, but it is taken later, or never.
    pub(super) cost: u64,
    /// What must be left after it.
    pub(super) keep: u64,
}

impl Claim {
    pub(super) const fn spend(key: BucketKey) -> Self {
        Self { key, cost: 1, keep: 0 }
    }

    const fn room(key: BucketKey) -> Self {
        Self { key, cost: 0, keep: 0 }
    }
}

/// What each kind of order counts for.
pub(super) fn claims(need: &Need<'_>) -> Vec<Claim> {
    let name = need.domain.as_str();
    let mut claims = vec![Claim::spend(BucketKey::Requests(RequestKind::NewOrder))];
    if need.kind == OrderKind::ReplacingRenewal {
        return claims;
    }
    claims.push(Claim::room(BucketKey::Failures(name.to_owned())));
    claims.push(Claim::room(BucketKey::ConsecutiveFailures(name.to_owned())));
    claims.push(Claim::spend(BucketKey::ExactSet(name.to_owned())));
    if need.kind == OrderKind::First {
        let registered = registered_domain(need.domain).to_owned();
        claims.push(Claim::spend(BucketKey::Orders));
        claims.push(Claim::spend(BucketKey::RegisteredDomain(registered)));
        if let Some(tenant) = need.tenant {
            claims.push(Claim::spend(BucketKey::Tenant(tenant.to_owned())));
        }
    }
    claims
}

/// What a bucket's limit covers.
pub(super) fn scope(key: &BucketKey) -> LimitScope {
    match key {
        BucketKey::Orders | BucketKey::Tenant(_) => LimitScope::Account,
        BucketKey::RegisteredDomain(_) => LimitScope::RegisteredDomain,
        BucketKey::ExactSet(_) | BucketKey::Failures(_) | BucketKey::ConsecutiveFailures(_) => {
            LimitScope::Name
        }
        BucketKey::Accounts | BucketKey::Requests(_) => LimitScope::Ca,
        BucketKey::Line(of) => scope(of),
    }
}
