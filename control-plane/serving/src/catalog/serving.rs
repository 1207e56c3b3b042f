//! Whom a certificate is for: which names a wildcard covers, which edges may have which tenant's.

use std::collections::{BTreeMap, HashSet};

use sealwax_protocol::DomainName;

use super::Held;

/// What the configuration says about serving.
#[derive(Debug, Default)]
pub struct Serving {
    /// A visitor, by a handshake or a request, may start an issuance.
    pub on_handshake: bool,
    /// Whose wildcard certificates count.
    pub wildcard_zones: WildcardZones,
    /// Who may serve whom.
    pub tenants: EdgeTenants,
}

/// Domains whose certificate for `*.DOMAIN`, if they have one, serves the names right below them.
#[derive(Debug, Default)]
pub struct WildcardZones(HashSet<DomainName>);

impl WildcardZones {
    /// Exactly these.
    #[must_use]
    pub fn new(zones: &[DomainName]) -> Self {
        Self(zones.iter().cloned().collect())
    }

    /// The zone whose wildcard would cover a name (RFC 6125 section 6.4.3: one label).
    pub(super) fn above(&self, name: &DomainName) -> Option<&DomainName> {
        let (_, parent) = name.as_str().split_once('.')?;
        self.0.get(parent)
    }

    /// Whether a change of this domain may be a change of the names below it.
    pub(super) fn has(&self, domain: &DomainName) -> bool {
        self.0.contains(domain)
    }
}

/// Whether a zone's certificate covers the names right below the zone.
pub(super) fn is_wildcard(zone: &DomainName, held: &Held) -> bool {
    let covers = |san: &String| san.strip_prefix("*.").is_some_and(|of| of == zone.as_str());
    held.facts.sans.iter().any(covers)
}

/// The tenants of edges that may not serve all.
#[derive(Debug, Default)]
pub struct EdgeTenants(BTreeMap<String, HashSet<String>>);

impl EdgeTenants {
    /// By node id.
    #[must_use]
    pub fn new(tenants: &BTreeMap<String, Vec<String>>) -> Self {
        let set = |(node_id, tenants): (&String, &Vec<String>)| {
            (node_id.clone(), tenants.iter().cloned().collect())
        };
        Self(tenants.iter().map(set).collect())
    }

    /// Whether an edge may serve a tenant's domains; a domain of nobody is for edges that serve
    /// all.
    pub(super) fn may_serve(&self, node_id: &str, tenant: Option<&str>) -> bool {
        let allowed = |tenants: &HashSet<String>| tenant.is_some_and(|of| tenants.contains(of));
        self.0.get(node_id).is_none_or(allowed)
    }
}
