//! Opens the key-encryption keys and proves that they are what the store's keys are under.
//!
//! The proof is in the store. While that is away, or refuses this process, it may start all the
//! same, and serve from its last-good copy: what the keys open they open rightly, since it is
//! authenticated. But nothing is sealed before the proof, so that a wrong key never gets into the
//! store. Only a key that the store's canary shows to be wrong ends a process that has something
//! to serve; whatever else the store answers, it is asked again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::store::{Store, StoreError};
use sealwax_core::{Jitter, PrivateKey, SealedKey};
use sealwax_store::seal::{
    KekSource, KeyCheckError, KeyEncryptionKey, KmsKek, LocalKek, WhenMissing,
};
use sealwax_store::{AwsEndpoint, KeySealer};
use tokio::sync::watch;

use super::error::AppError;
use super::first_key::{LateKek, missing_key};
use sealwax_config::{Config, Kek};

/// How long a start waits for the proof before it goes on without.
const PROOF_WITHIN: Duration = Duration::from_secs(3);
/// Before the store is asked again; doubles from question to question, half of it left to chance,
/// so that replicas that lost the store together do not come back to it together.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
/// Longest pause between two questions: what was away is noticed to be back as soon.
const AGAIN_MAX: Duration = Duration::from_secs(8);

/// Seals once its keys are proven; opens at any time.
pub(super) struct ProvenSealer {
    keys: KeySealer,
    proven: watch::Sender<bool>,
    /// Why they are not proven, as seen last.
    doubt: Mutex<Option<String>>,
    /// There was something to serve when the process started.
    serves: bool,
}

/// What to do about a key-encryption key whose file is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKey {
    /// Say so.
    Refuse,
    /// Make one: nothing is sealed yet.
    Create,
    /// It comes later, with its store.
    Await,
}

/// The configured keys, as yet unproven.
///
/// # Errors
/// A key cannot be read.
pub async fn key_sealer(config: &Config, missing: MissingKey) -> Result<KeySealer, AppError> {
    let current: Arc<dyn KeyEncryptionKey> = match (&config.kek, missing) {
        (Kek::File(path), MissingKey::Await) if !path.exists() => {
            Arc::new(LateKek::new(path.clone()))
        }
        (kek, MissingKey::Create) => read(kek, WhenMissing::Create).await?,
        (kek, MissingKey::Refuse | MissingKey::Await) => read(kek, WhenMissing::Refuse).await?,
    };
    let mut sealer = KeySealer::new(current);
    for kek in &config.retired_keks {
        sealer = sealer.with_retired(read(kek, WhenMissing::Refuse).await?);
    }
    Ok(sealer)
}

async fn read(kek: &Kek, missing: WhenMissing) -> Result<Arc<dyn KeyEncryptionKey>, AppError> {
    let source = match kek {
        Kek::File(path) => KekSource::File(path.clone()),
        Kek::Env(name) => KekSource::Environment(name.clone()),
        Kek::Kms(arn) => return Ok(Arc::new(KmsKek::open(arn, &AwsEndpoint::default()).await)),
    };
    match LocalKek::read(&source, missing) {
        Ok(kek) => Ok(Arc::new(kek)),
        Err(error) => Err(AppError::Keys(error.to_string())),
    }
}

impl ProvenSealer {
    /// Reads the keys and proves them, unless the store is away. `serves`: there is something to
    /// serve meanwhile.
    pub(super) async fn open(
        config: &Config,
        store: &dyn Store,
        serves: bool,
    ) -> Result<Self, AppError> {
        let missing = missing_key(&config.kek, store).await?;
        Self::over(key_sealer(config, missing).await?, store, serves).await
    }

    /// The same where an embedded store that was known is not there, and its key may not be either:
    /// edges may hold what it had.
    pub(super) async fn open_late(config: &Config, store: &dyn Store) -> Result<Self, AppError> {
        Self::over(key_sealer(config, MissingKey::Await).await?, store, true).await
    }

    async fn over(keys: KeySealer, store: &dyn Store, serves: bool) -> Result<Self, AppError> {
        let (proven, doubt) = (watch::Sender::new(false), Mutex::default());
        let sealer = Self { keys, proven, doubt, serves };
        match tokio::time::timeout(PROOF_WITHIN, sealer.keys.check(store)).await {
            Ok(Ok(())) => {
                sealer.proven.send_replace(true);
            }
            Ok(Err(error)) => sealer.judge(&error)?,
            Err(_) => sealer.note(&format!("no answer within {PROOF_WITHIN:?}")),
        }
        Ok(sealer)
    }

    /// Whether the keys are proven.
    pub(super) fn is_proven(&self) -> bool {
        *self.proven.borrow()
    }

    /// Why they are not, as seen last.
    pub(super) fn doubt(&self) -> Option<String> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Proves the keys as soon as the store answers. Ends early only with what no waiting mends.
    pub(super) async fn prove(
        &self,
        store: &dyn Store,
        jitter: &dyn Jitter,
    ) -> Result<(), AppError> {
        let mut pause = AGAIN_FIRST;
        while !self.is_proven() {
            match self.keys.check(store).await {
                Ok(()) => {
                    self.proven.send_replace(true);
                    tracing::info!("the keys are the store's; work begins");
                }
                Err(error) => {
                    self.judge(&error)?;
                    let part = u32::try_from(jitter.permille().min(1_000)).unwrap_or(0);
                    tokio::time::sleep(pause / 2 + pause * part / 2_000).await;
                    pause = (pause * 2).min(AGAIN_MAX);
                }
            }
        }
        Ok(())
    }

    fn judge(&self, error: &KeyCheckError) -> Result<(), AppError> {
        if ends(error, self.serves) {
            return Err(AppError::Keys(error.to_string()));
        }
        self.note(&error.to_string());
        Ok(())
    }

    /// Tells a reason once.
    fn note(&self, why: &str) {
        let before =
            self.doubt.lock().unwrap_or_else(PoisonError::into_inner).replace(why.to_owned());
        if before.as_deref() != Some(why) {
            tracing::warn!(
                error = %why,
                "the keys cannot be compared with the store's yet: known certificates are served, nothing is issued; tried again by itself"
            );
        }
    }

    /// The keys themselves.
    pub(super) const fn keys(&self) -> &KeySealer {
        &self.keys
    }
}

/// No waiting mends it: another key, or, where there is nothing to serve meanwhile, a key or a
/// store that someone has to name differently.
fn ends(error: &KeyCheckError, serves: bool) -> bool {
    let named = matches!(
        error,
        KeyCheckError::Key(SealError::KeyRefused(_))
            | KeyCheckError::Store(StoreError::Bug { .. } | StoreError::Unreadable { .. })
    );
    matches!(error, KeyCheckError::WrongKey { .. }) || (named && !serves)
}

#[async_trait]
impl Sealer for ProvenSealer {
    async fn seal(&self, place: SealPlace<'_>, key: &PrivateKey) -> Result<SealedKey, SealError> {
        if !self.is_proven() {
            let said = "it is not compared with the store's yet, which is away";
            return Err(SealError::KeyUnavailable(said.to_owned()));
        }
        self.keys.seal(place, key).await
    }

    async fn open(
        &self,
        place: SealPlace<'_>,
        sealed: &SealedKey,
    ) -> Result<PrivateKey, SealError> {
        self.keys.open(place, sealed).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealwax_store::conformance::{ManualClock, START};
    use sealwax_store::memory::{Fault, MemoryStore};
    use sealwax_system::SystemJitter;
    use zeroize::Zeroizing;

    fn config(kek: &std::path::Path) -> Config {
        LocalKek::read(&KekSource::File(kek.to_owned()), WhenMissing::Create).unwrap();
        let kek = format!("file:{}", kek.display());
        Config::load(None, [("SEALWAX__KEYS__KEK".to_owned(), kek)].into_iter()).unwrap()
    }

    #[tokio::test]
    async fn nothing_is_sealed_before_the_keys_are_proven() {
        let folder = tempfile::tempdir().unwrap();
        let (right, wrong) = (folder.path().join("right"), folder.path().join("wrong"));
        let store = MemoryStore::new(ManualClock::at(START));
        let place = SealPlace::Account("ca");
        let secret = PrivateKey::new(Zeroizing::new(b"secret".to_vec()));
        let before = ProvenSealer::open(&config(&right), &store, false).await.unwrap();
        let sealed = before.seal(place, &secret).await.unwrap();

        store.set_faults(Some(Arc::new(|_| Some(Fault::Refused))));
        let sealer = ProvenSealer::open(&config(&right), &store, false).await.unwrap();
        let stranger = ProvenSealer::open(&config(&wrong), &store, false).await.unwrap();
        assert!(!sealer.is_proven());
        let refused = sealer.seal(place, &secret).await.unwrap_err();
        assert!(matches!(refused, SealError::KeyUnavailable(_)), "{refused}");
        let opened = sealer.open(place, &sealed).await.unwrap();
        assert_eq!(opened.expose(), secret.expose(), "what is known is served meanwhile");

        store.set_faults(None);
        sealer.prove(&store, &SystemJitter::default()).await.unwrap();
        sealer.seal(place, &secret).await.unwrap();
        let error = stranger.prove(&store, &SystemJitter::default()).await.unwrap_err();
        assert!(error.to_string().contains("rewrap-keys"), "{error}");
        assert!(stranger.seal(place, &secret).await.is_err());
    }

    #[test]
    fn only_another_key_ends_a_process_that_has_something_to_serve() {
        let store = |error| KeyCheckError::Store(error);
        let detail = || "said".to_owned();
        let refused = || KeyCheckError::Key(SealError::KeyRefused(detail()));
        let cases = [
            (store(StoreError::Unavailable { detail: detail() }), false, false),
            (store(StoreError::Misconfigured { detail: detail() }), false, false),
            (store(StoreError::Lost { domain: detail() }), false, false),
            (KeyCheckError::Key(SealError::KeyUnavailable(detail())), false, false),
            (refused(), false, true),
            (store(StoreError::Bug { detail: detail() }), false, true),
            (store(StoreError::Unreadable { key: detail(), detail: detail() }), false, true),
            (KeyCheckError::WrongKey { stored: detail(), configured: detail() }, true, true),
        ];
        for (error, serving, idle) in cases {
            assert_eq!((ends(&error, true), ends(&error, false)), (serving, idle), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_the_store_answers_it_is_asked_again_until_it_agrees() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new(ManualClock::at(START)));
        store.set_faults(Some(Arc::new(|_| Some(Fault::Forbidden))));
        let config = config(&folder.path().join("kek"));
        let sealer = Arc::new(ProvenSealer::open(&config, &*store, true).await.unwrap());
        assert!(!sealer.is_proven() && sealer.doubt().is_some());
        let proving = Arc::clone(&sealer);
        let there = Arc::clone(&store);
        let proof =
            tokio::spawn(async move { proving.prove(&*there, &SystemJitter::default()).await });
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert!(!proof.is_finished(), "an hour of refusals is no reason to end");
        store.set_faults(None);
        tokio::time::timeout(AGAIN_MAX * 2, proof).await.unwrap().unwrap().unwrap();
        assert!(sealer.is_proven());
    }
}
