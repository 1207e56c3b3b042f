//! Data keys: made as needed, kept for a while, wiped when dropped.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::aead::RandomizedNonceKey;
use sealwax_core::secret::{SealError, SealPlace};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::envelope::{DataKeyId, Envelope, cipher, wrap_context};
use super::kek::{KekId, KeyEncryptionKey};
use crate::dynamo::shard_of;

/// How many data keys seal at a time, chosen by name: one that leaks opens a part only.
const SEALING_SHARDS: u64 = 16;
/// How long one of them seals: few keys, so that a cold start asks a remote KEK rarely.
const SEALING_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// How often one of them seals: far below the 2^32 that random nonces allow
/// (NIST SP 800-38D section 8.3).
const SEALS_MAX: u64 = 1 << 20;
/// Most data keys kept for opening, a kilobyte each: what five replicas make in the 90 days of a
/// certificate. A remote KEK is then asked once for each, not for each handshake.
const OPENED_MAX: usize = 8_192;

/// A data key that can be used.
pub(super) struct DataKey {
    pub(super) id: DataKeyId,
    pub(super) kek: KekId,
    pub(super) wrapped: Vec<u8>,
    pub(super) cipher: RandomizedNonceKey,
}

/// The data keys in use.
#[derive(Default)]
pub(super) struct DataKeys {
    sealing: Mutex<HashMap<u64, Sealing>>,
    opened: Mutex<Opened>,
}

struct Sealing {
    key: Arc<DataKey>,
    since: Instant,
    seals: u64,
}

#[derive(Default)]
struct Opened {
    keys: HashMap<DataKeyId, Arc<DataKey>>,
    /// In the order they came, the oldest leaves first.
    order: VecDeque<DataKeyId>,
}

impl DataKeys {
    /// The key that seals for this place now.
    pub(super) async fn for_sealing(
        &self,
        place: SealPlace<'_>,
        kek: &dyn KeyEncryptionKey,
    ) -> Result<Arc<DataKey>, SealError> {
        let (SealPlace::Certificate(name) | SealPlace::Account(name)) = place;
        let shard = shard_of(name, SEALING_SHARDS);
        if let Some(key) = self.usable(shard, Instant::now()) {
            return Ok(key);
        }
        let made = Arc::new(DataKey::generate(kek).await?);
        self.keep(&made);
        let sealing = Sealing { key: Arc::clone(&made), since: Instant::now(), seals: 1 };
        self.sealing.lock().unwrap_or_else(PoisonError::into_inner).insert(shard, sealing);
        Ok(made)
    }

    /// The key that this envelope was closed with.
    pub(super) async fn for_opening(
        &self,
        envelope: &Envelope,
        kek: &dyn KeyEncryptionKey,
    ) -> Result<Arc<DataKey>, SealError> {
        if let Some(key) = self.kept(&envelope.data_key) {
            return Ok(key);
        }
        let bytes = kek.unwrap(&envelope.wrapped, &envelope.wrap_context()).await?;
        let key = Arc::new(DataKey {
            id: envelope.data_key,
            kek: envelope.kek,
            wrapped: envelope.wrapped.clone(),
            cipher: cipher(&bytes)?,
        });
        self.keep(&key);
        Ok(key)
    }

    fn kept(&self, id: &[u8; 16]) -> Option<Arc<DataKey>> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.keys.get(id).cloned()
    }

    fn usable(&self, shard: u64, now: Instant) -> Option<Arc<DataKey>> {
        let mut sealing = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sealing.get_mut(&shard)?;
        if found.seals >= SEALS_MAX || now.duration_since(found.since) >= SEALING_LIFE {
            return None;
        }
        found.seals += 1;
        Some(Arc::clone(&found.key))
    }

    fn keep(&self, key: &Arc<DataKey>) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.keys.insert(key.id, Arc::clone(key)).is_none() {
            opened.order.push_back(key.id);
        }
        while opened.order.len() > OPENED_MAX {
            if let Some(oldest) = opened.order.pop_front() {
                opened.keys.remove(&oldest);
            }
        }
    }
}

impl DataKey {
    async fn generate(kek: &dyn KeyEncryptionKey) -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        let mut id = [0_u8; 16];
        aws_lc_rs::rand::fill(bytes.as_mut_slice())
            .and_then(|()| aws_lc_rs::rand::fill(&mut id))
            .map_err(|_| SealError::KeyUnavailable("no randomness".to_owned()))?;
        let wrapped = kek.wrap(&bytes, &wrap_context(kek.id(), &id)).await?;
        Ok(Self { id, kek: kek.id(), wrapped, cipher: cipher(&bytes)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::LocalKek;

    #[tokio::test]
    async fn a_data_key_does_not_seal_forever() {
        let keys = DataKeys::default();
        let kek = LocalKek::new(&Zeroizing::new([1; 32])).unwrap();
        let place = SealPlace::Account("ca");
        let shard = shard_of("ca", SEALING_SHARDS);
        let first = keys.for_sealing(place, &kek).await.unwrap();
        let now = Instant::now();
        assert_eq!(keys.usable(shard, now).unwrap().id, first.id);
        assert!(keys.usable(shard, now + SEALING_LIFE).is_none());
        keys.sealing.lock().unwrap().get_mut(&shard).unwrap().seals = SEALS_MAX;
        let second = keys.for_sealing(place, &kek).await.unwrap();
        assert_ne!(second.id, first.id);
    }

    #[tokio::test]
    async fn the_cache_is_bounded() {
        let keys = DataKeys::default();
        let kek = LocalKek::new(&Zeroizing::new([1; 32])).unwrap();
        for _ in 0..OPENED_MAX + 10 {
            keys.keep(&Arc::new(DataKey::generate(&kek).await.unwrap()));
        }
        let opened = keys.opened.lock().unwrap();
        assert_eq!((opened.keys.len(), opened.order.len()), (OPENED_MAX, OPENED_MAX));
    }
}
