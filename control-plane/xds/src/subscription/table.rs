//! The subscriptions of one stream: a slab, found by requested name.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use sealwax_protocol::DomainName;

use crate::served::Version;

/// No slot: the end of a list.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// One subscription as others remember it; no longer valid once the name has been unsubscribed,
/// even if it is subscribed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(super) slot: u32,
    generation: u32,
}

/// What a stream knows of one name. Two hundred thousand of these are ordinary, so it is small:
/// what is rare (a hold, an answer not sent yet, another spelling) is kept elsewhere.
#[derive(Debug)]
pub(super) struct Subscription {
    /// The canonical name; its text is shared with the index.
    pub(super) name: DomainName,
    /// What the client has acknowledged or said it holds.
    pub(super) held: Version,
    /// What has been sent and neither acknowledged nor refused.
    pub(super) sent: Version,
    /// Neighbours in the list of residents.
    pub(super) previous: u32,
    pub(super) next: u32,
    /// When something was last sent or acknowledged, in ticks of the stream's life.
    pub(super) touched: u32,
    generation: u32,
    /// The client waits for an answer.
    pub(super) owed: bool,
    /// A removal was the last thing sent.
    pub(super) removed: bool,
    /// The requested name is not the canonical one.
    pub(super) spelled: bool,
    /// Of low importance: never protected.
    pub(super) low: bool,
    /// Part of a refused batch: sent again by itself, to find out whether it was at fault.
    pub(super) alone: bool,
    pub(super) question: QuestionState,
    pub(super) queue: QueueKind,
    pub(super) backing: Backing,
    pub(super) segment: Segment,
}

impl Subscription {
    /// The client has a version, or one is on its way.
    pub(super) const fn has_something(&self) -> bool {
        self.held.is_some() || self.sent.is_some()
    }

    /// The client has no version, none is on its way, and it has not been told that there is none.
    pub(super) const fn has_nothing(&self) -> bool {
        self.held.is_none() && self.sent.is_none() && !self.removed
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuestionState {
    /// Nothing to ask.
    Settled,
    /// Waits to be asked.
    Open,
    /// The source is being asked.
    Asked,
    /// The source is being asked, and its answer may be out of date already.
    AskedStale,
}

/// How a certificate that the client holds stands with the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backing {
    /// The source stands behind it, or has not been asked, or the client has none.
    Known,
    /// The source has neither a record nor a removal of the name.
    Unknown,
    /// It is to be withdrawn, and the brake does not let it.
    HeldBack,
}

/// Which queue of outgoing answers a name is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueKind {
    None,
    Interactive,
    Removals,
    Bulk,
}

/// Which part of the budget a resident certificate is counted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// The edge does not hold it.
    Outside,
    /// Seen once.
    Probation,
    /// Seen more than once.
    Protected,
    /// Of high importance.
    Pinned,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_request: HashTable<u32>,
    hasher: RandomState,
    /// Requested names that are not canonical, by slot.
    spellings: HashMap<u32, Box<str>>,
    /// The slots that other spellings of a canonical name have.
    spelled: HashMap<DomainName, Vec<u32>>,
}

#[derive(Debug)]
enum Slot {
    Used(Subscription),
    /// The generation its next user gets.
    Free(u32),
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.by_request.len()
    }

    pub(super) fn find(&self, requested: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(requested);
        self.by_request.find(hash, |&slot| self.requested(slot) == requested).copied()
    }

    /// Every slot of a canonical name: its own spelling and others.
    pub(super) fn of_name(&self, name: &DomainName) -> Vec<u32> {
        let canonical = self.find(name.as_str().as_bytes());
        canonical.into_iter().chain(self.spelled.get(name).into_iter().flatten().copied()).collect()
    }

    /// How many other spellings of a name are subscribed.
    pub(super) fn spellings_of(&self, name: &DomainName) -> usize {
        self.spelled.get(name).map_or(0, Vec::len)
    }

    /// Adds a name that [`Self::find`] does not find. `None`: there is no room.
    pub(super) fn insert(&mut self, requested: &str, name: DomainName) -> Option<u32> {
        let spelled = requested != name.as_str();
        let slot = match self.free.last() {
            Some(&slot) => slot,
            None => u32::try_from(self.slots.len()).ok().filter(|&slot| slot != NO_SLOT)?,
        };
        let generation = match self.slots.get(slot as usize) {
            Some(Slot::Free(generation)) => *generation,
            Some(Slot::Used(_)) | None => 0,
        };
        if spelled {
            self.spellings.insert(slot, requested.into());
            self.spelled.entry(name.clone()).or_default().push(slot);
        }
        let used = Slot::Used(Subscription {
            name,
            held: Version::NONE,
            sent: Version::NONE,
            previous: NO_SLOT,
            next: NO_SLOT,
            touched: 0,
            generation,
            owed: false,
            removed: false,
            spelled,
            low: false,
            alone: false,
            question: QuestionState::Settled,
            queue: QueueKind::None,
            backing: Backing::Known,
            segment: Segment::Outside,
        });
        if self.free.pop().is_some() {
            if let Some(place) = self.slots.get_mut(slot as usize) {
                *place = used;
            }
        } else {
            if self.slots.len() == self.slots.capacity() {
                // An eighth more, not twice as much: the table is most of what a stream costs.
                self.slots.reserve_exact((self.slots.len() / 8).max(SLOTS_MIN));
            }
            self.slots.push(used);
        }
        let hash = self.hasher.hash_one(requested.as_bytes());
        let Self { by_request, slots, spellings, hasher, .. } = self;
        by_request.insert_unique(hash, slot, |&slot| {
            hasher.hash_one(requested_in(slots, spellings, slot))
        });
        Some(slot)
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Subscription> {
        let hash = self.hasher.hash_one(self.requested(slot));
        self.by_request.find_entry(hash, |&known| known == slot).ok()?.remove();
        let place = self.slots.get_mut(slot as usize)?;
        let Slot::Used(Subscription { generation, .. }) = *place else { return None };
        let Slot::Used(gone) = std::mem::replace(place, Slot::Free(generation.wrapping_add(1)))
        else {
            return None;
        };
        self.free.push(slot);
        if gone.spelled {
            self.spellings.remove(&slot);
            if let Some(slots) = self.spelled.get_mut(&gone.name) {
                slots.retain(|&known| known != slot);
                if slots.is_empty() {
                    self.spelled.remove(&gone.name);
                }
            }
        }
        Some(gone)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Subscription> {
        match self.slots.get(slot as usize)? {
            Slot::Used(subscription) => Some(subscription),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Subscription> {
        match self.slots.get_mut(slot as usize)? {
            Slot::Used(subscription) => Some(subscription),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn key(&self, slot: u32) -> Option<Key> {
        self.get(slot).map(|subscription| Key { slot, generation: subscription.generation })
    }

    /// The slot, if it still is the same subscription.
    pub(super) fn live(&self, key: Key) -> Option<u32> {
        let subscription = self.get(key.slot)?;
        (subscription.generation == key.generation).then_some(key.slot)
    }

    /// The name as the client asked for it.
    pub(super) fn requested(&self, slot: u32) -> &[u8] {
        requested_in(&self.slots, &self.spellings, slot)
    }

    /// The next used slot at or after `from`, to walk the table in pieces.
    pub(super) fn next_used(&self, from: u32) -> Option<u32> {
        let mut slot = from;
        while let Some(place) = self.slots.get(slot as usize) {
            if matches!(place, Slot::Used(_)) {
                return Some(slot);
            }
            slot += 1;
        }
        None
    }

    /// The canonical names, each once or, with other spellings, more often.
    pub(super) fn into_names(self) -> impl Iterator<Item = DomainName> + Send {
        self.slots.into_iter().filter_map(|slot| match slot {
            Slot::Used(subscription) => Some(subscription.name),
            Slot::Free(_) => None,
        })
    }
}

const SLOTS_MIN: usize = 64;

fn requested_in<'a>(
    slots: &'a [Slot],
    spellings: &'a HashMap<u32, Box<str>>,
    slot: u32,
) -> &'a [u8] {
    match slots.get(slot as usize) {
        Some(Slot::Used(Subscription { spelled: true, .. })) => {
            spellings.get(&slot).map(|spelling| spelling.as_bytes()).unwrap_or_default()
        }
        Some(Slot::Used(subscription)) => subscription.name.as_str().as_bytes(),
        Some(Slot::Free(_)) | None => &[],
    }
}
