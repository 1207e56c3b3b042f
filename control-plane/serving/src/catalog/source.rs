//! What the xDS server asks, answered from the catalog.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_core::Lane;
use sealwax_protocol::DomainName;
use sealwax_xds::{CertificateSource, Lookup, Removed};

use super::known::Says;
use super::{Catalog, Standing};

#[async_trait]
impl CertificateSource for Catalog {
    async fn lookup(&self, node_id: &str, name: &DomainName) -> Lookup {
        match self.demand_of(Some(&[node_id]), name, Lane::Handshake).await {
            Some(standing) => self.answer(&standing),
            None => Lookup::Unavailable,
        }
    }

    fn peek(&self, node_id: &str, name: &DomainName) -> Option<Lookup> {
        let (own, stranger) = match self.cache.fresh(name) {
            Some(own) => (own, false),
            None if self.says(name) == Says::Stranger => (Standing::Unknown, true),
            None => return None,
        };
        if !self.allows(Some(&[node_id]), &own) {
            return Some(self.answer(&Standing::Gone));
        }
        match own {
            // Demand is for lookup alone to start.
            ref doubted if doubted.is_doubted() && self.revisits.may_admit(name) => return None,
            Standing::Waiting { .. } => return None,
            ref stalled @ Standing::Failed { .. } if stalled.may_be_asked_for(self.now()) => {
                return None;
            }
            Standing::Ready(ref held) if held.due(self.now()) => return None,
            Standing::Ready(_) => return Some(self.answer(&own)),
            Standing::Failed { .. } | Standing::Unknown | Standing::Gone => {}
        }
        let Some(zone) = self.serving.wildcard_zones.above(name) else {
            if stranger {
                self.filling.known.count_refusal();
            }
            return Some(self.answer(&own));
        };
        let covering = self.cache.fresh(zone)?;
        let covers = self.covers(zone, &covering) && self.allows(Some(&[node_id]), &covering);
        Some(self.answer(if covers { &covering } else { &own }))
    }

    async fn removed(&self, name: &DomainName, version: &str) -> Removed {
        if !self.trust.acts() {
            // When it is trusted, everything is looked at again.
            return Removed::No;
        }
        let own = self.has_trace(name).await;
        if own != Removed::No {
            return own;
        }
        // What a wildcard covered goes with it, and nothing else does: a name whose own record was
        // lost had another certificate.
        let zone = self.serving.wildcard_zones.above(name);
        let Some(zone) = zone.filter(|zone| self.wildcards.was(zone, version)) else {
            return Removed::No;
        };
        match self.standing(zone).await {
            None => Removed::NotKnown,
            Some(Standing::Unknown) => self.has_trace(zone).await,
            Some(covering) if self.covers(zone, &covering) => Removed::No,
            Some(_) => Removed::Yes,
        }
    }

    fn rejected(&self, name: &DomainName, version: &str, node_id: &str, detail: &str) {
        // A wildcard's refusal belongs to the domain that has the wildcard.
        let own = self.cache.fresh(name).is_some_and(|own| self.serveable(&own).is_some());
        let zone = self.serving.wildcard_zones.above(name).filter(|_| !own);
        self.loader.record_refusal(zone.unwrap_or(name), version, node_id, detail);
    }
}

impl Catalog {
    fn answer(&self, standing: &Standing) -> Lookup {
        match standing {
            Standing::Ready(held) if held.facts.valid_at(self.now()) => {
                Lookup::Ready(Arc::clone(&held.served))
            }
            // Expired during an outage and being renewed: better held than served.
            Standing::Ready(_) => Lookup::Pending,
            Standing::Waiting { idle: true, .. } if !self.serving.on_handshake => self.refusal(),
            Standing::Waiting { .. } => Lookup::Pending,
            // Asked for again just now: held until something comes of it.
            Standing::Failed { .. }
                if self.serving.on_handshake && standing.may_be_asked_for(self.now()) =>
            {
                Lookup::Pending
            }
            Standing::Failed { .. } | Standing::Gone => self.refusal(),
            Standing::Unknown => Lookup::Missing,
        }
    }

    /// What a store says that may be the wrong one is no evidence.
    fn refusal(&self) -> Lookup {
        if self.trust.acts() { Lookup::Absent } else { Lookup::Missing }
    }

    /// Whether the store has the trace of a removal of exactly this domain.
    async fn has_trace(&self, domain: &DomainName) -> Removed {
        match self.store.was_removed(std::slice::from_ref(domain)).await {
            Ok(found) if found == [true] => Removed::Yes,
            Ok(_) => Removed::No,
            Err(error) => {
                tracing::debug!(%domain, %error, "whether it was removed is asked again");
                Removed::NotKnown
            }
        }
    }
}
