//! Which streams are subscribed to a name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealwax_protocol::DomainName;

use crate::edge::Edge;

/// Locks are held for one name at a time; with this many, two cores seldom meet.
const SHARDS: usize = 64;

/// Name to subscribers. A push costs what its own subscribers cost, whatever else is subscribed.
#[derive(Debug)]
pub(crate) struct Index {
    shards: [Shard; SHARDS],
    hasher: RandomState,
}

type Shard = Mutex<HashMap<DomainName, Subscribers>>;

/// Nearly every name has one subscriber per edge, and there are few edges: 16 bytes.
#[derive(Debug)]
enum Subscribers {
    One(Arc<Edge>),
    Many(Box<[Arc<Edge>]>),
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Shard::default()), hasher: RandomState::new() }
    }
}

impl Index {
    /// Adds a subscriber; returns the name with the text all streams share.
    pub(crate) fn add(&self, name: DomainName, edge: &Arc<Edge>) -> DomainName {
        match self.shard(&name).entry(name) {
            Entry::Vacant(vacant) => {
                let name = vacant.key().clone();
                vacant.insert(Subscribers::One(Arc::clone(edge)));
                name
            }
            Entry::Occupied(mut occupied) => {
                let name = occupied.key().clone();
                let all = occupied.get().as_slice();
                if !all.iter().any(|known| Arc::ptr_eq(known, edge)) {
                    let more = all.iter().chain([edge]).map(Arc::clone).collect();
                    occupied.insert(Subscribers::Many(more));
                }
                name
            }
        }
    }

    /// How many names have a subscriber.
    pub(crate) fn len(&self) -> usize {
        let count = |shard: &Shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.shards.iter().map(count).sum()
    }

    /// Takes a subscriber away.
    pub(crate) fn remove(&self, name: &DomainName, edge: &Arc<Edge>) {
        let mut shard = self.shard(name);
        let Some(subscribers) = shard.get_mut(name) else { return };
        let mut rest: Vec<_> = subscribers
            .as_slice()
            .iter()
            .filter(|known| !Arc::ptr_eq(known, edge))
            .cloned()
            .collect();
        match rest.len() {
            0 => {
                shard.remove(name);
                // A flood leaves a table sized for its peak behind.
                if shard.len() < shard.capacity() / 8 {
                    let room = shard.len() * 2;
                    shard.shrink_to(room);
                }
            }
            1 => {
                if let Some(last) = rest.pop() {
                    *subscribers = Subscribers::One(last);
                }
            }
            _ => *subscribers = Subscribers::Many(rest.into()),
        }
    }

    /// Calls `tell` for each subscriber.
    pub(crate) fn each(&self, name: &DomainName, tell: impl Fn(&Edge)) {
        let shard = self.shard(name);
        for edge in shard.get(name).map(Subscribers::as_slice).unwrap_or_default() {
            tell(edge);
        }
    }

    /// Calls `tell` for each subscriber of each name right below `zone`: what a wildcard covers.
    /// Looks at every name there is, a shard at a time.
    pub(crate) fn each_below(&self, zone: &DomainName, tell: impl Fn(&Edge, &DomainName)) {
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, subscribers) in shard.iter().filter(|(name, _)| is_right_below(name, zone)) {
                for edge in subscribers.as_slice() {
                    tell(edge, name);
                }
            }
        }
    }

    /// Every name that has a subscriber, a shard at a time.
    pub(crate) fn names(&self) -> Vec<DomainName> {
        let mut names = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            names.extend(shard.keys().cloned());
        }
        names
    }

    fn shard(&self, name: &DomainName) -> MutexGuard<'_, HashMap<DomainName, Subscribers>> {
        let at = self.hasher.hash_one(name.as_str()) % (SHARDS as u64);
        let at = usize::try_from(at).unwrap_or(0);
        #[expect(clippy::indexing_slicing, reason = "the remainder of a division by the length")]
        let shard = &self.shards[at];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_right_below(name: &DomainName, zone: &DomainName) -> bool {
    name.as_str().split_once('.').is_some_and(|(_, parent)| parent == zone.as_str())
}

impl Subscribers {
    fn as_slice(&self) -> &[Arc<Edge>] {
        match self {
            Self::One(edge) => std::slice::from_ref(edge),
            Self::Many(edges) => edges,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(id: u64) -> Arc<Edge> {
        Arc::new(Edge::new(format!("edge-{id}"), id, 1))
    }

    fn subscribers(index: &Index, name: &DomainName) -> usize {
        let count = std::cell::Cell::new(0);
        index.each(name, |_| count.set(count.get() + 1));
        count.get()
    }

    #[test]
    fn a_name_knows_exactly_its_subscribers() {
        let index = Index::default();
        let name = DomainName::parse("a.example.com").unwrap();
        let edges = [edge(1), edge(2), edge(3)];
        for (before, edge) in edges.iter().enumerate() {
            assert_eq!(subscribers(&index, &name), before);
            index.add(name.clone(), edge);
            index.add(name.clone(), edge);
        }
        assert_eq!(subscribers(&index, &name), 3);
        for (gone, edge) in edges.iter().enumerate() {
            index.remove(&name, edge);
            index.remove(&name, edge);
            assert_eq!(subscribers(&index, &name), 2 - gone);
        }
    }

    #[test]
    fn the_entry_is_as_small_as_it_is_meant_to_be() {
        assert_eq!(size_of::<Subscribers>(), 16);
    }
}
