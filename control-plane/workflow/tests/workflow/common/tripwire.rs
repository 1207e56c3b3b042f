//! Kills a process before or after its nth effect.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use sealwax_core::SealedKey;
use sealwax_core::issuer::{IssueError, Issuer, OrderRequest, OrderView, RenewalInfo};
use sealwax_core::preflight::CaaIdentity;
use sealwax_core::store::{
    Challenge, Change, ChangeBatch, ChangeCursor, Document, DuePage, Entry, Expected,
    LifecycleEvent, Page, RecordVersion, Selection, Store, StoreError,
};
use sealwax_core::{Chain, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_store::memory::MemoryStore;
use tokio::sync::Notify;

use super::ca::MemoryCa;

/// On which side of the effect the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

#[derive(Default)]
pub(crate) struct Tripwire {
    armed: Mutex<Option<(usize, Side)>>,
    effects: Mutex<Vec<&'static str>>,
    /// Others write the record of work in flight before every other write of the workflow.
    pub(crate) meddled: AtomicBool,
    writes: AtomicUsize,
    /// The next writes of work in flight have no answer; true: they are made all the same.
    pub(crate) unanswered: Mutex<VecDeque<bool>>,
    pub(crate) dead: Notify,
}

impl Tripwire {
    /// The process dies at its effect number `nth` (from 0).
    pub(crate) fn arm(&self, nth: usize, side: Side) {
        *self.armed.lock().unwrap() = Some((nth, side));
        self.effects.lock().unwrap().clear();
    }

    pub(crate) fn disarm(&self) {
        *self.armed.lock().unwrap() = None;
    }

    pub(crate) fn effects(&self) -> Vec<&'static str> {
        self.effects.lock().unwrap().clone()
    }

    async fn pass<T>(&self, effect: &'static str, act: impl Future<Output = T>) -> T {
        let number = {
            let mut effects = self.effects.lock().unwrap();
            effects.push(effect);
            effects.len() - 1
        };
        let armed = *self.armed.lock().unwrap();
        let here = |side| armed == Some((number, side));
        if here(Side::Before) {
            return self.die().await;
        }
        let done = act.await;
        if here(Side::After) {
            return self.die().await;
        }
        done
    }

    async fn die<T>(&self) -> T {
        self.dead.notify_one();
        std::future::pending().await
    }
}

pub(crate) struct TrippedStore {
    inner: Arc<MemoryStore>,
    tripwire: Arc<Tripwire>,
}

impl TrippedStore {
    pub(crate) fn new(inner: Arc<MemoryStore>, tripwire: Arc<Tripwire>) -> Self {
        Self { inner, tripwire }
    }
}

#[async_trait]
impl Store for TrippedStore {
    fn exclusive(&self) -> bool {
        self.inner.exclusive()
    }
    async fn load(&self, domains: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.inner.load(domains).await
    }
    async fn write(&self, change: Change) -> Result<RecordVersion, StoreError> {
        let name = std::slice::from_ref(&change.record.domain);
        let stored = self.inner.load(name).await?.remove(0).map(|entry| entry.stored);
        if let Some(stored) = stored.filter(|stored| stored.record.work.in_flight()) {
            let fault = self.tripwire.unanswered.lock().unwrap().pop_front();
            if let Some(made) = fault {
                if made {
                    self.inner.write(change).await?;
                }
                return Err(StoreError::Unavailable { detail: "no answer".to_owned() });
            }
            let even = self.tripwire.writes.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
            if even && self.tripwire.meddled.load(Ordering::SeqCst) {
                let mut record = stored.record;
                record.registration.tenant = Some(format!("moved {}", stored.version.0));
                let meddle = Change::of(record, Expected::Version(stored.version));
                self.inner.write(meddle).await?;
            }
        }
        self.tripwire.pass("write", self.inner.write(change)).await
    }
    async fn remove(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.inner.remove(domain, version).await
    }
    async fn was_removed(&self, domains: &[DomainName]) -> Result<Vec<bool>, StoreError> {
        self.inner.was_removed(domains).await
    }
    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<DuePage, StoreError> {
        self.inner.due(now, limit, cursor).await
    }
    async fn list(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, StoreError> {
        self.inner.list(selection, limit, cursor).await
    }
    async fn challenge(&self, token: &ChallengeToken) -> Result<Option<Challenge>, StoreError> {
        self.inner.challenge(token).await
    }
    async fn events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, StoreError> {
        self.inner.events(domain, limit).await
    }
    async fn account(&self, issuer: &str) -> Result<Option<SealedKey>, StoreError> {
        self.inner.account(issuer).await
    }
    async fn create_account(&self, issuer: &str, sealed: &SealedKey) -> Result<(), StoreError> {
        self.inner.create_account(issuer, sealed).await
    }
    async fn document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.inner.document(name).await
    }
    async fn put_document(&self, name: &str, document: &Document) -> Result<(), StoreError> {
        self.tripwire.pass("put_document", self.inner.put_document(name, document)).await
    }
    async fn changes(&self, since: &ChangeCursor) -> Result<ChangeBatch, StoreError> {
        self.inner.changes(since).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

pub(crate) struct TrippedIssuer {
    inner: Arc<MemoryCa>,
    tripwire: Arc<Tripwire>,
}

impl TrippedIssuer {
    pub(crate) fn new(inner: Arc<MemoryCa>, tripwire: Arc<Tripwire>) -> Self {
        Self { inner, tripwire }
    }
}

#[async_trait]
impl Issuer for TrippedIssuer {
    fn name(&self) -> &str {
        self.inner.name()
    }
    async fn place_order(&self, request: &OrderRequest) -> Result<String, IssueError> {
        self.tripwire.pass("place_order", self.inner.place_order(request)).await
    }
    async fn observe(&self, order_url: &str) -> Result<OrderView, IssueError> {
        self.tripwire.pass("observe", self.inner.observe(order_url)).await
    }
    async fn answer(&self, order_url: &str) -> Result<(), IssueError> {
        self.tripwire.pass("answer", self.inner.answer(order_url)).await
    }
    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<(), IssueError> {
        self.tripwire.pass("finalize", self.inner.finalize(order_url, csr_der)).await
    }
    async fn download(&self, order_url: &str) -> Result<Chain, IssueError> {
        self.tripwire.pass("download", self.inner.download(order_url)).await
    }
    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfo>, IssueError> {
        self.inner.renewal_info(ari_id).await
    }
    async fn revoke(&self, leaf_der: &[u8]) -> Result<(), IssueError> {
        self.inner.revoke(leaf_der).await
    }
    async fn relinquish(&self, order_url: &str) -> Result<(), IssueError> {
        self.tripwire.pass("relinquish", self.inner.relinquish(order_url)).await
    }
    async fn caa_identity(&self) -> CaaIdentity {
        self.inner.caa_identity().await
    }
}
