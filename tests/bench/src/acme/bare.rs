//! The least a client can do: instant-acme in a loop, its keys in memory, answering challenges
//! itself. Its Pebble is one of its own, with the same settings.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use instant_acme::{
    Account, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, Error, HttpClient,
    Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sealwax_testkit::{Pebble, PebbleSettings};
use tokio::net::TcpListener;
use tokio::time::Instant;

type Answers = Arc<Mutex<HashMap<String, String>>>;

pub(super) struct Bare {
    account: Account,
    answers: Answers,
    _pebble: Pebble,
}

#[derive(Clone)]
struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes);
            let request = Request::from_parts(parts, Full::new(body));
            let answer =
                client.request(request).await.map_err(|error| Error::Other(error.into()))?;
            Ok(BytesResponse::from(answer))
        })
    }
}

impl Bare {
    pub(super) async fn start() -> Result<Self> {
        let (port, answers) = respond().await?;
        let mut settings = PebbleSettings::validating_at(port);
        settings.nonces_refused_percent = 0;
        let pebble = Pebble::start(settings).await?;
        let http = Box::new(client(&std::fs::read(pebble.tls_root_file())?)?);
        let who =
            NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
        let builder = Account::builder_with_http(http);
        let (account, _) = builder.create(&who, pebble.directory(), None).await?;
        Ok(Self { account, answers, _pebble: pebble })
    }

    /// Certificates a second.
    pub(super) async fn issue(&self, label: &str, count: usize, in_flight: usize) -> Result<f64> {
        let began = Instant::now();
        stream::iter(0..count)
            .map(|n| self.one(format!("{label}-{n}.good.test")))
            .buffer_unordered(in_flight)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(super::as_figure(count) / began.elapsed().as_secs_f64())
    }

    async fn one(&self, name: String) -> Result<()> {
        let patience = RetryPolicy::new()
            .initial_delay(Duration::from_millis(150))
            .backoff(1.5)
            .timeout(Duration::from_secs(60));
        let identifiers = [Identifier::Dns(name.clone())];
        let mut order = self.account.new_order(&NewOrder::new(&identifiers)).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let challenge = authorization.challenge(ChallengeType::Http01);
            let mut challenge = challenge.context("no http-01 challenge")?;
            let answer = challenge.key_authorization().as_str().to_owned();
            self.answers().insert(challenge.token.clone(), answer);
            challenge.set_ready().await?;
        }
        let status = order.poll_ready(&patience).await?;
        ensure!(status == OrderStatus::Ready, "{name}: {status:?}");
        let key = rcgen::KeyPair::generate()?;
        let request = rcgen::CertificateParams::new(vec![name])?.serialize_request(&key)?;
        order.finalize_csr(request.der()).await?;
        order.poll_certificate(&patience).await?;
        Ok(())
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client(root_pem: &[u8]) -> Result<Http> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root_pem)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_all_versions();
    Ok(Http(Client::builder(TokioExecutor::new()).build(https.build())))
}

/// Answers challenges on a port of its own.
async fn respond() -> Result<(u16, Answers)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let answers = Answers::default();
    let shared = Arc::clone(&answers);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = Arc::clone(&shared);
            tokio::spawn(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    let token = request.uri().path().rsplit('/').next().unwrap_or_default();
                    let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                    let answer = answers.get(token).cloned().unwrap_or_default();
                    std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(
                        answer,
                    )))))
                });
                // A CA that hangs up fails its order, which is seen there.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    Ok((port, answers))
}
