//! INV-13: a notice leaves the store when its receiver has it, or with an event that says so.

use std::collections::HashSet;
use std::sync::Mutex;

use sealwax_core::DomainRecord;
use sealwax_core::store::Change;

use crate::world::World;

/// What the receiver has.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<HashSet<String>>);

impl Notices {
    /// The receiver has it.
    pub(crate) fn delivered(&self, id: &str) {
        self.0.lock().unwrap().insert(id.to_owned());
    }

    /// A replica wrote.
    pub(crate) fn wrote(&self, world: &World, before: Option<&DomainRecord>, change: &Change) {
        let Some(before) = before.filter(|before| !before.outbox.is_empty()) else { return };
        let delivered = self.0.lock().unwrap();
        let still = |id: &String| change.record.outbox.iter().any(|notice| notice.id == *id);
        let told = |id: &String| change.events.iter().any(|event| event.detail.contains(id));
        let lost = before.outbox.iter().map(|notice| &notice.id);
        let lost: Vec<_> = lost
            .filter(|id| !still(id) && !delivered.contains(*id) && !told(id))
            .cloned()
            .collect();
        drop(delivered);
        for id in lost {
            let (domain, now) = (&before.domain, world.time.now());
            world.watch.broken("INV-13", &format!("{domain}: {id} is gone at {now}, untold"));
        }
    }
}
