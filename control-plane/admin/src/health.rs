//! Whether the process lives, and whether it can do its work.

use async_trait::async_trait;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use super::AdminApi;
use sealwax_web::{PROBLEM_JSON, Problem};

/// Knows whether the process can do its work.
#[async_trait]
pub trait Health: Send + Sync + 'static {
    /// Looks. Bounded in time by the implementation.
    ///
    /// # Errors
    /// What is in the way.
    async fn ready(&self) -> Result<(), Troubles>;

    /// Every metric in Prometheus' text format.
    fn metrics(&self) -> String;
}

/// What is in the way, one line each; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Troubles(pub Vec<String>);

/// Says that the process lives.
#[utoipa::path(get, path = "/healthz", tag = "process", security(()),
    responses((status = 200, description = "It lives", body = String)))]
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Says whether the process can do its work.
#[utoipa::path(get, path = "/readyz", tag = "process", security(()),
    responses(
        (status = 200, description = "It can", body = String),
        (status = 503, description = "What is in the way", body = Problem,
            content_type = PROBLEM_JSON)))]
pub(super) async fn ready(State(api): State<AdminApi>) -> Response {
    match api.health.ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(troubles) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", troubles.to_string())
                .into_response()
        }
    }
}

/// Every metric in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "process",
    responses(
        (status = 200, description = "The metrics", body = String, content_type = "text/plain"),
        (status = "4XX", description = "Refused", body = Problem, content_type = PROBLEM_JSON)))]
pub(super) async fn metrics(State(api): State<AdminApi>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.health.metrics())
        .into_response()
}
