//! The edge API: what the filter in Envoy asks. Never carries a private key.

mod answers;
mod certificates;
mod challenges;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use sealwax_core::store::Store;
use sealwax_core::{Clock, Span, Timestamp};
use sealwax_protocol::DomainName;
use sealwax_protocol::edge::{CertificateAnswer, USAGE_PATH};
use sealwax_xds::Peer;

pub use answers::Answers;

use sealwax_web::{Bounds, Problem, bound};

/// Bounds of the edge API. A usage report of 1,000 names of the greatest length has 256 KB.
pub const BOUNDS: Bounds =
    Bounds { requests: 4096, answer_within: Duration::from_secs(30), body_bytes: 320 * 1024 };

/// Knows whether a handshake for a domain would succeed.
#[async_trait]
pub trait Readiness: Send + Sync + 'static {
    /// Loads the domain's certificate, or starts to issue it when that is allowed. Bounded in
    /// time by the implementation; does not wait for a CA. For an edge whose certificate names
    /// it, domains it may not serve do not exist.
    ///
    /// # Errors
    /// When it cannot be known now.
    async fn ready(&self, edge: &Peer, domain: &DomainName) -> Result<Ready, NotKnown>;
}

/// Whether a handshake for a domain would succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What the filter is told.
    pub answer: CertificateAnswer,
    /// How long it may keep that.
    pub max_age: Span,
}

/// Why readiness cannot be known: the store does not answer and nothing is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("whether the domain has a certificate cannot be known now")]
pub struct NotKnown {
    /// When to ask again.
    pub retry_after: Span,
}

/// Hears which names edges served.
pub trait Usage: Send + Sync + 'static {
    /// These names were in use lately.
    fn used(&self, names: &[DomainName]);
}

/// Hears what edges ask for, one step of a domain's way at a time.
pub trait Steps: Send + Sync + 'static {
    /// A certificate that there is none of yet was asked for.
    fn asked(&self, domain: &DomainName, at: Timestamp, by: &str);
    /// A challenge's answer was fetched.
    fn fetched(&self, domain: &DomainName, at: Timestamp, through: &str);
}

/// What the edge API is made of.
#[derive(Clone)]
pub struct EdgeApi {
    /// Where challenge answers are.
    pub store: Arc<dyn Store>,
    /// Those this process published.
    pub answers: Answers,
    /// When they expire.
    pub clock: Arc<dyn Clock>,
    /// Whether a certificate is ready.
    pub readiness: Arc<dyn Readiness>,
    /// Who hears about names in use.
    pub usage: Arc<dyn Usage>,
    /// Hears of the steps of domains, for explanations.
    pub steps: Arc<dyn Steps>,
}

impl EdgeApi {
    /// The API as a router, within [`BOUNDS`].
    pub fn router(self) -> Router {
        let routes = Router::new()
            .route("/edge/v1/challenges/{token}", get(challenges::answer))
            .route("/edge/v1/certificates/{domain}", post(certificates::ask))
            .route(USAGE_PATH, post(usage::report))
            .fallback(async || {
                Problem::new(StatusCode::NOT_FOUND, "no-such-path", "the edge API has no such path")
            })
            .with_state(self);
        bound(routes, BOUNDS)
    }
}

/// An edge, as far as it is known: by its certificate, where it has one.
fn named(edge: &Peer) -> String {
    match edge {
        Peer::Unproved => "one of the edges".to_owned(),
        Peer::Certified(names) => names.join(", "),
    }
}

/// Seconds of a span for `retry-after`, at least one.
fn retry_seconds(span: Span) -> u64 {
    span.secs().max(1)
}

#[cfg(test)]
mod tests;
