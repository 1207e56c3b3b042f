//! HTTP in and out, with the faults that are commanded.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use crate::endpoints;
use crate::journal::{Endpoint, Visit};
use crate::knobs::FaultKind;
use crate::problem::Problem;
use crate::server::Core;

/// Largest request read.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// A request, routed.
pub(crate) struct Call {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: Method,
    /// What follows the endpoint in the path.
    pub(crate) rest: String,
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

/// An answer before it has headers that all share.
#[derive(Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Content,
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<String>,
    /// For the journal.
    pub(crate) ordered: Option<(String, Option<String>)>,
}

#[derive(Default)]
pub(crate) enum Content {
    #[default]
    Empty,
    Json(Value),
    Problem(Value),
    Chain(String),
}

/// The connection ends instead of an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dropped on command")
    }
}

impl std::error::Error for Dropped {}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, body: Content::Json(body), ..Self::default() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    fn problem(problem: &Problem) -> Self {
        Self {
            status: problem.status,
            body: Content::Problem(problem.document()),
            retry_after: problem.retry_after.clone(),
            ..Self::default()
        }
    }
}

/// Answers one request.
pub(crate) async fn serve(
    core: Arc<Core>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let Some((endpoint, rest)) = route(&path) else {
        let mut nowhere = Response::new(Full::default());
        *nowhere.status_mut() = StatusCode::NOT_FOUND;
        return Ok(nowhere);
    };
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect().await;
    let body = body.map_err(|_| Dropped)?.to_bytes();
    let call = Call { endpoint, method, rest, path, body };
    let fault = core.with(|state| state.knobs.next_fault(endpoint));
    match fault {
        None => answer(&core, &call, None),
        Some(FaultKind::LoseReply) => answer(&core, &call, Some(Mishap::Lost)),
        Some(FaultKind::Garble) => answer(&core, &call, Some(Mishap::Garbled)),
        Some(FaultKind::Drop) => {
            core.note(endpoint, None, None);
            Err(Dropped)
        }
        Some(FaultKind::Silence) => {
            core.note(endpoint, None, None);
            std::future::pending().await
        }
        Some(FaultKind::Problem(problem)) => {
            core.note(endpoint, Some(problem.status), None);
            Ok(respond(&core, Reply::problem(&problem)))
        }
        Some(FaultKind::Page { status, retry_after }) => {
            core.note(endpoint, Some(status), None);
            Ok(page(status, retry_after))
        }
        Some(FaultKind::Text { status, text }) => {
            core.note(endpoint, Some(status), None);
            let mut said = page(status, None);
            *said.body_mut() = Full::new(Bytes::from(text));
            Ok(said)
        }
    }
}

enum Mishap {
    Lost,
    Garbled,
}

fn answer(
    core: &Arc<Core>,
    call: &Call,
    mishap: Option<Mishap>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let mut reply =
        endpoints::handle(core, call).unwrap_or_else(|problem| Reply::problem(&problem));
    if let (Content::Json(value), Some(bend)) =
        (&mut reply.body, core.with(|state| state.knobs.bend))
    {
        bend(call.endpoint, value);
    }
    let ordered = reply.ordered.take();
    let lost = matches!(mishap, Some(Mishap::Lost));
    core.note(call.endpoint, (!lost).then_some(reply.status), ordered);
    if lost {
        return Err(Dropped);
    }
    let mut response = respond(core, reply);
    if mishap.is_some() {
        *response.body_mut() = Full::new(Bytes::from_static(b"{\"status\": "));
    }
    Ok(response)
}

fn respond(core: &Core, reply: Reply) -> Response<Full<Bytes>> {
    let (content_type, body) = match reply.body {
        Content::Empty => (None, String::new()),
        Content::Json(value) => (Some("application/json"), value.to_string()),
        Content::Problem(value) => (Some("application/problem+json"), value.to_string()),
        Content::Chain(pem) => (Some("application/pem-certificate-chain"), pem),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let nonce = core.with(|state| state.books.fresh_nonce());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    let optional = [
        ("replay-nonce", Some(nonce)),
        (LOCATION.as_str(), reply.location),
        (RETRY_AFTER.as_str(), reply.retry_after),
    ];
    for (name, value) in optional {
        if let Some(value) = value.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

fn page(status: u16, retry_after: Option<String>) -> Response<Full<Bytes>> {
    let body = "<html><body>The server is on holiday.</body></html>";
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

fn route(path: &str) -> Option<(Endpoint, String)> {
    let (first, rest) = path.strip_prefix('/')?.split_once('/').unwrap_or((path.get(1..)?, ""));
    let endpoint = match first {
        "directory" => Endpoint::Directory,
        "new-nonce" => Endpoint::NewNonce,
        "new-account" => Endpoint::NewAccount,
        "account" => Endpoint::Account,
        "new-order" => Endpoint::NewOrder,
        "order" => Endpoint::Order,
        "authorization" => Endpoint::Authorization,
        "challenge" => Endpoint::Challenge,
        "finalize" => Endpoint::Finalize,
        "certificate" => Endpoint::Certificate,
        "revoke" => Endpoint::Revoke,
        "renewal-info" => Endpoint::RenewalInfo,
        "key-change" => Endpoint::KeyChange,
        _ => return None,
    };
    Some((endpoint, rest.to_owned()))
}

impl Core {
    fn note(
        &self,
        endpoint: Endpoint,
        status: Option<u16>,
        made: Option<(String, Option<String>)>,
    ) {
        let (ordered, replaces) = made.unzip();
        let visit = Visit { endpoint, status, ordered, replaces: replaces.flatten() };
        self.with(|state| state.journal.note(visit));
    }
}
