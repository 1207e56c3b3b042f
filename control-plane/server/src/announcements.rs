//! Tells caches and edges of every change, whoever made it.

use std::sync::{Arc, OnceLock};

use sealwax_protocol::DomainName;
use sealwax_workflow::{Announcer, Ask, Lane, Queue};
use sealwax_xds::XdsServer;

use sealwax_registry as registry;
use sealwax_serving::catalog::Catalog;

/// Filled in while the parts are put together, because each of them tells the others.
#[derive(Default)]
pub struct Announcements {
    listeners: OnceLock<Listeners>,
}

struct Listeners {
    catalog: Arc<Catalog>,
    xds: Arc<XdsServer>,
    queue: Queue,
}

impl Announcements {
    /// Says whom to tell; only the first call counts.
    pub(super) fn connect(&self, catalog: Arc<Catalog>, xds: Arc<XdsServer>, queue: Queue) {
        if self.listeners.set(Listeners { catalog, xds, queue }).is_err() {
            tracing::debug!("the announcements are connected already");
        }
    }

    fn tell_changed(&self, domain: &DomainName) {
        if let Some(to) = self.listeners.get() {
            // The cache first: an edge that is told looks there.
            to.catalog.forget(domain);
            to.xds.changed(domain);
            if to.catalog.covers_below(domain) {
                to.xds.changed_below(domain);
            }
        }
    }
}

impl Announcer for Announcements {
    fn changed(&self, domain: &DomainName) {
        self.tell_changed(domain);
    }

    fn resync(&self) {
        if let Some(to) = self.listeners.get() {
            to.catalog.forget_all();
            to.xds.changed_all();
        }
    }

    fn listening(&self) {
        if let Some(to) = self.listeners.get() {
            to.catalog.hears_changes();
        }
    }
}

impl registry::Announcer for Announcements {
    fn changed(&self, domain: &DomainName) {
        self.tell_changed(domain);
    }

    fn wanted(&self, domain: &DomainName, lane: Lane) {
        if let Some(to) = self.listeners.get() {
            to.queue.submit(domain, lane, Ask::Due);
        }
    }
}
