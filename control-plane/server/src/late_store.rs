//! An embedded store that is not there yet: its volume is not mounted, or its folder was moved.
//!
//! This machine knew a store in this place, so none is created in its stead. The control plane runs,
//! says what is missing, takes nothing from edges, and opens the store when it is back.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use sealwax_core::store::{
    Challenge, Change, ChangeBatch, ChangeCursor, Document, DuePage, Entry, LifecycleEvent,
    NamePage, Page, RecordVersion, Selection, Store, StoreError,
};
use sealwax_core::{Clock, SealedKey, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};
use sealwax_store::{DynamoStore, Upkeep, embedded_exists, open_embedded};
use tokio_util::sync::CancellationToken;

/// How often its place is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct LateStore {
    path: PathBuf,
    known: String,
    clock: Arc<dyn Clock>,
    opened: OnceLock<DynamoStore>,
}

impl LateStore {
    pub(super) fn new(path: PathBuf, known: String, clock: Arc<dyn Clock>) -> Self {
        let late = Self { path, known, clock, opened: OnceLock::new() };
        tracing::error!(error = late.missing(), "there is no store");
        late
    }

    /// Opens it once it is back.
    pub(super) async fn arrive(&self, stop: CancellationToken) {
        let mut said = None;
        loop {
            if embedded_exists(&self.path) {
                match open_embedded(&self.path, Arc::clone(&self.clock)).await {
                    Ok(store) => {
                        tracing::info!(path = %self.path.display(), "the store is back");
                        drop(self.opened.set(store));
                        return;
                    }
                    Err(error) => {
                        let error = error.to_string();
                        if said.as_ref() != Some(&error) {
                            tracing::warn!(error, "the store is back and cannot be opened yet");
                        }
                        said = Some(error);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn missing(&self) -> String {
        format!(
            "{}: no store is there, and this control plane used store {} before; none is created in \
             its place. Mount the volume or put the folder back, it is opened by itself; for a new \
             and empty one run `sealwax store init` and then `sealwax store accept`",
            self.path.display(),
            self.known
        )
    }

    fn there(&self) -> Result<&DynamoStore, StoreError> {
        self.opened.get().ok_or_else(|| StoreError::Unavailable { detail: self.missing() })
    }
}

#[async_trait]
impl Store for LateStore {
    fn exclusive(&self) -> bool {
        true
    }

    async fn load(&self, domains: &[DomainName]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.there()?.load(domains).await
    }

    async fn write(&self, change: Change) -> Result<RecordVersion, StoreError> {
        self.there()?.write(change).await
    }

    async fn write_all(&self, changes: Vec<Change>) -> Vec<Result<RecordVersion, StoreError>> {
        match self.there() {
            Ok(store) => store.write_all(changes).await,
            Err(_) => {
                let missing = || StoreError::Unavailable { detail: self.missing() };
                changes.iter().map(|_| Err(missing())).collect()
            }
        }
    }

    async fn remove(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.there()?.remove(domain, version).await
    }

    async fn forget(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.there()?.forget(domain, version).await
    }

    async fn was_removed(&self, domains: &[DomainName]) -> Result<Vec<bool>, StoreError> {
        self.there()?.was_removed(domains).await
    }

    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<DuePage, StoreError> {
        self.there()?.due(now, limit, cursor).await
    }

    async fn list(
        &self,
        selection: &Selection,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, StoreError> {
        self.there()?.list(selection, limit, cursor).await
    }

    async fn names(&self, cursor: Option<&str>) -> Result<NamePage, StoreError> {
        self.there()?.names(cursor).await
    }

    async fn challenge(&self, token: &ChallengeToken) -> Result<Option<Challenge>, StoreError> {
        self.there()?.challenge(token).await
    }

    async fn events(
        &self,
        domain: &DomainName,
        limit: usize,
    ) -> Result<Vec<LifecycleEvent>, StoreError> {
        self.there()?.events(domain, limit).await
    }

    async fn account(&self, issuer: &str) -> Result<Option<SealedKey>, StoreError> {
        self.there()?.account(issuer).await
    }

    async fn create_account(&self, issuer: &str, sealed: &SealedKey) -> Result<(), StoreError> {
        self.there()?.create_account(issuer, sealed).await
    }

    async fn document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.there()?.document(name).await
    }

    async fn put_document(&self, name: &str, document: &Document) -> Result<(), StoreError> {
        self.there()?.put_document(name, document).await
    }

    async fn changes(&self, since: &ChangeCursor) -> Result<ChangeBatch, StoreError> {
        self.there()?.changes(since).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.there()?.ping().await
    }
}

#[async_trait]
impl Upkeep for LateStore {
    async fn accounts(&self) -> Result<Vec<String>, StoreError> {
        self.there()?.accounts().await
    }

    async fn replace_account(
        &self,
        issuer: &str,
        expected: &SealedKey,
        sealed: &SealedKey,
    ) -> Result<(), StoreError> {
        self.there()?.replace_account(issuer, expected, sealed).await
    }

    async fn write_quietly(&self, change: Change) -> Result<RecordVersion, StoreError> {
        self.there()?.write_quietly(change).await
    }

    async fn mark(&self, job: &str) -> Result<Option<String>, StoreError> {
        self.there()?.mark(job).await
    }

    async fn set_mark(&self, job: &str, mark: Option<&str>) -> Result<(), StoreError> {
        self.there()?.set_mark(job, mark).await
    }
}
