//! DynamoDB inside the process, over a file: the default store.
//!
//! The same requests that would go to AWS go to an engine over SQLite, through the SDK's
//! transport seam: there is no socket that another local process could read from. One process
//! owns the folder; a second one is refused. Every acknowledged write is synced to the file
//! (SQLite's write-ahead log, `synchronous=FULL`), so it survives `kill -9` and loss of power.

mod engine;
mod lock;
mod transport;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider, SharedHttpClient};
use sealwax_core::Clock;
use sealwax_core::store::StoreError;

use crate::dynamo::{Connection, DynamoStore, Timeouts};
pub(crate) use engine::Engine;

/// Opens the store in the folder `path`, and creates what is missing.
///
/// # Errors
/// [`StoreError::Misconfigured`] when another process has it open or the folder cannot be used.
pub async fn open_embedded(path: &Path, clock: Arc<dyn Clock>) -> Result<DynamoStore, StoreError> {
    open_through(path, clock, |transport| transport).await
}

/// Whether there is a store in the folder `path`. One whose creation was cut short is none.
#[must_use]
pub fn embedded_exists(path: &Path) -> bool {
    std::fs::metadata(path.join(engine::FILE)).is_ok_and(|file| file.is_file() && file.len() > 0)
}

/// The file in which the store in the folder `path` has everything. While it is open, the process
/// works in the file it opened, whatever is at this place.
#[must_use]
pub fn embedded_file(path: &Path) -> PathBuf {
    path.join(engine::FILE)
}

/// As [`open_embedded`], with something put around the transport: faults, a recorder.
#[cfg(feature = "testing")]
pub async fn open_embedded_through(
    path: &Path,
    clock: Arc<dyn Clock>,
    around: impl FnOnce(SharedHttpClient) -> SharedHttpClient,
) -> Result<DynamoStore, StoreError> {
    open_through(path, clock, around).await
}

/// An endpoint of the embedded engine that several stores share as replicas share AWS's.
#[cfg(feature = "testing")]
pub struct SharedEngine {
    engine: Engine,
}

#[cfg(feature = "testing")]
impl SharedEngine {
    /// Opens the engine in the folder `path`, without a table.
    ///
    /// # Errors
    /// As [`open_embedded`].
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { engine: Engine::open(path).await? })
    }

    /// One more replica's store, with its own clock and transport. Sets nothing up.
    ///
    /// # Errors
    /// Without randomness.
    pub fn replica(
        &self,
        clock: Arc<dyn Clock>,
        timeouts: &Timeouts,
        around: impl FnOnce(SharedHttpClient) -> SharedHttpClient,
    ) -> Result<DynamoStore, StoreError> {
        let connection = connection(around(self.engine.transport()));
        DynamoStore::assemble(&connection, "shared-", timeouts, clock, None)
    }
}

async fn open_through(
    path: &Path,
    clock: Arc<dyn Clock>,
    around: impl FnOnce(SharedHttpClient) -> SharedHttpClient,
) -> Result<DynamoStore, StoreError> {
    let engine = Engine::open(path).await?;
    let connection = connection(around(engine.transport()));
    let fresh = !engine.has_tables()?;
    let timeouts = timeouts();
    let store = DynamoStore::assemble(&connection, "", &timeouts, clock, Some(engine))?;
    if fresh {
        store.init().await?;
        tracing::warn!(path = %path.display(), "a new, empty store was created");
    }
    sealwax_core::store::Store::ping(&store).await?;
    Ok(store)
}

fn connection(http: SharedHttpClient) -> Connection {
    Connection {
        http,
        region: Region::from_static("embedded"),
        endpoint: Some("http://embedded.invalid".to_owned()),
        // The engine asks nobody who they are; the SDK wants something to sign with.
        credentials: SharedCredentialsProvider::new(Credentials::new(
            "embedded", "embedded", None, None, "embedded",
        )),
    }
}

/// The engine answers within the process; what may take long is a disk that stalls.
fn timeouts() -> Timeouts {
    let mut timeouts = Timeouts::default();
    timeouts.handshake.attempt = timeouts.background.attempt;
    timeouts.handshake.call = timeouts.background.attempt * 2;
    timeouts.background.attempt = timeouts.background.call;
    timeouts.background.call *= 3;
    timeouts
}
