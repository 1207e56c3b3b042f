//! The steps between two writes of a record, for explanations: the order's URL, who fetched the
//! challenge, what the CA said, which edge has the certificate.
//!
//! Kept in memory and bounded: records and their events are the truth, and this is what one would
//! otherwise look for in the log. It is gone after a restart, and another replica has its own.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use sealwax_core::failure::bounded_detail;
use sealwax_core::store::LifecycleEvent;
use sealwax_core::{Span, Timestamp};
use sealwax_protocol::DomainName;

use sealwax_serving::edge::Steps;

/// Bytes of all steps together.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Steps kept for a domain: some runs' worth.
const STEPS_MAX: usize = 24;
/// How long the steps of a domain are kept after the last one.
const LIFE: Duration = Duration::from_secs(7 * 86_400);
/// A stored event of the same kind and words this close tells of the same thing.
const SAME_WITHIN: Span = Span::from_secs(5);
/// How long an ask is the same one: whoever waits asks again and again.
const ASK_LIFE: Span = Span::from_secs(600);
/// What a step takes beside its text.
const STEP_BYTES: usize = 64;

/// The steps of many domains. Cheap to clone.
#[derive(Clone)]
pub struct Trail(Cache<DomainName, Arc<Vec<LifecycleEvent>>>);

impl Steps for Trail {
    fn asked(&self, domain: &DomainName, at: Timestamp, by: &str) {
        Self::asked(self, domain, at, by);
    }

    fn fetched(&self, domain: &DomainName, at: Timestamp, through: &str) {
        self.note(domain, at, "challenge.fetched", through);
    }
}

impl Default for Trail {
    fn default() -> Self {
        let weigh = |_: &DomainName, steps: &Arc<Vec<LifecycleEvent>>| {
            let bytes: usize =
                steps.iter().map(|step| step.detail.len() + step.kind.len() + STEP_BYTES).sum();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(BYTES_MAX).weigher(weigh).time_to_idle(LIFE).build())
    }
}

impl Trail {
    /// Notes a step. The same one twice in a row counts once: several places of the internet
    /// fetch one challenge, and several streams report one delivery.
    pub fn note(&self, domain: &DomainName, at: Timestamp, kind: &str, detail: &str) {
        self.add(domain, at, kind, detail, |steps, same| steps.last().is_some_and(same));
    }

    /// Notes that someone asked for the certificate. The same asking again while it waits counts
    /// once, whatever happened meanwhile.
    pub fn asked(&self, domain: &DomainName, at: Timestamp, by: &str) {
        let lately = |step: &LifecycleEvent| at.since(step.at) < ASK_LIFE;
        self.add(domain, at, "certificate.asked", by, |steps, same| {
            steps.iter().any(|step| same(step) && lately(step))
        });
    }

    fn add(
        &self,
        domain: &DomainName,
        at: Timestamp,
        kind: &str,
        detail: &str,
        known: impl Fn(&[LifecycleEvent], &dyn Fn(&LifecycleEvent) -> bool) -> bool,
    ) {
        let detail = bounded_detail(detail);
        self.0.entry_by_ref(domain).and_upsert_with(|before| {
            let mut steps = before.map_or_else(Vec::new, |entry| (*entry.into_value()).clone());
            let same = |step: &LifecycleEvent| step.kind == kind && step.detail == detail;
            if !known(&steps, &same) {
                if steps.len() >= STEPS_MAX {
                    steps.remove(0);
                }
                steps.push(LifecycleEvent { at, kind: kind.to_owned(), detail });
            }
            Arc::new(steps)
        });
    }

    /// The steps of a domain and its stored events (newest first, as the store has them), all
    /// newest first.
    #[must_use]
    pub fn woven_into(
        &self,
        domain: &DomainName,
        events: Vec<LifecycleEvent>,
    ) -> Vec<LifecycleEvent> {
        let Some(steps) = self.0.get(domain) else { return events };
        let told = |step: &LifecycleEvent| {
            let near = |event: &LifecycleEvent| {
                event.at.since(step.at).max(step.at.since(event.at)) <= SAME_WITHIN
            };
            let same = |event: &LifecycleEvent| {
                event.kind == step.kind && event.detail == step.detail && near(event)
            };
            events.iter().any(same)
        };
        // What is older than the oldest event read would stand without what came before it.
        let oldest = events.last().map(|event| event.at);
        let new = |step: &&LifecycleEvent| !told(step) && oldest.is_none_or(|at| step.at >= at);
        let mut woven: Vec<_> = steps.iter().filter(new).cloned().collect();
        woven.reverse();
        woven.extend(events);
        woven.sort_by_key(|event| std::cmp::Reverse(event.at));
        woven
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> DomainName {
        DomainName::parse("a.example.com").unwrap()
    }

    fn event(secs: i64, kind: &str) -> LifecycleEvent {
        let at = Timestamp::from_secs(secs);
        LifecycleEvent { at, kind: kind.to_owned(), detail: String::new() }
    }

    #[test]
    fn steps_stand_between_the_events_around_them() {
        let trail = Trail::default();
        let at = Timestamp::from_secs;
        trail.note(&name(), at(5), "order.placed", "before what was read");
        trail.note(&name(), at(20), "order.placed", "ca: https://ca/order/1");
        trail.note(&name(), at(21), "challenge.fetched", "through an edge");
        trail.note(&name(), at(21), "challenge.fetched", "through an edge");
        // Told by the store too.
        trail.note(&name(), at(32), "certificate.issued", "");
        let stored = vec![event(30, "certificate.issued"), event(10, "domain.registered")];
        let kinds: Vec<_> =
            trail.woven_into(&name(), stored).into_iter().map(|event| event.kind).collect();
        assert_eq!(
            kinds,
            ["certificate.issued", "challenge.fetched", "order.placed", "domain.registered"]
        );
    }

    #[test]
    fn a_stored_event_tells_of_the_step_with_its_words_and_not_of_the_next() {
        let trail = Trail::default();
        let at = Timestamp::from_secs;
        trail.note(&name(), at(20), "preflight.seen", "not ready");
        trail.note(&name(), at(22), "preflight.seen", "ready");
        let stored =
            LifecycleEvent { detail: "not ready".to_owned(), ..event(20, "preflight.seen") };
        let details: Vec<_> = trail
            .woven_into(&name(), vec![stored, event(10, "domain.registered")])
            .into_iter()
            .map(|event| event.detail)
            .collect();
        assert_eq!(details, ["ready", "not ready", ""]);
    }

    #[test]
    fn who_asks_again_while_waiting_asks_once() {
        let trail = Trail::default();
        for second in 0..20 {
            let at = Timestamp::from_secs(second);
            trail.asked(&name(), at, "a handshake at edge-1");
            trail.note(&name(), at, "order.placed", &format!("order {second}"));
        }
        trail.asked(&name(), Timestamp::from_secs(20), "a handshake at edge-2");
        trail.asked(&name(), Timestamp::from_secs(600), "a handshake at edge-1");
        let asked = |step: &LifecycleEvent| step.kind == "certificate.asked";
        let steps: Vec<_> = trail.woven_into(&name(), Vec::new()).into_iter().collect();
        let details: Vec<_> =
            steps.iter().filter(|step| asked(step)).map(|step| step.detail.as_str()).collect();
        let [one, other] = ["a handshake at edge-1", "a handshake at edge-2"];
        assert_eq!(details, [one, other, one]);
    }

    #[test]
    fn a_domain_keeps_its_newest_steps_only() {
        let trail = Trail::default();
        for index in 0..100 {
            let at = Timestamp::from_secs(index);
            trail.note(&name(), at, "order.placed", &format!("order {index}"));
        }
        let steps = trail.woven_into(&name(), Vec::new());
        assert_eq!((steps.len(), steps[0].detail.as_str()), (STEPS_MAX, "order 99"));
    }
}
