//! Keys for certificates, made by the ACME crate.

use async_trait::async_trait;
use sealwax_core::PrivateKey;
use sealwax_core::record::KeyType;
use sealwax_protocol::DomainName;
use sealwax_workflow::{KeyError, KeyMaker};

/// Makes keys in this process, on threads that may be busy for long.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalKeys;

#[async_trait]
impl KeyMaker for LocalKeys {
    async fn generate(&self, kind: KeyType) -> Result<PrivateKey, KeyError> {
        aside(move || sealwax_acme::key::generate(kind)).await
    }

    async fn signing_request(
        &self,
        key: PrivateKey,
        domain: &DomainName,
    ) -> Result<Vec<u8>, KeyError> {
        let domain = domain.clone();
        aside(move || sealwax_acme::key::signing_request(&key, &domain)).await
    }
}

async fn aside<T: Send + 'static>(
    made: impl FnOnce() -> Result<T, sealwax_acme::key::KeyError> + Send + 'static,
) -> Result<T, KeyError> {
    let made = tokio::task::spawn_blocking(made).await;
    made.map_err(|error| KeyError { detail: error.to_string() })?
        .map_err(|error| KeyError { detail: error.to_string() })
}
