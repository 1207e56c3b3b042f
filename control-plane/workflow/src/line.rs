//! Who waits for a CA, and who goes when there is room: nothing of it is in the store.
//!
//! A record that waits is due and is left as it is; this process remembers why, so that the sweep
//! does not read it again and again. Every process has a line of its own, with the same names in
//! the same order, and the reservation decides between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sealwax_core::budget::Headroom;
use sealwax_core::{Lane, Span, Timestamp};
use sealwax_protocol::DomainName;
use tokio::time::Instant;

use crate::run::Ask;

/// Most names that wait. One that does not fit is read again by each pass of the sweep.
const LINE_MAX: usize = 50_000;
/// Most names that go at a time: what they are let in for may be used up by the first of them.
const GO_MAX: usize = 500;
/// After this, a name is looked at again whatever is known: another of its CAs may have room.
const REVIEW: Span = Span::from_secs(600);
/// How often a visit may have a name looked at that waits.
const VISIT: Duration = Duration::from_secs(5);

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gate {
    /// That the CA may be asked.
    Issuer(String),
    /// That the store is trusted.
    Store,
    /// Room in what the account may order, with so much left for others.
    Orders(String, Headroom),
    /// A moment.
    Time,
}

/// Why a run came to nothing, and what the name's place in the line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) gate: Gate,
    /// Until when, as far as is known.
    pub(crate) until: Timestamp,
    pub(crate) detail: String,
    /// A visit was turned away: not even what is kept for visits has room.
    pub(crate) visited: bool,
    /// A moment before which it has something else to do.
    pub(crate) back_at: Option<Timestamp>,
    /// Higher first.
    pub(crate) priority: u8,
    /// Who was registered first goes first: nobody comes in between for ever.
    pub(crate) since: Timestamp,
    pub(crate) lane: Lane,
    /// Spreads the looks, in thousandths.
    pub(crate) jitter: u64,
}

#[derive(Debug)]
struct Waiter {
    waits: Waits,
    joined: Instant,
    again_at: Instant,
}

/// The place of a name that waits for a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When it is there, as far as can be said now.
    pub about: Timestamp,
    /// Names that go before it, as this process sees it.
    pub ahead: usize,
    /// What it waits for.
    pub detail: String,
}

/// The line of this process.
#[derive(Debug, Default)]
pub(crate) struct Line(Mutex<HashMap<DomainName, Waiter>>);

impl Line {
    /// It waits. False: there is no room.
    pub(crate) fn join(&self, domain: &DomainName, waits: Waits, now: Timestamp) -> bool {
        let mut waiting = self.waiting();
        if waiting.len() >= LINE_MAX && !waiting.contains_key(domain) {
            return false;
        }
        let jitter = 500 + waits.jitter.min(1000) / 2;
        let mut wait = REVIEW.scale(jitter, 1000);
        if waits.gate == Gate::Time {
            wait = wait.min(waits.until.since(now)).max(Span::from_secs(1));
        }
        if let Some(at) = waits.back_at {
            wait = wait.min(at.since(now));
        }
        let joined = Instant::now();
        let waiter = Waiter { waits, joined, again_at: joined + wait.duration() };
        waiting.insert(domain.clone(), waiter);
        true
    }

    /// It is looked at, or gone.
    pub(crate) fn leave(&self, domain: &DomainName) {
        self.waiting().remove(domain);
    }

    pub(crate) fn has(&self, domain: &DomainName) -> bool {
        self.waiting().contains_key(domain)
    }

    /// A visit came for it a moment ago, and there was no room.
    pub(crate) fn turned_away(&self, domain: &DomainName) -> bool {
        let waiting = self.waiting();
        let waiter = waiting.get(domain).filter(|waiter| waiter.waits.visited);
        waiter.is_some_and(|waiter| waiter.joined.elapsed() < VISIT)
    }

    /// How long until somebody's time comes; `None`: nobody waits.
    pub(crate) fn next(&self) -> Option<Duration> {
        let first = self.waiting().values().map(|waiter| waiter.again_at).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// What is waited for, each once.
    pub(crate) fn gates(&self) -> BTreeSet<Gate> {
        self.waiting().values().map(|waiter| waiter.waits.gate.clone()).collect()
    }

    /// Who goes now: those whose time has come, and of each gate as many as there is room for.
    /// They stay until they are looked at. What a visit wanted of a store that is not trusted is
    /// nowhere but here, so it is wanted still.
    pub(crate) fn go(&self, mut room: BTreeMap<Gate, usize>) -> Vec<(DomainName, Lane, Ask)> {
        let waiting = self.waiting();
        let now = Instant::now();
        let mut open: Vec<_> = waiting
            .iter()
            .filter(|(_, waiter)| {
                let room = room.get(&waiter.waits.gate).is_some_and(|room| *room > 0);
                room || waiter.again_at <= now
            })
            .collect();
        open.sort_by_key(|&(domain, waiter)| place(domain, waiter));
        let goes = open.into_iter().filter(|(_, waiter)| {
            let room = room.get_mut(&waiter.waits.gate).filter(|room| **room > 0);
            let free = room.is_some();
            if let Some(room) = room {
                *room -= 1;
            }
            free || waiter.again_at <= now
        });
        let ask = |waits: &Waits| match waits.gate {
            Gate::Store if waits.visited => Ask::Demand,
            Gate::Store | Gate::Time | Gate::Issuer(_) | Gate::Orders(..) => Ask::Due,
        };
        let one = |(domain, waiter): (&DomainName, &Waiter)| {
            (domain.clone(), waiter.waits.lane, ask(&waiter.waits))
        };
        goes.take(GO_MAX).map(one).collect()
    }

    /// Its place, if it waits here. `apart`: how long it takes for one more to have room.
    pub(crate) fn turn(
        &self,
        domain: &DomainName,
        apart: impl FnOnce(&Gate) -> Span,
    ) -> Option<Turn> {
        let waiting = self.waiting();
        let (key, own) = waiting.get_key_value(domain)?;
        let mine = place(key, own);
        let before = |(other, waiter): &(&DomainName, &Waiter)| {
            waiter.waits.gate == own.waits.gate && place(other, waiter) < mine
        };
        let ahead = waiting.iter().filter(before).count();
        let many = u64::try_from(ahead).unwrap_or(u64::MAX);
        let about = own.waits.until + apart(&own.waits.gate).scale(many, 1);
        Some(Turn { about, ahead, detail: own.waits.detail.clone() })
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<DomainName, Waiter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The order in which names go: lanes, then priority, then who waits longest.
fn place<'a>(
    domain: &'a DomainName,
    waiter: &Waiter,
) -> (Lane, Reverse<u8>, Timestamp, &'a DomainName) {
    let Waits { lane, priority, since, .. } = &waiter.waits;
    (*lane, Reverse(*priority), *since, domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn name(label: &str) -> DomainName {
        DomainName::parse(&format!("{label}.example.com")).unwrap()
    }

    fn orders() -> Gate {
        Gate::Orders("ca".to_owned(), Headroom::Tenth)
    }

    fn waits(gate: Gate, priority: u8, since: u64) -> Waits {
        Waits {
            gate,
            until: NOW + Span::from_secs(36),
            detail: "orders".to_owned(),
            visited: false,
            back_at: None,
            priority,
            since: Timestamp::from_millis(since),
            lane: Lane::Due,
            jitter: 1000,
        }
    }

    fn went(line: &Line, gate: Gate, room: usize) -> Vec<String> {
        let went = line.go(BTreeMap::from([(gate, room)]));
        went.into_iter().map(|(domain, ..)| domain.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn priority_goes_first_then_who_waits_longest_and_as_many_as_there_is_room_for() {
        let line = Line::default();
        for (label, priority, since) in [("d", 100, 9), ("c", 100, 3), ("b", 200, 9), ("a", 0, 1)] {
            assert!(line.join(&name(label), waits(orders(), priority, since), NOW));
        }
        let failed = Waits { lane: Lane::Retry, ..waits(orders(), 255, 0) };
        line.join(&name("failed"), failed, NOW);
        assert_eq!(went(&line, orders(), 0), [""; 0]);
        assert_eq!(went(&line, orders(), 2), ["b.example.com", "c.example.com"]);
        let half = Gate::Orders("ca".to_owned(), Headroom::Half);
        assert_eq!(went(&line, half, 9), [""; 0], "another gate's room is not theirs");
        let last = line.turn(&name("a"), |_| Span::from_secs(36)).unwrap();
        assert_eq!((last.ahead, last.about), (3, NOW + Span::from_secs(36 * 4)));
        line.leave(&name("b"));
        assert_eq!(went(&line, orders(), 1), ["c.example.com"]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_looked_at_again_within_ten_minutes() {
        let line = Line::default();
        line.join(&name("a"), waits(orders(), 100, 1), NOW);
        line.join(&name("b"), waits(Gate::Time, 100, 1), NOW);
        let back_at = Some(NOW + Span::from_secs(5));
        line.join(&name("c"), Waits { back_at, ..waits(orders(), 100, 1) }, NOW);
        let went = || line.go(BTreeMap::new()).into_iter().map(|(domain, ..)| domain.to_string());
        assert_eq!(went().count(), 0);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(went().collect::<Vec<_>>(), ["c.example.com"]);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(went().collect::<Vec<_>>(), ["b.example.com", "c.example.com"]);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(went().count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_visit_has_it_looked_at_at_a_bounded_rate() {
        let line = Line::default();
        assert!(!line.turned_away(&name("a")));
        line.join(&name("a"), waits(orders(), 100, 1), NOW);
        assert!(!line.turned_away(&name("a")), "a visit may find room where the sweep did not");
        line.join(&name("a"), Waits { visited: true, ..waits(orders(), 100, 1) }, NOW);
        assert!(line.turned_away(&name("a")));
        tokio::time::advance(VISIT).await;
        assert!(!line.turned_away(&name("a")) && line.has(&name("a")));
    }
}
