//! What long jobs over a whole store need beyond the everyday calls.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_core::SealedKey;
use sealwax_core::store::{Change, Front, Fronted, RecordVersion, Store, StoreError};

/// A store that keys can be rewrapped in and that can be moved.
#[async_trait]
pub trait Upkeep: Store {
    /// The issuers that have an account here.
    async fn accounts(&self) -> Result<Vec<String>, StoreError>;

    /// Replaces an account's credentials if they are still the expected ones, else
    /// [`StoreError::Lost`].
    async fn replace_account(
        &self,
        issuer: &str,
        expected: &SealedKey,
        sealed: &SealedKey,
    ) -> Result<(), StoreError>;

    /// As [`Store::write`], but replicas are told only if [`Change::announce`] says so: what they
    /// serve stays the same when only the sealing of its key changes.
    async fn write_quietly(&self, change: Change) -> Result<RecordVersion, StoreError>;

    /// How far a job got, if it was begun and not finished.
    async fn mark(&self, job: &str) -> Result<Option<String>, StoreError>;

    /// Remembers how far a job got; `None` forgets it.
    async fn set_mark(&self, job: &str, mark: Option<&str>) -> Result<(), StoreError>;
}

/// [`Front`] of a store that is kept up.
pub trait UpkeepFront: Front {
    /// The store behind.
    ///
    /// # Errors
    /// What the call is answered instead.
    fn upkeep(&self) -> Result<Arc<dyn Upkeep>, StoreError>;
}

#[async_trait]
impl<F: UpkeepFront> Upkeep for Fronted<F> {
    async fn accounts(&self) -> Result<Vec<String>, StoreError> {
        self.0.upkeep()?.accounts().await
    }

    async fn replace_account(
        &self,
        issuer: &str,
        expected: &SealedKey,
        sealed: &SealedKey,
    ) -> Result<(), StoreError> {
        self.0.upkeep()?.replace_account(issuer, expected, sealed).await
    }

    async fn write_quietly(&self, change: Change) -> Result<RecordVersion, StoreError> {
        self.0.upkeep()?.write_quietly(change).await
    }

    async fn mark(&self, job: &str) -> Result<Option<String>, StoreError> {
        self.0.upkeep()?.mark(job).await
    }

    async fn set_mark(&self, job: &str, mark: Option<&str>) -> Result<(), StoreError> {
        self.0.upkeep()?.set_mark(job, mark).await
    }
}
