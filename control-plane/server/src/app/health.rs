//! What the process says of itself.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealwax_core::store::Store;
use sealwax_workflow::Queue;
use sealwax_xds::XdsServer;

use super::parts::App;
use super::sealing::ProvenSealer;
use crate::admin::{Health, Troubles};
use crate::catalog::Catalog;
use crate::last_good::LastGood;

/// How long the store may take to answer before the process counts as not ready.
const STORE_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct ProcessHealth {
    store: Arc<dyn Store>,
    queue: Queue,
    catalog: Arc<Catalog>,
    sealer: Arc<ProvenSealer>,
    last_good: Option<LastGood>,
    xds: Arc<XdsServer>,
}

impl ProcessHealth {
    pub(super) fn new(app: &App) -> Self {
        Self {
            store: Arc::clone(&app.store),
            queue: app.queue.clone(),
            catalog: Arc::clone(&app.catalog),
            sealer: Arc::clone(&app.sealer),
            last_good: app.last_good.clone(),
            xds: Arc::clone(&app.xds),
        }
    }
}

#[async_trait]
impl Health for ProcessHealth {
    async fn ready(&self) -> Result<(), Troubles> {
        let away = match tokio::time::timeout(STORE_WITHIN, self.store.ping()).await {
            Ok(Ok(())) if self.sealer.is_proven() => return Ok(()),
            Ok(Ok(())) => "the keys are being compared with the store's".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the store does not answer within 2 s".to_owned(),
        };
        let mut troubles = vec![away];
        if let Some(copy) = &self.last_good {
            let held = copy.held();
            troubles.push(format!(
                "certificates in memory and {held} in the last-good copy are served"
            ));
        }
        Err(Troubles(troubles))
    }

    fn metrics(&self) -> String {
        let mut page = Page::default();
        for backlog in self.queue.backlog() {
            let lane = backlog.lane.as_str();
            page.gauge(
                "sealwax_queue_waiting",
                "Domains that wait to be worked on.",
                &format!("lane=\"{lane}\""),
                backlog.waiting,
            );
        }
        page.gauge(
            "sealwax_runs_in_flight",
            "Domains that are being worked on.",
            "",
            self.queue.in_flight(),
        );
        let cached = usize::try_from(self.catalog.cached()).unwrap_or(usize::MAX);
        page.gauge("sealwax_catalog_entries", "Names remembered in memory.", "", cached);
        if let Some(copy) = &self.last_good {
            let about = "Certificates on local disk for when the store is away.";
            page.gauge("sealwax_last_good_certificates", about, "", copy.held());
        }
        let edges = self.xds.edges();
        page.gauge("sealwax_edges", "Connected streams of edges.", "", edges.len());
        let sum = |of: fn(&sealwax_xds::EdgeView) -> u64| edges.iter().map(of).sum::<u64>();
        let held: usize = edges.iter().map(|edge| edge.resident).sum();
        page.gauge("sealwax_edge_names", "Certificates connected edges hold.", "", held);
        let nacks = usize::try_from(sum(|edge| edge.nacks)).unwrap_or(usize::MAX);
        page.gauge("sealwax_edge_nacks", "Refusals by connected edges.", "", nacks);
        page.text
    }
}

/// Prometheus' text format, version 0.0.4.
#[derive(Default)]
struct Page {
    text: String,
    last: &'static str,
}

impl Page {
    fn gauge(&mut self, name: &'static str, about: &str, labels: &str, value: usize) {
        let head = if self.last == name {
            String::new()
        } else {
            format!("# HELP {name} {about}\n# TYPE {name} gauge\n")
        };
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        self.last = name;
        if writeln!(self.text, "{head}{name}{labels} {value}").is_err() {
            tracing::debug!(name, "a metric could not be written");
        }
    }
}
