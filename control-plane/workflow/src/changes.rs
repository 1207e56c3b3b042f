//! Hears what other replicas did to certificates.

use std::sync::Arc;

use sealwax_core::Span;
use sealwax_core::store::{ChangeCursor, Store};
use tokio_util::sync::CancellationToken;

use crate::announce::Announcer;

/// Reads the change log every `interval` until told to stop, and passes on what it says.
pub async fn serve(
    store: Arc<dyn Store>,
    announcer: Arc<dyn Announcer>,
    interval: Span,
    stop: CancellationToken,
) {
    let mut cursor = ChangeCursor::default();
    // Without a place in the log nothing says what changed until there is one.
    let mut missed = false;
    loop {
        match store.changes(&cursor).await {
            Ok(batch) => {
                if batch.resync || std::mem::take(&mut missed) {
                    announcer.resync();
                }
                for changed in &batch.changed {
                    announcer.changed(&changed.domain);
                }
                cursor = batch.cursor;
            }
            Err(error) => {
                missed |= cursor == ChangeCursor::default();
                tracing::warn!(%error, "could not read the change log; trying again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval.duration()) => {}
        }
    }
}
