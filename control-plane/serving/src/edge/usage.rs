//! `POST /edge/v1/usage`: names that served requests lately.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use sealwax_protocol::edge::UsageReport;

use super::EdgeApi;
use sealwax_web::Problem;

pub(super) async fn report(State(api): State<EdgeApi>, body: Bytes) -> Response {
    match serde_json::from_slice::<UsageReport>(&body) {
        Ok(report) => {
            api.usage.used(report.names());
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => Problem::new(StatusCode::BAD_REQUEST, "malformed-report", error.to_string())
            .into_response(),
    }
}
