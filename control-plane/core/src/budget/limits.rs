//! The published limits, as data. The defaults are those of Let's Encrypt's production CA as
//! published on 2026-08-05 (<https://letsencrypt.org/docs/rate-limits/>); another CA's are
//! configuration.

use crate::timestamp::Span;
use serde::{Deserialize, Serialize};

use super::bucket::Limit;

const SECOND: Span = Span::from_secs(1);
const HOUR: Span = Span::from_secs(3600);
const DAY: Span = Span::from_secs(24 * 3600);
const WEEK: Span = Span::from_secs(7 * 24 * 3600);

/// Everything a CA limits, and the share of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// New orders of the account.
    pub orders_per_account: Limit,
    /// Certificates for names under one registered domain, all accounts together.
    pub certificates_per_registered_domain: Limit,
    /// Certificates for exactly the same names: here, for one name.
    pub certificates_per_exact_set: Limit,
    /// Failed validations of one name.
    pub failures_per_name: Limit,
    /// Failed validations of one name with no success between them: beyond it, Let's Encrypt
    /// pauses the name until someone unpauses it.
    pub consecutive_failures_per_name: Limit,
    /// New accounts from one address.
    pub accounts_per_address: Limit,
    /// Requests from one address.
    pub requests: RequestLimits,
    /// Most of the account's orders one tenant may use, in thousandths.
    pub tenant_share_permille: u64,
}

/// Requests that are limited together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// Fresh nonces.
    NewNonce,
    /// New accounts.
    NewAccount,
    /// New orders.
    NewOrder,
    /// Revocations.
    Revoke,
    /// Renewal information.
    RenewalInfo,
    /// Orders, authorizations, challenges, certificates.
    Resource,
    /// The directory.
    Directory,
}

/// The limit of each kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// [`RequestKind::NewNonce`].
    pub new_nonce: Limit,
    /// [`RequestKind::NewAccount`].
    pub new_account: Limit,
    /// [`RequestKind::NewOrder`].
    pub new_order: Limit,
    /// [`RequestKind::Revoke`].
    pub revoke: Limit,
    /// [`RequestKind::RenewalInfo`].
    pub renewal_info: Limit,
    /// [`RequestKind::Resource`].
    pub resource: Limit,
    /// [`RequestKind::Directory`].
    pub directory: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            orders_per_account: Limit::per(300, HOUR.scale(3, 1)),
            certificates_per_registered_domain: Limit::per(50, WEEK),
            certificates_per_exact_set: Limit::per(5, WEEK),
            failures_per_name: Limit::per(5, HOUR),
            consecutive_failures_per_name: Limit { burst: 1152, interval: DAY },
            accounts_per_address: Limit::per(10, HOUR.scale(3, 1)),
            requests: RequestLimits::default(),
            tenant_share_permille: 1000,
        }
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        // Where no burst is published, it is taken to be a second's worth.
        let rate = |per_second: u64, burst: u64| Limit { burst, ..Limit::per(per_second, SECOND) };
        Self {
            new_nonce: rate(20, 10),
            new_account: rate(5, 5),
            new_order: rate(300, 200),
            revoke: rate(10, 10),
            renewal_info: rate(1000, 1000),
            resource: rate(250, 125),
            directory: rate(40, 40),
        }
    }
}

impl Limits {
    /// Those of Let's Encrypt's staging CA, as published on 2026-04-10
    /// (<https://letsencrypt.org/docs/staging-environment/>).
    #[must_use]
    pub fn staging() -> Self {
        Self {
            orders_per_account: Limit::per(1500, HOUR.scale(3, 1)),
            certificates_per_registered_domain: Limit::per(30_000, WEEK),
            certificates_per_exact_set: Limit::per(30_000, WEEK),
            failures_per_name: Limit::per(200, HOUR),
            ..Self::default()
        }
    }

    /// The limit of a kind of request.
    #[must_use]
    pub const fn request(&self, kind: RequestKind) -> Limit {
        match kind {
            RequestKind::NewNonce => self.requests.new_nonce,
            RequestKind::NewAccount => self.requests.new_account,
            RequestKind::NewOrder => self.requests.new_order,
            RequestKind::Revoke => self.requests.revoke,
            RequestKind::RenewalInfo => self.requests.renewal_info,
            RequestKind::Resource => self.requests.resource,
            RequestKind::Directory => self.requests.directory,
        }
    }

    /// What one tenant may use of the account's orders.
    #[must_use]
    pub fn tenant(&self) -> Limit {
        self.orders_per_account.share(self.tenant_share_permille)
    }
}
