//! Which store there is: the one of always, or for a while another one in its place.

use std::collections::HashMap;
use std::sync::Arc;

use sealwax_core::{Clock, DomainRecord};
use sealwax_protocol::DomainName;
use sealwax_store::memory::MemoryStore;

use super::World;
use crate::plan::Trouble;
use crate::time::Wall;
use crate::watch::RUN;

type Records = HashMap<DomainName, DomainRecord>;

/// A store, and its records as they were last written, by whomever.
pub(super) struct Shelf {
    store: Arc<MemoryStore>,
    pub(super) records: Records,
    /// As they were at some time: what a restore brings back.
    copy: Option<(Arc<MemoryStore>, Records)>,
    /// The ones of always, while others are in their place.
    away: Option<(Arc<MemoryStore>, Records)>,
}

impl Shelf {
    pub(super) fn of(store: MemoryStore) -> Self {
        Self { store: Arc::new(store), records: Records::new(), copy: None, away: None }
    }
}

impl World {
    /// The store that there is now.
    pub(crate) fn store(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.shelf.lock().unwrap().store)
    }

    /// A backup is made.
    pub(crate) fn copy_store(&self) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.copy = Some((Arc::new(shelf.store.copy()), shelf.records.clone()));
        drop(shelf);
        self.note("a copy is made of the store");
    }

    /// From now on there is another store: the copy, or an empty one.
    pub(crate) fn lose_store(&self) {
        let mut shelf = self.shelf.lock().unwrap();
        let (store, records) = shelf.copy.take().unwrap_or_else(|| {
            let clock = Arc::new(Wall::of(&self.time)) as Arc<dyn Clock>;
            let exclusive = self.plan.exclusive;
            let empty =
                if exclusive { MemoryStore::exclusive(clock) } else { MemoryStore::new(clock) };
            (Arc::new(empty), Records::new())
        });
        let store = std::mem::replace(&mut shelf.store, store);
        let records = std::mem::replace(&mut shelf.records, records);
        shelf.away = Some((store, records));
        let found = shelf.records.len();
        drop(shelf);
        self.note(&format!("the store is lost: another with {found} records is in its place"));
        self.forget_what_was_known();
    }

    /// The store of always is back.
    pub(crate) fn find_store(&self) {
        let mut shelf = self.shelf.lock().unwrap();
        let Some((store, records)) = shelf.away.take() else { return };
        (shelf.store, shelf.records) = (store, records);
        drop(shelf);
        self.note("the store is back");
        self.forget_what_was_known();
    }

    /// The store was another one a moment ago: who knows something knows it of that one.
    pub(crate) fn is_store_new(&self) -> bool {
        let now = self.time.passed();
        let just = |at| at <= now && now < at + RUN;
        self.plan.all(Trouble::StoreLost).any(|window| just(window.from) || just(window.to))
    }

    /// What processes and the watch know is not of this store.
    fn forget_what_was_known(&self) {
        self.ca.excuse_all();
        self.watch.store_changed();
    }
}
