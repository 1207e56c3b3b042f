//! What may be served for a name, now: the cache between handshakes and the store.
//!
//! ```text
//! handshake -> peek (memory) -> lookup -> one load a name, many names a read -> store
//!                |                 '-> nothing to serve, but allowed: demand -> queue
//!                '-> not in the set of registered names: refused, nobody is asked
//! ```
//!
//! A certificate that was served once stays serveable from memory while the store is away, for
//! as long as it is valid; after a restart, from the last-good copy on disk. Nothing here ever decides to order: demand goes through the workflow,
//! which asks the record.

mod cache;
mod filling;
mod known;
mod loader;
mod readiness;
mod revisits;
mod serving;
mod source;
mod standing;
mod wildcards;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sealwax_core::secret::Sealer;
use sealwax_core::store::Store;
use sealwax_core::{Clock, Jitter, Lane, Timestamp};
use sealwax_protocol::DomainName;
use tokio_util::sync::CancellationToken;

use crate::identity::Trust;
use crate::last_good::LastGood;

pub use cache::CacheBounds;
use cache::StandingCache;
use filling::Filling;
use known::Says;
use loader::{Line, Load, Loader};
use revisits::Revisits;
pub use serving::{EdgeTenants, Serving, WildcardZones};
pub use standing::{Held, Standing};
use wildcards::Wildcards;

/// How long a name waits for the store that the set of registered names, as it was filled last,
/// does not have: long enough for a slow read, and far below what a visitor or Envoy waits.
const UNLIKELY_WAIT: Duration = Duration::from_secs(2);

/// Whoever orders certificates. Serving knows no more of it.
pub trait Demand: Send + Sync + 'static {
    /// A visitor wants a certificate there is none of, or one that is due. Never waits; a demand
    /// that is lost is made again by the next visit.
    fn wanted(&self, domain: &DomainName, lane: Lane);
}

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
    /// Whether the store's silence may be acted on.
    pub trust: Trust,
}

/// How the set of registered names stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisteredNames {
    /// Names in it.
    pub names: usize,
    /// It is whole: what is not in it is refused.
    pub filled: bool,
    /// Look-ups it refused since the process began.
    pub refused: u64,
}

/// The serving side's view of every domain.
pub struct Catalog {
    cache: Arc<StandingCache>,
    loader: Loader,
    clock: Arc<dyn Clock>,
    demand: OnceLock<Arc<dyn Demand>>,
    revisits: Revisits,
    serving: Serving,
    filling: Filling,
    store: Arc<dyn Store>,
    trust: Trust,
    wildcards: Wildcards,
}

impl Catalog {
    /// Starts the loader's task; needs a runtime.
    #[must_use]
    pub fn new(parts: CatalogParts, bounds: CacheBounds, serving: Serving) -> Self {
        let clock = Arc::clone(&parts.clock);
        let (store, trust) = (Arc::clone(&parts.store), parts.trust.clone());
        let cache =
            Arc::new(StandingCache::new(bounds, Arc::clone(&clock), Arc::clone(&parts.jitter)));
        let loader = Loader::start(parts, Arc::clone(&cache));
        let (demand, revisits) = (OnceLock::new(), Revisits::default());
        let filling = Filling::default();
        let wildcards = Wildcards::default();
        Self { cache, loader, clock, demand, revisits, serving, filling, store, trust, wildcards }
    }

    /// Where demand goes. Until this is called nothing is demanded.
    pub fn demand_through(&self, demand: Arc<dyn Demand>) {
        if self.demand.set(demand).is_err() {
            tracing::debug!("the catalog has somewhere to demand from already");
        }
    }

    /// Where certificates are copied to, and found while the store is away.
    pub fn fall_back_on(&self, copy: LastGood) {
        self.loader.fall_back_on(copy);
    }

    /// The domain may stand differently now: the next look reads the store.
    pub fn forget(&self, domain: &DomainName) {
        // It may have been registered.
        self.filling.known.insert(domain);
        // In this order: a read that ends in between is remembered and then forgotten.
        self.loader.mark_changed(domain);
        self.cache.forget(domain);
    }

    /// Any domain may stand differently now.
    pub fn forget_all(&self) {
        self.filling.known.interrupted();
        self.filling.interrupted.notify_one();
        self.loader.mark_all_changed();
        self.cache.expire_all();
    }

    /// Every change from now on is told through [`Self::forget`] or [`Self::forget_all`].
    pub fn hears_changes(&self) {
        self.filling.listening.send_replace(true);
    }

    /// Keeps the set of registered names filled until told to stop.
    pub async fn keep_known(&self, store: Arc<dyn Store>, stop: CancellationToken) {
        self.filling.serve(store, stop).await;
    }

    /// The set of registered names, for metrics.
    #[must_use]
    pub fn registered_names(&self) -> RegisteredNames {
        let known = &self.filling.known;
        let (names, filled) = (known.len(), known.is_filled());
        RegisteredNames { names, filled, refused: known.refused() }
    }

    /// How a domain stands, from memory if that is fresh, else from the store. `None`: the store
    /// is away and nothing usable is in memory.
    pub async fn standing(&self, domain: &DomainName) -> Option<Standing> {
        if let Some(fresh) = self.cache.fresh(domain) {
            return Some(fresh);
        }
        let says = self.says(domain);
        let line = match says {
            Says::Stranger => return Some(self.refused()),
            Says::Registered => Line::Known,
            Says::Stale | Says::Unfilled if self.loader.is_away() => {
                return self.away(domain, says);
            }
            Says::Stale | Says::Unfilled => Line::Strangers,
        };
        let load = self.loader.load(domain, line);
        let load = if says == Says::Stale {
            let in_time = tokio::time::timeout(UNLIKELY_WAIT, load).await;
            in_time.unwrap_or(Load::StoreAway)
        } else {
            load.await
        };
        match load {
            Load::Found(standing) => Some(standing),
            Load::StoreAway => match self.cache.stale(domain) {
                None if self.loader.is_away() => self.away(domain, says),
                stale => stale,
            },
        }
    }

    /// What the set of registered names says. What has been served is no stranger.
    fn says(&self, domain: &DomainName) -> Says {
        let said = self.filling.known.says(domain);
        let served = || self.cache.stale(domain).is_some() || self.loader.has_copy(domain);
        if !matches!(said, Says::Registered) && served() { Says::Registered } else { said }
    }

    fn refused(&self) -> Standing {
        self.filling.known.count_refusal();
        Standing::Unknown
    }

    /// The store is away, and nothing is known of the name. The set as it was filled last counts;
    /// before it ever was, some are held, and the others need not be.
    fn away(&self, domain: &DomainName, says: Says) -> Option<Standing> {
        match says {
            Says::Registered => None,
            Says::Unfilled if self.loader.may_hold(domain) => None,
            Says::Stranger | Says::Stale | Says::Unfilled => Some(self.refused()),
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
                return Some(Standing::Gone);
            }
            self.ask(domain, own, lane);
            if self.serveable(own).is_some() {
                return Some(own.clone());
            }
        }
        let Some(zone) = self.serving.wildcard_zones.above(domain) else { return own };
        let Some(covering) = self.standing(zone).await else {
            // Nobody can say whether its zone covers it.
            return own.filter(|own| !matches!(own, Standing::Unknown));
        };
        Some(covering)
            .filter(|covering| self.covers(zone, covering) && self.allows(edge, covering))
            .or(own)
    }

    fn ask(&self, domain: &DomainName, standing: &Standing, lane: Lane) {
        let waits = matches!(standing, Standing::Waiting { idle: true, .. })
            || standing.may_be_asked_for(self.now())
            || matches!(standing, Standing::Ready(held) if held.due(self.clock.now()));
        if self.serving.on_handshake
            && (waits || (standing.is_doubted() && self.revisits.admits(domain)))
            && let Some(demand) = self.demand.get()
        {
            demand.wanted(domain, lane);
        }
    }

    /// Whether an edge may know of a domain that stands so.
    fn allows(&self, edge: Option<&[&str]>, standing: &Standing) -> bool {
        let may = |node_id: &&str| self.serving.tenants.may_serve(node_id, standing.tenant());
        matches!(standing, Standing::Unknown | Standing::Gone)
            || edge.is_none_or(|ids| ids.iter().any(may))
    }

    /// Whether a zone that stands so has a certificate for the names right below it.
    fn covers(&self, zone: &DomainName, standing: &Standing) -> bool {
        let held = self.serveable(standing).filter(|held| serving::is_wildcard(zone, held));
        if let Some(held) = held {
            self.wildcards.served(zone, held.served.version());
        }
        held.is_some()
    }

    fn serveable<'a>(&self, standing: &'a Standing) -> Option<&'a Arc<Held>> {
        match standing {
            Standing::Ready(held) if held.facts.valid_at(self.now()) => Some(held),
            Standing::Ready(_)
            | Standing::Waiting { .. }
            | Standing::Failed { .. }
            | Standing::Unknown
            | Standing::Gone => None,
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
}

#[cfg(test)]
mod tests;
