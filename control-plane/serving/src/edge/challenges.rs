//! `GET /edge/v1/challenges/{token}`: the answer a CA asks for.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use sealwax_core::store::Challenge;
use sealwax_core::{Span, preflight};
use sealwax_protocol::ChallengeToken;
use sealwax_xds::Peer;
use tokio::time::{Duration, Instant, sleep, timeout_at};

use super::{EdgeApi, named, retry_seconds};
use sealwax_web::Problem;

/// When a CA's request is worth repeating after the store did not answer.
const STORE_RETRY_AFTER: Span = Span::from_secs(1);
/// How long an edge may keep an answer: a CA's vantage points come within seconds, and what a token
/// is answered never changes.
const ANSWER_AGE: Span = Span::from_secs(60);

/// How long the store is asked for an answer. The filter's callout has a second by default
/// (`callout_timeout_ms`), with the way there and back.
const EDGE_PATIENCE: Duration = Duration::from_millis(800);
/// Wait before the store is asked again; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Answered by token alone: whoever follows a redirect or comes by another of the domain's
/// addresses asks under another host.
pub(super) async fn answer(
    State(api): State<EdgeApi>,
    Extension(edge): Extension<Peer>,
    Path(token): Path<String>,
) -> Response {
    let token = match ChallengeToken::parse(&token) {
        Ok(token) => token,
        Err(error) => {
            return Problem::new(StatusCode::BAD_REQUEST, "malformed-token", error.to_string())
                .into_response();
        }
    };
    // A control plane looks whether it is us that the domain leads to.
    if let Some(answer) = preflight::answer(&token) {
        let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
        return (headers, answer).into_response();
    }
    let now = api.clock.now();
    match find(&api, &token).await {
        Ok(Some(challenge)) if now < challenge.expires_at => {
            tracing::debug!(domain = %challenge.domain, "a challenge was fetched");
            api.answers.note(&token, true);
            let through = format!("through {}", named(&edge));
            api.steps.fetched(&challenge.domain, now, &through);
            let age = ANSWER_AGE.min(challenge.expires_at.since(now));
            let headers = [
                (CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
                (CACHE_CONTROL, format!("max-age={}", age.secs())),
            ];
            (headers, challenge.key_authorization).into_response()
        }
        Ok(_) => {
            let said = "no challenge with this token is open";
            Problem::new(StatusCode::NOT_FOUND, "unknown-token", said).into_response()
        }
        Err(error) => {
            tracing::warn!(error, "a challenge could not be answered");
            api.answers.note(&token, false);
            let said = "the store does not answer; try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", said)
                .retry_after(retry_seconds(STORE_RETRY_AFTER))
                .into_response()
        }
    }
}

/// From memory, if this process published it; else from the store, asked again while the edge has
/// patience: a CA is told 503 once and counts a failed validation.
async fn find(api: &EdgeApi, token: &ChallengeToken) -> Result<Option<Challenge>, String> {
    if let Some(known) = api.answers.get(token) {
        return Ok(Some(known));
    }
    let deadline = Instant::now() + EDGE_PATIENCE;
    let mut said = "it does not answer in time".to_owned();
    let mut wait = FIRST_WAIT;
    loop {
        match timeout_at(deadline, api.store.challenge(token)).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => said = error.to_string(),
            Err(_) => return Err(said),
        }
        if Instant::now() + wait >= deadline {
            return Err(said);
        }
        sleep(wait).await;
        wait *= 2;
    }
}
