//! The brake on domains that the platform says are gone.

use axum::Json;
use axum::extract::State;
use sealwax_core::brake::HOLDS;
use sealwax_core::{Brake, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminApi;
use super::problems::Refused;
use sealwax_registry::RegistryError;
use sealwax_web::{PROBLEM_JSON, Problem};

/// How many domains are parked and erased because the platform says that they are gone, by all
/// control planes on the store, and whether that is too many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeparturesView {
    /// Too many within an hour: nothing more is parked or erased.
    pub held: bool,
    /// Since when; RFC 3339, null unless it is held.
    pub held_since: Option<String>,
    /// When it lets go by itself; RFC 3339, null unless it is held.
    pub held_until: Option<String>,
    /// An operator released it: nothing is counted until then; RFC 3339, null otherwise.
    pub released_until: Option<String>,
    /// Parked in the hour that was counted last.
    pub parked: u64,
    /// Erased in the hour that was counted last.
    pub erased: u64,
    /// Most of each within an hour: `[renewal] gone_per_hour`.
    pub limit: u64,
}

impl DeparturesView {
    fn of(brake: &Brake, limit: u64, now: Timestamp) -> Self {
        let since = brake.tripped_at.filter(|_| brake.holds(now));
        let free = brake.free_until.filter(|_| brake.is_free(now));
        Self {
            held: since.is_some(),
            held_since: since.map(Timestamp::rfc3339),
            held_until: since.map(|at| (at + HOLDS).rfc3339()),
            released_until: free.map(Timestamp::rfc3339),
            parked: brake.parked.count,
            erased: brake.erased.count,
            limit,
        }
    }
}

/// Whether parking and erasing are held back.
#[utoipa::path(get, path = "/v1/departures", tag = "domains",
    responses(
        (status = 200, description = "The brake", body = DeparturesView),
        (status = "4XX", description = "Refused", body = Problem, content_type = PROBLEM_JSON),
        (status = "5XX", description = "Try again", body = Problem, content_type = PROBLEM_JSON)))]
pub(super) async fn show(State(api): State<AdminApi>) -> Result<Json<DeparturesView>, Refused> {
    let brake = api.departures.show().await.map_err(RegistryError::from)?;
    Ok(view(&api, &brake))
}

/// The platform is right: parking and erasing go on, and nothing is counted for two hours.
#[utoipa::path(post, path = "/v1/departures/release", tag = "domains",
    responses(
        (status = 200, description = "It is released", body = DeparturesView),
        (status = "4XX", description = "Refused", body = Problem, content_type = PROBLEM_JSON),
        (status = "5XX", description = "Try again", body = Problem, content_type = PROBLEM_JSON)))]
pub(super) async fn release(State(api): State<AdminApi>) -> Result<Json<DeparturesView>, Refused> {
    let brake = api.departures.release(api.registry.now()).await.map_err(RegistryError::from)?;
    tracing::warn!("an operator released the brake on parking and erasing for two hours");
    Ok(view(&api, &brake))
}

fn view(api: &AdminApi, brake: &Brake) -> Json<DeparturesView> {
    Json(DeparturesView::of(brake, api.departures.limit(), api.registry.now()))
}

#[cfg(test)]
mod tests {
    use sealwax_core::{Departing, Span};

    use super::*;

    #[test]
    fn what_is_held_says_since_when_and_until_when() {
        let now = Timestamp::from_secs(1_767_225_600);
        let mut brake = Brake::default();
        assert!(brake.admits(Departing::Parked, 1, now));
        assert!(!DeparturesView::of(&brake, 1, now).held);
        assert!(!brake.admits(Departing::Parked, 1, now));
        let held = DeparturesView::of(&brake, 1, now + Span::from_secs(60));
        assert_eq!((held.held, held.parked, held.limit), (true, 1, 1));
        assert_eq!(held.held_since.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(held.held_until.as_deref(), Some("2026-01-02T00:00:00Z"));
        let released = DeparturesView::of(&Brake::released(now), 1, now);
        assert_eq!((released.held, released.held_since), (false, None));
        assert_eq!(released.released_until.as_deref(), Some("2026-01-01T02:00:00Z"));
    }
}
