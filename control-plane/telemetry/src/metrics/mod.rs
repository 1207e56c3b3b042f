//! What the process says of itself in figures.
//!
//! ```text
//!   workflow, catalog, admin API ──▶ MeteredStore ──▶ store
//!   workflow ──▶ MeteredIssuer ──▶ CA          every second: Sampler (queue, edges, cache)
//!   xDS ──▶ MeteredSource ──▶ catalog          in the background: census (the whole fleet)
//!                  └──────────────┴──────────────┴──▶ Metrics ──▶ GET /metrics
//! ```
//!
//! Figures are taken at the borders between the parts, by values that implement the same trait
//! as what they stand in front of: no part knows that it is measured.

mod activity;
mod budgets;
mod campaign;
mod census;
mod departures;
mod issuer;
mod manual;
pub mod names;
mod notifier;
mod permission;
mod preflight;
mod registry;
mod sampler;
mod source;
mod store;
mod store_log;

pub use activity::{Activity, Hour};
pub use budgets::{BudgetBoard, watch as watch_budgets};
pub use campaign::{CampaignBoard, watch as watch_campaign};
pub use census::{Census, CensusBoard, take as take_census};
pub use departures::watch as watch_departures;
pub use issuer::{IssuerBoard, IssuerStanding, MeteredIssuer};
pub use manual::manual;
pub use notifier::MeteredNotifier;
pub use permission::MeteredPermission;
pub use preflight::MeteredPreflight;
pub use registry::Metrics;
pub use sampler::{Sampler, SamplerParts};
pub use source::MeteredSource;
pub use store::{Meter, MeteredStore};

/// A cause's public word.
fn word(cause: sealwax_core::Cause) -> String {
    let word = serde_json::to_value(cause).ok();
    word.as_ref().and_then(|word| word.as_str()).unwrap_or("?").to_owned()
}

#[cfg(test)]
mod documents_tests;
#[cfg(test)]
mod tests;
