//! Envelope encryption of private keys.
//!
//! A key is sealed with AES-256-GCM under a data key; the data key is wrapped by the
//! key-encryption key and travels with what it sealed. So opening asks for nothing but the
//! key-encryption key, and a new one only needs the data keys wrapped again: private keys stay
//! closed while that happens. Data keys are shared by many names and cached, so that a
//! key-encryption key behind a network is rarely asked.

mod canary;
mod data_key;
mod envelope;
mod kek;
mod kms;

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::{PrivateKey, SealedKey};
use zeroize::Zeroizing;

pub use canary::{CANARY_ISSUER, KeyCheckError};
use data_key::DataKeys;
use envelope::Envelope;
pub use kek::{DataKeyBytes, KekError, KekId, KekSource, KeyEncryptionKey, LocalKek, WhenMissing};
pub use kms::KmsKek;

/// Seals and opens private keys under a key-encryption key.
pub struct KeySealer {
    current: Arc<dyn KeyEncryptionKey>,
    retired: Vec<Arc<dyn KeyEncryptionKey>>,
    data_keys: DataKeys,
}

impl KeySealer {
    /// Seals under this key, and opens what was sealed under it.
    #[must_use]
    pub fn new(current: Arc<dyn KeyEncryptionKey>) -> Self {
        Self { current, retired: Vec::new(), data_keys: DataKeys::default() }
    }

    /// Opens what was sealed under an earlier key as well: needed until
    /// [`rewrap_keys`](crate::rewrap_keys) is through.
    #[must_use]
    pub fn with_retired(mut self, retired: Arc<dyn KeyEncryptionKey>) -> Self {
        self.retired.push(retired);
        self
    }

    /// The key that seals now.
    #[must_use]
    pub fn current(&self) -> KekId {
        self.current.id()
    }

    /// Wraps the data key of something sealed under the current key-encryption key; `None` if it
    /// is already. What is sealed is not opened.
    ///
    /// # Errors
    /// When the key-encryption key it is under is not at hand.
    pub async fn rewrap(&self, sealed: &SealedKey) -> Result<Option<SealedKey>, SealError> {
        let mut envelope = Envelope::read(sealed.as_bytes())?;
        let current = self.current.id();
        if envelope.kek == current {
            return Ok(None);
        }
        let bytes =
            self.kek(envelope.kek)?.unwrap(&envelope.wrapped, &envelope.wrap_context()).await?;
        envelope.kek = current;
        envelope.wrapped = self.current.wrap(&bytes, &envelope.wrap_context()).await?;
        Ok(Some(SealedKey::new(envelope.write()?)))
    }

    fn kek(&self, id: KekId) -> Result<&Arc<dyn KeyEncryptionKey>, SealError> {
        std::iter::once(&self.current)
            .chain(&self.retired)
            .find(|kek| kek.id() == id)
            .ok_or(SealError::DoesNotOpen)
    }
}

impl std::fmt::Debug for KeySealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySealer").field("current", &self.current.id()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Sealer for KeySealer {
    async fn seal(&self, place: SealPlace<'_>, key: &PrivateKey) -> Result<SealedKey, SealError> {
        let data_key = self.data_keys.for_sealing(place, self.current.as_ref()).await?;
        let mut envelope = Envelope::under(&data_key);
        envelope.close(&data_key.cipher, place, key.expose())?;
        Ok(SealedKey::new(envelope.write()?))
    }

    async fn open(
        &self,
        place: SealPlace<'_>,
        sealed: &SealedKey,
    ) -> Result<PrivateKey, SealError> {
        let envelope = Envelope::read(sealed.as_bytes())?;
        let kek = self.kek(envelope.kek)?;
        let data_key = self.data_keys.for_opening(&envelope, kek.as_ref()).await?;
        let opened: Zeroizing<Vec<u8>> = envelope.open(&data_key.cipher, place)?;
        Ok(PrivateKey::new(opened))
    }
}

#[cfg(test)]
mod tests;
