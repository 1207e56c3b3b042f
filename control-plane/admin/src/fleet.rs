//! The fleet at a glance, and the edges.

use axum::Json;
use axum::extract::State;
use sealwax_protocol::DomainName;
use sealwax_workflow::Turn;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminApi;
use super::campaign::CampaignView;
use sealwax_platform::notify::ReceiverStanding;
use sealwax_telemetry::metrics::{Census, Hour, IssuerStanding};
use sealwax_web::{PROBLEM_JSON, Problem};

/// Knows the process's own parts.
pub trait Fleet: Send + Sync + 'static {
    /// The fleet as this process sees it.
    fn glance(&self) -> FleetView;

    /// The edges connected to this process.
    fn edges(&self) -> EdgesView;

    /// When a domain's turn is, if it waits in this process for a CA.
    fn turn(&self, _domain: &DomainName) -> Option<Turn> {
        None
    }
}

/// The fleet at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetView {
    /// The program's version.
    pub version: String,
    /// The present time; RFC 3339.
    pub now: String,
    /// The last count of the whole fleet; null until the first one ends.
    pub census: Option<Census>,
    /// What waits to be worked on.
    pub queue: Vec<LaneView>,
    /// Domains that are being worked on.
    pub runs_in_flight: u64,
    /// Names whose handshakes are held.
    pub handshakes_held: u64,
    /// Names remembered in memory.
    pub names_in_memory: u64,
    /// Connected streams of edges.
    pub edges: u64,
    /// How each certificate authority is.
    pub issuers: Vec<IssuerStanding>,
    /// What is left of their limits that all names share; empty until it was read, and without
    /// limits.
    pub budgets: Vec<BudgetView>,
    /// The newest campaign, as it was some seconds ago; null where there never was one.
    #[serde(default)]
    pub campaign: Option<CampaignView>,
    /// How each receiver of events is.
    #[serde(default)]
    pub receivers: Vec<ReceiverStanding>,
    /// What this process did in each of the last 48 hours in which it did something.
    pub hours: Vec<Hour>,
}

/// What waits in one lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LaneView {
    /// The lane, most urgent first.
    pub lane: String,
    /// Domains in it.
    pub waiting: u64,
    /// How long the one that came first has waited, in seconds.
    pub oldest_s: u64,
}

/// What is left of a certificate authority's limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetView {
    /// The issuer.
    pub issuer: String,
    /// `orders` (new orders of the account, all replicas together) or `requests` (requests for
    /// new orders from this process's address).
    pub limit: String,
    /// How many can be used now.
    pub left: u64,
    /// How many when nothing is used.
    pub of: u64,
}

/// The connected edges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EdgesView {
    /// One for each stream.
    pub edges: Vec<EdgeView>,
}

/// A connected edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EdgeView {
    /// What Envoy calls itself.
    pub node_id: String,
    /// The stream, unique in the process.
    pub stream: u64,
    /// How long it has been connected, in seconds.
    pub connected_s: u64,
    /// Most certificates it may hold.
    pub budget: u64,
    /// Certificates it holds.
    pub held: u64,
    /// Names it is subscribed to.
    pub names: u64,
    /// Certificates sent.
    pub pushes: u64,
    /// Removals sent, evictions among them.
    pub removals: u64,
    /// Certificates removed to keep the budget.
    pub evictions: u64,
    /// Names whose certificate did not come in time.
    pub timeouts: u64,
    /// Responses accepted.
    pub acks: u64,
    /// Responses refused.
    pub nacks: u64,
    /// The last refusal.
    pub last_nack: Option<NackView>,
}

/// A certificate an edge refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NackView {
    /// The domain.
    pub domain: String,
    /// The edge's own words.
    pub detail: String,
}

/// The fleet at a glance: states, expiries, queue, certificate authorities, activity.
#[utoipa::path(get, path = "/v1/fleet", tag = "process",
    responses(
        (status = 200, description = "The fleet", body = FleetView),
        (status = "4XX", description = "Refused", body = Problem, content_type = PROBLEM_JSON)))]
pub(super) async fn glance(State(api): State<AdminApi>) -> Json<FleetView> {
    Json(api.fleet.glance())
}

/// The edges connected to this control plane, with budgets and refusals.
#[utoipa::path(get, path = "/v1/edges", tag = "process",
    responses(
        (status = 200, description = "The edges", body = EdgesView),
        (status = "4XX", description = "Refused", body = Problem, content_type = PROBLEM_JSON)))]
pub(super) async fn edges(State(api): State<AdminApi>) -> Json<EdgesView> {
    Json(api.fleet.edges())
}
