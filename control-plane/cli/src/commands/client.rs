//! Talks to the admin API of a running control plane.

use std::time::Duration;

use http::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use super::arguments::Server;
use super::exit::Failed;
use sealwax_admin::read_token_file;
use sealwax_web::Problem;

/// How long connecting, and any single request but a stream, may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Largest answer read, in bytes: a page of 1,000 domains stays far below it.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The environment variable with the token itself.
const TOKEN_VARIABLE: &str = "SEALWAX_TOKEN";

/// A control plane.
pub(super) struct AdminClient {
    http: Client,
    server: Url,
    token: Option<HeaderValue>,
}

impl AdminClient {
    pub(super) fn new(server: &Server) -> Result<Self, Failed> {
        if !matches!(server.server.scheme(), "http" | "https") || !server.server.has_host() {
            return Err(Failed::usage("--server is an http:// or https:// URL"));
        }
        // Neither a proxy nor a redirect gets to see the token.
        let http = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| Failed::new(format!("no HTTP client can be made: {error}")))?;
        Ok(Self { http, server: server.server.clone(), token: token(server)? })
    }

    /// What to call the control plane in messages.
    pub(super) fn name(&self) -> &str {
        self.server.as_str()
    }

    /// Asks, and reads the answer if there is one.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&impl Serialize>,
    ) -> Result<T, Failed> {
        let mut request = self.request(method, path)?.query(query).timeout(ANSWER_WITHIN);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.send(request).await?;
        // It may hold a key.
        let body = Zeroizing::new(bounded(answer).await?);
        serde_json::from_slice(&body).map_err(|error| {
            Failed::new(format!("{} answered something else: {error}", self.server))
        })
    }

    /// Asks for a text.
    pub(super) async fn text(&self, method: Method, path: &[&str]) -> Result<String, Failed> {
        let request = self.request(method, path)?.timeout(ANSWER_WITHIN);
        let body = bounded(self.send(request).await?).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Asks for something that has no answer but success.
    pub(super) async fn tell(&self, method: Method, path: &[&str]) -> Result<(), Failed> {
        let request = self.request(method, path)?.timeout(ANSWER_WITHIN);
        self.send(request).await.map(drop)
    }

    /// Sends lines and hands out the answer as it comes.
    pub(super) async fn stream(&self, path: &[&str], body: Body) -> Result<Response, Failed> {
        let request = self.request(Method::POST, path)?;
        let request = request.header(CONTENT_TYPE, "application/x-ndjson").body(body);
        self.send(request).await
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failed> {
        let mut url = self.server.clone();
        url.path_segments_mut()
            .map_err(|()| Failed::usage("--server is an http:// or https:// URL"))?
            .pop_if_empty()
            .extend(path);
        let request = self.http.request(method, url);
        Ok(match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failed> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = bounded(answer).await?;
        let detail = serde_json::from_slice::<Problem>(&body).map_or_else(
            |_| format!("{} answered {status} without a reason", self.server),
            |problem| problem.detail,
        );
        Err(match status {
            StatusCode::NOT_FOUND => Failed::not_found(detail),
            StatusCode::UNAUTHORIZED => Failed::new(format!(
                "{} wants the admin token: give it with --token-file or {TOKEN_VARIABLE}",
                self.server
            )),
            StatusCode::CONFLICT => Failed { conflict: true, ..Failed::new(detail) },
            _ => Failed::new(detail),
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failed {
        let cause = innermost(error);
        Failed::new(format!(
            "{} does not answer ({cause}). Is `sealwax serve` running there? Another address: \
             --server URL or SEALWAX_SERVER",
            self.server
        ))
    }
}

/// The cause that says most: the last one.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

async fn bounded(mut answer: Response) -> Result<Vec<u8>, Failed> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX => {
                return Err(Failed::new("the answer is larger than 16 MiB"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => {
                return Err(Failed::new(format!("the answer broke off: {}", innermost(&error))));
            }
        }
    }
}

fn token(server: &Server) -> Result<Option<HeaderValue>, Failed> {
    let token = match &server.token_file {
        Some(path) => read_token_file(path).map_err(|error| Failed::usage(error.to_string()))?,
        None => match std::env::var(TOKEN_VARIABLE) {
            Ok(token) => Zeroizing::new(token),
            Err(_) => return Ok(None),
        },
    };
    let shown = Zeroizing::new(format!("Bearer {}", token.trim()));
    let mut value = HeaderValue::from_str(&shown)
        .map_err(|_| Failed::usage("the admin token is not one line of printable characters"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}
