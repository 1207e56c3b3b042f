//! The control plane's event stream: what happened to which domain, as it happens.

use std::collections::VecDeque;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

/// What is heard.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Heard {
    /// Of whom; empty: some things happened that are not told any more.
    #[serde(default)]
    pub(super) domain: String,
    /// What.
    #[serde(default)]
    pub(super) kind: String,
}

/// A listener.
pub(super) struct Events {
    body: Incoming,
    text: Vec<u8>,
    heard: VecDeque<Heard>,
}

impl Events {
    /// Listens from now on.
    pub(super) async fn of(admin: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(admin).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the body; what goes wrong on it the body says.
        tokio::spawn(connection);
        let request =
            Request::get("/v1/events").header("host", "localhost").body(Empty::<Bytes>::new())?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        ensure!(head.status == StatusCode::OK, "/v1/events: {}", head.status);
        Ok(Self { body, text: Vec::new(), heard: VecDeque::new() })
    }

    /// The next thing that happened.
    pub(super) async fn next(&mut self) -> Result<Heard> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(heard);
            }
            let frame = self.body.frame().await.context("the event stream has ended")??;
            if let Ok(bytes) = frame.into_data() {
                self.text.extend_from_slice(&bytes);
            }
            while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                self.heard.extend(read(&line)?);
            }
        }
    }
}

fn read(line: &[u8]) -> Result<Option<Heard>> {
    let Some(data) = line.strip_prefix(b"data: ") else { return Ok(None) };
    Ok(Some(serde_json::from_slice(data).context("an event cannot be read")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_with_data_are_what_is_heard() {
        let heard = |domain: &str, kind: &str| {
            Some(Heard { domain: domain.to_owned(), kind: kind.to_owned() })
        };
        let told = b"data: {\"domain\":\"a.test\",\"kind\":\"certificate.issued\",\"at\":\"\"}\n";
        assert_eq!(read(told).unwrap(), heard("a.test", "certificate.issued"));
        assert_eq!(read(b"data: {}\n").unwrap(), heard("", ""));
        for other in [&b"\n"[..], b": alive\n", b"event: lifecycle\n", b"id: 5-1\n"] {
            assert_eq!(read(other).unwrap(), None);
        }
        assert!(read(b"data: no\n").is_err());
    }
}
