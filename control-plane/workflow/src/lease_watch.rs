//! Tells a silent holder from a busy one, without comparing clocks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sealwax_core::Lease;
use sealwax_protocol::DomainName;
use tokio::time::Instant;

/// Most foreign leases watched at a time; above that the oldest sight is forgotten, which only
/// delays a take-over.
const WATCHED_MAX: usize = 10_000;

/// When each foreign lease was first seen as it is now, on this process's monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct LeaseWatch(Mutex<HashMap<DomainName, Seen>>);

#[derive(Debug)]
struct Seen {
    lease: Lease,
    since: Instant,
}

impl LeaseWatch {
    /// True when this very lease has been seen unchanged for its whole duration: its holder is
    /// silent and may be taken over from.
    pub(crate) fn is_silent(&self, domain: &DomainName, lease: &Lease) -> bool {
        let now = Instant::now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(domain) {
            // Ids are told apart within a process only: two that started together count alike.
            Some(known) if known.lease == *lease => {
                let silent = now.duration_since(known.since) >= lease.duration.duration();
                if silent {
                    seen.remove(domain);
                }
                silent
            }
            Some(_) | None => {
                if seen.len() >= WATCHED_MAX {
                    let oldest = seen.iter().min_by_key(|(_, seen)| seen.since);
                    if let Some(oldest) = oldest.map(|(domain, _)| domain.clone()) {
                        seen.remove(&oldest);
                    }
                }
                seen.insert(domain.clone(), Seen { lease: lease.clone(), since: now });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sealwax_core::Span;

    use super::*;

    fn lease(id: u64) -> Lease {
        Lease { holder: "other".into(), id, duration: Span::from_secs(30) }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_lease_unchanged_for_its_duration_is_silent() {
        let watch = LeaseWatch::default();
        let domain = DomainName::parse("a.example.com").unwrap();
        assert!(!watch.is_silent(&domain, &lease(1)));
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(!watch.is_silent(&domain, &lease(1)));
        assert!(!watch.is_silent(&domain, &lease(2)), "the holder wrote: it is alive");
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(!watch.is_silent(&domain, &lease(2)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(watch.is_silent(&domain, &lease(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_lease_of_another_holder_is_another_lease_whatever_its_id() {
        let watch = LeaseWatch::default();
        let domain = DomainName::parse("a.example.com").unwrap();
        assert!(!watch.is_silent(&domain, &lease(1)));
        tokio::time::advance(Duration::from_secs(60)).await;
        let third = Lease { holder: "a third one".into(), ..lease(1) };
        assert!(!watch.is_silent(&domain, &third), "it was never seen before");
    }
}
