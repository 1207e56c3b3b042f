//! The admin API without a process around it, for tests.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_core::store::StoreError;
use sealwax_registry::Registry;
use sealwax_registry::accounts::Accounts;
use sealwax_registry::certificates::Certificates;
use sealwax_telemetry::feed::Feed;
use sealwax_telemetry::trail::Trail;
use sealwax_workflow::campaign::Campaigns;
use sealwax_workflow::{DeadLetterList, Departures};
use tokio_util::sync::CancellationToken;

use crate::{
    AdminApi, EdgeView, EdgesView, Fleet, FleetView, Health, Steward, StoreView, Troubles,
};

/// Ready or not, as told.
#[derive(Debug)]
pub struct Well(pub Result<(), Troubles>);

#[async_trait]
impl Health for Well {
    async fn ready(&self) -> Result<(), Troubles> {
        self.0.clone()
    }

    fn metrics(&self) -> String {
        "sealwax_up 1\n".to_owned()
    }
}

/// A process with one edge and nothing else.
#[derive(Debug)]
pub struct NoParts;

impl Fleet for NoParts {
    fn glance(&self) -> FleetView {
        no_fleet()
    }

    fn edges(&self) -> EdgesView {
        let edge = EdgeView { node_id: "edge-1".to_owned(), nacks: 2, ..EdgeView::default() };
        EdgesView { edges: vec![edge] }
    }
}

#[async_trait]
impl Steward for NoParts {
    fn view(&self) -> StoreView {
        StoreView { standing: "trusted".to_owned(), ..StoreView::default() }
    }

    async fn accept(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn release(&self, _: bool) {}
}

/// Nothing is going on.
#[must_use]
pub fn no_fleet() -> FleetView {
    FleetView {
        version: "0.0.0".to_owned(),
        now: "2026-01-01T00:00:00Z".to_owned(),
        census: None,
        queue: Vec::new(),
        runs_in_flight: 0,
        handshakes_held: 0,
        names_in_memory: 0,
        edges: 1,
        issuers: Vec::new(),
        budgets: Vec::new(),
        campaign: None,
        receivers: Vec::new(),
        hours: Vec::new(),
    }
}

/// The API over a registry, without a process around it.
#[must_use]
pub fn api(registry: Registry, certificates: Certificates, feed: Feed) -> AdminApi {
    let dead_letters = DeadLetterList::new(Arc::clone(&certificates.store));
    let departures = Departures::new(Arc::clone(&certificates.store), 20);
    let campaigns =
        Campaigns::new(Arc::clone(&certificates.store), Arc::clone(&certificates.clock));
    AdminApi {
        registry,
        certificates,
        accounts: Accounts::default(),
        campaigns,
        dead_letters,
        departures,
        health: Arc::new(Well(Ok(()))),
        fleet: Arc::new(NoParts),
        steward: Arc::new(NoParts),
        feed,
        trail: Trail::default(),
        advice: Arc::default(),
        stop: CancellationToken::new(),
        tokens: None,
        rate: 1_000,
        access_log: Arc::default(),
    }
}
