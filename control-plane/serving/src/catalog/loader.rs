//! Loads on a miss: one load a name however many ask, many names a read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sealwax_core::failure::bounded_detail;
use sealwax_core::store::{Change, Entry, Expected, LOAD_MAX, LifecycleEvent, StoreError};
use sealwax_protocol::DomainName;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::CatalogParts;
use super::cache::StandingCache;
use super::standing::{self, Standing};
use crate::last_good::LastGood;

/// Names waiting in a lane to be loaded; above it a look-up is answered as if the store were away,
/// which holds the handshake instead of piling up memory.
const WAITING_MAX: usize = 65_536;
/// Reads of the store at a time for names that are registered. While all are busy, names gather and
/// share the next read.
const READS_MAX: usize = 4;
/// Reads at a time for names nobody knows yet: a flood of them waits for itself alone.
const STRANGERS_READS_MAX: usize = 2;
/// How long reads have to fail or hang, and none to succeed, before the store counts as away: one
/// that was throttled is no outage.
const AWAY_AFTER: Duration = Duration::from_secs(1);
/// How long it counts as away after the last read that failed. Then it is asked again.
const AWAY_FOR: Duration = Duration::from_secs(2);
/// Most names nobody knows that are held while the store is away and the set of registered names
/// was never filled. The others are refused, and ask again with their next handshake.
const HELD_MAX: usize = 256;
/// How long one is held: as long as Envoy waits, about.
const HELD_FOR: Duration = Duration::from_secs(10);

/// In which line a name waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// It is registered, as far as is known.
    Known,
    /// Nobody knows.
    Strangers,
}

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
    strangers: mpsc::Sender<DomainName>,
    /// Since when reads fail, and the last one that did; none since one succeeded.
    failing: Mutex<Option<(Instant, Instant)>>,
    /// Names that are held while the store is away, each until then.
    held: Mutex<HashMap<DomainName, Instant>>,
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
        let (strangers, unknown) = mpsc::channel(WAITING_MAX);
        let shared = Arc::new(Shared {
            parts,
            cache,
            loading: Mutex::default(),
            wanted,
            strangers,
            failing: Mutex::default(),
            held: Mutex::default(),
            last_good: OnceLock::new(),
        });
        tokio::spawn(gather(Arc::clone(&shared), names, READS_MAX));
        tokio::spawn(gather(Arc::clone(&shared), unknown, STRANGERS_READS_MAX));
        Self { shared }
    }

    pub(super) async fn load(&self, domain: &DomainName, line: Line) -> Load {
        let (told, answer) = oneshot::channel();
        let first = {
            let mut loading = self.shared.loading();
            let first = !loading.contains_key(domain);
            loading.entry(domain.clone()).or_default().waiters.push(told);
            first
        };
        let line = match line {
            Line::Known => &self.shared.wanted,
            Line::Strangers => &self.shared.strangers,
        };
        if first && line.try_send(domain.clone()).is_err() {
            self.shared.loading().remove(domain);
            return Load::StoreAway;
        }
        answer.await.unwrap_or(Load::StoreAway)
    }

    /// The store has not answered for a while.
    pub(super) fn is_away(&self) -> bool {
        let failing = *self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.is_some_and(|(since, last)| {
            last.duration_since(since) >= AWAY_AFTER && last.elapsed() < AWAY_FOR
        })
    }

    /// There is a copy of its certificate on disk.
    pub(super) fn has_copy(&self, domain: &DomainName) -> bool {
        self.shared.last_good.get().is_some_and(|copy| copy.holds(domain))
    }

    /// Whether a name nobody knows may be held while the store is away.
    pub(super) fn may_hold(&self, domain: &DomainName) -> bool {
        let now = Instant::now();
        let mut held = self.shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(domain).is_some_and(|until| *until > now) {
            return true;
        }
        if held.len() >= HELD_MAX {
            held.retain(|_, until| *until > now);
        }
        let room = held.len() < HELD_MAX;
        if room {
            held.insert(domain.clone(), now + HELD_FOR);
        }
        room
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

async fn gather(shared: Arc<Shared>, mut names: mpsc::Receiver<DomainName>, most: usize) {
    let reads = Arc::new(Semaphore::new(most));
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
        let found = match self.ask(batch).await {
            Ok(found) => found,
            Err(error) => {
                if error.is_outage() {
                    tracing::debug!(%error, names = batch.len(), "certificates could not be loaded");
                } else {
                    tracing::warn!(%error, names = batch.len(), "certificates could not be loaded");
                }
                for domain in batch {
                    let known = self.known(domain).await;
                    self.tell(domain, &known.map_or(Load::StoreAway, Load::Found));
                }
                return;
            }
        };
        for (domain, entry) in batch.iter().zip(found) {
            self.settle(domain, entry).await;
        }
    }

    /// Asks the store. One that hangs counts as away long before its client gives up.
    async fn ask(&self, batch: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        let began = Instant::now();
        let mut read = self.parts.store.load(batch);
        let answer = loop {
            match tokio::time::timeout(AWAY_AFTER, &mut read).await {
                Ok(answer) => break answer,
                Err(_hangs) => self.note(began, true),
            }
        };
        self.note(began, answer.is_err());
        answer
    }

    fn note(&self, began: Instant, failed: bool) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        *failing = failed.then(|| (failing.map_or(began, |(since, _)| since), Instant::now()));
    }

    /// What is known from before and may be served: from memory, else from the last-good copy.
    async fn known(&self, domain: &DomainName) -> Option<Standing> {
        if let Some(in_memory) = self.cache.stale(domain) {
            return Some(in_memory);
        }
        let copy = self.last_good.get()?;
        let (entry, now) = (copy.find(domain).await?, self.parts.clock.now());
        let standing = standing::read(Some(entry), &*self.parts.sealer, now).await;
        self.cache.remember_stale(domain, &standing);
        self.cache.stale(domain)
    }

    async fn settle(&self, domain: &DomainName, entry: Option<Entry>) {
        let now = self.parts.clock.now();
        if let Some(copy) = self.last_good.get()
            && self.parts.trust.acts()
        {
            copy.loaded(domain, entry.as_ref());
        }
        let told = standing::read(entry, &*self.parts.sealer, now).await;
        let (standing, kept) = match self.kept(domain, &told).await {
            Some(Standing::Gone) => (Standing::Gone, false),
            Some(known) => (known, true),
            None => (told, false),
        };
        {
            let mut loading = self.loading();
            if let Some(loading) = loading.get_mut(domain)
                && std::mem::take(&mut loading.changed)
                && self.wanted.try_send(domain.clone()).is_ok()
            {
                return;
            }
            if kept {
                // The next look asks the store again.
                self.cache.remember_stale(domain, &standing);
            } else {
                self.cache.remember(domain, &standing);
            }
        }
        self.tell(domain, &Load::Found(standing));
    }

    /// What is served although the store does not say so, or [`Standing::Gone`] if it is known from
    /// before and was removed. A store that has nothing of a name takes
    /// nothing away without a trace of its removal, and one that may be the wrong one takes nothing
    /// away at all.
    async fn kept(&self, domain: &DomainName, told: &Standing) -> Option<Standing> {
        let acts = self.parts.trust.acts();
        if acts && !matches!(told, Standing::Unknown) {
            return None;
        }
        let copied = self.last_good.get().is_some_and(|copy| !acts || copy.holds(domain));
        if !copied && self.cache.stale(domain).is_none() {
            return None;
        }
        let known = self.known(domain).await?;
        if acts {
            let traces = self.parts.store.was_removed(std::slice::from_ref(domain)).await;
            let removed = traces.is_ok_and(|found| found == [true]);
            return Some(if removed { Standing::Gone } else { known });
        }
        match (told, &known) {
            (Standing::Ready(told), Standing::Ready(known))
                if told.facts.not_after >= known.facts.not_after =>
            {
                None
            }
            _ => Some(known),
        }
    }

    fn tell(&self, domain: &DomainName, load: &Load) {
        let waiters = self.loading().remove(domain).map(|loading| loading.waiters);
        for waiter in waiters.into_iter().flatten() {
            // A waiter that gave up has no use for the answer.
            drop(waiter.send(load.clone()));
        }
    }

    async fn write_refusal(&self, domain: &DomainName, detail: String) -> Result<(), StoreError> {
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
