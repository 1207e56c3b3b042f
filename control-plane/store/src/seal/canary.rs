//! Finds a wrong key at start, not at the first handshake.

use sealwax_core::PrivateKey;
use sealwax_core::secret::{SealError, SealPlace, Sealer as _};
use sealwax_core::store::{Store, StoreError};
use zeroize::Zeroizing;

use super::KeySealer;
use super::envelope::Envelope;

/// The account that no CA has. It holds a known text, sealed when the store was first used, and
/// moves to another key or store like every account.
pub const CANARY_ISSUER: &str = "#canary";
const SONG: &[u8] = b"sealwax canary";

/// What is wrong with the key-encryption key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyCheckError {
    /// The store's keys are under another one.
    #[error(
        "the private keys in this store are sealed under key-encryption key {stored}, but [keys] \
         kek is {configured}: configure the key the store was used with; to change it, start with \
         that one and run `sealwax store rewrap-keys`"
    )]
    WrongKey {
        /// The id in the store.
        stored: String,
        /// The id of the one configured.
        configured: String,
    },
    /// The key cannot be asked.
    #[error(transparent)]
    Key(SealError),
    /// The store cannot be asked.
    #[error(transparent)]
    Store(StoreError),
}

impl KeySealer {
    /// Proves that this key opens what is in the store; a store without any keys takes it over
    /// as its own. To be called at start, before anything is served.
    ///
    /// # Errors
    /// [`KeyCheckError`], with what to do.
    pub async fn check(&self, store: &dyn Store) -> Result<(), KeyCheckError> {
        if store.account(CANARY_ISSUER).await.map_err(KeyCheckError::Store)?.is_none() {
            let song = PrivateKey::new(Zeroizing::new(SONG.to_vec()));
            let sealed = self.seal(SealPlace::Account(CANARY_ISSUER), &song).await;
            let sealed = sealed.map_err(KeyCheckError::Key)?;
            match store.create_account(CANARY_ISSUER, &sealed).await {
                // Another replica was faster: its key is the store's.
                Ok(()) | Err(StoreError::Lost { .. }) => {}
                Err(error) => return Err(KeyCheckError::Store(error)),
            }
        }
        match self.check_if_any(store).await? {
            true => Ok(()),
            false => {
                Err(KeyCheckError::Store(StoreError::Lost { domain: CANARY_ISSUER.to_owned() }))
            }
        }
    }

    /// Proves that this key opens what is in the store, and writes nothing. False: the store has
    /// no keys.
    ///
    /// # Errors
    /// [`KeyCheckError`], with what to do.
    pub async fn check_if_any(&self, store: &dyn Store) -> Result<bool, KeyCheckError> {
        let found = store.account(CANARY_ISSUER).await.map_err(KeyCheckError::Store)?;
        let Some(found) = found else { return Ok(false) };
        match self.open(SealPlace::Account(CANARY_ISSUER), &found).await {
            Ok(song) if song.expose() == SONG => Ok(true),
            Ok(_) | Err(SealError::DoesNotOpen) => Err(KeyCheckError::WrongKey {
                stored: Envelope::read(found.as_bytes())
                    .map_or_else(|_| "(unreadable)".to_owned(), |found| found.kek.to_string()),
                configured: self.current().to_string(),
            }),
            Err(error) => Err(KeyCheckError::Key(error)),
        }
    }
}
