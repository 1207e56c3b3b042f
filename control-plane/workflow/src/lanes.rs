//! Who goes first: bounded lanes, each in order of arrival.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use sealwax_core::Lane;
use sealwax_protocol::DomainName;
use tokio::time::Instant;

use crate::run::Ask;

/// Most domains waiting in one lane. What does not fit is dropped: the sweep finds due work
/// again, and a handshake asks again.
pub(crate) const LANE_MAX: usize = 20_000;
/// One in this many picks starts at another lane, each in turn, so that none starves another.
const FAIR_PICK: u64 = 8;
/// After this, what waits is looked at again: it may be more urgent than it was.
const REVIEW: Duration = Duration::from_secs(300);

/// What waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    lane: Lane,
    ask: Ask,
    since: Instant,
    /// When it was put here last, again or not.
    seen: Instant,
}

/// The waiting domains; each waits once, in its most urgent lane.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    waiting: HashMap<DomainName, Waiting>,
    lanes: [VecDeque<DomainName>; Lane::ALL.len()],
    picks: u64,
}

impl Lanes {
    /// False: the lane is full and the domain was dropped.
    pub(crate) fn push(&mut self, domain: &DomainName, lane: Lane, ask: Ask) -> bool {
        let before = self.waiting.get_mut(domain);
        if let Some(waiting) = before
            && waiting.lane <= lane
        {
            waiting.ask = waiting.ask.max(ask);
            waiting.seen = Instant::now();
            return true;
        }
        let Some(queue) = self.lanes.get_mut(lane as usize) else { return false };
        if queue.len() >= LANE_MAX {
            return false;
        }
        queue.push_back(domain.clone());
        // An older place in a slower lane stays behind and is skipped when its turn comes.
        // In the faster one it waits from now on: its age is what that lane makes of it.
        let since = Instant::now();
        self.waiting.insert(domain.clone(), Waiting { lane, ask, since, seen: since });
        true
    }

    /// It waits, and has been put here lately.
    pub(crate) fn expects(&self, domain: &DomainName) -> bool {
        self.waiting.get(domain).is_some_and(|waiting| waiting.seen.elapsed() < REVIEW)
    }

    /// The next domain of the lanes that are open.
    pub(crate) fn pop(&mut self, open: impl Fn(Lane) -> bool) -> Option<(DomainName, Lane, Ask)> {
        self.picks = self.picks.wrapping_add(1);
        let mut order = Lane::ALL;
        if self.picks.is_multiple_of(FAIR_PICK) {
            let turn = self.picks / FAIR_PICK;
            let lanes = order.len();
            order.rotate_left(usize::try_from(turn).unwrap_or_default() % lanes);
        }
        order.into_iter().filter(|lane| open(*lane)).find_map(|lane| self.pop_from(lane))
    }

    fn pop_from(&mut self, lane: Lane) -> Option<(DomainName, Lane, Ask)> {
        let queue = self.lanes.get_mut(lane as usize)?;
        while let Some(domain) = queue.pop_front() {
            let here = self.waiting.get(&domain).is_some_and(|waiting| waiting.lane == lane);
            if here && let Some(waiting) = self.waiting.remove(&domain) {
                return Some((domain, lane, waiting.ask));
            }
        }
        None
    }

    /// How many wait in a lane, and how long the one that came first has.
    pub(crate) fn waiting(&self, lane: Lane) -> (usize, Duration) {
        let here = self.waiting.values().filter(|waiting| waiting.lane == lane);
        here.fold((0, Duration::ZERO), |(count, oldest), waiting| {
            (count + 1, oldest.max(waiting.since.elapsed()))
        })
    }

    pub(crate) fn room(&self, lane: Lane) -> usize {
        self.lanes.get(lane as usize).map_or(0, |queue| LANE_MAX.saturating_sub(queue.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(index: usize) -> DomainName {
        DomainName::parse(&format!("d{index}.example.com")).unwrap()
    }

    #[test]
    fn urgent_lanes_go_first_and_each_keeps_its_order() {
        let mut lanes = Lanes::default();
        lanes.push(&name(1), Lane::Due, Ask::Due);
        lanes.push(&name(2), Lane::Handshake, Ask::Demand);
        lanes.push(&name(3), Lane::Handshake, Ask::Demand);
        let order: Vec<_> =
            std::iter::from_fn(|| lanes.pop(|_| true).map(|(name, ..)| name)).collect();
        assert_eq!(order, [name(2), name(3), name(1)]);
    }

    #[test]
    fn a_domain_waits_once_and_moves_up() {
        let mut lanes = Lanes::default();
        lanes.push(&name(1), Lane::Due, Ask::Due);
        lanes.push(&name(1), Lane::Handshake, Ask::Demand);
        lanes.push(&name(1), Lane::Due, Ask::Due);
        assert_eq!(lanes.pop(|_| true).map(|(_, lane, _)| lane), Some(Lane::Handshake));
        assert_eq!(lanes.pop(|_| true), None);
    }

    #[test]
    fn a_flood_of_handshakes_does_not_starve_what_is_due() {
        let mut lanes = Lanes::default();
        lanes.push(&name(0), Lane::Due, Ask::Due);
        for index in 1..100 {
            lanes.push(&name(index), Lane::Handshake, Ask::Demand);
        }
        let place =
            std::iter::from_fn(|| lanes.pop(|_| true)).position(|(found, ..)| found == name(0));
        assert!(place.is_some_and(|place| place < 8));
    }

    #[tokio::test(start_paused = true)]
    async fn the_age_of_a_lane_is_that_of_who_waits_longest_in_it() {
        let mut lanes = Lanes::default();
        let second = Duration::from_secs(1);
        assert_eq!(lanes.waiting(Lane::Due), (0, Duration::ZERO));
        lanes.push(&name(1), Lane::Due, Ask::Due);
        tokio::time::advance(second).await;
        lanes.push(&name(2), Lane::Due, Ask::Due);
        lanes.push(&name(1), Lane::Due, Ask::Due);
        tokio::time::advance(second).await;
        assert_eq!(lanes.waiting(Lane::Due), (2, 2 * second), "asked for again, it waits on");
        lanes.push(&name(1), Lane::Handshake, Ask::Demand);
        assert_eq!(lanes.waiting(Lane::Due), (1, second));
        tokio::time::advance(second).await;
        assert_eq!(lanes.waiting(Lane::Handshake), (1, second));
        assert_eq!(lanes.pop(|_| true).map(|(_, lane, _)| lane), Some(Lane::Handshake));
        assert_eq!(lanes.waiting(Lane::Handshake), (0, Duration::ZERO));
    }

    #[test]
    fn a_closed_lane_waits() {
        let mut lanes = Lanes::default();
        lanes.push(&name(1), Lane::Retry, Ask::Due);
        assert_eq!(lanes.pop(|lane| lane != Lane::Retry), None);
        assert!(lanes.pop(|_| true).is_some());
    }

    #[test]
    fn a_full_lane_drops_what_comes_next() {
        let mut lanes = Lanes::default();
        for index in 0..LANE_MAX {
            assert!(lanes.push(&name(index), Lane::Due, Ask::Due));
        }
        assert_eq!(lanes.room(Lane::Due), 0);
        assert!(!lanes.push(&name(LANE_MAX), Lane::Due, Ask::Due));
        assert!(lanes.push(&name(LANE_MAX), Lane::Handshake, Ask::Demand));
    }
}
