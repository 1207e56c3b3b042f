//! http-01 (RFC 8555 section 8.3), for real.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::books::AuthorizationStatus;
use crate::knobs::Validation;
use crate::problem::Problem;
use crate::server::{Core, State};

/// Longest a validation takes; Let's Encrypt waits as long.
const VALIDATION_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer read (Boulder, `va/http.go`).
const ANSWER_BYTES_MAX: usize = 128;

/// What a challenge must be answered with, and where.
pub(crate) struct Probe {
    pub(crate) authorization: u64,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) key_authorization: String,
    pub(crate) resolver: SocketAddr,
}

/// Finds out how a validation ends; the result is told when its looks are over.
pub(crate) fn begin(core: &Arc<Core>, state: &mut State, outcome: Validation, probe: Probe) {
    match outcome {
        Validation::Hangs => {}
        // Its failures are told before it begins.
        Validation::Passes | Validation::FailsOpen { .. } => {
            state.conclude(probe.authorization, Ok(()))
        }
        Validation::Fails(problem) => state.conclude(probe.authorization, Err(problem)),
        Validation::Real => {
            let core = Arc::clone(core);
            tokio::spawn(async move {
                let result = tokio::time::timeout(VALIDATION_TIMEOUT, fetch(&probe)).await;
                let late = |_| Err(connection("Timeout during connect (likely firewall problem)"));
                let outcome = result.unwrap_or_else(late);
                core.with(|state| state.conclude(probe.authorization, outcome));
            });
        }
    }
}

async fn fetch(probe: &Probe) -> Result<(), Problem> {
    let stream = TcpStream::connect(probe.resolver).await.map_err(connection)?;
    let (mut sender, connected) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(connection)?;
    // Ends with the answer; what goes wrong with it shows there.
    let driver = tokio::spawn(async move { connected.await.ok() });
    let request = Request::get(format!("/.well-known/acme-challenge/{}", probe.token))
        .header("host", &probe.name)
        .header("user-agent", "sealwax-fake-acme")
        .body(Empty::<Bytes>::new())
        .map_err(connection)?;
    let response = sender.send_request(request).await.map_err(connection)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| wrong(&probe.name, error))?
        .to_bytes();
    driver.abort();
    if !status.is_success() {
        return Err(wrong(&probe.name, status));
    }
    // RFC 8555 section 8.3: white space at the end is to be ignored.
    if body.trim_ascii_end() != probe.key_authorization.as_bytes() {
        return Err(wrong(&probe.name, "not the key authorization"));
    }
    Ok(())
}

impl State {
    fn conclude(&mut self, authorization: u64, outcome: Result<(), Problem>) {
        if let Some(entry) = self.books.authorizations.get_mut(&authorization)
            && let AuthorizationStatus::Validating { result, .. } = &mut entry.status
        {
            *result = Some(outcome);
        }
    }
}

fn connection(error: impl std::fmt::Display) -> Problem {
    Problem::new(400, "connection", format!("Fetching the challenge: {error}"))
}

fn wrong(name: &str, what: impl std::fmt::Display) -> Problem {
    Problem::new(403, "unauthorized", format!("Invalid response from http://{name}/: {what}"))
}
