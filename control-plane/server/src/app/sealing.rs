//! Opens the key-encryption keys and proves that they are what the store's keys are under.
//!
//! The proof is in the store. While that is away the process may start all the same, and serve
//! from its last-good copy: what the keys open they open rightly, since it is authenticated. But
//! nothing is sealed before the proof, so that a wrong key never gets into the store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::store::{Store, StoreError};
use sealwax_core::{PrivateKey, SealedKey};
use sealwax_store::seal::{
    KekSource, KeyCheckError, KeyEncryptionKey, KmsKek, LocalKek, WhenMissing,
};
use sealwax_store::{AwsEndpoint, KeySealer};
use tokio::sync::watch;

use super::error::AppError;
use crate::config::{Config, Kek};

/// How long a start waits for the proof before it goes on without.
const PROOF_WITHIN: Duration = Duration::from_secs(3);
/// Before the store is asked again.
const PROOF_EVERY: Duration = Duration::from_secs(1);

/// Seals once its keys are proven; opens at any time.
pub(super) struct ProvenSealer {
    keys: KeySealer,
    proven: watch::Sender<bool>,
}

/// The configured keys, as yet unproven.
///
/// # Errors
/// A key cannot be read.
pub async fn key_sealer(config: &Config) -> Result<KeySealer, AppError> {
    // A key made at the first start is safe: with a store that has keys already, the proof
    // refuses the new one.
    let mut sealer = KeySealer::new(read(&config.kek, WhenMissing::Create).await?);
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
    /// Reads the keys and proves them, unless the store is away.
    pub(super) async fn open(config: &Config, store: &dyn Store) -> Result<Self, AppError> {
        let sealer = Self { keys: key_sealer(config).await?, proven: watch::Sender::new(false) };
        let away = match tokio::time::timeout(PROOF_WITHIN, sealer.keys.check(store)).await {
            Ok(Ok(())) => {
                sealer.proven.send_replace(true);
                return Ok(sealer);
            }
            Ok(Err(error)) if passing(&error) && !store.exclusive() => error.to_string(),
            Ok(Err(error)) => return Err(AppError::Keys(error.to_string())),
            Err(_) => format!("no answer within {PROOF_WITHIN:?}"),
        };
        tracing::warn!(error = %away, "the store is away: known certificates are served, nothing is issued");
        Ok(sealer)
    }

    /// Whether the keys are proven.
    pub(super) fn is_proven(&self) -> bool {
        *self.proven.borrow()
    }

    /// Proves the keys as soon as the store answers.
    pub(super) async fn prove(&self, store: &dyn Store) -> Result<(), AppError> {
        while !self.is_proven() {
            match self.keys.check(store).await {
                Ok(()) => {
                    self.proven.send_replace(true);
                    tracing::info!("the store answers; work begins");
                }
                Err(error) if passing(&error) => tokio::time::sleep(PROOF_EVERY).await,
                Err(error) => return Err(AppError::Keys(error.to_string())),
            }
        }
        Ok(())
    }

    /// The keys themselves.
    pub(super) const fn keys(&self) -> &KeySealer {
        &self.keys
    }
}

/// Goes away by itself.
fn passing(error: &KeyCheckError) -> bool {
    matches!(
        error,
        KeyCheckError::Store(StoreError::Unavailable { .. })
            | KeyCheckError::Key(SealError::KeyUnavailable(_))
    )
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
    use zeroize::Zeroizing;

    fn config(kek: &std::path::Path) -> Config {
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
        let before = ProvenSealer::open(&config(&right), &store).await.unwrap();
        let sealed = before.seal(place, &secret).await.unwrap();

        store.set_faults(Some(Arc::new(|_| Some(Fault::Refused))));
        let sealer = ProvenSealer::open(&config(&right), &store).await.unwrap();
        let stranger = ProvenSealer::open(&config(&wrong), &store).await.unwrap();
        assert!(!sealer.is_proven());
        let refused = sealer.seal(place, &secret).await.unwrap_err();
        assert!(matches!(refused, SealError::KeyUnavailable(_)), "{refused}");
        let opened = sealer.open(place, &sealed).await.unwrap();
        assert_eq!(opened.expose(), secret.expose(), "what is known is served meanwhile");

        store.set_faults(None);
        sealer.prove(&store).await.unwrap();
        sealer.seal(place, &secret).await.unwrap();
        let error = stranger.prove(&store).await.unwrap_err();
        assert!(error.to_string().contains("rewrap-keys"), "{error}");
        assert!(stranger.seal(place, &secret).await.is_err());
    }
}
