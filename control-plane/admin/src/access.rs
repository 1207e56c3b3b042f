//! One line a request, with the fields that are configured; and the request's identifier.

use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{HeaderName, HeaderValue, USER_AGENT};
use axum::middleware::Next;
use axum::response::Response;
use sealwax_core::text::hex;
use tokio::time::Instant;

use super::gate::Caller;
use sealwax_config::AccessField;

/// Names a request: from the caller, if it is a sensible one, or made here; in every answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest identifier taken over from a caller.
const ID_BYTES_MAX: usize = 64;
/// Longest text of a caller in the log.
const TEXT_BYTES_MAX: usize = 256;

/// A request's identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    fn of(request: &Request) -> Self {
        let theirs = request.headers().get(REQUEST_ID).filter(|id| {
            let bytes = id.as_bytes();
            (1..=ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        });
        Self(theirs.cloned().unwrap_or_else(made))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

fn made() -> HeaderValue {
    let mut bytes = [0_u8; 8];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        tracing::debug!("no randomness for a request's identifier");
    }
    HeaderValue::try_from(hex(&bytes)).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

pub(super) async fn log(
    State(fields): State<Arc<[AccessField]>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(&request);
    request.extensions_mut().insert(id.clone());
    let started = Instant::now();
    let line = (!fields.is_empty()).then(|| Asked::of(&request));
    let mut response = next.run(request).await;
    if let Some(asked) = line {
        asked.write(&fields, &response, &id, started);
    }
    response.headers_mut().insert(REQUEST_ID, id.0);
    response
}

/// What is known before the answer.
struct Asked {
    method: String,
    path: String,
    route: Option<String>,
    user_agent: Option<String>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let agent = request.headers().get(USER_AGENT);
        Self {
            method: request.method().to_string(),
            // Without the query: cursors and filters are of no use, and long.
            path: cut(request.uri().path()),
            route: request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()),
            user_agent: agent.map(|agent| cut(&String::from_utf8_lossy(agent.as_bytes()))),
        }
    }

    fn write(self, fields: &[AccessField], response: &Response, id: &RequestId, started: Instant) {
        let has = |field: AccessField| fields.contains(&field);
        let caller = response.extensions().get::<Caller>().map_or("stranger", |caller| caller.0);
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "sealwax::access",
            method = has(AccessField::Method).then_some(self.method),
            path = has(AccessField::Path).then_some(self.path),
            route = self.route.filter(|_| has(AccessField::Route)),
            status = has(AccessField::Status).then(|| response.status().as_u16()),
            duration_ms = has(AccessField::DurationMs).then_some(millis),
            caller = has(AccessField::Caller).then_some(caller),
            request_id = has(AccessField::RequestId).then(|| id.as_str()),
            user_agent = self.user_agent.filter(|_| has(AccessField::UserAgent)),
            "access"
        );
    }
}

fn cut(text: &str) -> String {
    let clean = text.chars().map(|one| if one.is_control() { ' ' } else { one });
    clean.take(TEXT_BYTES_MAX).collect()
}
