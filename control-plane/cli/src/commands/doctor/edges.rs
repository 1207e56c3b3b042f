//! Edges: connected, within their budgets, content, and on the challenges' way.

use std::time::Duration;

use http::Method;
use reqwest::Client;
use url::Url;

use super::super::client::AdminClient;
use super::Check;
use sealwax_admin::EdgesView;
use sealwax_core::Jitter as _;
use sealwax_system::SystemJitter;

/// How long an edge may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The series that counts challenges that reached the control plane's store.
const CHALLENGES: &str = "sealwax_store_call_seconds_count{call=\"challenge\"}";

/// One line for all of them, and one for each that needs attention.
pub(super) fn connected(edges: &EdgesView) -> Vec<Check> {
    if edges.edges.is_empty() {
        let said = "no Envoy has asked for a certificate: one is seen from its first handshake \
                    on. `sealwax envoy bootstrap` makes its configuration; its cluster \
                    sealwax_xds must reach [xds] listen";
        return vec![Check::warning("edges", said)];
    }
    let mut checks = vec![Check::ok("edges", format!("{} connected", edges.edges.len()))];
    for edge in &edges.edges {
        if let Some(nack) = &edge.last_nack {
            checks.push(Check::warning(
                format!("edge {}", edge.node_id),
                format!("it refused the certificate of {}: {}", nack.domain, nack.detail),
            ));
        }
        if edge.held.saturating_mul(20) >= edge.budget.saturating_mul(19) {
            checks.push(Check::warning(
                format!("edge {}", edge.node_id),
                format!(
                    "it holds {} of {} certificates: raise [xds] budget_names if it has the \
                     memory (25 KB each), or add an Envoy",
                    edge.held, edge.budget
                ),
            ));
        }
    }
    checks
}

/// Asks an edge for a challenge nobody has, and looks whether the question came through.
pub(super) async fn challenge_path(client: &AdminClient, edge: &Url) -> Check {
    let name = format!("challenges through {edge}");
    let token = format!("sealwax-doctor-{}-{}", std::process::id(), nonce());
    let Ok(url) = edge.join(&format!("/.well-known/acme-challenge/{token}")) else {
        return Check::failed(name, "not an address");
    };
    let Ok(before) = asked(client).await else {
        return Check::failed(name, "the control plane's metrics cannot be read");
    };
    let http = Client::builder().timeout(ANSWER_WITHIN).no_proxy().build();
    let sent = match http {
        Ok(http) => http.get(url).header("host", "sealwax-doctor.example").send().await,
        Err(error) => return Check::failed(name, error.to_string()),
    };
    let status = match sent {
        Ok(answer) => answer.status().as_u16(),
        Err(error) => {
            let said = super::super::client::innermost(&error);
            return Check::failed(name, format!("{said}. Is it the edge's plain HTTP listener?"));
        }
    };
    let after = asked(client).await.unwrap_or(before);
    match status {
        404 if after > before => Check::ok(name, ""),
        503 => Check::failed(
            name,
            "the filter runs, and does not reach the control plane: see the cluster sealwax_edge and [edge] listen",
        ),
        _ => Check::failed(
            name,
            format!(
                "status {status}, and the question did not come to this control plane: is the filter on the edge's HTTP listener?"
            ),
        ),
    }
}

async fn asked(client: &AdminClient) -> Result<f64, super::Failed> {
    let metrics = client.text(Method::GET, &["metrics"]).await?;
    let series = metrics.lines().find_map(|line| line.strip_prefix(CHALLENGES));
    Ok(series.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0))
}

/// No answer that is remembered somewhere fits: a few words of randomness.
fn nonce() -> String {
    let jitter = SystemJitter::default();
    (0..4).map(|_| format!("{:03}", jitter.permille().min(999))).collect()
}
