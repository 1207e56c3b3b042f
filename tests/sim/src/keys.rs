//! Keys from a small pool, and a sealer that binds to its place.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rcgen::{CertificateParams, KeyPair};
use sealwax_core::record::KeyType;
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::{PrivateKey, SealedKey};
use sealwax_protocol::DomainName;
use sealwax_workflow::{KeyError, KeyMaker};
use zeroize::Zeroizing;

/// Keys that all runs of a process share; more than a name ever has at a time.
const POOL: usize = 8;

fn pool() -> &'static [Vec<u8>] {
    static KEYS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    KEYS.get_or_init(|| (0..POOL).map(|_| KeyPair::generate().unwrap().serialize_der()).collect())
}

/// Hands the pool's keys out in turn.
#[derive(Debug, Default)]
pub(crate) struct PooledKeys(AtomicUsize);

#[async_trait]
impl KeyMaker for PooledKeys {
    async fn generate(&self, _kind: KeyType) -> Result<PrivateKey, KeyError> {
        let next = self.0.fetch_add(1, Ordering::Relaxed) % POOL;
        Ok(PrivateKey::new(Zeroizing::new(pool()[next].clone())))
    }

    async fn signing_request(
        &self,
        key: PrivateKey,
        domain: &DomainName,
    ) -> Result<Vec<u8>, KeyError> {
        let pair = KeyPair::try_from(key.expose()).unwrap();
        let params = CertificateParams::new(vec![domain.to_string()]).unwrap();
        Ok(params.serialize_request(&pair).unwrap().der().to_vec())
    }
}

/// Seals by saying for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainSealer;

impl PlainSealer {
    pub(crate) fn opened(place: SealPlace<'_>, sealed: &SealedKey) -> Option<PrivateKey> {
        let prefix = format!("{place:?}|");
        let key = sealed.as_bytes().strip_prefix(prefix.as_bytes())?;
        Some(PrivateKey::new(Zeroizing::new(key.to_vec())))
    }
}

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
        Self::opened(place, sealed).ok_or(SealError::DoesNotOpen)
    }
}
