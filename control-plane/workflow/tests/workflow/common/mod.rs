//! A workflow on a reference store and a CA in memory, with a tripwire before and after each
//! effect.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

pub(crate) mod ca;
pub(crate) mod tripwire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use sealwax_core::budget::Limits;
use sealwax_core::issuer::Issuer;
use sealwax_core::permission::{Permission, Verdict};
use sealwax_core::preflight::{Fetched, Findings, Preflight};
use sealwax_core::record::{KeyType, Registration};
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::store::{Challenge, Change, Entry, Expected, LifecycleEvent, Store};
use sealwax_core::{
    Challenges, Clock, Delivery, DomainRecord, Jitter, Notice, Notifier, PrivateKey, SealedKey,
    Span, Timestamp,
};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_store::memory::MemoryStore;
use sealwax_workflow::{Announcer, Ask, KeyError, KeyMaker, Parts, Settings, Workflow};
use zeroize::Zeroizing;

use self::ca::MemoryCa;
use self::tripwire::{Side, TrippedIssuer, TrippedStore, Tripwire};

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

#[async_trait]
impl KeyMaker for QuickKeys {
    async fn generate(&self, _kind: KeyType) -> Result<PrivateKey, KeyError> {
        let pair = rcgen::KeyPair::generate().unwrap();
        Ok(PrivateKey::new(Zeroizing::new(pair.serialize_der())))
    }

    async fn signing_request(
        &self,
        key: PrivateKey,
        domain: &DomainName,
    ) -> Result<Vec<u8>, KeyError> {
        let pair = rcgen::KeyPair::try_from(key.expose()).unwrap();
        let params = rcgen::CertificateParams::new(vec![domain.to_string()]).unwrap();
        Ok(params.serialize_request(&pair).unwrap().der().to_vec())
    }
}

/// Answers what the test says, when there is a permit for it.
pub(crate) struct Platform(pub(crate) std::sync::Mutex<Verdict>, pub(crate) Permits);

/// As many answers as are wanted, unless a test takes some away; and who asked, in order.
pub(crate) struct Permits {
    pub(crate) answers: tokio::sync::Semaphore,
    pub(crate) asked: std::sync::Mutex<Vec<DomainName>>,
}

#[async_trait]
impl Permission for Platform {
    async fn ask(&self, domain: &DomainName) -> Verdict {
        self.1.asked.lock().unwrap().push(domain.clone());
        self.1.answers.acquire().await.unwrap().forget();
        self.0.lock().unwrap().clone()
    }
}

/// Sees what the test says; nobody looks at first.
#[derive(Default)]
pub(crate) struct Outlook {
    pub(crate) sees: std::sync::Mutex<Option<Findings>>,
    pub(crate) looks: AtomicU64,
}

#[async_trait]
impl Preflight for Outlook {
    async fn look(&self, _domain: &DomainName, _now: Timestamp) -> Option<Findings> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.sees.lock().unwrap().clone()
    }
}

/// What the test says of the edges' questions, for every token; and what is known of answers.
#[derive(Default)]
pub(crate) struct Edges {
    pub(crate) fetched: std::sync::Mutex<Fetched>,
    pub(crate) known: std::sync::Mutex<Vec<ChallengeToken>>,
}

impl Challenges for Edges {
    fn published(&self, challenge: &Challenge) {
        self.known.lock().unwrap().push(challenge.token.clone());
    }

    fn withdrawn(&self, token: &ChallengeToken) {
        self.known.lock().unwrap().retain(|known| known != token);
    }

    fn fetched(&self, _token: &ChallengeToken) -> Fetched {
        *self.fetched.lock().unwrap()
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

/// How long what a domain that left has is kept.
pub(crate) const GONE_GRACE: Span = Span::from_secs(7 * 86_400);
/// Most domains parked within an hour.
pub(crate) const GONE_PER_HOUR: u64 = 5;

/// The platform's end of the notifications: wants to hear of every public event.
#[derive(Default)]
pub(crate) struct Receiver {
    pub(crate) away: AtomicBool,
    /// Left alone after failures.
    pub(crate) resting: AtomicBool,
    pub(crate) got: std::sync::Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl Notifier for Receiver {
    fn receivers(&self, kind: &str) -> Vec<sealwax_core::Receiver> {
        let public = kind.starts_with("domain.") || kind.starts_with("certificate.");
        public.then(|| sealwax_core::Receiver::named("platform")).into_iter().collect()
    }

    async fn deliver(&self, notice: &Notice, _record: &DomainRecord) -> Delivery {
        if self.resting.load(Ordering::SeqCst) {
            let detail = "no such topic".to_owned();
            return Delivery::Busy { until: Some(START + Span::from_secs(3_600)), detail };
        }
        if self.away.load(Ordering::SeqCst) {
            return Delivery::Failed { detail: "away".to_owned() };
        }
        self.got.lock().unwrap().push((notice.kind.clone(), notice.id.clone()));
        Delivery::Done
    }
}

impl Receiver {
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|(kind, _)| kind.clone()).collect()
    }
}

/// The world: what outlives a process.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) ca: Arc<MemoryCa>,
    /// The CA after the first one.
    pub(crate) spare: Option<Arc<MemoryCa>>,
    /// The first one's staging.
    pub(crate) staging: Option<Arc<MemoryCa>>,
    pub(crate) platform: Arc<Platform>,
    pub(crate) outlook: Arc<Outlook>,
    pub(crate) edges: Arc<Edges>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) limits: BTreeMap<String, Limits>,
    pub(crate) tripwire: Arc<Tripwire>,
    /// Whether the store is the one that is known.
    pub(crate) trusted: Arc<AtomicBool>,
}

impl World {
    /// A process goes on with the domain, and dies at its effect number `nth` (from 0).
    pub(crate) async fn dies(&self, nth: usize, side: Side, domain: &DomainName, ask: Ask) {
        self.tripwire.arm(nth, side);
        let (process, name) = (self.process("one"), domain.clone());
        let task = tokio::spawn(async move { process.run(&name, ask).await });
        self.tripwire.dead.notified().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        self.tripwire.disarm();
    }

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
            ca: Arc::new(MemoryCa::new("memory", Arc::clone(&clock) as Arc<dyn Clock>)),
            spare: None,
            staging: None,
            clock,
            platform: Arc::new(Platform(
                std::sync::Mutex::new(Verdict::Granted),
                Permits {
                    answers: tokio::sync::Semaphore::new(1_000_000),
                    asked: std::sync::Mutex::default(),
                },
            )),
            outlook: Arc::default(),
            edges: Arc::default(),
            heard: Arc::new(Heard::default()),
            receiver: Arc::new(Receiver::default()),
            limits: BTreeMap::new(),
            tripwire: Arc::new(Tripwire::default()),
            trusted: Arc::new(AtomicBool::new(true)),
        }
    }

    /// A process: new workflow, same world.
    pub(crate) fn process(&self, holder: &str) -> Workflow {
        let store = TrippedStore::new(Arc::clone(&self.store), Arc::clone(&self.tripwire));
        let tripped = |ca: &Arc<MemoryCa>| {
            let issuer = TrippedIssuer::new(Arc::clone(ca), Arc::clone(&self.tripwire));
            Arc::new(issuer) as Arc<dyn Issuer>
        };
        let trusted = Arc::clone(&self.trusted);
        Workflow::new(
            Parts {
                store: Arc::new(store),
                sealer: Arc::new(PlainSealer),
                permission: Arc::clone(&self.platform) as Arc<dyn Permission>,
                preflight: Arc::clone(&self.outlook) as Arc<dyn Preflight>,
                issuers: std::iter::once(&self.ca).chain(&self.spare).map(tripped).collect(),
                staging: self
                    .staging
                    .iter()
                    .map(|staging| ("memory".to_owned(), tripped(staging)))
                    .collect(),
                challenges: Arc::clone(&self.edges) as Arc<dyn Challenges>,
                keys: Arc::new(QuickKeys),
                clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
                jitter: Arc::new(NoJitter),
                announcer: Arc::clone(&self.heard) as Arc<dyn Announcer>,
                notifier: Arc::clone(&self.receiver) as Arc<dyn Notifier>,
                trusts: Arc::new(move || trusted.load(Ordering::SeqCst)),
            },
            Settings {
                holder: holder.to_owned(),
                lease: Span::from_secs(30),
                key_types: BTreeMap::new(),
                concurrency: 4,
                limits: self.limits.clone(),
                gone_grace: GONE_GRACE,
                gone_per_hour: GONE_PER_HOUR,
            },
        )
    }

    /// With a second CA behind the first.
    pub(crate) fn with_spare(mut self) -> Self {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        self.spare = Some(Arc::new(MemoryCa::new("spare", clock)));
        self
    }

    /// With a staging of the first CA.
    pub(crate) fn with_staging(mut self) -> Self {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        self.staging = Some(Arc::new(MemoryCa::new("memory.staging", clock)));
        self
    }

    /// With limits for the first CA.
    pub(crate) fn limited(mut self, limits: Limits) -> Self {
        self.limits.insert("memory".to_owned(), limits);
        self
    }

    pub(crate) async fn register(&self, name: &str) -> DomainName {
        self.put(name, Registration::default()).await
    }

    pub(crate) async fn register_for(&self, tenant: &str, name: &str) -> DomainName {
        let tenant = Some(tenant.to_owned());
        self.put(name, Registration { tenant, ..Registration::default() }).await
    }

    pub(crate) async fn register_with(&self, issuer: &str, name: &str) -> DomainName {
        let issuer = Some(issuer.to_owned());
        self.put(name, Registration { issuer, ..Registration::default() }).await
    }

    pub(crate) async fn put(&self, name: &str, registration: Registration) -> DomainName {
        let domain = DomainName::parse(name).unwrap();
        let record = DomainRecord::registered(domain.clone(), registration, self.clock.now());
        self.store.write(Change::of(record, Expected::Absent)).await.unwrap();
        domain
    }

    pub(crate) async fn entry(&self, domain: &DomainName) -> Entry {
        let names = std::slice::from_ref(domain);
        self.store.load(names).await.unwrap().remove(0).expect("registered")
    }

    pub(crate) async fn record(&self, domain: &DomainName) -> DomainRecord {
        self.entry(domain).await.stored.record
    }

    /// What happened to it, the newest first.
    pub(crate) async fn kinds(&self, domain: &DomainName) -> Vec<String> {
        let events: Vec<LifecycleEvent> = self.store.events(domain, 20).await.unwrap();
        events.into_iter().map(|event| event.kind).collect()
    }

    pub(crate) async fn comes_due(&self, domain: &DomainName) {
        let at = self.record(domain).await.wake_at().unwrap();
        self.clock.advance(at.since(self.clock.now()));
    }

    /// The next attempt's time comes.
    pub(crate) async fn next_attempt(&self, domain: &DomainName) {
        self.comes_due(domain).await;
        self.process("one").run(domain, Ask::Due).await.unwrap();
    }
}
