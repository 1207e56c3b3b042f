//! The reference store as a replica reaches it: through the gate, and watched.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use sealwax_core::store::{
    Challenge, Change, ChangeBatch, ChangeCursor, Document, DuePage, Entry, LifecycleEvent, Page,
    RecordVersion, Selection, Store, StoreError,
};
use sealwax_core::{SealedKey, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_store::memory::MemoryStore;

use crate::effects::{Effect, Fails, Gate};
use crate::plan::Trouble;
use crate::time::COMMON;

/// A replica's store.
pub(crate) struct GatedStore {
    pub(crate) gate: Gate,
    pub(crate) inner: Arc<MemoryStore>,
}

fn away() -> StoreError {
    StoreError::Unavailable { detail: "not done".into() }
}

fn unanswered() -> StoreError {
    StoreError::Unavailable { detail: "done, or not".into() }
}

impl GatedStore {
    fn reach(&self) -> Result<(), StoreError> {
        let world = &self.gate.world;
        if world.plan.is(Trouble::StoreDown, world.time.passed()) { Err(away()) } else { Ok(()) }
    }

    fn written(&self, change: &Change) -> Result<RecordVersion, StoreError> {
        let world = &self.gate.world;
        if let Err(away) = self.reach() {
            world.ca.excuse(self.gate.life.instance, Some(&change.record.domain));
            return Err(away);
        }
        let domain = change.record.domain.clone();
        let before = world.record(&domain);
        // The reference store answers at once.
        let written = self.inner.write(change.clone()).now_or_never().unwrap();
        if written.is_ok() {
            world.wrote(&change.record);
            world.watch.wrote(world, &self.gate.life, before.as_ref(), change);
        }
        written
    }
}

#[async_trait]
impl Store for GatedStore {
    fn exclusive(&self) -> bool {
        self.inner.exclusive()
    }

    async fn load(&self, domains: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        let name = match domains {
            [domain] => self.gate.world.number(domain),
            _ => COMMON,
        };
        self.gate.wait(sealwax_core::Span::from_millis(3), name).await;
        self.reach()?;
        self.inner.load(domains).await
    }

    async fn write(&self, change: Change) -> Result<RecordVersion, StoreError> {
        let domain = change.record.domain.clone();
        let fails = Fails { refused: away, lost: unanswered, limited: |_| away() };
        self.gate.pass(Effect::Write, &domain, fails, || self.written(&change)).await
    }

    async fn remove(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.reach()?;
        self.inner.remove(domain, version).await
    }

    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<DuePage, StoreError> {
        self.reach()?;
        self.inner.due(now, limit, cursor).await
    }

    async fn list(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, StoreError> {
        self.reach()?;
        self.inner.list(selection, limit, cursor).await
    }

    async fn challenge(&self, token: &ChallengeToken) -> Result<Option<Challenge>, StoreError> {
        self.reach()?;
        self.inner.challenge(token).await
    }

    async fn events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, StoreError> {
        self.reach()?;
        self.inner.events(domain, limit).await
    }

    async fn account(&self, issuer: &str) -> Result<Option<SealedKey>, StoreError> {
        self.reach()?;
        self.inner.account(issuer).await
    }

    async fn create_account(&self, issuer: &str, sealed: &SealedKey) -> Result<(), StoreError> {
        self.reach()?;
        self.inner.create_account(issuer, sealed).await
    }

    async fn document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.gate.wait(sealwax_core::Span::from_millis(3), COMMON).await;
        self.reach()?;
        self.inner.document(name).await
    }

    async fn put_document(&self, name: &str, document: &Document) -> Result<(), StoreError> {
        let fails = Fails { refused: away, lost: unanswered, limited: |_| away() };
        // Shared by all names: struck as if it were the first one's.
        let Some(domain) = self.gate.world.domains.first() else { return Ok(()) };
        let put = || {
            self.reach()?;
            self.inner.put_document(name, document).now_or_never().unwrap()
        };
        self.gate.pass(Effect::Reserve, domain, fails, put).await
    }

    async fn changes(&self, since: &ChangeCursor) -> Result<ChangeBatch, StoreError> {
        self.reach()?;
        self.inner.changes(since).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.reach()
    }
}
