//! A certificate authority as some are and Pebble is not: HTTPS in front of Pebble, with answers
//! bent the ways that were seen in the world.

mod shape;

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::tls::client_trusting;
use crate::{Pebble, Port, http};

/// How answers are bent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bend {
    /// Orders say `"replaces": ""`, ready ones `"authorizations": null`, valid ones no `finalize`.
    Telia,
    /// A failed challenge has `"error": {}`, and its order no error at all.
    ZeroSsl,
    /// The first answer to each challenge fails and leaves it open, with the error in it.
    SmallStep,
    /// Every challenge that was answered fails for a CAA record.
    Caa,
    /// A valid order stays in processing.
    Stuck,
    /// An order is over three seconds after it was first seen.
    Overdue,
    /// Every answer says that one may come again at once.
    AtOnce,
    /// Orders for names that had none yet are more than the account may have; until when is not
    /// said.
    Limited,
    /// New orders are refused because the service is busy; until when is not said.
    Busy,
    /// A certificate is not found where it was said to be, the first time it is fetched.
    LateCertificate,
    /// No account is known, whoever asks, until it registers.
    NoSuchAccount,
    /// The account that is seen first is closed.
    ClosedAccount,
}

/// Such a certificate authority.
#[derive(Debug)]
pub struct BentCa {
    port: Port,
    state: Arc<Mutex<State>>,
    _connections: JoinSet<()>,
}

#[derive(Debug, Default)]
struct State {
    bends: BTreeSet<Bend>,
    /// Challenges as last seen, by path, and how often each was answered.
    challenges: HashMap<String, (Value, u32)>,
    /// The account that is closed, by its URL.
    closed: Option<String>,
    /// When each order is over, by the URL it is finalized at.
    ends: HashMap<String, String>,
    /// Certificates that were asked for, by path.
    fetched: BTreeSet<String>,
    /// What was asked since the bends were set.
    count: Asks,
    /// What orders were placed for, whatever was bent then.
    ordered: BTreeSet<String>,
}

/// How often something was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// Looks at orders.
    pub looks: usize,
    /// New orders that were refused.
    pub refused: usize,
}

/// What a request says of itself.
struct Asked {
    path: String,
    method: Method,
    kid: Option<String>,
    nonce: String,
    payload: Option<Value>,
}

impl BentCa {
    /// In front of Pebble, trusted as it is; passes everything on at first.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(pebble: &Pebble) -> Result<Self> {
        let port = Port::free()?;
        let listener = port.listen().await?;
        let pki = pebble.pki();
        let chain = CertificateDer::pem_slice_iter(pki.certificate_pem.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(pki.key_pem.as_bytes())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>()?, key)?;
        let state = Arc::<Mutex<State>>::default();
        let way = Way {
            state: Arc::clone(&state),
            pebble: pebble.address(),
            tls: client_trusting(&pki.root_pem)?,
        };
        let mut connections = JoinSet::new();
        connections.spawn(accept(listener, TlsAcceptor::from(Arc::new(tls)), way));
        Ok(Self { port, state, _connections: connections })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Bends answers in these ways from now on, and in no others.
    pub fn bend(&self, bends: &[Bend]) {
        let bends = bends.iter().copied().collect();
        let mut state = lock(&self.state);
        let ordered = std::mem::take(&mut state.ordered);
        *state = State { bends, ordered, ..State::default() };
    }

    /// What was asked since then.
    #[must_use]
    pub fn asks(&self) -> Asks {
        lock(&self.state).count
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Way {
    state: Arc<Mutex<State>>,
    pebble: SocketAddr,
    tls: Arc<ClientConfig>,
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, way: Way) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                open.spawn(serve(stream, acceptor.clone(), way.clone()));
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, way: Way) {
    // How a connection ends is the client's to judge.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| {
        let way = way.clone();
        async move { Ok::<_, Infallible>(way.answer(request).await) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

impl Way {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.bent(request).await.unwrap_or_else(|error| {
            let mut failed = Response::new(Full::new(Bytes::from(format!("{error:#}"))));
            *failed.status_mut() = StatusCode::BAD_GATEWAY;
            failed
        })
    }

    async fn bent(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = parts.uri.path().to_owned();
        let asked = Asked::read(path, parts.method.clone(), &body);
        if let Some((status, said)) = lock(&self.state).instead(&asked) {
            return said_instead(status, &said, &asked.nonce);
        }
        let at_once = lock(&self.state).is(Bend::AtOnce);
        let whole = parts.uri.path_and_query().map_or("/", |whole| whole.as_str());
        let mut onward = Request::builder().method(parts.method).uri(whole);
        if let Some(headers) = onward.headers_mut() {
            *headers = parts.headers;
        }
        let onward = onward.body(Full::new(body))?;
        let tls = Arc::clone(&self.tls);
        let mut answer = http::send_tls(self.pebble, "localhost", tls, onward).await?;
        if answer.status < 400
            && let Ok(mut value) = serde_json::from_slice::<Value>(&answer.body)
        {
            lock(&self.state).shape(&asked, &mut value);
            answer.body = Bytes::from(value.to_string());
        }
        let mut reply = Response::new(Full::new(answer.body));
        *reply.status_mut() = StatusCode::from_u16(answer.status)?;
        *reply.headers_mut() = answer.headers;
        for of_the_connection in ["content-length", "transfer-encoding", "connection"] {
            reply.headers_mut().remove(of_the_connection);
        }
        if at_once {
            reply.headers_mut().insert("retry-after", HeaderValue::from_static("0"));
        }
        Ok(reply)
    }
}

impl Asked {
    fn read(path: String, method: Method, body: &[u8]) -> Self {
        let jws: Value = serde_json::from_slice(body).unwrap_or_default();
        let part = |name: &str| {
            let text = jws.get(name)?.as_str()?;
            serde_json::from_slice::<Value>(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
        };
        let header = part("protected").unwrap_or_default();
        let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        let (kid, nonce) = (text("kid"), text("nonce").unwrap_or_default());
        Self { path, method, kid, nonce, payload: part("payload") }
    }
}

/// An answer that Pebble knows nothing of: the nonce is good still.
fn said_instead(status: u16, said: &Value, nonce: &str) -> Result<Response<Full<Bytes>>> {
    let kind = if status < 400 { "application/json" } else { "application/problem+json" };
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .header("replay-nonce", nonce)
        .body(Full::new(Bytes::from(said.to_string())))
        .context("an answer of the bent CA")
}

fn problem(status: u16, kind: &str, detail: &str) -> Value {
    json!({
        "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail, "status": status,
    })
}
