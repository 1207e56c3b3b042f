//! What a workflow is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwax_core::issuer::Issuer;
use sealwax_core::permission::Permission;
use sealwax_core::record::{KeyType, Registration};
use sealwax_core::secret::Sealer;
use sealwax_core::store::Store;
use sealwax_core::{Clock, Jitter, Span};

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
    /// The certificate authorities, in order of preference; not empty.
    pub issuers: Vec<Arc<dyn Issuer>>,
    /// Makes private keys.
    pub keys: Arc<dyn KeyMaker>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Spreads schedules.
    pub jitter: Arc<dyn Jitter>,
    /// Told about every change.
    pub announcer: Arc<dyn Announcer>,
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
}

impl Parts {
    /// The issuer of this name.
    pub(crate) fn issuer(&self, name: &str) -> Option<&Arc<dyn Issuer>> {
        self.issuers.iter().find(|issuer| issuer.name() == name)
    }

    /// The issuer a registration asks for, or the preferred one.
    pub(crate) fn choose_issuer(&self, registration: &Registration) -> Option<&Arc<dyn Issuer>> {
        match &registration.issuer {
            Some(name) => self.issuer(name),
            None => self.issuers.first(),
        }
    }
}
