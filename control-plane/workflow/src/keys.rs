//! Where private keys come from.

use async_trait::async_trait;
use sealwax_core::PrivateKey;
use sealwax_core::record::KeyType;
use sealwax_protocol::DomainName;

/// Makes keys and signing requests. Either may take a second (RSA), which no other task waits for.
#[async_trait]
pub trait KeyMaker: Send + Sync + 'static {
    /// A new private key, PKCS#8.
    ///
    /// # Errors
    /// When the crypto library cannot.
    async fn generate(&self, kind: KeyType) -> Result<PrivateKey, KeyError>;

    /// A signing request for one domain, DER.
    ///
    /// # Errors
    /// When the key cannot be read.
    async fn signing_request(
        &self,
        key: PrivateKey,
        domain: &DomainName,
    ) -> Result<Vec<u8>, KeyError>;
}

/// A key could not be made or used. Never contains key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a private key could not be made or used: {detail}")]
pub struct KeyError {
    /// What the crypto library says.
    pub detail: String,
}
