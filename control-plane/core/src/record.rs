//! Everything the system knows about one domain: the unit of work and of storage.

mod work;

use std::collections::BTreeMap;

use sealwax_protocol::DomainName;
use serde::{Deserialize, Serialize};

use crate::backoff::VISIT_EVERY;
use crate::budget::BudgetState;
use crate::campaign::Replacing;
use crate::certificate::{CertificateFacts, CertificateSource};
use crate::departure::Departure;
use crate::failure::{Cause, Failure};
use crate::notice::{self, Notice};
use crate::preflight::Findings;
use crate::timestamp::Timestamp;
use crate::trial::Trials;
use crate::watch::Watch;

pub use work::{Lease, Work};

/// The shape of stored records. Readers accept this and the one before it.
pub const SCHEMA: u16 = 1;

/// One domain. The store adds a `record_version` for conditional writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRecord {
    /// The shape this record was written in.
    pub schema: u16,
    /// The domain.
    pub domain: DomainName,
    /// What the platform said when it registered the domain.
    pub registration: Registration,
    /// What is being done for it.
    pub work: Work,
    /// The certificate that is served, if there is one.
    pub certificate: Option<CertificateFacts>,
    /// What went wrong last; none after a success.
    pub failure: Option<Failure>,
    /// Who works on it, while someone does.
    pub lease: Option<Lease>,
    /// Grows with every change of the lease's holder.
    pub fence: u64,
    /// When the certificate is looked at between issuance and renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
    /// When the certificate and its key are deleted, because the domain has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erase_at: Option<Timestamp>,
    /// What is still to be told, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outbox: Vec<Notice>,
    /// Removed: it is there for nobody any more, but until the platform heard of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// What this name used of each issuer's limits per name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<String, BudgetState>,
    /// The last campaign that asked for a certificate, and the one it is to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacing: Option<Replacing>,
    /// What was seen of it before its last order, or instead of it, while something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Box<Findings>>,
    /// Its next order is placed whatever a look at the domain says, and without a trial: an
    /// operator wants it so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preflight_waived: bool,
    /// Whether it is tried in staging first; kept while its last validation failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<Trials>,
    /// When the CA took the order, or was asked to finish it; the last one if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered_at: Option<Timestamp>,
    /// Orders in a row that got lost or were given up: what ended them was no word of a CA about
    /// the domain.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_orders: u32,
    /// What the platform said while it says that the domain is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departure: Option<Departure>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// What the platform said about a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Whose customer's domain it is, in the platform's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The issuer to use; the first configured one if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The ACME profile to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The key type; the issuer's if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_type: Option<KeyType>,
    /// 0 to 255, higher first; 100 if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
}

/// The kind of key a certificate is issued for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyType {
    /// ECDSA on P-256: small and fast, the default.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 4096 bits.
    Rsa4096,
}

/// The state the APIs show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainState {
    /// Registered; no certificate yet, none being issued.
    Pending,
    /// Its first certificate is being issued.
    Issuing,
    /// A certificate is served (and perhaps being renewed).
    Issued,
    /// The last attempt failed; it is tried again by itself.
    Deferred,
    /// The last attempt failed and someone must act; it is tried again daily all the same.
    Refused,
    /// The customer left or the CA paused it.
    Parked,
}

impl DomainState {
    /// Every state, in the order people list them.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Issuing, Self::Issued, Self::Deferred, Self::Refused, Self::Parked];

    /// The public spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Issuing => "issuing",
            Self::Issued => "issued",
            Self::Deferred => "deferred",
            Self::Refused => "refused",
            Self::Parked => "parked",
        }
    }
}

impl DomainRecord {
    /// A freshly registered domain: waiting for demand.
    #[must_use]
    pub const fn registered(
        domain: DomainName,
        registration: Registration,
        now: Timestamp,
    ) -> Self {
        Self {
            schema: SCHEMA,
            domain,
            registration,
            work: Work::Idle,
            certificate: None,
            failure: None,
            lease: None,
            fence: 0,
            watch: None,
            erase_at: None,
            outbox: Vec::new(),
            removed: false,
            usage: BTreeMap::new(),
            replacing: None,
            preflight: None,
            preflight_waived: false,
            trials: None,
            ordered_at: None,
            lost_orders: 0,
            departure: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The state the APIs show.
    #[must_use]
    pub const fn state(&self) -> DomainState {
        match (&self.work, &self.failure, &self.certificate) {
            (Work::Parked, _, _) => DomainState::Parked,
            (_, Some(failure), _) if self.waits() && failure.refused => DomainState::Refused,
            (_, Some(_), _) if self.waits() => DomainState::Deferred,
            (_, _, Some(_)) => DomainState::Issued,
            (Work::Idle | Work::Wanted { .. }, _, None) => DomainState::Pending,
            (
                Work::Trial { .. }
                | Work::Ordering { .. }
                | Work::Ordered { .. }
                | Work::Challenged { .. }
                | Work::Keyed { .. },
                _,
                None,
            ) => DomainState::Issuing,
        }
    }

    /// Nobody works on it: the schedule has the word.
    const fn waits(&self) -> bool {
        matches!(self.work, Work::Idle) || (self.work.in_flight() && self.lease.is_none())
    }

    /// The moment before which work that failed must be left alone.
    #[must_use]
    pub fn resting_until(&self) -> Option<Timestamp> {
        let failure = self.failure.as_ref().filter(|_| self.waits())?;
        failure.next_attempt_at
    }

    /// From when on a visit may ask again for a name that an outage stopped, or that waits for a
    /// CA's limits, before its schedule does; `None`: the schedule has the word. Never while whoever is away wants to be left
    /// alone, and never where each attempt may leave an order behind.
    #[must_use]
    pub fn visit_at(&self) -> Option<Timestamp> {
        let failure = self.failure.as_ref();
        let failure = failure.filter(|failure| failure.is_stall() || failure.is_postponed())?;
        let costs_nothing = matches!(
            failure.cause,
            Cause::PlatformUnavailable | Cause::CaUnavailable | Cause::CaRateLimited
        );
        let unsure = matches!(self.work, Work::Ordering { .. } | Work::Trial { .. });
        let asked = costs_nothing && self.waits() && !unsure;
        asked.then(|| {
            (self.updated_at + VISIT_EVERY).max(failure.outage.not_before.unwrap_or_default())
        })
    }

    /// When the sweep must look at the record again; `None`: only when asked to. Each record is
    /// due at its own time and at no other, so nothing is ever paged through.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        if self.removed {
            return Some(self.notice_at().unwrap_or(self.updated_at));
        }
        let work = match &self.work {
            Work::Parked => self.erase_at,
            // Whoever asks and looks for it holds it meanwhile.
            Work::Wanted { since } => {
                let held = self.lease.as_ref().map(|lease| self.updated_at + lease.duration);
                Some(held.unwrap_or(*since))
            }
            Work::Trial { .. }
            | Work::Ordering { .. }
            | Work::Ordered { .. }
            | Work::Challenged { .. }
            | Work::Keyed { .. } => match &self.lease {
                // Whoever works on it renews the lease by writing; a silent holder is looked at.
                Some(lease) => Some(self.updated_at + lease.duration),
                None => Some(self.resting_until().unwrap_or(self.updated_at)),
            },
            Work::Idle => earlier(self.due_at(), self.watch_at()),
        };
        if self.is_quiet() { earlier(work, self.notice_at()) } else { work }
    }

    /// When it is renewed or tried again: what people want to know. Looks at a certificate and
    /// notices have times of their own.
    #[must_use]
    pub fn scheduled_at(&self) -> Option<Timestamp> {
        match self.work {
            Work::Idle => self.due_at(),
            Work::Parked => None,
            Work::Wanted { .. }
            | Work::Trial { .. }
            | Work::Ordering { .. }
            | Work::Ordered { .. }
            | Work::Challenged { .. }
            | Work::Keyed { .. } => self.wake_at(),
        }
    }

    /// When a certificate is wanted next, by the schedule.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        match (&self.work, &self.failure) {
            (Work::Idle, Some(failure)) => failure.next_attempt_at,
            (Work::Idle, None) => self.certificate.as_ref().and_then(|held| held.renew_at),
            (
                Work::Wanted { .. }
                | Work::Trial { .. }
                | Work::Ordering { .. }
                | Work::Ordered { .. }
                | Work::Challenged { .. }
                | Work::Keyed { .. }
                | Work::Parked,
                _,
            ) => None,
        }
    }

    /// When its certificate is looked at next. A renewal that failed has the schedule's word.
    #[must_use]
    pub fn watch_at(&self) -> Option<Timestamp> {
        let held = self.certificate.as_ref()?;
        let idle = matches!(self.work, Work::Idle);
        // An imported certificate ends whether or not an attempt to replace it failed.
        let watched = self.failure.is_none() || held.source == CertificateSource::Imported;
        self.watch.as_ref().filter(|_| idle && watched).map(|watch| watch.look_at)
    }

    /// When a notice is delivered next.
    #[must_use]
    pub fn notice_at(&self) -> Option<Timestamp> {
        notice::in_turn(&self.outbox).map(|notice| notice.next_at).min()
    }

    /// Nobody is at work on it and nothing is waited for: there is time for notices.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        match self.work {
            Work::Idle | Work::Parked => true,
            Work::Wanted { .. } => false,
            Work::Trial { .. }
            | Work::Ordering { .. }
            | Work::Ordered { .. }
            | Work::Challenged { .. }
            | Work::Keyed { .. } => self.lease.is_none(),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests;
