//! Wakes what is due: renewals, retries, and work whose holder fell silent.

use std::sync::Arc;

use sealwax_core::store::{LOAD_MAX, Store};
use sealwax_core::{Clock, Span, Timestamp};
use sealwax_protocol::DomainName;
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
    let room = queue.room(Lane::Due).min(queue.room(Lane::Retry)).min(BATCH_MAX);
    if room == 0 {
        return 0;
    }
    let now = clock.now();
    match store.due(now, room).await {
        Ok(domains) => {
            for some in domains.chunks(LOAD_MAX) {
                submit(store, queue, some, now).await;
            }
            domains.len()
        }
        Err(error) => {
            tracing::warn!(%error, "could not look for due domains; looking again soon");
            0
        }
    }
}

/// Each into its lane: what expires does not wait behind what keeps failing.
async fn submit(store: &dyn Store, queue: &Queue, domains: &[DomainName], now: Timestamp) {
    match store.load(domains).await {
        Ok(entries) => {
            for (domain, entry) in domains.iter().zip(entries) {
                // The index may lag: what is gone is not there any more.
                let Some(entry) = entry else { continue };
                queue.submit(domain, Lane::of_due(&entry.stored.record, now), Ask::Due);
            }
        }
        Err(error) => {
            tracing::warn!(%error, "could not read the due domains; they wait in one lane");
            for domain in domains {
                queue.submit(domain, Lane::Due, Ask::Due);
            }
        }
    }
}
