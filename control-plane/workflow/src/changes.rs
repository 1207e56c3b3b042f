//! Hears what other replicas did to certificates.

use std::sync::Arc;
use std::time::Duration;

use sealwax_core::Span;
use sealwax_core::store::{ChangeCursor, Store};
use tokio_util::sync::CancellationToken;

use crate::announce::Announcer;

/// Longest pause while the log cannot be read; it doubles up to here.
const AWAY_PAUSE_MAX: Duration = Duration::from_secs(5);

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
    let mut pause = interval.duration();
    loop {
        match store.changes(&cursor).await {
            Ok(batch) => {
                if batch.resync || std::mem::take(&mut missed) {
                    announcer.resync();
                }
                for changed in &batch.changed {
                    announcer.changed(&changed.domain);
                }
                if cursor == ChangeCursor::default() {
                    announcer.listening();
                }
                cursor = batch.cursor;
                pause = interval.duration();
            }
            Err(error) => {
                missed |= cursor == ChangeCursor::default();
                if error.is_outage() {
                    tracing::debug!(%error, "could not read the change log; trying again");
                } else {
                    tracing::warn!(%error, "could not read the change log; trying again");
                }
                pause = (pause * 2).min(AWAY_PAUSE_MAX);
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
