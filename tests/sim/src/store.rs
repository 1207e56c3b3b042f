//! The reference store as a replica reaches it: through the gate, and watched.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use sealwax_core::budget::{Bucket, BucketKey, Limits};
use sealwax_core::store::{
    Challenge, Change, ChangeBatch, ChangeCursor, Document, DuePage, Entry, Expected,
    LifecycleEvent, Page, RecordVersion, Selection, Store, StoreError,
};
use sealwax_core::{Cause, SealedKey, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_store::memory::MemoryStore;

use crate::ca::ISSUER;
use crate::effects::{Effect, Fails, Gate};
use crate::plan::{DAY, Mutation, Trouble};
use crate::time::COMMON;

/// A replica's store.
pub(crate) struct GatedStore {
    pub(crate) gate: Gate,
    pub(crate) exclusive: bool,
}

fn away() -> StoreError {
    StoreError::Unavailable { detail: "not done".into() }
}

fn unanswered() -> StoreError {
    StoreError::Unavailable { detail: "done, or not".into() }
}

impl GatedStore {
    fn reach(&self) -> Result<Arc<MemoryStore>, StoreError> {
        let world = &self.gate.world;
        if world.plan.is(Trouble::StoreDown, world.time.passed()) {
            self.gate.lose_tokens();
            return Err(away());
        }
        Ok(world.store())
    }

    fn written(&self, change: &Change) -> Result<RecordVersion, StoreError> {
        let world = &self.gate.world;
        let store = self.reach().inspect_err(|_| {
            world.ca.excuse(self.gate.life.instance, Some(&change.record.domain));
        })?;
        let domain = change.record.domain.clone();
        let before = world.record(&domain);
        // The reference store answers at once.
        let written = store.write(change.clone()).now_or_never().unwrap();
        if written.is_ok() {
            world.wrote(&change.record);
            world.watch.wrote(world, &self.gate.life, before.as_ref(), change);
        }
        match (&written, world.plan.mutation) {
            (Ok(version), Some(Mutation::WritesAgain)) => self.write_again(change, *version),
            _ => written,
        }
    }

    /// [`Mutation::WritesAgain`].
    fn write_again(
        &self,
        change: &Change,
        mut version: RecordVersion,
    ) -> Result<RecordVersion, StoreError> {
        let (world, store) = (&self.gate.world, self.reach()?);
        for _ in 0..60 {
            let again = Change::of(change.record.clone(), Expected::Version(version));
            version = store.write(again.clone()).now_or_never().unwrap()?;
            world.watch.wrote(world, &self.gate.life, Some(&change.record), &again);
        }
        Ok(version)
    }

    /// [`Mutation::LongRest`].
    fn rested(mut change: Change) -> Change {
        let failure = change.record.failure.as_mut();
        let outage = |cause| matches!(cause, Cause::CaUnavailable | Cause::PlatformUnavailable);
        if let Some(failure) = failure.filter(|failure| outage(failure.cause)) {
            // Not so long that a failing name would be left alone, whoever visits it.
            let next = change.record.updated_at + DAY;
            failure.next_attempt_at = Some(next);
            failure.outage.not_before = Some(next);
        }
        change
    }

    /// [`Mutation::TokensTwice`].
    fn costlier(name: &str, before: Option<&Document>, document: &Document) -> Document {
        let orders = |document: &Document| {
            let buckets: Vec<(BucketKey, Bucket)> = serde_json::from_str(&document.text).unwrap();
            buckets
        };
        let full_at = |buckets: &[(BucketKey, Bucket)]| {
            let orders = buckets.iter().find(|(key, _)| *key == BucketKey::Orders);
            orders.map(|(_, bucket)| bucket.full_at())
        };
        if name != format!("budget#{ISSUER}") {
            return document.clone();
        }
        let mut buckets = orders(document);
        if full_at(&buckets) > before.and_then(|before| full_at(&orders(before))) {
            let orders = Limits::default().orders_per_account;
            for (_, bucket) in buckets.iter_mut().filter(|(key, _)| *key == BucketKey::Orders) {
                *bucket = bucket.take(orders, 1, bucket.full_at());
            }
        }
        Document { text: serde_json::to_string(&buckets).unwrap(), ..document.clone() }
    }

    fn put(&self, name: &str, document: &Document) -> Result<(), StoreError> {
        let (world, store) = (&self.gate.world, self.reach()?);
        let before = store.document(name).now_or_never().unwrap()?;
        let mutated = world.plan.mutation == Some(Mutation::TokensTwice);
        let costlier = mutated.then(|| Self::costlier(name, before.as_ref(), document));
        let document = costlier.as_ref().unwrap_or(document);
        store.put_document(name, document).now_or_never().unwrap()?;
        let documents = (before.as_ref(), document);
        world.watch.tokens.wrote(world, self.gate.life.instance, name, documents);
        Ok(())
    }
}

#[async_trait]
impl Store for GatedStore {
    fn exclusive(&self) -> bool {
        self.exclusive
    }

    async fn load(&self, domains: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        let name = match domains {
            [domain] => self.gate.world.number(domain),
            _ => COMMON,
        };
        self.gate.wait(sealwax_core::Span::from_millis(3), name).await;
        self.reach()?.load(domains).await
    }

    async fn write(&self, change: Change) -> Result<RecordVersion, StoreError> {
        let mutated = self.gate.world.plan.mutation == Some(Mutation::LongRest);
        let change = if mutated { Self::rested(change) } else { change };
        let domain = change.record.domain.clone();
        let fails = Fails { refused: away, lost: unanswered, limited: |_| away() };
        self.gate.pass(Effect::Write, &domain, fails, || self.written(&change)).await
    }

    async fn remove(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.reach()?.remove(domain, version).await
    }

    async fn was_removed(&self, domains: &[DomainName]) -> Result<Vec<bool>, StoreError> {
        self.reach()?.was_removed(domains).await
    }

    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<DuePage, StoreError> {
        self.reach()?.due(now, limit, cursor).await
    }

    async fn list(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, StoreError> {
        self.reach()?.list(selection, limit, cursor).await
    }

    async fn challenge(&self, token: &ChallengeToken) -> Result<Option<Challenge>, StoreError> {
        self.reach()?.challenge(token).await
    }

    async fn events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, StoreError> {
        self.reach()?.events(domain, limit).await
    }

    async fn account(&self, issuer: &str) -> Result<Option<SealedKey>, StoreError> {
        self.reach()?.account(issuer).await
    }

    async fn create_account(&self, issuer: &str, sealed: &SealedKey) -> Result<(), StoreError> {
        self.reach()?.create_account(issuer, sealed).await
    }

    async fn document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.gate.wait(sealwax_core::Span::from_millis(3), COMMON).await;
        self.reach()?.document(name).await
    }

    async fn put_document(&self, name: &str, document: &Document) -> Result<(), StoreError> {
        let fails = Fails { refused: away, lost: unanswered, limited: |_| away() };
        // Shared by all names: struck as if it were the first one's.
        let Some(domain) = self.gate.world.domains.first() else { return Ok(()) };
        let put = || self.put(name, document);
        self.gate.pass(Effect::Reserve, domain, fails, put).await
    }

    async fn changes(&self, since: &ChangeCursor) -> Result<ChangeBatch, StoreError> {
        self.reach()?.changes(since).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.reach().map(drop)
    }
}
