//! `POST /v1/domains:batch`: many registrations over one request, streamed both ways.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::{self, Stream};
use sealwax_core::Registration;
use sealwax_core::store::WRITE_ALL_MAX;
use sealwax_protocol::DomainName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::domains::{RegistrationBody, malformed_body};
use super::problems::Refused;
use super::{AdminApi, parse_name};
use sealwax_registry::{Known, RegistryError};
use sealwax_web::{PROBLEM_JSON, Problem};

/// Media type of one JSON value a line.
pub(crate) const NDJSON: &str = "application/x-ndjson";
/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 8 * 1024;
/// Lines that go to the store together, if they are there.
const TOGETHER: usize = WRITE_ALL_MAX;
/// How many times so many lines are worked on at a time: one is written while the next ones are
/// made ready, and a handshake waits behind no more.
const AT_A_TIME: usize = 3;
/// How long a caller may be silent in the middle of a batch.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// One line in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BatchLine {
    /// The domain to register.
    pub domain: String,
    /// What the platform says about it.
    #[serde(flatten)]
    pub registration: RegistrationBody,
}

/// One line out, in the order of the lines in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchResult {
    /// The line's number, from 1; empty lines count but have no result.
    pub line: u64,
    /// The domain, as far as it could be read.
    pub domain: Option<String>,
    /// 201 created, 200 was there, otherwise the problem's status.
    pub status: u16,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Registers many domains: one JSON object a line in, one result a line out, in order.
#[utoipa::path(post, path = "/v1/domains:batch", tag = "domains",
    request_body(content = BatchLine, content_type = NDJSON,
        description = "One object a line, each at most 8 KiB"),
    responses(
        (status = 200, description = "One result a line", body = BatchResult,
            content_type = NDJSON),
        (status = "4XX", description = "Refused", body = Problem, content_type = PROBLEM_JSON)))]
pub(super) async fn register(State(api): State<AdminApi>, body: Body) -> Response {
    // Once one is met that is there already, more are to be expected: an import that goes on.
    let met = Arc::new(AtomicBool::new(false));
    let results = lines(body.into_data_stream())
        .enumerate()
        .filter_map(async |(index, line)| {
            let number = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
            read(number, line)
        })
        .ready_chunks(TOGETHER)
        .map(move |lines| {
            let (api, met) = (api.clone(), Arc::clone(&met));
            tokio::spawn(async move { several(&api, lines, &met).await })
        })
        .buffered(AT_A_TIME)
        .map(|results| {
            let spelled: BytesMut = results?.iter().flat_map(spelled).collect();
            Ok::<_, tokio::task::JoinError>(spelled.freeze())
        });
    ([(CONTENT_TYPE, NDJSON)], Body::from_stream(results)).into_response()
}

fn spelled(result: &BatchResult) -> Bytes {
    let mut line = serde_json::to_vec(result).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

/// A line as read: what to register, or why not.
struct Line {
    number: u64,
    domain: Option<String>,
    wanted: Result<(DomainName, Registration), Refused>,
}

/// `None`: an empty line.
fn read(number: u64, text: Result<Bytes, Refused>) -> Option<Line> {
    let failed = |domain, problem| Some(Line { number, domain, wanted: Err(problem) });
    let text = match text {
        Ok(text) if text.trim_ascii().is_empty() => return None,
        Ok(text) => text,
        Err(problem) => return failed(None, problem),
    };
    // Taken apart by hand: serde cannot refuse unknown fields through a flattened struct.
    let mut fields: serde_json::Map<String, serde_json::Value> = match serde_json::from_slice(&text)
    {
        Ok(fields) => fields,
        Err(error) => return failed(None, malformed_body(error.to_string())),
    };
    let Some(serde_json::Value::String(name)) = fields.remove("domain") else {
        return failed(None, malformed_body("a line has a text \"domain\""));
    };
    let wanted = wanted(&name, fields);
    let domain = wanted.as_ref().map_or(name, |(domain, _)| domain.to_string());
    Some(Line { number, domain: Some(domain), wanted })
}

fn wanted(
    name: &str,
    fields: serde_json::Map<String, serde_json::Value>,
) -> Result<(DomainName, Registration), Refused> {
    let domain = parse_name(name)?;
    let said: RegistrationBody = serde_json::from_value(serde_json::Value::Object(fields))
        .map_err(|error| malformed_body(error.to_string()))?;
    Ok((domain, said.checked()?))
}

/// Registers what can be registered; a result for each line, in order.
async fn several(api: &AdminApi, lines: Vec<Line>, met: &AtomicBool) -> Vec<BatchResult> {
    let wanted = lines.iter().filter_map(|line| line.wanted.as_ref().ok().cloned()).collect();
    let known = if met.load(Ordering::Relaxed) { Known::Likely } else { Known::Unlikely };
    let put = api.registry.put_all(wanted, known).await;
    if put.iter().flatten().any(|put| !put.created) {
        met.store(true, Ordering::Relaxed);
    }
    let mut put = put.into_iter();
    let results = lines.into_iter().map(|Line { number, domain, wanted }| {
        let done = match wanted {
            Ok((name, _)) => put.next().unwrap_or(Err(RegistryError::Contended(name))),
            Err(problem) => return failed(number, domain, problem),
        };
        match done {
            Ok(put) => {
                let status = if put.created { StatusCode::CREATED } else { StatusCode::OK };
                BatchResult { line: number, domain, status: status.as_u16(), problem: None }
            }
            Err(error) => failed(number, domain, error.into()),
        }
    });
    results.collect()
}

fn failed(line: u64, domain: Option<String>, Refused(problem): Refused) -> BatchResult {
    BatchResult { line, domain, status: problem.status, problem: Some(problem) }
}

struct Lines {
    body: BodyDataStream,
    unread: BytesMut,
    ended: bool,
}

/// The lines of a body. One that is too long, or a body that breaks off, ends them with a problem.
fn lines(body: BodyDataStream) -> impl Stream<Item = Result<Bytes, Refused>> {
    let start = Lines { body, unread: BytesMut::new(), ended: false };
    stream::unfold(start, async |mut lines| {
        let line = lines.next().await?;
        Some((line, lines))
    })
}

impl Lines {
    async fn next(&mut self) -> Option<Result<Bytes, Refused>> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                if end > LINE_BYTES_MAX {
                    return Some(Err(self.end(too_long())));
                }
                return Some(Ok(self.unread.split_to(end.saturating_add(1)).freeze()));
            }
            if self.unread.len() > LINE_BYTES_MAX {
                return Some(Err(self.end(too_long())));
            }
            if self.ended {
                let rest = self.unread.split().freeze();
                return (!rest.is_empty()).then_some(Ok(rest));
            }
            match tokio::time::timeout(SILENCE_MAX, self.body.next()).await {
                Ok(Some(Ok(chunk))) => self.unread.extend_from_slice(&chunk),
                Ok(None) => self.ended = true,
                Ok(Some(Err(error))) => return Some(Err(self.end(error.to_string()))),
                Err(_) => return Some(Err(self.end("nothing came for a minute".to_owned()))),
            }
        }
    }

    fn end(&mut self, said: String) -> Refused {
        self.ended = true;
        self.unread.clear();
        malformed_body(said)
    }
}

fn too_long() -> String {
    format!("a line is longer than {LINE_BYTES_MAX} bytes; nothing after it was read")
}
