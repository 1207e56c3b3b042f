//! The store's identity, what edges hold without a record, and the brake on withdrawals.

use async_trait::async_trait;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use sealwax_core::store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminApi;
use super::domains::malformed_query;
use super::problems::Refused;
use sealwax_registry::RegistryError;
use sealwax_web::{PROBLEM_JSON, Problem};

/// Knows which store it is and what would be withdrawn.
#[async_trait]
pub trait Steward: Send + Sync + 'static {
    /// How the store stands, and what edges hold.
    fn view(&self) -> StoreView;

    /// Takes the store that is there for the right one.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn accept(&self) -> Result<(), StoreError>;

    /// Lets withdrawals go; with `unknown` also those of names the store has nothing of.
    fn release(&self, unknown: bool);
}

/// The store as this control plane knows it, and what edges hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreView {
    /// `trusted`, `unchecked` (it is away), or why it is not trusted: `older`, `other` or
    /// `nameless`.
    pub standing: String,
    /// What is wrong and what to do; null when nothing is.
    pub why: Option<String>,
    /// The store's id; null when it is away or has none.
    pub id: Option<String>,
    /// The id of the one known before.
    pub known_id: Option<String>,
    /// When the store was last used, by its own word; RFC 3339.
    pub used_at: Option<String>,
    /// The files of the control plane's machine that should remember this store, where none of
    /// them can be written: after a restart another store would not be noticed.
    #[serde(default)]
    pub forgotten_at: Option<String>,
    /// Names that edges connected here hold, about.
    pub held: u64,
    /// Those of them that the store has neither a record nor a removal of: they stay.
    pub without_record: u64,
    /// Those that are to be withdrawn and that the brake holds back.
    pub held_back: u64,
    /// How long withdrawals are let go yet, in seconds.
    pub released_s: u64,
    /// So many names without a record that it is not a leftover or two.
    pub many_without_record: bool,
}

/// How a store stands whose silence may be acted on.
pub const TRUSTED: &str = "trusted";

/// What a release lets go.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Release {
    /// Names without a record too.
    #[serde(default)]
    unknown: bool,
}

/// Which store this is, and what edges hold of it.
#[utoipa::path(get, path = "/v1/store", tag = "process",
    responses(
        (status = 200, description = "The store", body = StoreView),
        (status = "4XX", description = "Refused", body = Problem, content_type = PROBLEM_JSON)))]
pub(super) async fn show(State(api): State<AdminApi>) -> Json<StoreView> {
    Json(api.steward.view())
}

/// Takes the store that is there for the right one, in place of the one that was known, on every
/// control plane that uses it.
#[utoipa::path(post, path = "/v1/store/accept", tag = "process",
    responses((status = 200, description = "It is trusted", body = StoreView), Problem))]
pub(super) async fn accept(State(api): State<AdminApi>) -> Result<Json<StoreView>, Refused> {
    api.steward.accept().await.map_err(RegistryError::Store)?;
    Ok(Json(api.steward.view()))
}

/// Lets the withdrawals go that the brake holds back, from the edges connected to this control
/// plane, for one `[xds] withdrawal_window`.
#[utoipa::path(post, path = "/v1/edges/release", tag = "process", params(Release),
    responses(
        (status = 200, description = "They go", body = StoreView),
        (status = 409, description = "The store is not trusted, and only a trusted one's silence counts",
            body = Problem, content_type = PROBLEM_JSON),
        Problem))]
pub(super) async fn release(
    State(api): State<AdminApi>,
    release: Result<Query<Release>, QueryRejection>,
) -> Result<Json<StoreView>, Refused> {
    let Query(release) = release.map_err(malformed_query)?;
    may_release(release, api.steward.view())?;
    api.steward.release(release.unknown);
    Ok(Json(api.steward.view()))
}

/// Names without a record are let go on the word of a trusted store only.
fn may_release(release: Release, view: StoreView) -> Result<(), Refused> {
    if !release.unknown || view.standing == TRUSTED {
        return Ok(());
    }
    let detail = view.why.unwrap_or_else(|| "which store this is is not known yet".to_owned());
    Err(Refused::new(StatusCode::CONFLICT, "store-not-trusted", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_record_are_not_let_go_on_the_word_of_a_store_that_is_not_trusted() {
        for (standing, unknown, may) in [
            ("trusted", true, true),
            ("other", false, true),
            ("other", true, false),
            ("unchecked", true, false),
        ] {
            let view = StoreView { standing: standing.to_owned(), ..StoreView::default() };
            assert_eq!(may_release(Release { unknown }, view).is_ok(), may, "{standing}");
        }
    }
}
