//! Which versions were a zone's wildcard, so that a name's own certificate is told from it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use sealwax_protocol::DomainName;

/// Versions remembered of a zone: the one in use, and what edges may still hold of renewals.
const VERSIONS_MAX: usize = 4;

/// As many entries as there are configured zones, at most. A version that is not here, for instance
/// after a restart, counts as the name's own: the edge keeps it, as one without a record.
#[derive(Debug, Default)]
pub(super) struct Wildcards(Mutex<HashMap<DomainName, VecDeque<String>>>);

impl Wildcards {
    /// The zone's wildcard has this version.
    pub(super) fn served(&self, zone: &DomainName, version: &str) {
        let mut zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if zones.get(zone).is_some_and(|versions| versions.iter().any(|known| known == version)) {
            return;
        }
        let versions = zones.entry(zone.clone()).or_default();
        if versions.len() >= VERSIONS_MAX {
            versions.pop_front();
        }
        versions.push_back(version.to_owned());
    }

    /// Whether this version was the zone's wildcard.
    pub(super) fn was(&self, zone: &DomainName, version: &str) -> bool {
        let zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        zones.get(zone).is_some_and(|versions| versions.iter().any(|known| known == version))
    }
}
