//! Wakes what is due: renewals, retries, and work whose holder fell silent.

use std::sync::Arc;
use std::time::Duration;

use sealwax_core::store::{Entry, LOAD_MAX, Store, StoreError};
use sealwax_core::{Clock, Span, Timestamp};
use sealwax_protocol::DomainName;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::queue::Queue;
use crate::run::Ask;
use sealwax_core::Lane;

/// Most domains taken from the index at a time.
const PAGE: usize = 500;
/// A pass over a long backlog meets little that is new, and the machine has better to do: it rests
/// so many times as long as it read.
const RESTS: u32 = 9;
/// Longest rest for that reason.
const REST_MAX: Duration = Duration::from_secs(60);

/// Passes over what is due every `interval` until told to stop. The store's state decides, never
/// the event: what one pass misses, the next one finds.
pub async fn serve(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    queue: Queue,
    interval: Span,
    stop: CancellationToken,
) {
    let sweep = Sweep { store: &*store, clock: &*clock, queue: &queue };
    let sweeping = async {
        loop {
            let read = sweep.pass(interval.scale(1, 10).duration()).await;
            sleep(rest(interval.duration(), read)).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = sweeping => {}
    }
}

/// How long to rest after a pass that read for so long.
fn rest(interval: Duration, read: Duration) -> Duration {
    interval.max((read * RESTS).min(REST_MAX))
}

struct Sweep<'a> {
    store: &'a dyn Store,
    clock: &'a dyn Clock,
    queue: &'a Queue,
}

impl Sweep<'_> {
    /// From the oldest to the youngest. What failed before never holds up what comes after it:
    /// only a full lane of renewals does, looked at again after each `pause`. Returns how long the
    /// store was read.
    async fn pass(&self, pause: Duration) -> Duration {
        let now = self.clock.now();
        let (mut cursor, mut read, mut dropped) = (None, Duration::ZERO, 0);
        loop {
            let room = self.room(pause).await;
            let began = Instant::now();
            match self.page(now, room, cursor.as_deref()).await {
                Ok((lost, next)) => (dropped, cursor) = (dropped + lost, next),
                Err(error) => {
                    if error.is_outage() {
                        tracing::debug!(%error, "could not look for due domains; looking again soon");
                    } else {
                        tracing::warn!(%error, "could not look for due domains; looking again soon");
                    }
                    return Duration::ZERO;
                }
            }
            read += began.elapsed();
            if cursor.is_none() {
                break;
            }
        }
        if dropped > 0 {
            tracing::warn!(dropped, "more is due than the lanes hold; the next pass asks again");
        }
        read
    }

    async fn room(&self, pause: Duration) -> usize {
        loop {
            let room = self.queue.room(Lane::Due).min(PAGE);
            if room > 0 {
                return room;
            }
            sleep(pause).await;
        }
    }

    /// How many of a page were dropped, and where the next one starts.
    async fn page(
        &self,
        now: Timestamp,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(usize, Option<String>), StoreError> {
        let mut page = self.store.due(now, limit, cursor).await?;
        page.domains.retain(|domain| !self.queue.expects(domain));
        let mut dropped = 0;
        for some in page.domains.chunks(LOAD_MAX) {
            dropped += self.submit(some).await;
        }
        Ok((dropped, page.cursor))
    }

    /// Each into its lane: what expires does not wait behind what keeps failing. Returns how many
    /// were dropped.
    async fn submit(&self, domains: &[DomainName]) -> usize {
        let offer = |domain, lane| usize::from(!self.queue.offer(domain, lane, Ask::Due));
        match self.store.load(domains).await {
            Ok(entries) => {
                let now = self.clock.now();
                // The index may lag: what is gone is not there any more.
                let there = domains.iter().zip(entries);
                let there = there.filter_map(|(domain, entry)| Some((domain, entry?)));
                let lane = |entry: Entry| Lane::of_due(&entry.stored.record, now);
                there.map(|(domain, entry)| offer(domain, lane(entry))).sum()
            }
            Err(error) => {
                tracing::debug!(%error, "could not read the due domains; they wait in one lane");
                domains.iter().map(|domain| offer(domain, Lane::Due)).sum()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_pass_is_followed_by_a_longer_rest_but_a_minute_at_most() {
        let rest = |interval, read| {
            rest(Duration::from_secs(interval), Duration::from_millis(read)).as_millis()
        };
        assert_eq!([rest(5, 0), rest(5, 500), rest(5, 1_000)], [5_000, 5_000, 9_000]);
        assert_eq!([rest(5, 100_000), rest(600, 100_000)], [60_000, 600_000]);
    }
}
