//! An embedded store that is not there yet: its volume is not mounted, or its folder was moved.
//!
//! This machine knew a store in this place, so none is created in its stead. The control plane runs,
//! says what is missing, takes nothing from edges, and opens the store when it is back.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use sealwax_core::Clock;
use sealwax_core::store::{Front, Fronted, Store, StoreError};
use sealwax_store::{Upkeep, UpkeepFront, embedded_exists, open_embedded};
use tokio_util::sync::CancellationToken;

/// How often its place is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The store, once it is there.
pub(super) type LateStore = Fronted<Late>;

pub(super) struct Late {
    path: PathBuf,
    known: String,
    clock: Arc<dyn Clock>,
    opened: OnceLock<Arc<dyn Upkeep>>,
}

impl Late {
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
                        drop(self.opened.set(Arc::new(store)));
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
}

#[async_trait]
impl Front for Late {
    fn behind(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(self.upkeep()?)
    }

    fn exclusive(&self) -> bool {
        true
    }
}

impl UpkeepFront for Late {
    fn upkeep(&self) -> Result<Arc<dyn Upkeep>, StoreError> {
        let opened = self.opened.get().cloned();
        opened.ok_or_else(|| StoreError::Unavailable { detail: self.missing() })
    }
}
