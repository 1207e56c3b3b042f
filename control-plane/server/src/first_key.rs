//! The key-encryption key's file: made once, at a first start, and never beside a store that is
//! sealed under another one.

use std::path::PathBuf;
use std::sync::OnceLock;

use async_trait::async_trait;
use sealwax_core::secret::SealError;
use sealwax_core::store::{Store, StoreError};
use sealwax_store::seal::{
    CANARY_ISSUER, DataKeyBytes, KekId, KekSource, KeyEncryptionKey, LocalKek, WhenMissing,
};

use super::error::AppError;
use super::sealing::MissingKey;
use sealwax_config::Kek;

/// What to do about a key's file that is missing: made only for a store that nothing is sealed in.
///
/// # Errors
/// The store has keys, or cannot be asked.
pub(super) async fn missing_key(kek: &Kek, store: &dyn Store) -> Result<MissingKey, AppError> {
    let Kek::File(path) = kek else { return Ok(MissingKey::Refuse) };
    if path.exists() {
        return Ok(MissingKey::Refuse);
    }
    let refused = |why: &str| {
        let said = format!(
            "[keys] kek: {} is missing, and {why}: no other key is made in its place. Restore the \
             key's file, without it no certificate in the store can be served",
            path.display()
        );
        Err(AppError::Keys(said))
    };
    match store.account(CANARY_ISSUER).await {
        Ok(Some(_)) => refused("the private keys in the store are sealed under it"),
        Ok(None) => {
            tracing::warn!(path = %path.display(),
                "a key-encryption key is made for a new store: keep a copy of it, apart from the \
                 store's");
            Ok(MissingKey::Create)
        }
        Err(StoreError::Misconfigured { detail } | StoreError::Unavailable { detail }) => {
            refused(&format!("whether the store has keys under it is not known ({detail})"))
        }
        Err(error) => Err(error.into()),
    }
}

/// A key in a file that comes with its store, later.
pub(super) struct LateKek {
    path: PathBuf,
    read: OnceLock<LocalKek>,
}

impl LateKek {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, read: OnceLock::new() }
    }

    fn there(&self) -> Result<&LocalKek, SealError> {
        if let Some(kek) = self.read.get() {
            return Ok(kek);
        }
        let source = KekSource::File(self.path.clone());
        let kek = LocalKek::read(&source, WhenMissing::Refuse)
            .map_err(|error| SealError::KeyUnavailable(error.to_string()))?;
        Ok(self.read.get_or_init(|| kek))
    }
}

#[async_trait]
impl KeyEncryptionKey for LateKek {
    fn id(&self) -> KekId {
        self.there().map_or(KekId([0; 16]), KeyEncryptionKey::id)
    }

    async fn wrap(&self, key: &DataKeyBytes, context: &[u8]) -> Result<Vec<u8>, SealError> {
        self.there()?.wrap(key, context).await
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKeyBytes, SealError> {
        self.there()?.unwrap(wrapped, context).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sealwax_store::KeySealer;
    use sealwax_store::conformance::{ManualClock, START};
    use sealwax_store::memory::{Fault, MemoryStore};

    use super::*;

    #[tokio::test]
    async fn a_lost_key_is_not_replaced_and_a_first_one_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        let kek = Kek::File(path.clone());
        let store = MemoryStore::new(ManualClock::at(START));
        assert_eq!(missing_key(&kek, &store).await.unwrap(), MissingKey::Create);

        let first = LocalKek::read(&KekSource::File(path.clone()), WhenMissing::Create).unwrap();
        KeySealer::new(Arc::new(first)).check(&store).await.unwrap();
        assert_eq!(missing_key(&kek, &store).await.unwrap(), MissingKey::Refuse);
        std::fs::remove_file(&path).unwrap();
        for faults in [false, true] {
            if faults {
                store.set_faults(Some(Arc::new(|_| Some(Fault::Refused))));
            }
            let error = missing_key(&kek, &store).await.unwrap_err().to_string();
            assert!(error.contains("is missing") && error.contains("Restore"), "{error}");
        }
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_key_that_comes_with_its_store_is_read_when_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        let late = LateKek::new(path.clone());
        let bytes = DataKeyBytes::new([7; 32]);
        assert!(matches!(late.wrap(&bytes, b"").await, Err(SealError::KeyUnavailable(_))));
        let kek = LocalKek::read(&KekSource::File(path), WhenMissing::Create).unwrap();
        assert_eq!(late.id(), kek.id());
        let wrapped = late.wrap(&bytes, b"").await.unwrap();
        assert_eq!(kek.unwrap(&wrapped, b"").await.unwrap(), bytes);
    }
}
