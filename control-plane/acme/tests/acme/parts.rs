//! What an issuer needs around it: a store of accounts, a sealer, a clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use sealwax_acme::AccountVault;
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::store::{
    Challenge, Change, ChangeBatch, ChangeCursor, Document, DuePage, Entry, LifecycleEvent, Page,
    RecordVersion, Selection, Store, StoreError,
};
use sealwax_core::{Clock, PrivateKey, SealedKey, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};
use zeroize::Zeroizing;

/// The machine's clock: Pebble has no other.
pub(crate) struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
    }
}

/// Marks bytes with their place, so that one sealed for another place does not open.
pub(crate) struct MarkingSealer;

fn mark(place: SealPlace<'_>) -> Vec<u8> {
    format!("{place:?}\0").into_bytes()
}

#[async_trait]
impl Sealer for MarkingSealer {
    async fn seal(&self, place: SealPlace<'_>, key: &PrivateKey) -> Result<SealedKey, SealError> {
        let masked = key.expose().iter().map(|byte| byte ^ 0x5a);
        Ok(SealedKey::new(mark(place).into_iter().chain(masked).collect()))
    }

    async fn open(
        &self,
        place: SealPlace<'_>,
        sealed: &SealedKey,
    ) -> Result<PrivateKey, SealError> {
        let masked = sealed.as_bytes().strip_prefix(mark(place).as_slice());
        let clear = masked.ok_or(SealError::DoesNotOpen)?.iter().map(|byte| byte ^ 0x5a).collect();
        Ok(PrivateKey::new(Zeroizing::new(clear)))
    }
}

/// Keeps accounts; an issuer asks for nothing else.
#[derive(Default)]
pub(crate) struct AccountStore {
    accounts: Mutex<BTreeMap<String, SealedKey>>,
    replaces: AtomicUsize,
    /// Which replacement fails, counted from 1; 0: none.
    refused: AtomicUsize,
    /// An account that appears just before the next one is kept: another replica was faster.
    pub(crate) rival: Mutex<Option<SealedKey>>,
}

impl AccountStore {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::default()
    }

    /// The replacement with this number, counted from 1, fails.
    pub(crate) fn refuse(&self, number: usize) {
        self.refused.store(self.replaces.load(Ordering::SeqCst) + number, Ordering::SeqCst);
    }

    pub(crate) fn kept(&self, issuer: &str) -> Option<SealedKey> {
        self.accounts.lock().unwrap().get(issuer).cloned()
    }
}

#[async_trait]
impl AccountVault for AccountStore {
    async fn replace(
        &self,
        issuer: &str,
        expected: &SealedKey,
        sealed: &SealedKey,
    ) -> Result<(), StoreError> {
        let mut accounts = self.accounts.lock().unwrap();
        let number = self.replaces.fetch_add(1, Ordering::SeqCst) + 1;
        if self.refused.load(Ordering::SeqCst) == number {
            return Err(StoreError::Unavailable { detail: "away".to_owned() });
        }
        if accounts.get(issuer) != Some(expected) {
            return Err(StoreError::Lost { domain: issuer.to_owned() });
        }
        accounts.insert(issuer.to_owned(), sealed.clone());
        Ok(())
    }
}

fn not_asked<T>() -> Result<T, StoreError> {
    Err(StoreError::Bug { detail: "an issuer asks for accounts only".to_owned() })
}

#[async_trait]
impl Store for AccountStore {
    fn exclusive(&self) -> bool {
        false
    }

    async fn load(&self, _: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        not_asked()
    }

    async fn write(&self, _: Change) -> Result<RecordVersion, StoreError> {
        not_asked()
    }

    async fn remove(&self, _: &DomainName, _: RecordVersion) -> Result<(), StoreError> {
        not_asked()
    }

    async fn due(&self, _: Timestamp, _: usize, _: Option<&str>) -> Result<DuePage, StoreError> {
        not_asked()
    }

    async fn list(&self, _: &Selection, _: usize, _: Option<&str>) -> Result<Page, StoreError> {
        not_asked()
    }

    async fn challenge(&self, _: &ChallengeToken) -> Result<Option<Challenge>, StoreError> {
        not_asked()
    }

    async fn events(&self, _: &DomainName, _: usize) -> Result<Vec<LifecycleEvent>, StoreError> {
        not_asked()
    }

    async fn account(&self, issuer: &str) -> Result<Option<SealedKey>, StoreError> {
        Ok(self.kept(issuer))
    }

    async fn create_account(&self, issuer: &str, sealed: &SealedKey) -> Result<(), StoreError> {
        let mut accounts = self.accounts.lock().unwrap();
        if let Some(rival) = self.rival.lock().unwrap().take() {
            accounts.insert(issuer.to_owned(), rival);
        }
        if accounts.contains_key(issuer) {
            return Err(StoreError::Lost { domain: issuer.to_owned() });
        }
        accounts.insert(issuer.to_owned(), sealed.clone());
        Ok(())
    }

    async fn document(&self, _: &str) -> Result<Option<Document>, StoreError> {
        not_asked()
    }

    async fn put_document(&self, _: &str, _: &Document) -> Result<(), StoreError> {
        not_asked()
    }

    async fn changes(&self, _: &ChangeCursor) -> Result<ChangeBatch, StoreError> {
        not_asked()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
