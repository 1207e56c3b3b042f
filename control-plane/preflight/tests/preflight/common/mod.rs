//! A DNS server, a web server that does as told, and someone who looks.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealwax_core::preflight::{Findings, Preflight as _, answer};
use sealwax_core::{Span, Timestamp};
use sealwax_preflight::{Outlook, OutlookSettings};
use sealwax_protocol::{ChallengeToken, DomainName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Long enough for a busy machine; nothing waits for it.
const PATIENT: Span = Span::from_secs(30);

pub(crate) fn settings(dns: SocketAddr) -> OutlookSettings {
    OutlookSettings {
        resolvers: vec![dns],
        edges: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        edge_hosts: Vec::new(),
        port: 80,
        timeout: PATIENT,
    }
}

pub(crate) async fn look(outlook: &Outlook, domain: &str) -> Findings {
    let domain = DomainName::parse(domain).unwrap();
    outlook.look(&domain, Timestamp::from_secs(1)).await.unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A request as the server saw it.
pub(crate) struct Asked {
    pub(crate) host: String,
    pub(crate) path: String,
}

impl Asked {
    /// What an edge answers.
    pub(crate) fn edges_answer(&self) -> String {
        let path = self.path.split('?').next().unwrap();
        let token = path.rsplit('/').next().unwrap();
        let body = answer(&ChallengeToken::parse(token).unwrap()).unwrap();
        ok(&body)
    }
}

pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn moved(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

/// A web server; `None`: never answers.
pub(crate) struct Web {
    pub(crate) port: u16,
    pub(crate) asked: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Web {
    pub(crate) async fn start(
        at: SocketAddr,
        respond: impl Fn(Asked) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, respond) = (Arc::clone(&asked), Arc::new(respond));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let respond = Arc::clone(&respond);
                connections.spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    let host = head.lines().find_map(|line| line.strip_prefix("host: "));
                    let asked = Asked { host: host.unwrap().to_owned(), path };
                    match respond(asked) {
                        // The client may have gone.
                        Some(text) => drop(stream.write_all(text.as_bytes()).await),
                        None => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, asked, _task: task }
    }
}
