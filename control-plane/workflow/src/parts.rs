//! What a workflow is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwax_core::budget::Limits;
use sealwax_core::issuer::Issuer;
use sealwax_core::permission::Permission;
use sealwax_core::preflight::Preflight;
use sealwax_core::record::KeyType;
use sealwax_core::secret::Sealer;
use sealwax_core::store::Store;
use sealwax_core::{Cause, Challenges, Clock, DomainRecord, Jitter, Notifier, Span, trial};

use crate::announce::Announcer;
use crate::keys::KeyMaker;

/// The parts, each behind its trait.
#[derive(Clone)]
pub struct Parts {
    /// All state.
    pub store: Arc<dyn Store>,
    /// Seals private keys.
    pub sealer: Arc<dyn Sealer>,
    /// The platform.
    pub permission: Arc<dyn Permission>,
    /// Looks at domains before a CA does.
    pub preflight: Arc<dyn Preflight>,
    /// The certificate authorities, in order of preference; not empty.
    pub issuers: Vec<Arc<dyn Issuer>>,
    /// The staging of an issuer's CA by the issuer's name, for those that have one: what failed
    /// is tried there before it is ordered again. Its own name is [`trial::staging_name`].
    pub staging: BTreeMap<String, Arc<dyn Issuer>>,
    /// The answers of challenges in memory, and what its edges met.
    pub challenges: Arc<dyn Challenges>,
    /// Makes private keys.
    pub keys: Arc<dyn KeyMaker>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Spreads schedules.
    pub jitter: Arc<dyn Jitter>,
    /// Told about every change.
    pub announcer: Arc<dyn Announcer>,
    /// Tells the platform what happened.
    pub notifier: Arc<dyn Notifier>,
    /// Whether the store is the one that is known: on the word of another one nothing is ordered
    /// for the first time.
    pub trusts: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// How a workflow behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This process among all that ever use the store; new at each start.
    pub holder: String,
    /// How long a silent holder keeps a domain.
    pub lease: Span,
    /// Key type per issuer name, where it is not the default.
    pub key_types: BTreeMap<String, KeyType>,
    /// How many domains are acted on at a time.
    pub concurrency: usize,
    /// Limits per issuer name, a staging's own included; an issuer that is not named has none.
    pub limits: BTreeMap<String, Limits>,
    /// How long a domain that has left keeps its certificate and key.
    pub gone_grace: Span,
    /// Most domains parked within an hour because the platform says that they are gone, and most
    /// of their certificates erased, on all control planes; more trips the brake.
    pub gone_per_hour: u64,
}

impl Parts {
    /// The issuer of this name. Only these finalize and download.
    pub(crate) fn issuer(&self, name: &str) -> Option<&Arc<dyn Issuer>> {
        self.issuers.iter().find(|issuer| issuer.name() == name)
    }

    /// The issuer, or the staging, of this name: who validates.
    pub(crate) fn validator(&self, name: &str) -> Option<&Arc<dyn Issuer>> {
        let staging = || self.staging.values().find(|staging| staging.name() == name);
        self.issuer(name).or_else(staging)
    }

    /// Where an order of this record with this issuer is tried first, if it is.
    pub(crate) fn trial(&self, record: &DomainRecord, issuer: &str) -> Option<&Arc<dyn Issuer>> {
        self.staging.get(issuer).filter(|_| trial::is_due(record))
    }

    /// The issuers a record may be ordered from, in order of preference: the one its
    /// registration names and no other; else whoever ordered the certificate it has, because a
    /// CA exempts its own renewals from limits, and then the rest as configured. A domain that
    /// one CA will not issue for starts with the next one.
    pub(crate) fn candidates(&self, record: &DomainRecord) -> Vec<Arc<dyn Issuer>> {
        if let Some(name) = &record.registration.issuer {
            return self.issuer(name).cloned().into_iter().collect();
        }
        let mut candidates = self.issuers.clone();
        let held = record.certificate.as_ref().and_then(|held| held.ordered_from.as_deref());
        candidates.sort_by_key(|issuer| held != Some(issuer.name()));
        // Be there an outage in front of it: what one CA said is as true as before.
        let refusal = record.failure.as_ref().filter(|failure| {
            matches!(failure.counted(), Some(Cause::CaaForbids | Cause::RejectedIdentifier))
        });
        if let Some(failure) = refusal {
            let turn = usize::try_from(failure.attempts).unwrap_or(0) % candidates.len().max(1);
            candidates.rotate_left(turn);
        }
        candidates
    }
}
