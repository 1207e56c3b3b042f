//! `POST /edge/v1/certificates/{domain}`: asks for a certificate to be ready.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use sealwax_protocol::DomainName;
use sealwax_protocol::edge::CertificateAnswer;
use sealwax_xds::Peer;

use super::{EdgeApi, Ready, named, retry_seconds};
use sealwax_web::Problem;

pub(super) async fn ask(
    State(api): State<EdgeApi>,
    Extension(edge): Extension<Peer>,
    Path(domain): Path<String>,
) -> Response {
    let domain = match DomainName::parse(&domain) {
        Ok(domain) => domain,
        Err(error) => {
            return Problem::new(StatusCode::BAD_REQUEST, "malformed-domain", error.to_string())
                .into_response();
        }
    };
    match api.readiness.ready(&edge, &domain).await {
        Ok(ready) => {
            if matches!(ready.answer, CertificateAnswer::Pending { .. }) {
                let by = format!("a request at {}", named(&edge));
                api.steps.asked(&domain, api.clock.now(), &by);
            }
            respond(&ready)
        }
        Err(error) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", error.to_string())
                .retry_after(retry_seconds(error.retry_after))
                .into_response()
        }
    }
}

fn respond(ready: &Ready) -> Response {
    let status =
        StatusCode::from_u16(ready.answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(&ready.answer)).into_response();
    let max_age = format!("max-age={}", ready.max_age.secs());
    if let Ok(value) = HeaderValue::try_from(max_age) {
        response.headers_mut().insert(CACHE_CONTROL, value);
    }
    response
}
