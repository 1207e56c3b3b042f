//! Loads on a miss: one load a name however many ask, many names a read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sealwax_core::failure::bounded_detail;
use sealwax_core::store::{Change, Entry, Expected, LOAD_MAX, LifecycleEvent};
use sealwax_protocol::DomainName;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::CatalogParts;
use super::cache::StandingCache;
use super::standing::{self, Standing};
use crate::last_good::LastGood;

/// Names waiting to be loaded; above it a look-up is answered as if the store were away, which
/// holds the handshake instead of piling up memory.
const WAITING_MAX: usize = 65_536;
/// Reads of the store at a time. While all are busy, names gather and share the next read.
const READS_MAX: usize = 4;

/// What came of a load.
#[derive(Clone)]
pub(super) enum Load {
    Found(Standing),
    StoreAway,
}

pub(super) struct Loader {
    shared: Arc<Shared>,
}

struct Shared {
    parts: CatalogParts,
    cache: Arc<StandingCache>,
    loading: Mutex<HashMap<DomainName, Loading>>,
    wanted: mpsc::Sender<DomainName>,
    last_good: OnceLock<LastGood>,
}

#[derive(Default)]
struct Loading {
    waiters: Vec<oneshot::Sender<Load>>,
    /// The domain changed after its read began: it is read again before anyone is told.
    changed: bool,
}

impl Loader {
    pub(super) fn start(parts: CatalogParts, cache: Arc<StandingCache>) -> Self {
        let (wanted, names) = mpsc::channel(WAITING_MAX);
        let shared = Arc::new(Shared {
            parts,
            cache,
            loading: Mutex::default(),
            wanted,
            last_good: OnceLock::new(),
        });
        tokio::spawn(gather(Arc::clone(&shared), names));
        Self { shared }
    }

    pub(super) async fn load(&self, domain: &DomainName) -> Load {
        let (told, answer) = oneshot::channel();
        let first = {
            let mut loading = self.shared.loading();
            let first = !loading.contains_key(domain);
            loading.entry(domain.clone()).or_default().waiters.push(told);
            first
        };
        if first && self.shared.wanted.try_send(domain.clone()).is_err() {
            self.shared.loading().remove(domain);
            return Load::StoreAway;
        }
        answer.await.unwrap_or(Load::StoreAway)
    }

    pub(super) fn fall_back_on(&self, copy: LastGood) {
        if self.shared.last_good.set(copy).is_err() {
            tracing::debug!("the catalog has its last-good copy already");
        }
    }

    pub(super) fn mark_all_changed(&self) {
        if let Some(copy) = self.shared.last_good.get() {
            copy.look_all();
        }
    }

    pub(super) fn mark_changed(&self, domain: &DomainName) {
        if let Some(copy) = self.shared.last_good.get() {
            copy.changed(domain);
        }
        if let Some(loading) = self.shared.loading().get_mut(domain) {
            loading.changed = true;
        }
    }

    /// Keeps an edge's refusal with the domain's events. Best effort: an edge that refuses says
    /// so again when it reconnects.
    pub(super) fn record_refusal(
        &self,
        domain: &DomainName,
        version: &str,
        node: &str,
        detail: &str,
    ) {
        let shared = Arc::clone(&self.shared);
        let domain = domain.clone();
        let detail = bounded_detail(&format!("edge {node}, version {version}: {detail}"));
        tokio::spawn(async move {
            if let Err(error) = shared.write_refusal(&domain, detail).await {
                tracing::warn!(%domain, %error, "an edge's refusal was not recorded");
            }
        });
    }
}

async fn gather(shared: Arc<Shared>, mut names: mpsc::Receiver<DomainName>) {
    let reads = Arc::new(Semaphore::new(READS_MAX));
    loop {
        let Ok(turn) = Arc::clone(&reads).acquire_owned().await else { return };
        let mut batch = Vec::new();
        // Waits for one name, then takes all that gathered meanwhile.
        if names.recv_many(&mut batch, LOAD_MAX).await == 0 {
            return;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            shared.read(&batch).await;
            drop(turn);
        });
    }
}

impl Shared {
    async fn read(&self, batch: &[DomainName]) {
        let found = match self.parts.store.load(batch).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, names = batch.len(), "certificates could not be loaded");
                for domain in batch {
                    let known = self.last_good_of(domain).await;
                    self.tell(domain, &known.map_or(Load::StoreAway, Load::Found));
                }
                return;
            }
        };
        for (domain, entry) in batch.iter().zip(found) {
            self.settle(domain, entry).await;
        }
    }

    /// Only what is not in memory, where it is newer, and may be served.
    async fn last_good_of(&self, domain: &DomainName) -> Option<Standing> {
        let copy = self.last_good.get()?;
        if self.cache.stale(domain).is_some() {
            return None;
        }
        let (entry, now) = (copy.find(domain).await?, self.parts.clock.now());
        let standing = standing::read(Some(entry), &*self.parts.sealer, now).await;
        self.cache.remember_stale(domain, &standing);
        self.cache.stale(domain)
    }

    async fn settle(&self, domain: &DomainName, entry: Option<Entry>) {
        let now = self.parts.clock.now();
        if let Some(copy) = self.last_good.get() {
            copy.loaded(domain, entry.as_ref());
        }
        let standing = standing::read(entry, &*self.parts.sealer, now).await;
        {
            let mut loading = self.loading();
            if let Some(loading) = loading.get_mut(domain)
                && std::mem::take(&mut loading.changed)
                && self.wanted.try_send(domain.clone()).is_ok()
            {
                return;
            }
            self.cache.remember(domain, &standing);
        }
        self.tell(domain, &Load::Found(standing));
    }

    fn tell(&self, domain: &DomainName, load: &Load) {
        let waiters = self.loading().remove(domain).map(|loading| loading.waiters);
        for waiter in waiters.into_iter().flatten() {
            // A waiter that gave up has no use for the answer.
            drop(waiter.send(load.clone()));
        }
    }

    async fn write_refusal(
        &self,
        domain: &DomainName,
        detail: String,
    ) -> Result<(), sealwax_core::store::StoreError> {
        let names = std::slice::from_ref(domain);
        let Some(entry) = self.parts.store.load(names).await?.into_iter().next().flatten() else {
            return Ok(());
        };
        let event =
            LifecycleEvent { at: self.parts.clock.now(), kind: "edge.refused".to_owned(), detail };
        let expected = Expected::Version(entry.stored.version);
        let change = Change { events: vec![event], ..Change::of(entry.stored.record, expected) };
        self.parts.store.write(change).await.map(drop)
    }

    fn loading(&self) -> std::sync::MutexGuard<'_, HashMap<DomainName, Loading>> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
