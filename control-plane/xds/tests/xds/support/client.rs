//! A gRPC client reduced to one stream: it sends what it is told, and checks what every response
//! of a delta stream has to fulfil.

use std::collections::HashSet;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::messages::{DeltaRequest, DeltaResponse, Node, RpcStatus, SECRET, secret_of};

pub const DELTA_ADS: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
pub const DELTA_SDS: &str = "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets";
pub const SOTW_ADS: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
pub const SOTW_SDS: &str = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";

/// Longer than anything should take, shorter than the server's own times: only with paused time.
pub const QUIET: Duration = Duration::from_secs(5);

pub struct Client {
    pub node: String,
    send: SendStream<Bytes>,
    head: Option<ResponseFuture>,
    body: Option<RecvStream>,
    buffer: BytesMut,
    nonces: HashSet<String>,
    first: bool,
    /// The status of a stream refused before it began.
    trailers_only: Option<String>,
    /// Kept: dropping it closes the connection.
    _connection: SendRequest<Bytes>,
}

impl Client {
    pub async fn open<IO>(io: IO, path: &str) -> Self
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (connection, driver) = h2::client::Builder::new()
            .initial_window_size(1 << 20)
            .initial_connection_window_size(1 << 24)
            .handshake::<_, Bytes>(io)
            .await
            .unwrap();
        tokio::spawn(driver);
        let mut connection = connection.ready().await.unwrap();
        let request = http::Request::post(format!("http://xds{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (head, send) = connection.send_request(request, false).unwrap();
        Self {
            node: "edge-1".to_owned(),
            send,
            head: Some(head),
            body: None,
            buffer: BytesMut::new(),
            nonces: HashSet::new(),
            first: true,
            trailers_only: None,
            _connection: connection,
        }
    }

    /// Sends a message as it is.
    pub fn send_message(&mut self, message: &impl Message) {
        self.send_bytes(&message.encode_to_vec());
    }

    pub fn send_bytes(&mut self, message: &[u8]) {
        let mut frame = BytesMut::with_capacity(message.len() + 5);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).unwrap());
        frame.put_slice(message);
        // What does not fit the window is kept by h2.
        self.send.reserve_capacity(frame.len());
        self.send.send_data(frame.freeze(), false).unwrap();
    }

    /// Sends a request with what every request has; the node only the first time, as Envoy does
    /// with `set_node_on_first_message_only`.
    pub fn request(&mut self, mut request: DeltaRequest) {
        request.type_url = SECRET.to_owned();
        if std::mem::take(&mut self.first) {
            let user_agent_name = "envoy".to_owned();
            request.node =
                Some(Node { id: self.node.clone(), cluster: "edges".to_owned(), user_agent_name });
        }
        self.send_message(&request);
    }

    pub fn subscribe(&mut self, names: &[&str]) {
        self.request(DeltaRequest { subscribe: strings(names), ..DeltaRequest::default() });
    }

    pub fn unsubscribe(&mut self, names: &[&str]) {
        self.request(DeltaRequest { unsubscribe: strings(names), ..DeltaRequest::default() });
    }

    /// A stream's first request after a reconnect: everything is asked for, and what is held said.
    pub fn reconnect(&mut self, waiting: &[&str], held: &[(&str, &str)]) {
        let all = waiting.iter().copied().chain(held.iter().map(|(name, _)| *name));
        let versions = held.iter().map(|(name, version)| ((*name).into(), (*version).into()));
        self.request(DeltaRequest {
            subscribe: all.map(str::to_owned).collect(),
            initial_versions: versions.collect(),
            ..DeltaRequest::default()
        });
    }

    pub fn ack(&mut self, response: &DeltaResponse) {
        self.ack_and_subscribe(&response.nonce, &[]);
    }

    /// Envoy lets a subscription ride on an acknowledgement.
    pub fn ack_and_subscribe(&mut self, nonce: &str, names: &[&str]) {
        self.request(DeltaRequest {
            subscribe: strings(names),
            response_nonce: nonce.to_owned(),
            ..DeltaRequest::default()
        });
    }

    pub fn nack(&mut self, response: &DeltaResponse, message: &str) {
        self.request(DeltaRequest {
            response_nonce: response.nonce.clone(),
            error_detail: Some(RpcStatus { code: 13, message: message.to_owned() }),
            ..DeltaRequest::default()
        });
    }

    /// The next response, checked against the rules all responses obey.
    pub async fn response(&mut self) -> DeltaResponse {
        let bytes = self.message().await.expect("the stream has ended");
        let response = DeltaResponse::decode(bytes).unwrap();
        assert_eq!(response.type_url, SECRET);
        assert!(!response.nonce.is_empty());
        assert!(self.nonces.insert(response.nonce.clone()), "a nonce came twice");
        let mut names = HashSet::new();
        for resource in &response.resources {
            secret_of(resource);
            assert!(resource.version.len() <= 16 && !resource.version.is_empty());
            assert!(names.insert(resource.name.as_str()), "a name came twice in one response");
        }
        for name in &response.removed {
            assert!(names.insert(name.as_str()), "a name came twice in one response");
        }
        assert!(!names.is_empty(), "an empty response");
        response
    }

    /// The next response: one certificate under this name. It is acknowledged.
    pub async fn expect_certificate(&mut self, name: &str) -> String {
        let response = self.response().await;
        let names: Vec<_> = response.resources.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(
            (names.as_slice(), response.removed.as_slice()),
            ([name].as_slice(), [].as_slice())
        );
        self.ack(&response);
        response.resources[0].version.clone()
    }

    /// The next response: exactly these removals. It is acknowledged.
    pub async fn expect_removals(&mut self, names: &[&str]) {
        let response = self.response().await;
        assert!(response.resources.is_empty(), "a certificate instead of a removal");
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(sorted(response.removed.clone()), sorted(strings(names)));
        self.ack(&response);
    }

    /// Nothing comes. Needs paused time, which then passes at once.
    pub async fn expect_silence(&mut self) {
        if let Ok(message) = timeout(QUIET, self.message()).await {
            panic!(
                "expected nothing, got {:?}",
                message.map(|m| DeltaResponse::decode(m).unwrap())
            );
        }
    }

    /// The stream ends with this gRPC status.
    pub async fn expect_end(&mut self, status: &str) {
        assert!(self.message().await.is_none(), "expected the end of the stream");
        let from_head = self.trailers_only.take();
        let trailers = match (&mut self.body, from_head) {
            (_, Some(status)) => status,
            (Some(body), None) => {
                let trailers = body.trailers().await.unwrap().expect("no trailers");
                trailers["grpc-status"].to_str().unwrap().to_owned()
            }
            (None, None) => panic!("no response at all"),
        };
        assert_eq!(trailers, status);
    }

    /// The next message of the stream; `None`: it has ended.
    pub async fn message(&mut self) -> Option<Bytes> {
        loop {
            if self.buffer.len() >= 5 {
                let len = u32::from_be_bytes(self.buffer[1..5].try_into().unwrap()) as usize;
                if self.buffer.len() >= len + 5 {
                    let frame = self.buffer.split_to(len + 5).freeze();
                    return Some(frame.slice(5..));
                }
            }
            if let Some(head) = self.head.as_mut() {
                let head = head.await.unwrap();
                self.head = None;
                if let Some(status) = head.headers().get("grpc-status") {
                    self.trailers_only = Some(status.to_str().unwrap().to_owned());
                }
                self.body = Some(head.into_body());
            }
            let body = self.body.as_mut().unwrap();
            let data = body.data().await?.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            self.buffer.extend_from_slice(&data);
        }
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
