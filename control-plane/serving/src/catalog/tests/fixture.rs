//! A catalog over a store that counts, holds or fails its reads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use rcgen::{CertificateParams, KeyPair};
use sealwax_core::certificate::{CertificateSource as Source, Chain, verify};
use sealwax_core::record::Registration;
use sealwax_core::secret::{SealError, SealPlace};
use sealwax_core::store::{
    CertificateChange, Change, Entry, Expected, Front, Fronted, StoreError, StoredCertificate,
};
use sealwax_core::{DomainRecord, PrivateKey, SealedKey, Span};
use sealwax_store::memory::MemoryStore;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::super::*;
use sealwax_system::{SystemClock, SystemJitter};

/// The reference store, with reads counted, held back or failed.
pub(super) struct Watched {
    pub(super) inner: Arc<MemoryStore>,
    pub(super) loads: AtomicUsize,
    pub(super) names: AtomicUsize,
    pub(super) away: AtomicBool,
    pub(super) held: AtomicBool,
    pub(super) started: Notify,
    pub(super) release: Notify,
}

#[async_trait]
impl Front for Watched {
    fn behind(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::clone(&self.inner) as Arc<dyn Store>)
    }

    async fn load(&self, domains: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.names.fetch_add(domains.len(), Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { detail: "away".into() });
        }
        let found = self.inner.load(domains).await;
        if self.held.load(Ordering::SeqCst) {
            self.started.notify_one();
            self.release.notified().await;
        }
        found
    }

    async fn was_removed(&self, domains: &[DomainName]) -> Result<Vec<bool>, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { detail: "away".into() });
        }
        self.inner.was_removed(domains).await
    }
}

pub(super) struct OpenSealer;

#[async_trait]
impl Sealer for OpenSealer {
    async fn seal(&self, _place: SealPlace<'_>, key: &PrivateKey) -> Result<SealedKey, SealError> {
        Ok(SealedKey::new(key.expose().to_vec()))
    }
    async fn open(
        &self,
        _place: SealPlace<'_>,
        sealed: &SealedKey,
    ) -> Result<PrivateKey, SealError> {
        Ok(PrivateKey::new(Zeroizing::new(sealed.as_bytes().to_vec())))
    }
}

pub(super) struct Fixture {
    pub(super) store: Arc<Fronted<Watched>>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) trust: Trust,
}

pub(super) const EDGE: &str = "edge-1";

pub(super) fn fixture() -> Fixture {
    fixture_with(Serving { on_handshake: true, ..Serving::default() })
}

pub(super) fn fixture_with(serving: Serving) -> Fixture {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(Fronted(Watched {
        inner: Arc::new(MemoryStore::new(Arc::clone(&clock))),
        loads: AtomicUsize::default(),
        names: AtomicUsize::default(),
        away: AtomicBool::default(),
        held: AtomicBool::default(),
        started: Notify::new(),
        release: Notify::new(),
    }));
    fixture_over(store, serving)
}

pub(super) fn fixture_over(store: Arc<Fronted<Watched>>, serving: Serving) -> Fixture {
    let trust = Trust::default();
    let parts = CatalogParts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        sealer: Arc::new(OpenSealer),
        clock: Arc::new(SystemClock),
        jitter: Arc::new(SystemJitter::default()),
        trust: trust.clone(),
    };
    let bounds = CacheBounds {
        bytes: 1 << 20,
        certificate_life: Span::from_secs(600),
        negative_life: Span::from_secs(60),
    };
    Fixture { store, catalog: Arc::new(Catalog::new(parts, bounds, serving)), trust }
}

pub(super) fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

impl Fixture {
    pub(super) async fn register(&self, domain: &DomainName) {
        self.register_for(domain, None).await;
    }

    pub(super) async fn register_for(&self, domain: &DomainName, tenant: Option<&str>) {
        let registration =
            Registration { tenant: tenant.map(str::to_owned), ..Registration::default() };
        let record = DomainRecord::registered(domain.clone(), registration, SystemClock.now());
        self.store.write(Change::of(record, Expected::Absent)).await.unwrap();
    }

    /// Gives the domain a certificate for `covers`, whatever the record says.
    pub(super) async fn certify(&self, domain: &DomainName, covers: &str) {
        self.certify_for(domain, &[covers]).await;
    }

    /// The same with several names.
    pub(super) async fn certify_for(&self, domain: &DomainName, covers: &[&str]) {
        let pair = KeyPair::generate().unwrap();
        let now = i64::try_from(SystemClock.now().secs()).unwrap();
        let mut params =
            CertificateParams::new(covers.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
                .unwrap();
        params.not_before = time::OffsetDateTime::from_unix_timestamp(now - 60).unwrap();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(now + 86_400).unwrap();
        let chain = Chain::from_pem(params.self_signed(&pair).unwrap().pem()).unwrap();
        let key = PrivateKey::new(Zeroizing::new(pair.serialize_der()));
        let facts =
            verify(&chain, &key, &name(covers[0]), SystemClock.now(), Source::Acme).unwrap();
        let names = std::slice::from_ref(domain);
        let stored = self.store.0.inner.load(names).await.unwrap().remove(0).unwrap().stored;
        let record = DomainRecord { certificate: Some(facts), ..stored.record };
        let key = SealedKey::new(key.expose().to_vec());
        let change = Change {
            certificate: CertificateChange::Replace(StoredCertificate { chain, key }),
            ..Change::of(record, Expected::Version(stored.version))
        };
        self.store.write(change).await.unwrap();
    }

    pub(super) fn loads(&self) -> usize {
        self.store.0.loads.load(Ordering::SeqCst)
    }
}
