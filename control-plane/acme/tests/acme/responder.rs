//! A web server that answers http-01, as the edges do.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sealwax_core::issuer::OrderChallenge;
use sealwax_protocol::ChallengeToken;
use tokio::net::TcpListener;

/// Answers what it was told to, and 404 otherwise.
pub(crate) struct Responder {
    pub(crate) address: SocketAddr,
    answers: Answers,
}

type Answers = Arc<Mutex<HashMap<String, String>>>;

impl Responder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Answers::default();
        let shared = Arc::clone(&answers);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let answers = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| respond(&answers, &request));
                    // A CA that hangs up is none of the test's business.
                    http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        Self { address, answers }
    }

    pub(crate) fn publish(&self, challenge: &OrderChallenge) {
        self.publish_text(challenge, &challenge.key_authorization);
    }

    pub(crate) fn publish_text(&self, challenge: &OrderChallenge, text: &str) {
        let token = challenge.token.as_str().to_owned();
        self.answers.lock().unwrap().insert(token, text.to_owned());
    }
}

fn respond(
    answers: &Answers,
    request: &Request<Incoming>,
) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + use<> {
    let token = ChallengeToken::from_path(request.uri().path().as_bytes());
    let answer = token
        .and_then(Result::ok)
        .and_then(|token| answers.lock().unwrap().get(token.as_str()).cloned());
    let mut response = Response::new(Full::new(Bytes::from(answer.clone().unwrap_or_default())));
    if answer.is_none() {
        *response.status_mut() = http::StatusCode::NOT_FOUND;
    }
    std::future::ready(Ok(response))
}
