//! Which certificates an edge holds, in the order they may leave.
//!
//! Three lists (segmented LRU). A certificate enters *probation*; one whose name has been seen more
//! than once moves to the *protected* list, four fifths of the budget at most. Evictions take the
//! oldest of probation, so a flood of names seen once pushes out nothing but itself. A name gets
//! into a full protected list only by being seen more often than the one that would have to leave
//! (TinyLFU's rule). Certificates of high importance are *pinned*: they leave when the other lists
//! are empty. Those of low importance never leave probation for a better list.

use crate::Importance;

use super::table::{NO_SLOT, Segment, Subscription, Table};

#[derive(Debug)]
pub(super) struct Residents {
    probation: List,
    protected: List,
    pinned: List,
    protected_max: usize,
}

/// A list through the table's own entries; the head is the newest.
#[derive(Debug)]
struct List {
    head: u32,
    tail: u32,
    len: usize,
}

impl Residents {
    pub(super) const fn new(budget: usize) -> Self {
        const EMPTY: List = List { head: NO_SLOT, tail: NO_SLOT, len: 0 };
        let protected_max = budget - budget / 5;
        Self { probation: EMPTY, protected: EMPTY, pinned: EMPTY, protected_max }
    }

    pub(super) const fn len(&self) -> usize {
        self.probation.len + self.protected.len + self.pinned.len
    }

    /// The edge holds the certificate now: enters it, if it is not in yet.
    pub(super) fn enter(&mut self, table: &mut Table, slot: u32) {
        if table.get(slot).is_some_and(|entry| entry.segment == Segment::Outside) {
            self.probation.push(table, slot, Segment::Probation);
        }
    }

    /// The edge does not hold it any more, or will not soon.
    pub(super) fn leave(&mut self, table: &mut Table, slot: u32) {
        let Some(segment) = table.get(slot).map(|entry| entry.segment) else { return };
        if let Some(list) = self.list(segment) {
            list.unlink(table, slot);
        }
    }

    /// The name has been seen again. `count` tells how often a name has been seen.
    pub(super) fn seen(&mut self, table: &mut Table, slot: u32, count: impl Fn(&str) -> u8) {
        let Some(entry) = table.get(slot) else { return };
        match entry.segment {
            // Another spelling of a name is never worth as much as a name.
            Segment::Probation if !entry.spelled && !entry.low => {
                if self.protected.len >= self.protected_max {
                    let least = self.protected.tail;
                    let of = |entry: Option<&Subscription>| {
                        entry.map_or(0, |entry| count(entry.name.as_str()))
                    };
                    if of(Some(entry)) <= of(table.get(least)) {
                        return;
                    }
                    self.protected.unlink(table, least);
                    self.probation.push(table, least, Segment::Probation);
                }
                self.probation.unlink(table, slot);
                self.protected.push(table, slot, Segment::Protected);
            }
            Segment::Protected => {
                self.protected.unlink(table, slot);
                self.protected.push(table, slot, Segment::Protected);
            }
            Segment::Pinned => {
                self.pinned.unlink(table, slot);
                self.pinned.push(table, slot, Segment::Pinned);
            }
            Segment::Probation | Segment::Outside => {}
        }
    }

    /// The certificate has this importance now. Another spelling is never pinned.
    pub(super) fn rank(&mut self, table: &mut Table, slot: u32, importance: Importance) {
        let Some(entry) = table.get_mut(slot) else { return };
        entry.low = importance == Importance::Low;
        let pinned = importance == Importance::High && !entry.spelled;
        let (from, to) = match entry.segment {
            Segment::Probation if pinned => (&mut self.probation, Segment::Pinned),
            Segment::Protected if pinned => (&mut self.protected, Segment::Pinned),
            Segment::Pinned if !pinned => (&mut self.pinned, Segment::Probation),
            Segment::Protected if entry.low => (&mut self.protected, Segment::Probation),
            Segment::Outside | Segment::Probation | Segment::Protected | Segment::Pinned => return,
        };
        from.unlink(table, slot);
        if let Some(list) = self.list(to) {
            list.push(table, slot, to);
        }
    }

    /// The one to leave next: the oldest of probation, else of the protected, else of the pinned.
    pub(super) fn oldest(&self) -> Option<u32> {
        let tails = [self.probation.tail, self.protected.tail, self.pinned.tail];
        tails.into_iter().find(|&slot| slot != NO_SLOT)
    }

    /// Puts one that cannot leave yet behind the others of its list.
    pub(super) fn spare(&mut self, table: &mut Table, slot: u32) {
        let Some(segment) = table.get(slot).map(|entry| entry.segment) else { return };
        if let Some(list) = self.list(segment) {
            list.unlink(table, slot);
            list.push(table, slot, segment);
        }
    }

    const fn list(&mut self, segment: Segment) -> Option<&mut List> {
        match segment {
            Segment::Outside => None,
            Segment::Probation => Some(&mut self.probation),
            Segment::Protected => Some(&mut self.protected),
            Segment::Pinned => Some(&mut self.pinned),
        }
    }
}

impl List {
    fn push(&mut self, table: &mut Table, slot: u32, segment: Segment) {
        let Some(entry) = table.get_mut(slot) else { return };
        entry.segment = segment;
        entry.previous = NO_SLOT;
        entry.next = self.head;
        match table.get_mut(self.head) {
            Some(head) => head.previous = slot,
            None => self.tail = slot,
        }
        self.head = slot;
        self.len += 1;
    }

    fn unlink(&mut self, table: &mut Table, slot: u32) {
        let Some(entry) = table.get_mut(slot) else { return };
        let (previous, next) = (entry.previous, entry.next);
        entry.segment = Segment::Outside;
        entry.previous = NO_SLOT;
        entry.next = NO_SLOT;
        match table.get_mut(previous) {
            Some(before) => before.next = next,
            None => self.head = next,
        }
        match table.get_mut(next) {
            Some(after) => after.previous = previous,
            None => self.tail = previous,
        }
        self.len -= 1;
    }
}
