//! Who may use the admin API, for what, and how often.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::access::RequestId;
use super::limit::Limit;
use super::{Scope, Tokens};
use sealwax_web::Problem;

/// What stands in front of the API.
#[derive(Clone)]
pub(super) struct Gate {
    tokens: Option<Arc<Tokens>>,
    limits: Arc<Limits>,
}

/// One for each kind of caller: those who guess do not use up what those who know may do.
struct Limits {
    read: Limit,
    write: Limit,
    strangers: Limit,
}

/// Who asks, as far as the log should know. Goes into the response for the access log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(pub(super) &'static str);

impl Gate {
    pub(super) fn new(tokens: Option<Arc<Tokens>>, rate: u32) -> Self {
        let [read, write, strangers] = [(); 3].map(|()| Limit::a_second(rate));
        Self { tokens, limits: Arc::new(Limits { read, write, strangers }) }
    }

    /// The caller, or what to answer instead.
    fn admit(&self, needed: Scope, request: &Request) -> Result<Caller, Problem> {
        let Some(tokens) = &self.tokens else {
            self.limits.of(Some(needed)).take().map_err(too_many)?;
            refuse_web_page(request)?;
            return Ok(Caller("local"));
        };
        let shown = request.headers().get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        let scope = shown.and_then(|shown| tokens.scope_of(shown));
        self.limits.of(scope.map(|_| needed)).take().map_err(too_many)?;
        let scope = scope.ok_or_else(stranger)?;
        if scope < needed {
            let said =
                format!("this token may {scope}; this request needs a token that may {needed}");
            return Err(Problem::new(StatusCode::FORBIDDEN, "scope-wanted", said));
        }
        Ok(Caller(scope.as_str()))
    }
}

impl Limits {
    const fn of(&self, known: Option<Scope>) -> &Limit {
        match known {
            Some(Scope::Read) => &self.read,
            Some(Scope::Write | Scope::Keys) => &self.write,
            None => &self.strangers,
        }
    }
}

/// Lets a request through that may do what its route needs.
pub(super) async fn check(
    State((gate, needed)): State<(Gate, Scope)>,
    request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let id = request.extensions().get::<RequestId>().cloned();
    let caller = match gate.admit(needed, &request) {
        Ok(admitted) => admitted,
        Err(problem) => {
            let wants_token = problem.status == StatusCode::UNAUTHORIZED.as_u16();
            let mut response = problem.into_response();
            if wants_token {
                let bearer = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
            }
            return response;
        }
    };
    let mut response = next.run(request).await;
    if needed > Scope::Read {
        let request_id = id.as_ref().map(RequestId::as_str);
        tracing::info!(target: "sealwax::audit", %method, path, caller = caller.0,
            needed = needed.as_str(), status = response.status().as_u16(), request_id, "audit");
    }
    response.extensions_mut().insert(caller);
    response
}

fn stranger() -> Problem {
    let said = "send the admin token: Authorization: Bearer …";
    Problem::new(StatusCode::UNAUTHORIZED, "token-wanted", said)
}

fn too_many(wait: std::time::Duration) -> Problem {
    let said = "too many requests; [admin] rate says how many a second are taken";
    let seconds = wait.as_secs().saturating_add(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", said).retry_after(seconds)
}

/// The token of an `Authorization` header; the scheme's case does not matter (RFC 9110 section
/// 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
}

/// Without a token everybody on this machine is trusted, but not the web pages in their
/// browsers: those come with a foreign origin, or under a foreign name that resolves to loopback.
fn refuse_web_page(request: &Request) -> Result<(), Problem> {
    let headers: &HeaderMap = request.headers();
    let host = headers
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().authority().map(Authority::as_str));
    let local = host.is_some_and(is_local);
    let same_origin = headers.get(ORIGIN).is_none_or(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        origin.is_some() && origin == host
    });
    if local && same_origin {
        return Ok(());
    }
    let said = "without a token the admin API only answers to localhost, 127.0.0.1 and [::1], and \
                to no other site's pages; set [admin] token_file to lift this";
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", said))
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
