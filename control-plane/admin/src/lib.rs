//! The admin API: registering domains and looking at them.

mod access;
mod advice;
mod batch;
mod campaign;
mod certificate;
mod dashboard;
mod departures;
mod domains;
mod explain;
mod fleet;
mod gate;
mod health;
mod issuers;
mod limit;
mod name;
mod notifications;
mod openapi;
mod problems;
mod routes;
mod scope;
mod steward;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use sealwax_workflow::campaign::Campaigns;
use sealwax_workflow::{DeadLetterList, Departures};
use tokio_util::sync::CancellationToken;

use sealwax_config::AccessField;
use sealwax_registry::Registry;
use sealwax_registry::accounts::Accounts;
use sealwax_registry::certificates::Certificates;
use sealwax_telemetry::feed::Feed;
use sealwax_telemetry::trail::Trail;
use sealwax_web::{Bounds, Problem, bound};

pub use advice::{Advice, caa_name, caa_of};
pub use batch::LINE_BYTES_MAX;
pub use batch::{BatchLine, BatchResult};
pub use campaign::{CampaignBody, CampaignView};
pub use certificate::{Exported, ImportedView};
pub use departures::DeparturesView;
pub use domains::RegistrationBody;
pub use explain::{Explanation, Moment, PreflightView, SightingView};
pub use fleet::{BudgetView, EdgeView, EdgesView, Fleet, FleetView, LaneView, NackView};
pub use health::{Health, Troubles};
pub use issuers::{AccountView, IssuerView, IssuersView};
pub use name::{NameError, parse_name};
pub use notifications::{DroppedEventView, DroppedView};
pub use openapi::openapi;
pub use scope::{Scope, Tokens};
pub use sealwax_platform::view::{
    CertificateView, DomainView, EventView, EventsView, FailureView, PageView,
};
pub use steward::{Steward, StoreView, TRUSTED};
pub use stream::HappeningView;
pub use token::{Token, TokenError, read_token_file};

/// Bounds of the admin API. The body bound is for single requests; a batch streams.
pub const BOUNDS: Bounds =
    Bounds { requests: 256, answer_within: Duration::from_secs(30), body_bytes: 64 * 1024 };

/// What the admin API is made of.
#[derive(Clone)]
pub struct AdminApi {
    /// The domains.
    pub registry: Registry,
    /// Certificates brought along and taken back.
    pub certificates: Certificates,
    /// The accounts of the issuers.
    pub accounts: Accounts,
    /// Replacing many certificates.
    pub campaigns: Campaigns,
    /// What the platform could not be told.
    pub dead_letters: DeadLetterList,
    /// Whether too many domains are said to be gone.
    pub departures: Departures,
    /// Whether the process can do its work.
    pub health: Arc<dyn Health>,
    /// The process's own parts.
    pub fleet: Arc<dyn Fleet>,
    /// The store's identity and the brake on withdrawals.
    pub steward: Arc<dyn Steward>,
    /// What happens, as it happens.
    pub feed: Feed,
    /// The steps between two writes.
    pub trail: Trail,
    /// What to change.
    pub advice: Arc<Advice>,
    /// Ends the streams when the process stops.
    pub stop: CancellationToken,
    /// What callers must show; `None`: the listener is loopback and nothing is asked for.
    pub tokens: Option<Arc<Tokens>>,
    /// Requests a second of each kind of caller.
    pub rate: u32,
    /// What the access log tells of a request; empty: there is none.
    pub access_log: Arc<[AccessField]>,
}

impl AdminApi {
    /// The API as a router, within [`BOUNDS`].
    pub fn router(self) -> Router {
        let gate = gate::Gate::new(self.tokens.clone(), self.rate);
        let access_log = Arc::clone(&self.access_log);
        let routes = routes::all(&gate)
            .fallback(async || {
                let said = "the admin API has no such path";
                Problem::new(StatusCode::NOT_FOUND, "no-such-path", said)
            })
            .method_not_allowed_fallback(async || {
                let said = "this path does not know this method";
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", said)
            })
            .with_state(self);
        bound(routes, BOUNDS).layer(from_fn_with_state(access_log, access::log))
    }
}

#[cfg(test)]
mod tests;
