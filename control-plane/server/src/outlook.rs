//! The look at domains, from the configuration.

use std::sync::Arc;

use sealwax_core::preflight::{Network, Preflight};
use sealwax_preflight::{Outlook, OutlookSettings};

use sealwax_config::{Config, Target};

/// Whoever looks, if anyone does. A place that cannot look orders without: it is advice, and no
/// reason to not start.
pub(super) fn build(config: &Config) -> Option<Arc<dyn Preflight>> {
    if !config.preflight.enabled {
        return None;
    }
    match Outlook::new(settings(config)) {
        Ok(outlook) => Some(Arc::new(outlook)),
        Err(error) => {
            tracing::warn!(%error, "domains are not looked at before their orders");
            None
        }
    }
}

/// How to look.
pub fn settings(config: &Config) -> OutlookSettings {
    let told = &config.preflight;
    let mut settings = OutlookSettings {
        resolvers: told.resolvers.clone(),
        edges: told.edges.clone(),
        edge_hosts: Vec::new(),
        port: told.port,
        timeout: told.timeout,
    };
    for target in &config.edge.public {
        match target {
            Target::Address(address) => settings.edges.push(Network::from(*address)),
            Target::Host(host) => settings.edge_hosts.push(host.clone()),
        }
    }
    settings
}
