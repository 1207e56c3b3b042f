//! A delta ADS stream reduced to what timing needs: subscribe, and see when names come.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use prost::Message;
use std::net::SocketAddr;
use tokio::net::TcpStream;

const DELTA_ADS: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
/// Before each message: whether it is compressed, and its length.
const HEAD_BYTES: usize = 5;

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Asked {
    #[prost(message, optional, tag = "1")]
    node: Option<Node>,
    #[prost(string, tag = "2")]
    type_url: String,
    #[prost(string, repeated, tag = "3")]
    subscribe: Vec<String>,
    #[prost(string, tag = "6")]
    nonce: String,
}

#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(message, repeated, tag = "2")]
    resources: Vec<Named>,
    #[prost(string, tag = "5")]
    nonce: String,
}

#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "3")]
    name: String,
}

pub(super) struct AdsStream {
    send: SendStream<Bytes>,
    answer: Option<ResponseFuture>,
    body: Option<RecvStream>,
    unread: BytesMut,
    _connection: SendRequest<Bytes>,
}

impl AdsStream {
    /// Subscribes to names.
    pub(super) async fn open(address: SocketAddr, names: Vec<String>) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = h2::client::Builder::new()
            .initial_window_size(1 << 24)
            .initial_connection_window_size(1 << 24)
            .handshake::<_, Bytes>(stream)
            .await?;
        tokio::spawn(driver);
        let mut connection = connection.ready().await?;
        let request = hyper::Request::post(format!("http://xds{DELTA_ADS}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let (answer, send) = connection.send_request(request, false)?;
        let (body, unread) = (None, BytesMut::new());
        let mut this = Self { send, answer: Some(answer), body, unread, _connection: connection };
        let node = Some(Node { id: "bench".to_owned() });
        this.ask(&Asked { node, subscribe: names, ..Asked::default() })?;
        Ok(this)
    }

    /// The names of the next response, which is acknowledged.
    pub(super) async fn next(&mut self) -> Result<Vec<String>> {
        let told = Told::decode(self.message().await?)?;
        self.ask(&Asked { nonce: told.nonce, ..Asked::default() })?;
        Ok(told.resources.into_iter().map(|resource| resource.name).collect())
    }

    fn ask(&mut self, asked: &Asked) -> Result<()> {
        let message = Asked { type_url: SECRET.to_owned(), ..asked.clone() }.encode_to_vec();
        let mut frame = BytesMut::with_capacity(message.len() + HEAD_BYTES);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len())?);
        frame.put_slice(&message);
        self.send.reserve_capacity(frame.len());
        Ok(self.send.send_data(frame.freeze(), false)?)
    }

    async fn message(&mut self) -> Result<Bytes> {
        if let Some(answer) = self.answer.take() {
            let answer = answer.await?;
            ensure!(answer.status() == 200, "xDS: {}", answer.status());
            self.body = Some(answer.into_body());
        }
        let body = self.body.as_mut().context("no stream")?;
        loop {
            let length = self.unread.get(1..HEAD_BYTES).map(|mut length| length.get_u32());
            if let Some(length) = length.map(usize::try_from).transpose()?
                && self.unread.len() >= HEAD_BYTES + length
            {
                self.unread.advance(HEAD_BYTES);
                return Ok(self.unread.split_to(length).freeze());
            }
            let Some(data) = body.data().await else { bail!("the stream has ended") };
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            self.unread.extend_from_slice(&data);
        }
    }
}
