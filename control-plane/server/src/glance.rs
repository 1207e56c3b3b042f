//! What the admin API shows of the process's own parts.

use std::sync::Arc;

use sealwax_core::Clock;
use sealwax_protocol::DomainName;
use sealwax_workflow::{BudgetLeft, Queue, Turn};
use sealwax_xds::XdsServer;

use super::parts::App;
use sealwax_admin::{
    BudgetView, CampaignView, EdgeView, EdgesView, Fleet, FleetView, LaneView, NackView,
};
use sealwax_platform::notify::Sinks;
use sealwax_serving::catalog::Catalog;
use sealwax_telemetry::metrics::{
    Activity, BudgetBoard, CampaignBoard, CensusBoard, IssuerBoard, Sampler,
};

pub(super) struct ProcessFleet {
    clock: Arc<dyn Clock>,
    queue: Queue,
    catalog: Arc<Catalog>,
    xds: Arc<XdsServer>,
    sampler: Arc<Sampler>,
    census: Arc<CensusBoard>,
    issuers: Arc<IssuerBoard>,
    budgets: Arc<BudgetBoard>,
    campaign: Arc<CampaignBoard>,
    sinks: Arc<Sinks>,
    activity: Arc<Activity>,
}

impl ProcessFleet {
    pub(super) fn new(app: &App) -> Self {
        Self {
            clock: Arc::clone(&app.clock),
            queue: app.queue.clone(),
            catalog: Arc::clone(&app.catalog),
            xds: Arc::clone(&app.xds),
            sampler: Arc::clone(&app.watch.sampler),
            census: Arc::clone(&app.watch.census),
            issuers: Arc::clone(&app.watch.issuers),
            budgets: Arc::clone(&app.watch.budgets),
            campaign: Arc::clone(&app.watch.campaign),
            sinks: Arc::clone(&app.sinks),
            activity: Arc::clone(&app.watch.activity),
        }
    }
}

impl Fleet for ProcessFleet {
    fn glance(&self) -> FleetView {
        let now = self.clock.now();
        let lane = |backlog: sealwax_workflow::Backlog| LaneView {
            lane: backlog.lane.as_str().to_owned(),
            waiting: wide(backlog.waiting),
            oldest_s: backlog.oldest.as_secs(),
        };
        FleetView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: now.rfc3339(),
            census: self.census.last().map(|census| (*census).clone()),
            queue: self.queue.backlog().map(lane).into(),
            runs_in_flight: wide(self.queue.in_flight()),
            handshakes_held: self.sampler.held(),
            names_in_memory: self.catalog.cached(),
            edges: wide(self.xds.edges().len()),
            issuers: self.issuers.all(),
            budgets: self.budgets.all().into_iter().map(budget).collect(),
            campaign: self.campaign.last().map(|one| CampaignView::of(&one, now)),
            receivers: self.sinks.standings(),
            hours: self.activity.hours(now),
        }
    }

    fn edges(&self) -> EdgesView {
        EdgesView { edges: self.xds.edges().into_iter().map(shown).collect() }
    }

    fn turn(&self, domain: &DomainName) -> Option<Turn> {
        self.queue.turn(domain)
    }
}

fn budget(one: BudgetLeft) -> BudgetView {
    BudgetView { issuer: one.issuer, limit: one.limit.to_owned(), left: one.left, of: one.of }
}

fn shown(edge: sealwax_xds::EdgeView) -> EdgeView {
    EdgeView {
        node_id: edge.node_id,
        stream: edge.stream_id,
        connected_s: edge.connected_for.as_secs(),
        budget: wide(edge.budget),
        held: wide(edge.resident),
        names: wide(edge.names),
        pushes: edge.pushes,
        removals: edge.removals,
        evictions: edge.evictions,
        timeouts: edge.timeouts,
        acks: edge.acks,
        nacks: edge.nacks,
        last_nack: edge
            .last_nack
            .map(|nack| NackView { domain: nack.name.to_string(), detail: nack.detail }),
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
