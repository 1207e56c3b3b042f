//! What the platform could not be told.

use axum::Json;
use axum::extract::State;
use sealwax_core::dead_letters::DeadLetter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminApi;
use super::problems::Refused;
use sealwax_registry::RegistryError;
use sealwax_web::{PROBLEM_JSON, Problem};

/// The events that were given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedView {
    /// The newest hundred, newest first; kept for thirty days after the newest.
    pub dropped: Vec<DroppedEventView>,
    /// How many there were before these.
    pub older: u64,
}

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedEventView {
    /// The event's id, as its receiver would have got it.
    pub id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// When that was; RFC 3339.
    pub timestamp: String,
    /// The domain.
    pub domain: String,
    /// Whom it was for: the topic's or stream's ARN; for a webhook what stands for its URL in
    /// the store.
    pub receiver: String,
    /// When it was given up; RFC 3339.
    pub dropped_at: String,
    /// Why.
    pub detail: String,
}

impl From<&DeadLetter> for DroppedEventView {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            id: letter.id.clone(),
            kind: letter.kind.clone(),
            timestamp: letter.happened_at.rfc3339(),
            domain: letter.domain.to_string(),
            receiver: letter.to.clone(),
            dropped_at: letter.at.rfc3339(),
            detail: letter.detail.clone(),
        }
    }
}

/// The events that no receiver took within two and a half days, or that were crowded out: the
/// dead letter list, of all control planes on the store.
#[utoipa::path(get, path = "/v1/notifications/dropped", tag = "process",
    responses(
        (status = 200, description = "The events that were given up", body = DroppedView),
        (status = "4XX", description = "Refused", body = Problem, content_type = PROBLEM_JSON),
        (status = "5XX", description = "Try again", body = Problem, content_type = PROBLEM_JSON)))]
pub(super) async fn dropped(State(api): State<AdminApi>) -> Result<Json<DroppedView>, Refused> {
    let list = api.dead_letters.read().await.map_err(RegistryError::from)?;
    let dropped = list.newest_first().iter().map(Into::into).collect();
    Ok(Json(DroppedView { dropped, older: list.older() }))
}
