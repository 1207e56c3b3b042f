//! The brake on departures: one document of the store, which all replicas read and write.

use std::sync::Arc;

use sealwax_core::store::{Document, Store, StoreError};
use sealwax_core::{Brake, Departing, Span, Timestamp};

/// The document's name.
const DOCUMENT: &str = "departures";
/// How long the document outlives its last change: nothing in it matters after a day.
const KEPT: Span = Span::from_secs(7 * 86_400);
/// How often a write starts anew because another replica wrote first.
const RELOADS_MAX: u32 = 8;

/// How many domains are parked and erased, and whether that is too many. Cheap to clone.
#[derive(Clone)]
pub struct Departures {
    store: Arc<dyn Store>,
    limit: u64,
}

impl Departures {
    /// Those of a store, with at most `limit` of each kind within an hour.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, limit: u64) -> Self {
        Self { store, limit }
    }

    /// Most of each kind within an hour.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The brake as it is.
    ///
    /// # Errors
    /// The store.
    pub async fn show(&self) -> Result<Brake, StoreError> {
        Ok(self.find().await?.0)
    }

    /// Counts one more. `false`: it is one too many, and is not done.
    ///
    /// # Errors
    /// The store, or too many others who write: it is not done either.
    pub async fn admit(&self, departing: Departing, now: Timestamp) -> Result<bool, StoreError> {
        for _ in 0..RELOADS_MAX {
            let (before, version) = self.find().await?;
            let mut brake = before;
            let admitted = brake.admits(departing, self.limit, now);
            if brake == before {
                return Ok(admitted);
            }
            match self.put(&brake, version, now).await {
                Err(StoreError::Lost { .. }) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    if !admitted {
                        tracing::error!(
                            limit = self.limit,
                            kind = departing.as_str(),
                            "the platform says of more domains than [renewal] gone_per_hour that \
                             they are gone: no more are parked or erased for a day; if it is \
                             right, sealwax domain release-parking"
                        );
                    }
                    return Ok(admitted);
                }
            }
        }
        Err(contended())
    }

    /// The brake lets go for as long as it takes to ask about what is held back.
    ///
    /// # Errors
    /// The store, or too many others who write.
    pub async fn release(&self, now: Timestamp) -> Result<Brake, StoreError> {
        let released = Brake::released(now);
        for _ in 0..RELOADS_MAX {
            let (_, version) = self.find().await?;
            match self.put(&released, version, now).await {
                Err(StoreError::Lost { .. }) => {}
                done => return done.map(|()| released),
            }
        }
        Err(contended())
    }

    async fn put(&self, brake: &Brake, version: u64, now: Timestamp) -> Result<(), StoreError> {
        let text = serde_json::to_string(brake)
            .map_err(|error| StoreError::Bug { detail: format!("{DOCUMENT}: {error}") })?;
        let document = Document { text, version, expires_at: now + KEPT };
        self.store.put_document(DOCUMENT, &document).await
    }

    async fn find(&self) -> Result<(Brake, u64), StoreError> {
        let Some(found) = self.store.document(DOCUMENT).await? else {
            return Ok((Brake::default(), 0));
        };
        let brake = serde_json::from_str(&found.text).map_err(|error| StoreError::Unreadable {
            key: DOCUMENT.to_owned(),
            detail: error.to_string(),
        })?;
        Ok((brake, found.version))
    }
}

fn contended() -> StoreError {
    StoreError::Unavailable { detail: format!("{DOCUMENT} is written all the time") }
}
