//! The names of one request, subscribed a piece at a time.

use std::collections::{HashMap, hash_map};
use std::vec;

use bytes::Bytes;

use crate::subscription::{Registry, Subscriptions};
use crate::wire::NameVersion;

/// Names subscribed before anything else gets its turn. A request may name hundreds of thousands.
const NAMES_AT_A_TIME: usize = 2048;

#[derive(Debug)]
pub(crate) struct Backlog {
    asked: vec::IntoIter<Bytes>,
    /// What the client says it holds.
    holds: HashMap<Bytes, Bytes>,
    /// Held names that are not asked for.
    rest: Option<hash_map::IntoIter<Bytes, Bytes>>,
}

impl Backlog {
    /// What a client holds counts only in the first request; a later one may have dropped it since.
    pub(crate) fn new(asked: Vec<Bytes>, initial: Vec<NameVersion>, first: bool) -> Self {
        let holds = initial.into_iter().filter(|_| first);
        Self {
            asked: asked.into_iter(),
            holds: holds.map(|entry| (entry.name, entry.version)).collect(),
            rest: None,
        }
    }

    /// Subscribes the next names. True: there are more.
    pub(crate) fn work<R: Registry>(&mut self, subscriptions: &mut Subscriptions<R>) -> bool {
        for _ in 0..NAMES_AT_A_TIME {
            if let Some(name) = self.asked.next() {
                let holds = self.holds.remove(&name);
                subscriptions.subscribe(&name, holds.as_deref());
                continue;
            }
            // A name that is held and not asked for may have to be removed all the same.
            let rest = self.rest.get_or_insert_with(|| std::mem::take(&mut self.holds).into_iter());
            let Some((name, version)) = rest.next() else { return false };
            subscriptions.subscribe(&name, Some(&version));
        }
        true
    }
}
