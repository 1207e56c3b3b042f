//! Which domains have a copy, how much room they take, and who goes first.

use std::collections::{BTreeMap, HashMap};

use sealwax_protocol::DomainName;

/// Beside the bytes of a file, what it takes of the disk: half a block, on average.
const FILE_BYTES: u64 = 2_048;

pub(super) struct Index {
    held: HashMap<DomainName, Held>,
    /// The least recently read first.
    order: BTreeMap<u64, DomainName>,
    next: u64,
    bytes: u64,
    bytes_max: u64,
}

struct Held {
    /// Of the record that was copied; `None` for a file of an earlier run.
    version: Option<u64>,
    bytes: u64,
    place: u64,
}

impl Index {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { held: HashMap::new(), order: BTreeMap::new(), next: 0, bytes: 0, bytes_max }
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn holds(&self, domain: &DomainName) -> bool {
        self.held.contains_key(domain)
    }

    pub(super) fn domains(&self) -> Vec<DomainName> {
        self.order.values().cloned().collect()
    }

    /// Notes that a domain was read; whether this version of it is there already.
    pub(super) fn touch(&mut self, domain: &DomainName, version: u64) -> bool {
        let next = self.next;
        let Some(held) = self.held.get_mut(domain) else { return false };
        if held.version != Some(version) {
            return false;
        }
        self.order.remove(&held.place);
        held.place = next;
        self.order.insert(next, domain.clone());
        self.next += 1;
        true
    }

    /// A file was written or found. Names the domains whose files have to go to make room.
    pub(super) fn add(
        &mut self,
        domain: DomainName,
        version: Option<u64>,
        bytes: u64,
    ) -> Vec<DomainName> {
        self.remove(&domain);
        let bytes = bytes + FILE_BYTES;
        let place = self.next;
        self.next += 1;
        self.order.insert(place, domain.clone());
        self.held.insert(domain, Held { version, bytes, place });
        self.bytes += bytes;
        let mut evicted = Vec::new();
        while self.bytes > self.bytes_max {
            let Some((_, first)) = self.order.pop_first() else { break };
            if let Some(held) = self.held.remove(&first) {
                self.bytes = self.bytes.saturating_sub(held.bytes);
            }
            evicted.push(first);
        }
        evicted
    }

    pub(super) fn remove(&mut self, domain: &DomainName) {
        if let Some(held) = self.held.remove(domain) {
            self.order.remove(&held.place);
            self.bytes = self.bytes.saturating_sub(held.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: usize) -> DomainName {
        DomainName::parse(&format!("n{n}.example.com")).unwrap()
    }

    #[test]
    fn the_least_recently_read_goes_first_and_the_bound_holds() {
        let room = 10 * (1_000 + FILE_BYTES);
        let mut index = Index::new(room);
        for n in 0..10 {
            assert!(index.add(name(n), Some(1), 1_000).is_empty());
        }
        assert!(index.touch(&name(0), 1));
        assert!(!index.touch(&name(1), 2), "another version is not there");
        assert_eq!(index.add(name(10), Some(1), 1_000), [name(1)]);
        assert!(index.holds(&name(0)) && !index.holds(&name(1)));
        // Written again it takes its room once.
        assert!(index.add(name(10), Some(2), 1_000).is_empty());
        assert_eq!((index.len(), index.order.len(), index.bytes), (10, 10, room));
        // What alone is larger than all the room is not kept.
        assert!(index.add(name(11), Some(1), room).contains(&name(11)));
        assert_eq!((index.len(), index.bytes), (0, 0));
    }
}
