//! Standing in front of a store: to measure it, to replace it while it is not there, or to fail it
//! in tests. What is not said otherwise is what the store behind does.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use sealwax_protocol::{ChallengeToken, DomainName};

use super::{
    Challenge, Change, ChangeBatch, ChangeCursor, Document, DuePage, Entry, LifecycleEvent,
    NamePage, Page, RecordVersion, Selection, Store, StoreError,
};
use crate::{SealedKey, Timestamp};

/// What stands in front of a store. Only what differs has to be written.
#[async_trait]
pub trait Front: Send + Sync + 'static {
    /// The store behind, asked for before each call.
    ///
    /// # Errors
    /// What the call is answered instead.
    fn behind(&self) -> Result<Arc<dyn Store>, StoreError>;

    /// As [`Store::exclusive`]; false while there is no store behind.
    fn exclusive(&self) -> bool {
        self.behind().is_ok_and(|store| store.exclusive())
    }

    /// Every call goes through here, under its name.
    async fn around<T: Send>(
        &self,
        _call: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        work.await
    }

    /// As [`Store::load`].
    async fn load(&self, domains: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.behind()?.load(domains).await
    }

    /// As [`Store::write`].
    async fn write(&self, change: Change) -> Result<RecordVersion, StoreError> {
        self.behind()?.write(change).await
    }

    /// As [`Store::write_all`].
    async fn write_all(&self, changes: Vec<Change>) -> Vec<Result<RecordVersion, StoreError>> {
        let mut written = Vec::with_capacity(changes.len());
        match self.behind() {
            Ok(store) => written = store.write_all(changes).await,
            Err(_) => {
                for _ in changes {
                    // Anew for each: an error is not to be copied.
                    let refused = || StoreError::Unavailable { detail: "it is back".to_owned() };
                    written.push(Err(self.behind().err().unwrap_or_else(refused)));
                }
            }
        }
        written
    }

    /// As [`Store::remove`].
    async fn remove(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.behind()?.remove(domain, version).await
    }

    /// As [`Store::was_removed`].
    async fn was_removed(&self, domains: &[DomainName]) -> Result<Vec<bool>, StoreError> {
        self.behind()?.was_removed(domains).await
    }

    /// As [`Store::document`].
    async fn document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.behind()?.document(name).await
    }

    /// As [`Store::put_document`].
    async fn put_document(&self, name: &str, document: &Document) -> Result<(), StoreError> {
        self.behind()?.put_document(name, document).await
    }

    /// As [`Store::ping`].
    async fn ping(&self) -> Result<(), StoreError> {
        self.behind()?.ping().await
    }
}

/// A store with something in front of it.
#[derive(Clone, Debug)]
pub struct Fronted<F>(pub F);

#[async_trait]
impl<F: Front> Store for Fronted<F> {
    fn exclusive(&self) -> bool {
        self.0.exclusive()
    }

    async fn load(&self, domains: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.0.around("load", self.0.load(domains)).await
    }

    async fn write(&self, change: Change) -> Result<RecordVersion, StoreError> {
        self.0.around("write", self.0.write(change)).await
    }

    async fn write_all(&self, changes: Vec<Change>) -> Vec<Result<RecordVersion, StoreError>> {
        self.0.write_all(changes).await
    }

    async fn remove(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.0.around("remove", self.0.remove(domain, version)).await
    }

    async fn forget(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        let forget = async { self.0.behind()?.forget(domain, version).await };
        self.0.around("remove", forget).await
    }

    async fn was_removed(&self, domains: &[DomainName]) -> Result<Vec<bool>, StoreError> {
        self.0.around("was_removed", self.0.was_removed(domains)).await
    }

    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<DuePage, StoreError> {
        self.0.around("due", async { self.0.behind()?.due(now, limit, cursor).await }).await
    }

    async fn list(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, StoreError> {
        self.0.around("list", async { self.0.behind()?.list(selection, limit, cursor).await }).await
    }

    async fn names(&self, cursor: Option<&str>) -> Result<NamePage, StoreError> {
        self.0.around("names", async { self.0.behind()?.names(cursor).await }).await
    }

    async fn challenge(&self, token: &ChallengeToken) -> Result<Option<Challenge>, StoreError> {
        self.0.around("challenge", async { self.0.behind()?.challenge(token).await }).await
    }

    async fn events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, StoreError> {
        self.0.around("events", async { self.0.behind()?.events(domain, limit).await }).await
    }

    async fn account(&self, issuer: &str) -> Result<Option<SealedKey>, StoreError> {
        self.0.around("account", async { self.0.behind()?.account(issuer).await }).await
    }

    async fn create_account(&self, issuer: &str, sealed: &SealedKey) -> Result<(), StoreError> {
        let create = async { self.0.behind()?.create_account(issuer, sealed).await };
        self.0.around("create_account", create).await
    }

    async fn document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.0.around("document", self.0.document(name)).await
    }

    async fn put_document(&self, name: &str, document: &Document) -> Result<(), StoreError> {
        self.0.around("put_document", self.0.put_document(name, document)).await
    }

    async fn changes(&self, since: &ChangeCursor) -> Result<ChangeBatch, StoreError> {
        self.0.around("changes", async { self.0.behind()?.changes(since).await }).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.0.around("ping", self.0.ping()).await
    }
}
