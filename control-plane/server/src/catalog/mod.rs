//! What may be served for a name, now: the cache between handshakes and the store.
//!
//! ```text
//! handshake -> peek (memory) -> lookup -> one load a name, many names a read -> store
//!                                  '-> nothing to serve, but allowed: demand -> queue
//! ```
//!
//! A certificate that was served once stays serveable from memory while the store is away, for
//! as long as it is valid; after a restart, from the last-good copy on disk. Nothing here ever decides to order: demand goes through the workflow,
//! which asks the record.

mod cache;
mod loader;
mod readiness;
mod serving;
mod standing;

use std::sync::Arc;
use std::sync::OnceLock;

use async_trait::async_trait;
use sealwax_core::secret::Sealer;
use sealwax_core::store::Store;
use sealwax_core::{Clock, Jitter, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_workflow::{Ask, Lane, Queue};
use sealwax_xds::{CertificateSource, Lookup};

use crate::last_good::LastGood;

pub use cache::CacheBounds;
use cache::StandingCache;
use loader::{Load, Loader};
pub use serving::{EdgeTenants, Serving, WildcardZones};
pub use standing::{Held, Standing};

/// What the catalog is made of.
pub struct CatalogParts {
    /// All state.
    pub store: Arc<dyn Store>,
    /// Opens private keys.
    pub sealer: Arc<dyn Sealer>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Spreads negative answers.
    pub jitter: Arc<dyn Jitter>,
}

/// The serving side's view of every domain.
pub struct Catalog {
    cache: Arc<StandingCache>,
    loader: Loader,
    clock: Arc<dyn Clock>,
    demand: OnceLock<Queue>,
    serving: Serving,
}

impl Catalog {
    /// Starts the loader's task; needs a runtime.
    #[must_use]
    pub fn new(parts: CatalogParts, bounds: CacheBounds, serving: Serving) -> Self {
        let clock = Arc::clone(&parts.clock);
        let cache =
            Arc::new(StandingCache::new(bounds, Arc::clone(&clock), Arc::clone(&parts.jitter)));
        let loader = Loader::start(parts, Arc::clone(&cache));
        Self { cache, loader, clock, demand: OnceLock::new(), serving }
    }

    /// Where demand goes. Until this is called nothing is demanded.
    pub fn demand_through(&self, queue: Queue) {
        if self.demand.set(queue).is_err() {
            tracing::debug!("the catalog has its queue already");
        }
    }

    /// Where certificates are copied to, and found while the store is away.
    pub fn fall_back_on(&self, copy: LastGood) {
        self.loader.fall_back_on(copy);
    }

    /// The domain may stand differently now: the next look reads the store.
    pub fn forget(&self, domain: &DomainName) {
        // In this order: a read that ends in between is remembered and then forgotten.
        self.loader.mark_changed(domain);
        self.cache.forget(domain);
    }

    /// Any domain may stand differently now.
    pub fn forget_all(&self) {
        self.loader.mark_all_changed();
        self.cache.expire_all();
    }

    /// How a domain stands, from memory if that is fresh, else from the store. `None`: the store
    /// is away and nothing usable is in memory.
    pub async fn standing(&self, domain: &DomainName) -> Option<Standing> {
        if let Some(fresh) = self.cache.fresh(domain) {
            return Some(fresh);
        }
        match self.loader.load(domain).await {
            Load::Found(standing) => Some(standing),
            Load::StoreAway => self.cache.stale(domain),
        }
    }

    /// Asks for a certificate if the domain waits for demand; says how it stands then. A domain
    /// without a certificate stands as the wildcard does that covers it, if one does.
    pub async fn demand(&self, domain: &DomainName, lane: Lane) -> Option<Standing> {
        self.demand_of(None, domain, lane).await
    }

    /// Whether a change of this domain may be one of the names right below it as well.
    #[must_use]
    pub fn covers_below(&self, domain: &DomainName) -> bool {
        self.serving.wildcard_zones.has(domain)
    }

    /// [`Self::demand`] of an edge that may be any of these, for which domains of others do not
    /// exist.
    async fn demand_of(
        &self,
        edge: Option<&[&str]>,
        domain: &DomainName,
        lane: Lane,
    ) -> Option<Standing> {
        let own = self.standing(domain).await;
        if let Some(own) = &own {
            if !self.allows(edge, own) {
                return Some(Standing::Unknown);
            }
            self.ask(domain, own, lane);
            if self.serveable(own).is_some() {
                return Some(own.clone());
            }
        }
        let zone = self.serving.wildcard_zones.above(domain);
        let covering = match zone {
            Some(zone) => self.standing(zone).await.filter(|standing| self.covers(zone, standing)),
            None => None,
        };
        covering.filter(|covering| self.allows(edge, covering)).or(own)
    }

    fn ask(&self, domain: &DomainName, standing: &Standing, lane: Lane) {
        let waits = matches!(standing, Standing::Waiting { idle: true, .. })
            || matches!(standing, Standing::Ready(held) if held.due(self.clock.now()));
        if waits
            && (lane != Lane::Handshake || self.serving.on_handshake)
            && let Some(queue) = self.demand.get()
        {
            queue.submit(domain, lane, Ask::Demand);
        }
    }

    /// Whether an edge may know of a domain that stands so.
    fn allows(&self, edge: Option<&[&str]>, standing: &Standing) -> bool {
        let may = |node_id: &&str| self.serving.tenants.may_serve(node_id, standing.tenant());
        matches!(standing, Standing::Unknown) || edge.is_none_or(|ids| ids.iter().any(may))
    }

    /// Whether a zone that stands so has a certificate for the names right below it.
    fn covers(&self, zone: &DomainName, standing: &Standing) -> bool {
        self.serveable(standing).is_some_and(|held| serving::is_wildcard(zone, held))
    }

    fn serveable<'a>(&self, standing: &'a Standing) -> Option<&'a Arc<Held>> {
        match standing {
            Standing::Ready(held) if held.facts.valid_at(self.now()) => Some(held),
            Standing::Ready(_)
            | Standing::Waiting { .. }
            | Standing::Failed { .. }
            | Standing::Unknown => None,
        }
    }

    /// Entries in memory, for metrics.
    #[must_use]
    pub fn cached(&self) -> u64 {
        self.cache.len()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn answer(&self, standing: &Standing) -> Lookup {
        match standing {
            Standing::Ready(held) if held.facts.valid_at(self.now()) => {
                Lookup::Ready(Arc::clone(&held.served))
            }
            // Expired during an outage and being renewed: better held than served.
            Standing::Ready(_) => Lookup::Pending,
            Standing::Waiting { idle: true, .. } if !self.serving.on_handshake => Lookup::Absent,
            Standing::Waiting { .. } => Lookup::Pending,
            Standing::Failed { .. } | Standing::Unknown => Lookup::Absent,
        }
    }
}

#[async_trait]
impl CertificateSource for Catalog {
    async fn lookup(&self, node_id: &str, name: &DomainName) -> Lookup {
        match self.demand_of(Some(&[node_id]), name, Lane::Handshake).await {
            Some(standing) => self.answer(&standing),
            None => Lookup::Unavailable,
        }
    }

    fn peek(&self, node_id: &str, name: &DomainName) -> Option<Lookup> {
        let own = self.cache.fresh(name)?;
        if !self.allows(Some(&[node_id]), &own) {
            return Some(Lookup::Absent);
        }
        match own {
            // Demand is for lookup alone to start.
            Standing::Waiting { .. } => return None,
            Standing::Ready(ref held) if held.due(self.now()) => return None,
            Standing::Ready(_) => return Some(self.answer(&own)),
            Standing::Failed { .. } | Standing::Unknown => {}
        }
        let Some(zone) = self.serving.wildcard_zones.above(name) else {
            return Some(self.answer(&own));
        };
        let covering = self.cache.fresh(zone)?;
        let covers = self.covers(zone, &covering) && self.allows(Some(&[node_id]), &covering);
        Some(self.answer(if covers { &covering } else { &own }))
    }

    fn rejected(&self, name: &DomainName, version: &str, node_id: &str, detail: &str) {
        // A wildcard's refusal belongs to the domain that has the wildcard.
        let own = self.cache.fresh(name).is_some_and(|own| self.serveable(&own).is_some());
        let zone = self.serving.wildcard_zones.above(name).filter(|_| !own);
        self.loader.record_refusal(zone.unwrap_or(name), version, node_id, detail);
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
