//! What an order needs, and which buckets there are.

use crate::issuer::LimitScope;
use crate::record::DomainRecord;
use crate::schedule;
use crate::timestamp::{Span, Timestamp};
use sealwax_protocol::DomainName;
use serde::{Deserialize, Serialize};

use super::limits::RequestKind;

/// Which bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketKey {
    /// New orders of the account.
    Orders,
    /// A tenant's share of them.
    Tenant(String),
    /// Certificates under a registered domain.
    RegisteredDomain(String),
    /// Certificates for exactly one name.
    ExactSet(String),
    /// Failed validations of a name.
    Failures(String),
    /// Failed validations of a name since its last success.
    ConsecutiveFailures(String),
    /// New accounts.
    Accounts,
    /// Requests of a kind.
    Requests(RequestKind),
    /// Who waited for that bucket, one behind the other. Earlier versions wrote it; it is read and
    /// left out.
    Line(Box<Self>),
}

/// Where a bucket is kept, because of who shares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// One name's: with the name's record, so its own conditional writes keep it.
    Name,
    /// All names' under a registered domain.
    RegisteredDomain(&'a str),
    /// All names' of a tenant.
    Tenant(&'a str),
    /// All names' of an account.
    Account,
    /// This machine's address: not shared with other replicas.
    Address,
}

/// How much of the account's orders must be left for more urgent ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Headroom {
    /// None: someone waits for it now.
    #[default]
    None,
    /// A tenth: ordinary work.
    Tenth,
    /// Half: names that failed before must not use up what the others need.
    Half,
}

impl Headroom {
    /// What an order of this record leaves to others: names that failed before never use up what
    /// others need; what is `waited_for` now, or about to expire, has everything.
    #[must_use]
    pub fn of(record: &DomainRecord, waited_for: bool, now: Timestamp) -> Self {
        let held = record.certificate.as_ref();
        let urgent =
            held.is_some_and(|held| schedule::is_emergency(held.not_before, held.not_after, now));
        if record.failure.as_ref().is_some_and(|failure| failure.attempts > 0) {
            Self::Half
        } else if urgent || waited_for {
            Self::None
        } else {
            Self::Tenth
        }
    }
}

impl BucketKey {
    /// Where it is kept.
    #[must_use]
    pub fn part(&self) -> Part<'_> {
        match self {
            Self::Orders => Part::Account,
            Self::Tenant(tenant) => Part::Tenant(tenant),
            Self::RegisteredDomain(domain) => Part::RegisteredDomain(domain),
            Self::ExactSet(_) | Self::Failures(_) | Self::ConsecutiveFailures(_) => Part::Name,
            Self::Accounts | Self::Requests(_) => Part::Address,
            Self::Line(of) => of.part(),
        }
    }
}

impl BucketKey {
    /// What it counts, in words.
    #[must_use]
    pub const fn in_words(&self) -> &'static str {
        match self {
            Self::Orders => "new orders of the account",
            Self::Tenant(_) => "the tenant's share of the account's new orders",
            Self::RegisteredDomain(_) => "certificates of its registered domain",
            Self::ExactSet(_) => "certificates of this name",
            Self::Failures(_) => "failed validations of this name",
            Self::ConsecutiveFailures(_) => "failed validations of this name in a row",
            Self::Accounts => "new accounts",
            Self::Requests(_) => "requests from this address",
            Self::Line(of) => of.in_words(),
        }
    }
}

/// What kind of order it is, as far as limits go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// The first certificate of a name, or of a name whose last one another account ordered.
    First,
    /// A renewal that names what it replaces, by the same account and in its window: exempt from
    /// every limit.
    ReplacingRenewal,
    /// A renewal that does not: exempt from the account's and the registered domain's limits.
    Renewal,
}

/// What an order needs.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// The name.
    pub domain: &'a DomainName,
    /// Whose it is.
    pub tenant: Option<&'a str>,
    /// What kind of order it is.
    pub kind: OrderKind,
}

/// A limit that has no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the budget for {key:?} is used up until {until}")]
pub struct Exhausted {
    /// When there is room again.
    pub until: Timestamp,
    /// What the limit covers.
    pub scope: LimitScope,
    /// Which bucket it is.
    pub key: BucketKey,
}

/// How long after `now` a limit has room; for schedules that think in spans.
impl Exhausted {
    /// How long to wait from `now` on.
    #[must_use]
    pub const fn wait(&self, now: Timestamp) -> Span {
        self.until.since(now)
    }
}
