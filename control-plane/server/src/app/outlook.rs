//! The look at domains, from the configuration.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_core::Timestamp;
use sealwax_core::preflight::{Findings, Network, Off, Preflight};
use sealwax_preflight::{Outlook, OutlookSettings};
use sealwax_protocol::DomainName;

use crate::config::{Config, Target};
use crate::trail::Trail;

/// Whoever looks. A place that cannot look orders without: it is advice, and no reason to not start.
pub(super) fn build(config: &Config) -> Arc<dyn Preflight> {
    if !config.preflight.enabled {
        return Arc::new(Off);
    }
    match Outlook::new(settings(config)) {
        Ok(outlook) => Arc::new(outlook),
        Err(error) => {
            tracing::warn!(%error, "domains are not looked at before their orders");
            Arc::new(Off)
        }
    }
}

fn settings(config: &Config) -> OutlookSettings {
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

/// Notes what was seen, for explanations.
pub(super) struct Noted {
    pub(super) inner: Arc<dyn Preflight>,
    pub(super) trail: Trail,
}

#[async_trait]
impl Preflight for Noted {
    async fn look(&self, domain: &DomainName, now: Timestamp) -> Option<Findings> {
        let findings = self.inner.look(domain, now).await?;
        self.trail.note(domain, now, "preflight.seen", &findings.summary());
        Some(findings)
    }
}
