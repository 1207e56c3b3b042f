//! A workflow on a reference store and a CA in memory, with a tripwire before and after each
//! effect.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

pub(crate) mod ca;
pub(crate) mod tripwire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use sealwax_core::issuer::Issuer;
use sealwax_core::permission::{Permission, Verdict};
use sealwax_core::record::{KeyType, Registration};
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::store::{Change, Entry, Expected, Store};
use sealwax_core::{Clock, DomainRecord, Jitter, PrivateKey, SealedKey, Span, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_store::memory::MemoryStore;
use sealwax_workflow::{Announcer, KeyError, KeyMaker, Parts, Settings, Workflow};
use zeroize::Zeroizing;

use self::ca::MemoryCa;
use self::tripwire::{TrippedIssuer, TrippedStore, Tripwire};

/// 2026-01-01.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Wall time set by the test.
pub(crate) struct ManualClock(AtomicU64);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl ManualClock {
    pub(crate) fn advance(&self, span: Span) {
        self.0.fetch_add(span.millis(), Ordering::SeqCst);
    }
}

pub(crate) struct NoJitter;

impl Jitter for NoJitter {
    fn permille(&self) -> u64 {
        0
    }
}

/// Binds to its place, as the real one does.
pub(crate) struct PlainSealer;

#[async_trait]
impl Sealer for PlainSealer {
    async fn seal(&self, place: SealPlace<'_>, key: &PrivateKey) -> Result<SealedKey, SealError> {
        let mut bytes = format!("{place:?}|").into_bytes();
        bytes.extend_from_slice(key.expose());
        Ok(SealedKey::new(bytes))
    }

    async fn open(
        &self,
        place: SealPlace<'_>,
        sealed: &SealedKey,
    ) -> Result<PrivateKey, SealError> {
        let prefix = format!("{place:?}|");
        let key =
            sealed.as_bytes().strip_prefix(prefix.as_bytes()).ok_or(SealError::DoesNotOpen)?;
        Ok(PrivateKey::new(Zeroizing::new(key.to_vec())))
    }
}

pub(crate) struct QuickKeys;

impl KeyMaker for QuickKeys {
    fn generate(&self, _kind: KeyType) -> Result<PrivateKey, KeyError> {
        let pair = rcgen::KeyPair::generate().unwrap();
        Ok(PrivateKey::new(Zeroizing::new(pair.serialize_der())))
    }

    fn signing_request(&self, key: &PrivateKey, domain: &DomainName) -> Result<Vec<u8>, KeyError> {
        let pair = rcgen::KeyPair::try_from(key.expose()).unwrap();
        let params = rcgen::CertificateParams::new(vec![domain.to_string()]).unwrap();
        Ok(params.serialize_request(&pair).unwrap().der().to_vec())
    }
}

/// Answers what the test says.
pub(crate) struct Platform(pub(crate) std::sync::Mutex<Verdict>);

#[async_trait]
impl Permission for Platform {
    async fn ask(&self, _domain: &DomainName) -> Verdict {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Default)]
pub(crate) struct Heard(pub(crate) std::sync::Mutex<Vec<DomainName>>);

impl Announcer for Heard {
    fn changed(&self, domain: &DomainName) {
        self.0.lock().unwrap().push(domain.clone());
    }

    fn resync(&self) {}
}

/// The world: what outlives a process.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) ca: Arc<MemoryCa>,
    pub(crate) platform: Arc<Platform>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) tripwire: Arc<Tripwire>,
}

impl World {
    /// With a store that one process has to itself.
    pub(crate) fn new() -> Self {
        Self::on(MemoryStore::exclusive)
    }

    /// With a store that several processes share.
    pub(crate) fn shared() -> Self {
        Self::on(MemoryStore::new)
    }

    fn on(store: impl FnOnce(Arc<dyn Clock>) -> MemoryStore) -> Self {
        let clock = Arc::new(ManualClock(AtomicU64::new(START.millis())));
        Self {
            store: Arc::new(store(Arc::clone(&clock) as Arc<dyn Clock>)),
            ca: Arc::new(MemoryCa::new(Arc::clone(&clock) as Arc<dyn Clock>)),
            clock,
            platform: Arc::new(Platform(std::sync::Mutex::new(Verdict::Granted))),
            heard: Arc::new(Heard::default()),
            tripwire: Arc::new(Tripwire::default()),
        }
    }

    /// A process: new workflow, same world.
    pub(crate) fn process(&self, holder: &str) -> Workflow {
        let store = TrippedStore::new(Arc::clone(&self.store), Arc::clone(&self.tripwire));
        let issuer = TrippedIssuer::new(Arc::clone(&self.ca), Arc::clone(&self.tripwire));
        Workflow::new(
            Parts {
                store: Arc::new(store),
                sealer: Arc::new(PlainSealer),
                permission: Arc::clone(&self.platform) as Arc<dyn Permission>,
                issuers: vec![Arc::new(issuer) as Arc<dyn Issuer>],
                keys: Arc::new(QuickKeys),
                clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
                jitter: Arc::new(NoJitter),
                announcer: Arc::clone(&self.heard) as Arc<dyn Announcer>,
            },
            Settings {
                holder: holder.to_owned(),
                lease: Span::from_secs(30),
                key_types: std::collections::BTreeMap::new(),
                concurrency: 4,
            },
        )
    }

    pub(crate) async fn register(&self, name: &str) -> DomainName {
        let domain = DomainName::parse(name).unwrap();
        let record =
            DomainRecord::registered(domain.clone(), Registration::default(), self.clock.now());
        self.store.write(Change::of(record, Expected::Absent)).await.unwrap();
        domain
    }

    pub(crate) async fn entry(&self, domain: &DomainName) -> Entry {
        let names = std::slice::from_ref(domain);
        self.store.load(names).await.unwrap().remove(0).expect("registered")
    }
}
