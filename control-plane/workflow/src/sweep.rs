//! Wakes what is due: renewals, retries, and work whose holder fell silent.

use std::sync::Arc;

use sealwax_core::store::Store;
use sealwax_core::{Clock, Span};
use tokio_util::sync::CancellationToken;

use crate::lanes::Lane;
use crate::queue::Queue;
use crate::run::Ask;

/// Most domains taken from the index at a time. The rest is found by the next round.
pub const BATCH_MAX: usize = 500;

/// Looks for due domains every `interval` until told to stop. The store's state decides, never
/// the event: a round that is missed is made up for by the next one.
pub async fn serve(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    queue: Queue,
    interval: Span,
    stop: CancellationToken,
) {
    loop {
        let found = round(&*store, &*clock, &queue).await;
        // A full batch means that more is due: go on at once, as far as the queue has room.
        let wait = if found >= BATCH_MAX { interval.scale(1, 10) } else { interval };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait.duration()) => {}
        }
    }
}

async fn round(store: &dyn Store, clock: &dyn Clock, queue: &Queue) -> usize {
    let room = queue.room(Lane::Due).min(BATCH_MAX);
    if room == 0 {
        return 0;
    }
    match store.due(clock.now(), room).await {
        Ok(domains) => {
            for domain in &domains {
                queue.submit(domain, Lane::Due, Ask::Due);
            }
            domains.len()
        }
        Err(error) => {
            tracing::warn!(%error, "could not look for due domains; looking again soon");
            0
        }
    }
}
