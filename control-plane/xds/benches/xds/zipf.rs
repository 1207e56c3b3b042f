//! The share of handshakes an edge with a budget serves from what it holds, of the best possible.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use sealwax_protocol::DomainName;
use sealwax_xds::XdsConfig;

use crate::messages::{DeltaRequest, DeltaResponse, SECRET};
use crate::{Client, Memory, connect, start_with};

/// One in ten names fits.
const BUDGET_PART: usize = 10;
const ACCESSES: usize = 300_000;
/// Accesses between two reports of the filter.
const REPORT_EVERY: usize = 1000;

/// Popularity is Zipf(1.0); the first half of the accesses only warms up. The edge unsubscribes
/// what is removed and reports what it has used, as Envoy and the filter do. The ideal always
/// holds the most popular names.
pub(crate) async fn hit_ratio_of_ideal(source: &Arc<Memory>, names: &[String]) -> f64 {
    let budget = names.len() / BUDGET_PART;
    let config = XdsConfig {
        max_names_per_edge: budget,
        // The budget exactly, not what was delivered in the last second beside it.
        eviction_grace: Duration::ZERO,
        ..XdsConfig::default()
    };
    let (server, address) = start_with(config, source).await;
    let mut edge =
        Edge { client: connect(address).await, held: HashSet::new(), nonce: String::new() };
    let parsed: HashMap<&str, DomainName> =
        names.iter().map(|name| (name.as_str(), DomainName::parse(name).unwrap())).collect();
    let mut sums = Vec::with_capacity(names.len());
    let total = (1..=names.len()).fold(0.0, |sum, rank| {
        sums.push(sum + 1.0 / rank as f64);
        sum + 1.0 / rank as f64
    });
    let mut random = 42_u64;
    let (mut hits, mut used) = (0_usize, HashSet::new());
    for access in 0..ACCESSES {
        // Knuth's MMIX generator; the upper half is random enough.
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let point = (random >> 32) as f64 / 4_294_967_296.0 * total;
        let at = sums.partition_point(|sum| *sum < point).min(names.len() - 1);
        let name = names[at].as_str();
        used.insert(name);
        if edge.held.contains(name) {
            hits += usize::from(access >= ACCESSES / 2);
        } else {
            edge.fetch(name).await;
        }
        if access % REPORT_EVERY == 0 {
            let report: Vec<_> = used.drain().map(|name| parsed[name].clone()).collect();
            server.usage(Some("bench"), &report);
        }
    }
    assert!(edge.held.len() <= budget + 300, "{} held", edge.held.len());
    hits as f64 / (ACCESSES / 2) as f64 / (sums[budget - 1] / total)
}

struct Edge {
    client: Client,
    held: HashSet<String>,
    nonce: String,
}

impl Edge {
    /// Asks for a name and takes what comes until it is there.
    async fn fetch(&mut self, name: &str) {
        self.send(vec![name.to_owned()], Vec::new());
        loop {
            let message = self.client.message().await.unwrap();
            let response = DeltaResponse::decode(message).unwrap();
            self.nonce = response.nonce;
            for removed in &response.removed {
                self.held.remove(removed);
            }
            self.held.extend(response.resources.iter().map(|resource| resource.name.clone()));
            self.send(Vec::new(), response.removed);
            if self.held.contains(name) {
                return;
            }
        }
    }

    fn send(&mut self, subscribe: Vec<String>, unsubscribe: Vec<String>) {
        self.client.send_message(&DeltaRequest {
            type_url: SECRET.to_owned(),
            subscribe,
            unsubscribe,
            response_nonce: std::mem::take(&mut self.nonce),
            ..DeltaRequest::default()
        });
    }
}
