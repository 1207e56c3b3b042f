//! Fills the set of registered names, and keeps it whole.

use std::sync::Arc;
use std::time::Duration;

use sealwax_core::store::{Store, StoreError};
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::known::KnownNames;

/// How far the listing index may lag behind the table: a pass begins so long after the change log
/// is heard, so that a registration is in the one or in the other.
const INDEX_LAG: Duration = Duration::from_secs(3);
/// The second pass, for an index that lagged longer.
const SECOND_AFTER: Duration = Duration::from_secs(60);
/// Between passes: lets go of names that left. A million names are some hundred reads.
const EVERY: Duration = Duration::from_secs(6 * 3_600);
/// Before the store is asked again after it failed; doubles up to the longest.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// The set, and what its filling waits for.
#[derive(Default)]
pub(super) struct Filling {
    pub(super) known: KnownNames,
    /// Every change from now on is heard.
    pub(super) listening: watch::Sender<bool>,
    /// Changes may have been missed.
    pub(super) interrupted: Notify,
}

impl Filling {
    /// Passes over the store's names until told to stop.
    pub(super) async fn serve(&self, store: Arc<dyn Store>, stop: CancellationToken) {
        tokio::select! {
            () = self.keep(&*store) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn keep(&self, store: &dyn Store) {
        // Who has a store to itself hears of every change, and reads its index as it is.
        let shared = !store.exclusive();
        if shared && self.listening.subscribe().wait_for(|listening| *listening).await.is_err() {
            return;
        }
        let mut pause = if shared { SECOND_AFTER } else { EVERY };
        loop {
            if shared {
                tokio::time::sleep(INDEX_LAG).await;
            }
            self.pass(store).await;
            tokio::select! {
                () = self.interrupted.notified() => {}
                () = tokio::time::sleep(pause) => pause = EVERY,
            }
        }
    }

    async fn pass(&self, store: &dyn Store) {
        self.known.begin();
        let (mut cursor, mut again) = (None, AGAIN_FIRST);
        loop {
            match store.names(cursor.as_deref()).await {
                Ok(page) => {
                    again = AGAIN_FIRST;
                    if !self.known.found(&page.domains) {
                        self.known.give_up();
                        tracing::warn!(
                            "more names are registered than are kept in memory; strangers cost a read each"
                        );
                        return;
                    }
                    cursor = page.cursor;
                    if cursor.is_none() {
                        break;
                    }
                }
                Err(error) => {
                    if matches!(error, StoreError::Bug { .. }) {
                        // The cursor is of no use.
                        cursor = None;
                    }
                    tracing::debug!(%error, "the registered names are read later");
                    tokio::time::sleep(again).await;
                    again = (again * 2).min(AGAIN_MAX);
                }
            }
        }
        self.known.finish();
        tracing::info!(names = self.known.len(), "the registered names are known");
    }
}
