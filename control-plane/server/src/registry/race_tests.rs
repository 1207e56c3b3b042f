//! Others write the same records, or nobody can.

use std::sync::atomic::{AtomicU64, Ordering};

use sealwax_store::memory::{Fault, MemoryStore, Operation};

use super::tests::{name, tenant, world};
use super::*;

/// Writes by others between each load and write of the registry.
struct Meddled {
    inner: Arc<MemoryStore>,
    left: AtomicU64,
}

#[async_trait::async_trait]
impl Store for Meddled {
    fn exclusive(&self) -> bool {
        false
    }

    async fn load(
        &self,
        domains: &[DomainName],
    ) -> Result<Vec<Option<sealwax_core::store::Entry>>, StoreError> {
        let loaded = self.inner.load(domains).await?;
        let left = self.left.load(Ordering::SeqCst);
        if left > 0 {
            self.left.store(left - 1, Ordering::SeqCst);
            let stored = loaded[0].clone().unwrap().stored;
            let change = Change::of(stored.record, Expected::Version(stored.version));
            self.inner.write(change).await?;
        }
        Ok(loaded)
    }

    async fn write(
        &self,
        change: Change,
    ) -> Result<sealwax_core::store::RecordVersion, StoreError> {
        self.inner.write(change).await
    }

    async fn remove(
        &self,
        domain: &DomainName,
        version: sealwax_core::store::RecordVersion,
    ) -> Result<(), StoreError> {
        self.inner.remove(domain, version).await
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<DomainName>, StoreError> {
        self.inner.due(now, limit).await
    }

    async fn list(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, StoreError> {
        self.inner.list(selection, limit, cursor).await
    }

    async fn challenge(
        &self,
        token: &ChallengeToken,
    ) -> Result<Option<sealwax_core::store::Challenge>, StoreError> {
        self.inner.challenge(token).await
    }

    async fn events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, StoreError> {
        self.inner.events(domain, limit).await
    }

    async fn account(&self, issuer: &str) -> Result<Option<sealwax_core::SealedKey>, StoreError> {
        self.inner.account(issuer).await
    }

    async fn create_account(
        &self,
        issuer: &str,
        sealed: &sealwax_core::SealedKey,
    ) -> Result<(), StoreError> {
        self.inner.create_account(issuer, sealed).await
    }

    async fn document(
        &self,
        name: &str,
    ) -> Result<Option<sealwax_core::store::Document>, StoreError> {
        self.inner.document(name).await
    }

    async fn put_document(
        &self,
        name: &str,
        document: &sealwax_core::store::Document,
    ) -> Result<(), StoreError> {
        self.inner.put_document(name, document).await
    }

    async fn changes(
        &self,
        since: &sealwax_core::store::ChangeCursor,
    ) -> Result<sealwax_core::store::ChangeBatch, StoreError> {
        self.inner.changes(since).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

#[tokio::test]
async fn a_lost_race_is_run_again_and_given_up_at_some_point() {
    let world = world(false);
    let domain = name("a.example.com");
    world.registry.put(&domain, tenant("t1")).await.unwrap();
    let meddled = |left| Registry {
        store: Arc::new(Meddled { inner: Arc::clone(&world.store), left: AtomicU64::new(left) }),
        ..world.registry.clone()
    };
    let put = meddled(3).put(&domain, tenant("t2")).await.unwrap();
    assert_eq!(put.record.registration, tenant("t2"));
    assert!(matches!(
        meddled(100).put(&domain, tenant("t3")).await,
        Err(RegistryError::Contended(_))
    ));
    assert!(matches!(
        meddled(100).renew(&domain, Window::Ignored).await,
        Err(RegistryError::Contended(_))
    ));
    meddled(3).remove(&domain).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_away_is_said_and_nothing_is_announced() {
    let world = world(true);
    world.store.set_faults(Some(Arc::new(|operation| {
        (operation == Operation::Write).then_some(Fault::Refused)
    })));
    let put = world.registry.put(&name("a.example.com"), Registration::default()).await;
    assert!(matches!(put, Err(RegistryError::Store(StoreError::Unavailable { .. }))));
    assert!(world.heard().is_empty());
}
