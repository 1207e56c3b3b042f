//! Who may use the admin API.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Token;
use crate::web::Problem;

pub(super) async fn check(
    State(token): State<Option<Arc<Token>>>,
    request: Request,
    next: Next,
) -> Response {
    let refused = match token {
        Some(token) => refuse_stranger(&token, request.headers()),
        None => refuse_web_page(&request),
    };
    match refused {
        Some(response) => response,
        None => next.run(request).await,
    }
}

fn refuse_stranger(token: &Token, headers: &HeaderMap) -> Option<Response> {
    let shown = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    if shown.is_some_and(|shown| token.is(shown)) {
        return None;
    }
    let said = "send the admin token: Authorization: Bearer …";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "token-wanted", said).into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Some(response)
}

/// The token of an `Authorization` header; the scheme's case does not matter (RFC 9110 section
/// 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
}

/// Without a token everybody on this machine is trusted, but not the web pages in their
/// browsers: those come with a foreign origin, or under a foreign name that resolves to loopback.
fn refuse_web_page(request: &Request) -> Option<Response> {
    let headers = request.headers();
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
        return None;
    }
    let said = "without a token the admin API only answers to localhost, 127.0.0.1 and [::1], and \
                to no other site's pages; set [admin] token_file to lift this";
    Some(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", said).into_response())
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
