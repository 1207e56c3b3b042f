//! The engine, its lock, and the collection of its garbage.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_sdk_dynamodb::config::SharedHttpClient;
use dynoxide::Database;
use sealwax_core::store::StoreError;
use tokio::task::JoinHandle;

use super::lock::{FolderLock, unusable};
use super::transport::InProcess;

/// The first collection of expired items after a start, and the time between two.
const SWEEP_FIRST: Duration = Duration::from_secs(600);
const SWEEP_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// The file in the store's folder.
pub(super) const FILE: &str = "store.sqlite";

/// The embedded engine. Dropping it closes the file and gives the folder free, once no request is
/// under way.
pub(crate) struct Engine {
    opened: Arc<Opened>,
    sweeper: JoinHandle<()>,
}

/// The open file, and the right to it.
pub(super) struct Opened {
    pub(super) database: Database,
    /// After the file, so that the folder is free only when that is closed.
    _lock: FolderLock,
}

impl Engine {
    /// Opens the file in this folder.
    pub(crate) async fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = folder.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let lock = FolderLock::take(&folder)?;
            let file = folder.join(FILE);
            let path = file
                .to_str()
                .ok_or_else(|| unusable(&file, &std::io::Error::other("the path is not UTF-8")))?;
            let database = Database::new(path)
                .map_err(|error| unusable(&file, &std::io::Error::other(error.to_string())))?;
            Ok(Opened { database, _lock: lock })
        });
        let opened = opened
            .await
            .map_err(|error| StoreError::Unavailable { detail: error.to_string() })??;
        let opened = Arc::new(opened);
        let sweeper = tokio::spawn(sweep(Arc::downgrade(&opened)));
        Ok(Self { opened, sweeper })
    }

    /// What the SDK sends its requests through.
    pub(crate) fn transport(&self) -> SharedHttpClient {
        SharedHttpClient::new(InProcess::new(Arc::clone(&self.opened)))
    }

    /// Whether there is a table. Does not count items, as describing a table would.
    pub(crate) fn has_tables(&self) -> Result<bool, StoreError> {
        let count = self.opened.database.table_count();
        let count =
            count.map_err(|error| StoreError::Misconfigured { detail: error.to_string() })?;
        Ok(count > 0)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

/// Holds the file only while it sweeps: an ended store must not keep its folder.
async fn sweep(opened: Weak<Opened>) {
    tokio::time::sleep(SWEEP_FIRST).await;
    while let Some(opened) = opened.upgrade() {
        let swept = tokio::task::spawn_blocking(move || opened.database.sweep_ttl());
        match swept.await {
            Ok(Ok(items)) => tracing::debug!(items, "expired items were collected"),
            Ok(Err(error)) => tracing::warn!(%error, "expired items were not collected"),
            Err(error) => tracing::warn!(%error, "the collection of expired items ended"),
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}
