//! A stream's place in the index, for as long as the stream lives.

use std::sync::Arc;

use sealwax_protocol::DomainName;
use tokio::time::Instant;

use crate::XdsServer;
use crate::brake::Leave;
use crate::edge::Edge;
use crate::subscription::Registry;

#[derive(Debug)]
pub(crate) struct Registration {
    server: Arc<XdsServer>,
    edge: Arc<Edge>,
}

impl Registration {
    pub(crate) const fn new(server: Arc<XdsServer>, edge: Arc<Edge>) -> Self {
        Self { server, edge }
    }
}

impl Registry for Registration {
    fn added(&mut self, name: DomainName) -> DomainName {
        self.server.index.add(name, &self.edge)
    }

    fn gone(&mut self, name: &DomainName) {
        self.server.index.remove(name, &self.edge);
    }

    fn withdraw(&mut self, name: &DomainName, now: Instant) -> Leave {
        self.server.brake.withdraw(name, now, || self.server.held())
    }

    fn unknown_released(&self, now: Instant) -> bool {
        self.server.brake.unknown_released(now)
    }

    fn ended(&mut self, names: Box<dyn Iterator<Item = DomainName> + Send>) {
        self.server.disconnect(&self.edge);
        let (server, edge) = (Arc::clone(&self.server), Arc::clone(&self.edge));
        let release = async move {
            for (count, name) in names.enumerate() {
                server.index.remove(&name, &edge);
                if count % NAMES_AT_A_TIME == 0 {
                    tokio::task::yield_now().await;
                }
            }
        };
        // Outside a runtime the process is ending, and the index with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(release);
        }
    }
}

/// Names taken out of the index before others get their turn.
const NAMES_AT_A_TIME: usize = 1024;
