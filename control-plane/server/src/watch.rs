//! What watches the other parts: metrics, the feed of events, the boards the dashboard shows.

use std::sync::Arc;
use std::time::Duration;

use sealwax_core::issuer::Issuer;
use sealwax_core::permission::Permission;
use sealwax_core::preflight::{Off, Preflight};
use sealwax_core::store::Store;
use sealwax_core::{Clock, Notifier, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_workflow::Announcer;
use sealwax_xds::CertificateSource;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Announcements, App};
use sealwax_telemetry::feed::Feed;
use sealwax_telemetry::metrics::{
    Activity, BudgetBoard, CampaignBoard, CensusBoard, IssuerBoard, Meter, MeteredIssuer,
    MeteredNotifier, MeteredPermission, MeteredPreflight, MeteredSource, Metrics, Sampler,
    take_census, watch_budgets, watch_campaign, watch_departures,
};
use sealwax_telemetry::traces::Traces;
use sealwax_telemetry::trail::Trail;

/// What is seen of the process.
pub struct Watch {
    /// The figures.
    pub metrics: Metrics,
    /// Every lifecycle event.
    pub feed: Feed,
    /// Reads levels.
    pub sampler: Arc<Sampler>,
    /// The last census.
    pub census: Arc<CensusBoard>,
    /// How certificate authorities are.
    pub issuers: Arc<IssuerBoard>,
    /// What is left of their limits.
    pub budgets: Arc<BudgetBoard>,
    /// The newest campaign.
    pub campaign: Arc<CampaignBoard>,
    /// The last hours.
    pub activity: Arc<Activity>,
    /// The steps between two writes.
    pub trail: Trail,
    /// Of handshakes that wait.
    pub traces: Traces,
}

impl Watch {
    /// Starts what watches in the background: at most `census_rate` records are read a second.
    pub(super) fn start(
        &self,
        app: &App,
        census_rate: u64,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        tasks.spawn(Arc::clone(&self.sampler).serve(stop.clone()));
        let (store, clock) = (Arc::clone(&app.store), Arc::clone(&app.clock));
        let (budgets, metrics) = (Arc::clone(&self.budgets), self.metrics.clone());
        let (queue, at) = (app.queue.clone(), Arc::clone(&clock));
        tasks.spawn(watch_budgets(queue, at, budgets, metrics, stop.clone()));
        let (board, metrics) = (Arc::clone(&self.campaign), self.metrics.clone());
        tasks.spawn(watch_campaign(app.campaigns.clone(), board, metrics, stop.clone()));
        let (departures, at) = (app.departures.clone(), Arc::clone(&clock));
        tasks.spawn(watch_departures(departures, at, self.metrics.clone(), stop.clone()));
        let (board, metrics) = (Arc::clone(&self.census), self.metrics.clone());
        tasks.spawn(take_census(store, clock, census_rate, board, metrics, stop.clone()));
    }
}

/// Stands in front of the parts while they are put together.
pub(super) struct Eyes {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    pub(super) feed: Feed,
    pub(super) issuers: Arc<IssuerBoard>,
    pub(super) activity: Arc<Activity>,
    pub(super) trail: Trail,
    pub(super) traces: Traces,
}

impl Eyes {
    pub(super) fn open(clock: Arc<dyn Clock>, traces: Traces) -> Self {
        let feed = Feed::new(clock.now());
        let (issuers, activity) = (Arc::default(), Arc::default());
        let (metrics, trail) = (Metrics::new(), Trail::default());
        Self { clock, metrics, feed, issuers, activity, trail, traces }
    }

    pub(super) fn watch(self, sampler: Sampler) -> Watch {
        Watch {
            metrics: self.metrics,
            feed: self.feed,
            sampler: Arc::new(sampler),
            census: Arc::default(),
            issuers: self.issuers,
            budgets: Arc::default(),
            campaign: Arc::default(),
            activity: self.activity,
            trail: self.trail,
            traces: self.traces,
        }
    }

    pub(super) fn store(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let metered = Meter::new(
            store,
            Arc::clone(&self.clock),
            self.metrics.clone(),
            Arc::clone(&self.activity),
            self.feed.clone(),
        );
        Arc::new(metered.traced(self.traces.clone()).store())
    }

    pub(super) fn issuers<I: Issuer>(&self, issuers: Vec<Arc<I>>) -> Vec<Arc<dyn Issuer>> {
        let one = |issuer: Arc<I>| -> Arc<dyn Issuer> {
            let (clock, board) = (Arc::clone(&self.clock), Arc::clone(&self.issuers));
            let (metrics, trail) = (self.metrics.clone(), self.trail.clone());
            let metered = MeteredIssuer::new(issuer, clock, metrics, board, trail)
                .counted(Arc::clone(&self.activity));
            Arc::new(metered.traced(self.traces.clone()))
        };
        issuers.into_iter().map(one).collect()
    }

    pub(super) fn source(
        &self,
        source: Arc<dyn CertificateSource>,
        max_wait: Duration,
    ) -> Arc<MeteredSource> {
        let (clock, trail) = (Arc::clone(&self.clock), self.trail.clone());
        let metered = MeteredSource::new(source, self.metrics.clone(), max_wait, clock, trail);
        Arc::new(metered.traced(self.traces.clone()))
    }

    pub(super) fn permission(&self, permission: Arc<dyn Permission>) -> Arc<dyn Permission> {
        let metered = MeteredPermission::new(permission, self.metrics.clone());
        Arc::new(metered.traced(self.traces.clone()))
    }

    pub(super) fn notifier(&self, notifier: Arc<dyn Notifier>) -> Arc<dyn Notifier> {
        Arc::new(MeteredNotifier::new(notifier, self.metrics.clone()))
    }

    pub(super) fn preflight(&self, preflight: Option<Arc<dyn Preflight>>) -> Arc<dyn Preflight> {
        let Some(inner) = preflight else { return Arc::new(Off) };
        Arc::new(MeteredPreflight::new(inner, self.metrics.clone(), self.trail.clone()))
    }
}

/// Passes on what other replicas did, to the feed too.
pub(super) struct ElsewhereToo {
    pub(super) announcements: Arc<Announcements>,
    pub(super) feed: Feed,
    pub(super) clock: Arc<dyn Clock>,
}

impl Announcer for ElsewhereToo {
    fn changed(&self, domain: &DomainName) {
        Announcer::changed(&*self.announcements, domain);
        let now: Timestamp = self.clock.now();
        self.feed.changed_elsewhere(domain, now);
    }

    fn resync(&self) {
        self.announcements.resync();
    }

    fn listening(&self) {
        self.announcements.listening();
    }
}
